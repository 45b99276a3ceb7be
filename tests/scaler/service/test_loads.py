"""What a fleet carries now: missing is missing, and a tenant that is not there is not missing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

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


def with_history(state: DatasetState, **newest_s: int) -> DatasetState:
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
    return replace(state, forecasts=Forecasts(tenants, tenants, nothing))


def test_the_load_is_the_sum_of_all_tenants_and_as_old_as_the_oldest_sample():
    load = fleet_load(measured(a=3, b=4, c=100), ("a", "b"), NOW_S)
    assert (load.value, load.age_s, load.missing) == (7, 10, None)


def test_one_tenant_missing_makes_the_whole_fleet_unmeasured_and_is_named():
    load = fleet_load(with_history(measured(a=3), a=NOW_S, b=NOW_S), ("a", "b"), NOW_S)
    assert load.value is None
    assert load.missing == "no complete measurement of b"


def test_without_history_nobody_can_say_that_a_tenant_has_left():
    assert fleet_load(measured(a=3), ("a", "b"), NOW_S).value is None


@pytest.mark.parametrize(("newest_s", "value"), [(NOW_S - 86401, 3), (NOW_S - 86399, None)])
def test_a_tenant_that_was_silent_for_a_day_has_left(newest_s, value):
    assert fleet_load(with_history(measured(a=3), a=NOW_S, b=newest_s), ("a", "b"), NOW_S).value == value


def test_a_tenant_that_has_not_begun_is_no_gap_in_its_pool():
    assert fleet_load(with_history(measured(a=3), a=NOW_S), ("a", "b"), NOW_S).value == 3


def test_a_fleet_none_of_whose_tenants_is_measured_is_never_zero():
    assert fleet_load(with_history(measured(c=9), c=NOW_S), ("a", "b"), NOW_S).value is None


def test_before_the_first_measurement_the_reason_is_told():
    assert fleet_load(DatasetState(USE, measure_problem="connection refused"), ("a",), NOW_S).missing == (
        "connection refused"
    )
