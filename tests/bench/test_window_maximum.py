import numpy as np
import pytest

from bench.window_maximum import Sums, measure
from forecasting.calendar import CivilCalendar
from forecasting.forecast import QuantileForecast, Trust
from forecasting.grid import SlotGrid
from forecasting.load import LoadMatrix, Measure
from forecasting.window_levels import WindowLevels

STEP_S = 300
QUANTILES = (0.5, 0.75, 0.9, 0.95, 0.99)


def forecast(levels):
    """Two slots, lines at 10, 20, 30, 40, 50 and twice that."""
    lines = np.array([10, 20, 30, 40, 50], dtype=np.float32)
    return QuantileForecast(
        measure=Measure.CHANNELS,
        series=("acme",),
        grid=SlotGrid(0, STEP_S, 2),
        quantiles=QUANTILES,
        values=np.stack([lines, 2 * lines])[np.newaxis],
        issued_at_s=0,
        newest_observation_s=np.ones(1, dtype=np.int64),
        trust=(Trust.TRUSTED,),
        trust_reasons=("for the test",),
        model="made-up",
        window_levels=levels,
    )


def test_the_largest_load_is_held_against_the_largest_line():
    counts_for_five = WindowLevels(
        STEP_S, np.ones(1), np.array([1, 2]), np.array([0.95]), np.array([[[1.0], [5.0]]])
    )  # fmt: skip
    sums = Sums()
    for loads in ([45, 0], [0, 90], [0, np.nan]):
        sums.add(forecast(counts_for_five), np.array([loads], dtype=np.float32), 2 * STEP_S)
    assert (sums.windows, sums.load) == (2, 135)
    assert sums.covered["slot", 0.95] == 1
    assert sums.covered["window", 0.95] == 2
    assert sums.sized["slot", 0.95] == pytest.approx(160)
    assert sums.sized["window", 0.95] == pytest.approx(200)


def test_a_forecast_without_learnt_windows_is_sized_by_its_slots():
    sums = Sums()
    sums.add(forecast(None), np.array([[0, 70]], dtype=np.float32), 2 * STEP_S)
    assert sums.sized["window", 0.95] == sums.sized["slot", 0.95] == pytest.approx(80)


def test_every_window_that_has_a_slot_is_measured_on_the_newest_weeks():
    grid = SlotGrid(1_790_000_000 // 3600 * 3600, 3600, 21 * 24)
    load = np.random.default_rng(1).poisson(50, size=(1, grid.slots)).astype(np.float32)
    found = measure(LoadMatrix(Measure.CHANNELS, ("acme",), grid, load), [CivilCalendar()])
    assert list(found) == [3600, 7200]
    for sums in found.values():
        assert sums.windows > 100
        assert sums.covered["slot", 0.95] <= sums.covered["window", 0.95]
        assert sums.covered["window", 0.95] / sums.windows > 0.85
