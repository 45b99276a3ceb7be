"""What a fleet carries now: missing is missing, and a tenant that is not there is not missing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from forecasting.calendar import CivilCalendar
from forecasting.forecast import QUANTILES, QuantileForecast, Trust
from forecasting.grid import SlotGrid
from forecasting.load import LoadMatrix, Measure
from forecasting.sources.protocol import CurrentLoad, HistoryQuery
from scaler.core.fleets import FleetKey
from scaler.service.datasets import Dataset, DatasetUse
from scaler.service.histories import DatasetState
from scaler.service.loads import fleet_load
from scaler.service.worker import Forecasts

NOW_S = 1_790_000_400
ACME = FleetKey("voice", "acme")
DATASET = Dataset("default", HistoryQuery(Measure.CHANNELS, "up", "tenant"), 300)
USE = DatasetUse(DATASET, 86400, 3600, {ACME: ("a", "b")}, {ACME: CivilCalendar()})


def measured(**by_tenant: float) -> DatasetState:
    return DatasetState(USE, current=CurrentLoad(Measure.CHANNELS, by_tenant, NOW_S - 10))


def with_history(state: DatasetState, departed: tuple[str, ...] = (), **newest_s: int) -> DatasetState:
    grid = SlotGrid(NOW_S - NOW_S % 300, 300, 1)
    shape = (len(newest_s), 1, len(QUANTILES))
    tenants = QuantileForecast(
        Measure.CHANNELS,
        tuple(newest_s),
        grid,
        QUANTILES,
        np.ones(shape, dtype=np.float32),
        grid.start_s,
        np.array(list(newest_s.values()), dtype=np.int64),
        (Trust.TRUSTED,) * len(newest_s),
        ("",) * len(newest_s),
        "test",
    )
    nothing = LoadMatrix(Measure.CHANNELS, (), grid, np.zeros((0, 1), dtype=np.float32))
    forecasts = Forecasts(tenants, tenants, nothing, frozenset(departed))
    return replace(state, forecasts=forecasts, read_until_s=grid.start_s, forecast_until_s=grid.start_s)


def test_the_load_is_the_sum_of_all_tenants_and_as_old_as_the_oldest_sample():
    load = fleet_load(measured(a=3, b=4, c=100), ("a", "b"), NOW_S)
    assert (load.value, load.age_s, load.missing) == (7, 10, None)


def test_one_tenant_missing_makes_the_whole_fleet_unmeasured_and_is_named():
    load = fleet_load(with_history(measured(a=3), a=NOW_S, b=NOW_S), ("a", "b"), NOW_S)
    assert load.value is None
    assert load.missing == "the query returns nothing for b; it returns a"


def test_without_history_nobody_can_say_that_a_tenant_has_left():
    assert fleet_load(measured(a=3), ("a", "b"), NOW_S).value is None


def test_a_tenant_that_has_departed_is_no_gap_in_its_pool():
    state = with_history(measured(a=3), departed=("b",), a=NOW_S, b=NOW_S - 2 * 86400)
    assert fleet_load(state, ("a", "b"), NOW_S).value == 3


def test_after_an_outage_of_the_source_nobody_has_departed_however_old_all_is():
    state = with_history(measured(a=3), a=NOW_S - 3 * 86400, b=NOW_S - 3 * 86400)
    assert fleet_load(state, ("a", "b"), NOW_S).missing == "the query returns nothing for b; it returns a"


def test_a_departed_tenant_that_the_source_knows_of_is_back_and_missing():
    state = with_history(measured(a=3), departed=("b",), a=NOW_S, b=NOW_S - 2 * 86400)
    assert state.current is not None
    back = replace(state, current=replace(state.current, incomplete=frozenset({"b"})))
    assert fleet_load(back, ("a", "b"), NOW_S).missing == "no complete measurement of b"


def test_an_archive_that_was_not_read_in_this_run_says_nothing_of_who_has_left_or_not_begun():
    state = with_history(measured(a=3), departed=("b",), a=NOW_S, b=NOW_S - 2 * 86400)
    unread = replace(state, read_until_s=0, forecast_until_s=0)
    assert fleet_load(unread, ("a", "b"), NOW_S).value is None
    assert fleet_load(unread, ("a", "new"), NOW_S).value is None
    # Read meanwhile, but the forecast is still the one that was made before.
    assert fleet_load(replace(state, forecast_until_s=0), ("a", "new"), NOW_S).value is None


def test_a_forecast_that_knows_nobody_says_nothing_of_who_has_not_begun():
    assert fleet_load(with_history(measured(a=3)), ("a", "b"), NOW_S).value is None
    assert fleet_load(with_history(measured(a=3), a=0), ("a", "b"), NOW_S).value is None


def test_an_old_sample_of_one_tenant_makes_only_its_own_fleet_old():
    times = {"a": NOW_S - 10.0, "b": NOW_S - 110.0, "c": NOW_S - 5.0}
    current = CurrentLoad(Measure.CHANNELS, {"a": 1, "b": 2, "c": 3}, NOW_S - 110, times)
    state = DatasetState(USE, current=current)
    assert [fleet_load(state, fleet, NOW_S).age_s for fleet in (("a", "c"), ("b",), ("a", "b"))] == [10, 110, 110]


def test_a_tenant_that_has_not_begun_is_no_gap_in_its_pool():
    assert fleet_load(with_history(measured(a=3), a=NOW_S), ("a", "b"), NOW_S).value == 3


def test_a_fleet_none_of_whose_tenants_is_measured_is_never_zero():
    assert fleet_load(with_history(measured(c=9), c=NOW_S), ("a", "b"), NOW_S).value is None


def test_before_the_first_measurement_the_reason_is_told():
    assert fleet_load(DatasetState(USE, measure_problem="connection refused"), ("a",), NOW_S).missing == (
        "connection refused"
    )
