"""Membership is that of now, over the whole history: a mover takes its past along, a gap moves nobody."""

from __future__ import annotations

import numpy as np
import pytest

from forecasting.calendar import CivilCalendar
from forecasting.forecast import QuantileForecast, Trust
from forecasting.load import Float32Array, LoadMatrix, Measure, departed, fleet_sums
from forecasting.models import default_forecaster
from tests.forecasting.histories import counts, days_before, office_rates

THURSDAY = "2026-03-05"
DAYS = 42
BUSY = {"acme": 100.0, "globex": 60.0, "initech": 200.0}
PLAIN = CivilCalendar()


def history(silent_h: dict[str, int] | None = None) -> LoadMatrix:
    """Three offices of different size; each is silent for so many hours at the end."""
    grid = days_before(THURSDAY, DAYS)
    rows = [counts(office_rates(grid, busy=busy), 1, seed)[0] for seed, busy in enumerate(BUSY.values())]
    for name, hours in (silent_h or {}).items():
        rows[list(BUSY).index(name)][-hours:] = np.nan
    return LoadMatrix(Measure.CHANNELS, tuple(BUSY), grid, np.stack(rows).astype(np.float32))


def forecast_of(load: LoadMatrix, **fleets: tuple[str, ...]) -> QuantileForecast:
    sums = fleet_sums(load, fleets)
    return default_forecaster().forecast(sums, [PLAIN] * len(fleets), sums.grid.after(24))


def office_hours(path: Float32Array) -> float:
    return float(path[9:17].mean())


def test_a_tenant_that_moves_is_forecast_where_it_is_served_now_at_once():
    load = history()
    before = forecast_of(load, a=("acme", "initech"), b=("globex",))
    after = forecast_of(load, a=("acme",), b=("globex", "initech"))
    assert office_hours(before.path("a", 0.5)) == pytest.approx(300, rel=0.05)
    assert office_hours(after.path("a", 0.5)) == pytest.approx(100, rel=0.05)
    assert office_hours(after.path("b", 0.5)) == pytest.approx(260, rel=0.05)
    assert after.trust == (Trust.TRUSTED, Trust.TRUSTED), "it takes its past along, and trust with it"


def test_all_that_is_served_stays_the_same_when_somebody_moves():
    load = history()
    split = fleet_sums(load, {"a": ("acme", "initech"), "b": ("globex",)}).values.sum(axis=0)
    moved = fleet_sums(load, {"a": ("acme",), "b": ("globex", "initech")}).values.sum(axis=0)
    np.testing.assert_allclose(split, moved)


def test_a_fleet_without_the_departed_is_forecast_as_the_sum_of_who_is_left():
    load = history(silent_h={"initech": 30})
    assert departed(load).tolist() == [False, False, True]
    left = forecast_of(load, fleet=("acme", "globex"))
    assert office_hours(left.path("fleet", 0.5)) == pytest.approx(160, rel=0.05)
    assert office_hours(left.path("fleet", 0.95)) < 200, "no ghost of the 200 that went"


@pytest.mark.parametrize("hours", [1, 6, 24])
def test_a_gap_of_one_tenant_takes_nothing_from_its_fleet(hours: int):
    whole = forecast_of(history(), fleet=tuple(BUSY))
    gap = forecast_of(history(silent_h={"initech": hours}), fleet=tuple(BUSY))
    assert office_hours(gap.path("fleet", 0.95)) > 0.95 * office_hours(whole.path("fleet", 0.95))
    assert office_hours(gap.path("fleet", 0.5)) == pytest.approx(360, rel=0.07)


def test_a_gap_of_the_whole_source_makes_nobody_departed_however_long():
    load = history(silent_h=dict.fromkeys(BUSY, 72))
    assert not departed(load).any()
    gap = forecast_of(load, fleet=tuple(BUSY))
    assert office_hours(gap.path("fleet", 0.5)) == pytest.approx(360, rel=0.1)
    assert gap.trust == (Trust.DEGRADED,)
