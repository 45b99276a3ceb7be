"""From calls with a start and a duration to load per slot.

Concurrency changes only where a call starts or ends, so its integral and its peak over a slot are exact sums over
those instants, not samples of them.

**What a file of calls can tell.** Between its first and last call, no calls means zero. At its edges it is blind: call
records are written when a call ends, so that the newest calls, still running, are missing, and an extract by start
time lacks the calls that were running when it began. With d the 99th percentile of the durations, the file is
believed from max(first start + d, first end) to min(last start, last end - d); slots that are not wholly inside are
gaps. All files of a source count as one: a missing day between two files cannot be told from a quiet one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from forecasting.grid import Int64Array, SlotGrid
from forecasting.load import BoolArray, Float32Array
from forecasting.sources.protocol import SlotStatistic
from forecasting.sources.samples import Float64Array

LONG_CALL_QUANTILE = 0.99


@dataclass(frozen=True, slots=True, eq=False)
class Calls:
    """Calls in any order: number of the series, start and end in epoch seconds, each of shape (calls,)."""

    series: Int64Array
    starts_s: Float64Array
    ends_s: Float64Array

    def believed_s(self) -> tuple[float, float]:
        """From when to when the file tells the truth, epoch seconds; an empty span when it has no calls."""
        if not self.starts_s.size:
            return (0.0, 0.0)
        long_call_s = float(np.quantile(self.ends_s - self.starts_s, LONG_CALL_QUANTILE))
        first = max(float(self.starts_s.min()) + long_call_s, float(self.ends_s.min()))
        last = min(float(self.starts_s.max()), float(self.ends_s.max()) - long_call_s)
        return (first, last)

    def running_at(self, instant_s: float, series_count: int) -> Int64Array:
        """Calls in progress at an instant, shape (series_count,)."""
        running = (self.starts_s <= instant_s) & (instant_s < self.ends_s)
        return np.bincount(self.series[running], minlength=series_count).astype(np.int64)


def believed_slots(calls: Calls, grid: SlotGrid) -> BoolArray:
    """Which slots lie wholly inside what the file can tell, shape (slots,)."""
    first_s, last_s = calls.believed_s()
    believed: BoolArray = (grid.starts_s >= first_s) & (grid.starts_s + grid.step_s <= last_s)
    return believed


def arrivals_per_second(calls: Calls, series_count: int, grid: SlotGrid) -> Float32Array:
    """Call set-ups per second, shape (series_count, slots)."""
    inside = (calls.starts_s >= grid.start_s) & (calls.starts_s < grid.end_s)
    slots = ((calls.starts_s[inside] - grid.start_s) // grid.step_s).astype(np.int64)
    counts = np.bincount(calls.series[inside] * grid.slots + slots, minlength=series_count * grid.slots)
    return (counts / grid.step_s).reshape(series_count, grid.slots).astype(np.float32)


def concurrency(calls: Calls, series_count: int, grid: SlotGrid, statistic: SlotStatistic) -> Float32Array:
    """Calls in progress per slot, shape (series_count, slots): their mean over the slot's time, or their peak.

    A call occupies [start, end): one that ends when another starts does not overlap it.
    """
    if not series_count * grid.slots:
        return np.empty((series_count, grid.slots), dtype=np.float32)
    touching = (calls.starts_s < grid.end_s) & (calls.ends_s > grid.start_s) & (calls.ends_s > calls.starts_s)
    series = calls.series[touching]
    starts_s = np.maximum(calls.starts_s[touching], grid.start_s)
    ends_s = np.minimum(calls.ends_s[touching], grid.end_s)
    levels = _levels(series, starts_s, ends_s, series_count, grid)
    if statistic is SlotStatistic.MAXIMUM:
        per_slot = np.maximum.reduceat(levels.running, levels.first_of_slot).astype(np.float64)
    else:
        per_slot = np.add.reduceat(levels.running * levels.lasting_s, levels.first_of_slot) / grid.step_s
    return per_slot.reshape(series_count, grid.slots).astype(np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class _Levels:
    """Calls in progress as steps, cut at slot borders: each level, how long it lasts, where each slot's begin."""

    running: Int64Array
    lasting_s: Float64Array
    first_of_slot: Int64Array


def _levels(
    series: Int64Array, starts_s: Float64Array, ends_s: Float64Array, series_count: int, grid: SlotGrid
) -> _Levels:
    """The concurrency of every series over the whole grid as a chain of levels."""
    borders_s = np.tile(grid.starts_s.astype(np.float64), series_count)
    border_series = np.repeat(np.arange(series_count, dtype=np.int64), grid.slots)
    at_series = np.concatenate([series, series, border_series])
    at_s = np.concatenate([starts_s, ends_s, borders_s])
    change = np.concatenate(
        [np.ones(series.size, np.int64), -np.ones(series.size, np.int64), np.zeros(borders_s.size, np.int64)]
    )
    # At one instant ends (-1) come first, then borders (0), then starts (+1): the level that a border begins with is
    # the one that lasts, and no call overlaps its successor.
    order = np.lexsort((change, at_s, at_series))
    at_s, change = at_s[order], change[order]
    running = np.cumsum(change)
    until_s = np.append(at_s[1:], grid.end_s)
    # The last level of each series lasts to the end of the grid; what follows belongs to the next series.
    until_s[:-1][at_series[order][1:] != at_series[order][:-1]] = grid.end_s
    return _Levels(running, until_s - at_s, np.flatnonzero(change == 0))
