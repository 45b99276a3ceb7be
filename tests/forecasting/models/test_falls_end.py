"""After a day far below its ways the median follows what is seen, and the upper lines allow for its end."""

from __future__ import annotations

import numpy as np
import pytest

from forecasting.calendar import CivilCalendar
from forecasting.forecast import QuantileForecast
from forecasting.load import Float32Array
from forecasting.models import default_forecaster, learnt
from tests.forecasting.histories import days_before, matrix, office_rates

TENANTS, FALLEN = 12, 5
LAST_DAY = slice(-24, None)
BUSY = slice(9, 17)
"""Of the forecast's first day, by the hour."""


def forecast_after(share: float) -> QuantileForecast:
    """Of offices, one of which had this share of its load on its last day.

    Their levels wander, so that the last hours say something of the next.
    """
    grid = days_before("2026-06-05", 56)  # the last day is a Thursday
    rates = office_rates(grid, busy=400.0, quiet=40.0)
    rng = np.random.default_rng(3)
    drift = np.zeros((TENANTS, grid.slots))
    for slot in range(1, grid.slots):
        drift[:, slot] = 0.98 * drift[:, slot - 1] + rng.normal(0, 0.03, TENANTS)
    load = rates * np.exp(drift)
    load[FALLEN, LAST_DAY] *= share
    history = matrix(grid, rng.poisson(load).astype(np.float32))
    return default_forecaster().forecast(history, [CivilCalendar()] * TENANTS, grid.after(24))


def line(forecast: QuantileForecast, quantile: float) -> Float32Array:
    """A line of the office that fell, (slots,)."""
    return forecast.path(f"tenant-{FALLEN}", quantile)


def test_the_day_after_may_be_as_usual() -> None:
    fallen, usual = forecast_after(0.3), forecast_after(1.0)
    assert (line(fallen, 0.5)[BUSY] < 0.8 * line(usual, 0.5)[BUSY]).all()
    assert (line(fallen, 0.95)[BUSY] > line(usual, 0.5)[BUSY]).all()
    # It is one of two things that may come: the line of a usual day is the most that it asks for.
    assert (line(fallen, 0.95)[BUSY] < line(usual, 0.95)[BUSY]).all()


@pytest.mark.parametrize("share", [1.0, 2.0])
def test_nothing_is_added_after_a_usual_day_or_one_far_above(share: float, monkeypatch: pytest.MonkeyPatch) -> None:
    forecast = forecast_after(share)
    monkeypatch.setattr(learnt, "_RETURNS", 0.0)
    without = forecast_after(share)
    np.testing.assert_array_equal(forecast.values, without.values)
