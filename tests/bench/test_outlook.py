import numpy as np
import pytest

from bench.outlook import Sums, measure
from forecasting.calendar import CivilCalendar
from forecasting.grid import SlotGrid
from forecasting.load import LoadMatrix, Measure

WEEK = 168


def test_errors_are_of_the_median_and_beside_the_level_of_the_last_weeks():
    sums = Sums()
    lines = np.array([[10.0, 11, 12, 13, 14], [10, 11, 12, 13, 14]])
    past = np.array([[2.0, 4, 6, 8, np.nan, 10], [1, 1, 1, 1, 1, 1]])
    sums.add(np.array([12.5, np.nan]), lines, past, np.array([0.01, 0.0]))
    assert sums.cells == 1
    assert (sums.load, sums.error, sums.excess) == (12.5, 2.5, -2.5)
    assert sums.as_it_is == pytest.approx(12.5 - 7)
    assert sums.last_week == pytest.approx(2.5)
    assert sums.covered.tolist() == [0, 0, 0, 1, 1]
    assert sums.grew == 1
    sums.join(sums)
    assert (sums.cells, sums.load, sums.covered.tolist()) == (2, 25.0, [0, 0, 0, 2, 2])


def test_each_monday_is_an_origin_and_the_sum_a_series_of_its_own():
    grid = SlotGrid(1_767_571_200, 3600, 24 * WEEK)  # from Monday, 5 January 2026
    load = np.random.default_rng(1).poisson(50, size=(2, grid.slots)).astype(np.float32)
    found = dict(measure(LoadMatrix(Measure.CHANNELS, ("a", "b"), grid, load), CivilCalendar(), ("a", "b")))
    assert list(found) == ["each", "sum"]
    # Sixteen Mondays have eight weeks behind them and one ahead; the sum is one series of the two.
    assert found["each"]["mean", 1].cells == 32
    assert found["sum"]["mean", 8].cells == 9
    for measured in found.values():
        assert measured["mean", 4].error / measured["mean", 4].load < 0.03
        assert measured["busy hour", 4].load > measured["mean", 4].load
