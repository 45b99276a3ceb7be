"""Events of known size, and those that nobody sized: what they do to the ordinary day.

"As on the 28th of November" is that day's load beside its own ordinary level, slot by slot and smoothed over two
hours, laid on the ordinary level of the day to come: so a year of growth between the two is no matter. A day that the
history does not hold says nothing, and the event then goes as the series' earlier events of unknown size did.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from forecasting.civil_time import DayType, Int8Array
from forecasting.grid import Int64Array
from forecasting.models.scale import ZERO, to_counts, to_root
from forecasting.models.week_layout import FloatArray, WeekLayout

_SMOOTHED_S = 3600
"""To either side of a slot."""
_PRIOR_EVENTS = 1.0
"""Calls on either side of a ratio: an hour without any says nothing of how the next one will be."""
_LARGEST_RATIO = 50.0
_OBSERVED_SHARE = 0.5
"""Of a day's ordinary slots that must have been observed for it to be an example."""


@dataclass(frozen=True, slots=True, eq=False)
class LikeDays:
    """Ratios of days to their ordinary level: `series` and `day` (examples,), `ratio` (examples, slots_per_day)."""

    series: Int64Array
    day: Int64Array
    ratio: FloatArray

    def rows(self, rows: Int64Array) -> LikeDays:
        """The same for some of the series, numbered by their place among these."""
        kept = np.isin(self.series, rows)
        order = np.argsort(rows, kind="stable")
        place = order[np.searchsorted(rows, self.series[kept], sorter=order)] if kept.any() else self.series[kept]
        return LikeDays(place, self.day[kept], self.ratio[kept])

    def of(self, series: Int64Array, day: int) -> tuple[Int64Array, FloatArray]:
        """For which of these series (places in `series`) the day is an example, and its ratios."""
        of_day = np.flatnonzero(self.day == day)
        # A series may stand there twice: with the event that is to come, and with one that was.
        places, examples = np.nonzero(series[:, None] == self.series[of_day])
        return places.astype(np.int64), self.ratio[of_day[examples]]

    @classmethod
    def joined(cls, parts: Sequence[LikeDays]) -> LikeDays:
        """All examples of several."""
        if not parts:
            return cls(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros((0, 1), np.float32))
        return cls(
            np.concatenate([part.series for part in parts]),
            np.concatenate([part.day for part in parts]),
            np.concatenate([part.ratio for part in parts]),
        )


def like_days(
    weekly: FloatArray, level: FloatArray, layout: WeekLayout, likes: Sequence[tuple[int, int]], rows: Int64Array
) -> LikeDays:
    """The wanted days of roots and ordinary roots, both (series, weeks, slots_per_week), where the history holds them.

    `likes` are (place, local day); the examples are numbered by `rows` (series,).
    """
    wanted = [(place, day) for place, day in likes if 0 <= day - layout.first_day < layout.weeks * 7]
    place, day = np.array(wanted, dtype=np.int64).reshape(-1, 2).T
    shape = (weekly.shape[0], layout.weeks * 7, layout.slots_per_day)
    seen = weekly.reshape(shape)[place, day - layout.first_day]
    ordinary = level.reshape(shape)[place, day - layout.first_day]
    known = ~(np.isnan(seen) | np.isnan(ordinary))
    held = known.sum(axis=1) > _OBSERVED_SHARE * (~np.isnan(ordinary)).sum(axis=1)
    half = round(_SMOOTHED_S / layout.step_s)
    around = [_around(np.where(known, to_counts(root), np.float32(0)), half) for root in (seen, ordinary)]
    ratio = (around[0] + _PRIOR_EVENTS) / (around[1] + _PRIOR_EVENTS)
    # A gap in that day: as the day on the whole.
    whole = (around[0].sum(axis=1) + _PRIOR_EVENTS) / (around[1].sum(axis=1) + _PRIOR_EVENTS)
    ratio = np.where(_around(known.astype(np.float32), half) > 0, ratio, whole[:, None])
    return LikeDays(rows[place[held]], day[held], np.minimum(ratio[held], _LARGEST_RATIO).astype(np.float32))


def _around(values: FloatArray, half: int) -> FloatArray:
    """Sums over the neighbours to either side within the day, (days, slots)."""
    padded = np.pad(values, ((0, 0), (half + 1, half))).cumsum(axis=1, dtype=np.float64)
    sums: FloatArray = (padded[:, 2 * half + 1 :] - padded[:, : -2 * half - 1]).astype(np.float32)
    return sums


def resized(ordinary: FloatArray, ratio: FloatArray | np.float32) -> FloatArray:
    """Roots of the ordinary day times a ratio of loads."""
    return to_root(to_counts(ordinary) * ratio, 1.0)


def event_shifts(weekly: FloatArray, level: FloatArray, kinds: Int8Array) -> FloatArray:
    """Mean deviation from the ordinary day on the events so far, shrunk by one unremarkable day. Shape (series,)."""
    deviation = (weekly - level).reshape(*kinds.shape, -1)
    mean, days = _daily_mean(np.where((kinds == DayType.EVENT)[:, :, None], deviation, np.float32(np.nan)))
    shift: FloatArray = mean * days / (days + 1)
    return shift.astype(np.float32)


def closure_levels(weekly: FloatArray, level: FloatArray, kinds: Int8Array) -> FloatArray:
    """Root of the load on a closed day: as on the closures so far, else as in the stillest tenth. Shape (series,)."""
    closed = (kinds == DayType.CLOSURE)[:, :, None]
    mean, days = _daily_mean(np.where(closed, weekly.reshape(*kinds.shape, -1), np.float32(np.nan)))
    newest = np.sort(level[:, -1], axis=1)
    known = (~np.isnan(newest)).sum(axis=1)
    stillest = newest[np.arange(newest.shape[0]), np.maximum(known - 1, 0) // 10]
    levels: FloatArray = np.where(days > 0, mean, np.nan_to_num(stillest, nan=ZERO))
    return levels.astype(np.float32)


def _daily_mean(by_day: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Mean over all known cells and the number of days with any, of (series, days, slots)."""
    known = ~np.isnan(by_day)
    total = np.where(known, by_day, np.float32(0.0)).sum(axis=(1, 2), dtype=np.float64)
    mean = total / np.maximum(known.sum(axis=(1, 2)), 1)
    return mean.astype(np.float32), known.any(axis=2).sum(axis=1).astype(np.float32)
