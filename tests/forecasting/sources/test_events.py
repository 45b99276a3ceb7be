"""Calls with start and duration become concurrency and arrivals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecasting.grid import SlotGrid
from forecasting.sources.events import Calls, arrivals_per_second, believed_slots, concurrency
from forecasting.sources.protocol import SlotStatistic

GRID = SlotGrid(600, 60, 5)
CALLS = st.lists(st.tuples(st.integers(0, 2), st.integers(500, 950), st.integers(0, 300)), max_size=40)


def calls_of(rows: list[tuple[int, int, int]]) -> Calls:
    table = np.array(rows, dtype=np.float64).reshape(len(rows), 3)
    return Calls(table[:, 0].astype(np.int64), table[:, 1], table[:, 1] + table[:, 2])


def running_each_second(rows: list[tuple[int, int, int]]) -> np.ndarray:
    """Calls in progress during each second of the grid: whole seconds make this exact. Shape (3, slots, 60)."""
    running = np.zeros((3, GRID.slots * 60))
    for series, start_s, duration_s in rows:
        first, last = max(0, start_s - GRID.start_s), max(0, start_s + duration_s - GRID.start_s)
        running[series, first:last] += 1
    return running.reshape(3, GRID.slots, 60)


@settings(derandomize=True, max_examples=200, deadline=None)
@given(CALLS)
def test_the_mean_is_the_overlap_and_the_peak_the_most_at_once(rows: list[tuple[int, int, int]]) -> None:
    expected = running_each_second(rows)
    calls = calls_of(rows)
    np.testing.assert_allclose(concurrency(calls, 3, GRID, SlotStatistic.MEAN), expected.mean(axis=2), rtol=1e-6)
    np.testing.assert_array_equal(concurrency(calls, 3, GRID, SlotStatistic.MAXIMUM), expected.max(axis=2))


@settings(derandomize=True, max_examples=100, deadline=None)
@given(CALLS)
def test_every_call_that_starts_in_a_slot_is_an_arrival_there(rows: list[tuple[int, int, int]]) -> None:
    arrivals = arrivals_per_second(calls_of(rows), 3, GRID) * 60
    for series in range(3):
        for slot, start_s in enumerate(GRID.starts_s):
            counted = sum(row == series and start_s <= start < start_s + 60 for row, start, _ in rows)
            assert arrivals[series, slot] == pytest.approx(counted)


def test_calls_back_to_back_do_not_overlap() -> None:
    assert concurrency(calls_of([(0, 600, 30), (0, 630, 30)]), 1, GRID, SlotStatistic.MAXIMUM)[0, 0] == 1


def test_the_edges_of_a_file_are_not_believed() -> None:
    # A call of 100 s each 10 s from 0 to 6000: whole slots count only where a running call could not be missing.
    calls = calls_of([(0, start_s, 100) for start_s in range(0, 6001, 10)])
    believed = believed_slots(calls, SlotGrid(0, 60, 120))
    assert np.flatnonzero(believed).tolist() == list(range(2, 100))


def test_records_written_at_the_end_of_calls_are_blind_to_the_newest() -> None:
    # An export at 6000 s holds only calls that had ended: whatever began in the last 100 s is missing.
    calls = calls_of([(0, start_s, 100) for start_s in range(0, 5901, 10)])
    assert calls.believed_s() == (100, 5900)


def test_no_calls_at_all_tell_nothing() -> None:
    assert not believed_slots(calls_of([]), GRID).any()
    assert concurrency(calls_of([]), 0, GRID, SlotStatistic.MAXIMUM).shape == (0, 5)
    assert concurrency(calls_of([(0, 600, 30)]), 1, SlotGrid(600, 60, 0), SlotStatistic.MEAN).shape == (1, 0)
