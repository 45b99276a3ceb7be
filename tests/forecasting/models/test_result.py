"""What leaves a model is put in order, whatever rounding did to it."""

import numpy as np

from forecasting.models.result import finish
from tests.forecasting.histories import days_before, office

QUANTILES = (0.5, 0.9, 0.99)


def test_paths_that_cross_fall_below_zero_or_overflow_are_put_in_order():
    history = office(days_before("2026-06-05", 3))
    rough = np.array([[[5.0, 4.9999, 7.0], [-1e-6, 2.0, np.inf]]], dtype=np.float32)
    forecast = finish(history, history.grid.after(2), QUANTILES, rough, "rough")
    np.testing.assert_array_equal(forecast.values[0, 0], np.array([5, 5, 7], np.float32))
    assert forecast.values[0, 1, 0] == 0
    assert np.isfinite(forecast.values).all()


def test_a_forecast_says_when_it_was_issued_and_from_what():
    history = office(days_before("2026-06-05", 3), series=2)
    history.values[1, -2:] = np.nan
    forecast = finish(history, history.grid.after(1), (0.5,), np.zeros((2, 1, 1), np.float32), "flat")
    assert forecast.issued_at_s == history.grid.end_s
    assert (history.grid.end_s - forecast.newest_observation_s).tolist() == [0, 2 * 3600]
    assert forecast.model == "flat"
