"""The floor of every report is the mean of four weeks, whatever is missing of them."""

import numpy as np

from forecasting.calendar import CivilCalendar
from forecasting.forecast import Trust
from forecasting.models.weekly_mean import WeeklyMean
from tests.forecasting.histories import days_before, matrix, office

WEEK = 168


def _median(values):
    grid = days_before("2026-06-08", values.shape[1] // 24)
    forecast = WeeklyMean().forecast(matrix(grid, values), [CivilCalendar()] * values.shape[0], grid.after(WEEK))
    return forecast.values[..., 0]


def test_a_missing_week_is_left_out_and_the_one_before_taken():
    weeks = np.repeat(np.array([100, 100, np.nan, 100, 100], np.float32), WEEK)[None]
    np.testing.assert_allclose(_median(weeks), 100, rtol=0.02)


def test_before_the_first_week_is_over_the_days_stand_in():
    days = np.tile(np.repeat(np.array([10, 200], np.float32), 12), 3)[None]
    median = _median(days)[0, :24]
    assert median[12:].mean() > 5 * median[:12].mean()


def test_its_bands_hold_what_they_promise_on_steady_traffic():
    grid = days_before("2026-06-15", 70)
    history = office(grid, series=8)
    known = matrix(days_before("2026-06-08", 63), history.values[:, : 63 * 24])
    forecast = WeeklyMean().forecast(known, [CivilCalendar()] * 8, known.grid.after(WEEK), (0.5, 0.95))
    below = history.values[:, 63 * 24 :] <= forecast.values[..., 1]
    assert 0.93 < below.mean() < 0.98


def test_nothing_known_is_cold_and_all_zeros_stay_finite():
    values = np.stack([np.full(35 * 24, np.nan), np.zeros(35 * 24)]).astype(np.float32)
    grid = days_before("2026-06-08", 35)
    forecast = WeeklyMean().forecast(matrix(grid, values), [CivilCalendar()] * 2, grid.after(24))
    assert forecast.trust[0] is Trust.COLD
    assert np.isfinite(forecast.values[1]).all()
    assert forecast.values[1].max() < 1
