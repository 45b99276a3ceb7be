"""What a model's own past forecasts teach it about windows."""

import numpy as np
import pytest

from forecasting.calendar import CivilCalendar
from forecasting.forecast import QUANTILES
from forecasting.grid import SlotGrid
from forecasting.load import LoadMatrix, Measure
from forecasting.models.past_windows import past_windows
from forecasting.models.scale import to_counts
from forecasting.models.training import train
from forecasting.models.window_levels import learn_window_levels
from tests.forecasting.histories import HOUR_S, counts, days_before, matrix, office_rates

STEP_S = 900
GRID = days_before("2026-05-10", 42, step_s=STEP_S)
PLAIN = CivilCalendar()


def learnt_windows(history):
    """The past windows of a history, and the levels that they teach."""
    calendars = [PLAIN] * len(history.series)
    learnt = train(history, calendars)
    parts = list(
        past_windows(
            history, calendars, learnt, lambda path, _series: to_counts(path.quantiles(learnt.residuals, QUANTILES))
        )
    )
    return parts, learn_window_levels(parts, history.grid.step_s, 1.0)


def unforeseen(hours_alike, series=2, seed=3):
    """Office loads that are off by a share which stays the same for so many hours."""
    rng = np.random.default_rng(seed)
    slots_alike = hours_alike * HOUR_S // STEP_S
    moods = rng.normal(0, 0.2, size=(series, -(-GRID.slots // slots_alike)))
    moods = np.repeat(moods, slots_alike, axis=1)[:, : GRID.slots]
    rates = office_rates(GRID, quiet=100.0) * np.exp(moods)
    return matrix(GRID, rng.poisson(rates).astype(np.float32))


def test_errors_that_last_make_a_window_count_for_fewer_slots_than_errors_of_each_slot():
    _, alone = learnt_windows(matrix(GRID, counts(office_rates(GRID, quiet=100.0), 2)))
    _, lasting = learnt_windows(unforeseen(hours_alike=8))
    # Eight independent slots would ask for 99.4 %; learnt errors are never quite independent.
    assert alone.level(0.95, 2 * HOUR_S, 100) > 0.98
    assert lasting.level(0.95, 2 * HOUR_S, 100) < alone.level(0.95, 2 * HOUR_S, 100) - 0.005


def test_windows_hold_what_came_after_their_origins_and_end_with_the_history():
    history = matrix(GRID, (1 + np.arange(GRID.slots, dtype=np.float32))[np.newaxis])
    (part,), _ = learnt_windows(history)
    first = np.rint(part.observed[0, :, 0])
    expected = first[:, None] + np.arange(part.observed.shape[2])
    expected[expected > GRID.slots] = np.nan
    np.testing.assert_allclose(part.observed[0], expected, rtol=1e-4)
    assert part.weights[-1] == pytest.approx(1, abs=0.1)
    assert (np.diff(part.weights) > 0).all()


def test_a_sample_of_many_series_is_enough():
    parts, levels = learnt_windows(matrix(GRID, counts(np.full(GRID.slots, 20.0), 70)))
    assert sum(part.observed.shape[0] for part in parts) == 35
    assert sum(part.observed[..., 0].size for part in parts) <= 20_000
    assert levels is not None


def test_without_slots_there_are_no_windows():
    empty = SlotGrid(0, STEP_S, 0)
    nothing = LoadMatrix(Measure.CHANNELS, ("tenant",), empty, np.empty((1, 0), dtype=np.float32))
    parts, levels = learnt_windows(nothing)
    assert parts == []
    assert levels is None
