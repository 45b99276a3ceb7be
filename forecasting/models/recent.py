"""How far the last minutes, hours and days have been off the weekly profile, as look-ups at any origin."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from forecasting.grid import Int64Array
from forecasting.load import BoolArray
from forecasting.models.week_layout import Float64Array, FloatArray, WeekLayout
from forecasting.models.weekly_profile import WeeklyProfile

UNREST_S = (3600, 3 * 3600, 86400, 7 * 86400)
UNREST_DAY = 2
"""Which of these windows is a day."""


@dataclass(frozen=True, slots=True, eq=False)
class Running:
    """Sums from slot `first` up to each slot, so that the mean over any window is two look-ups: (series, slots + 1)."""

    first: int
    total: Float64Array
    count: npt.NDArray[np.int32]

    @classmethod
    def of(cls, values: FloatArray, first: int) -> Running:
        """Of values (series, slots) that begin at slot `first`, NaN where missing."""
        missing = np.isnan(values)
        count = np.broadcast_to(np.arange(values.shape[1] + 1, dtype=np.int32), (values.shape[0], values.shape[1] + 1))
        if missing.any():
            count = count.copy()
            count[:, 1:] -= np.cumsum(missing, axis=1, dtype=np.int32)
        return cls(first, _running_total(values, missing), count)

    def alike(self, values: FloatArray, missing: BoolArray) -> Running:
        """Of other values (series, slots) that are missing where these are: both are counted once."""
        return Running(self.first, _running_total(values, missing), self.count)

    def mean(self, start: Int64Array, end: Int64Array) -> FloatArray:
        """Mean over the slots [start, end), 0 where nothing was observed. Shape (series, *start.shape)."""
        last = self.total.shape[1] - 1
        start, end = np.clip(start - self.first, 0, last), np.clip(end - self.first, 0, last)
        count = self.count[:, end] - self.count[:, start]
        mean: FloatArray = ((self.total[:, end] - self.total[:, start]) / np.maximum(count, 1)).astype(np.float32)
        return mean


def _running_total(values: FloatArray, missing: BoolArray) -> Float64Array:
    total = np.zeros((values.shape[0], values.shape[1] + 1))
    # Widened first and added up in place: a sum that widens as it goes does so through a buffer, at twice the cost.
    if missing.any():
        np.copyto(total[:, 1:], values, where=~missing)
    else:
        total[:, 1:] = values
    return np.cumsum(total, axis=1, out=total)


@dataclass(frozen=True, slots=True, eq=False)
class Past:
    """Everything that deviations ahead are read from, for some series of one layout.

    `base` (series, slots) is the weekly profile with special days in place, history and horizon alike, NaN where the
    weekday has not been seen before; `special` (series, slots) marks its special days; `roots` (series, slots of
    history) are those observed. `size` runs over the sizes of ordinary deviations. `common` is the past of a series
    that stands for all, None where these are few.
    """

    layout: WeekLayout
    profile: WeeklyProfile
    weekend: BoolArray
    base: FloatArray
    special: BoolArray
    deviation: Running
    ordinary_deviation: Running
    size: Running
    level: Running
    roots: FloatArray
    common: Past | None

    def typical(self) -> FloatArray:
        """The mean root of the whole history, (series, 1); worked out when asked, since it seldom is."""
        return _mean(self.roots)


def past_of(
    layout: WeekLayout,
    profile: WeeklyProfile,
    weekend: tuple[int, ...],
    roots: FloatArray,
    base: FloatArray,
    special: BoolArray,
    common: Past | None = None,
) -> Past:
    """Prepare the look-ups. `roots` (series, slots of history) are the observed roots."""
    weekend_slot = np.isin(layout.time.weekday, weekend)
    first = int(np.argmax(layout.day >= profile.first_week * 7))
    kept = slice(first, roots.shape[1])
    days = layout.day[kept] - profile.first_week * 7
    # Where a weekday is new, its day group as of that day's start stands in: a young series has recent deviations too.
    known_base = base[:, kept]
    if np.isnan(known_base).any():
        daily = profile.daily[:, days, weekend_slot[kept].astype(np.int64), layout.time.slot_of_day[kept]]
        known_base = np.where(np.isnan(known_base), daily, known_base)
    off = roots[:, kept] - known_base
    ordinary = deviation = Running.of(off, first)
    level = deviation.alike(known_base, np.isnan(off))
    if special[:, kept].any():
        off[special[:, kept]] = np.nan
        ordinary = Running.of(off, first)
    return Past(
        layout,
        profile,
        weekend_slot,
        base,
        special,
        deviation,
        ordinary,
        ordinary.alike(np.abs(off), np.isnan(off)),
        level,
        roots,
        common,
    )


def _mean(roots: FloatArray) -> FloatArray:
    """Of the roots (series, slots) that are known, 0 without any: (series, 1)."""
    missing = np.isnan(roots)
    if not missing.any():
        # Nothing to leave out: mostly so, and half the work.
        whole: FloatArray = roots.mean(axis=1, keepdims=True)
        return whole
    count = roots.shape[1] - missing.sum(axis=1, keepdims=True)
    total = np.where(missing, np.float32(0.0), roots).sum(axis=1, keepdims=True)
    mean: FloatArray = (total / np.maximum(count, 1)).astype(np.float32)
    return mean


def mean_before(running: Running, origins: Int64Array, window_s: int, step_s: int) -> FloatArray:
    """Mean over the window that ends at each origin, 0 where nothing was observed: (series, origins)."""
    width = max(1, round(window_s / step_s))
    return running.mean(origins - width, origins)


def unrest(past: Past, origins: Int64Array) -> FloatArray:
    """Mean size of the deviations in some windows before each origin: (series, origins, windows), root scale."""
    windows = [mean_before(past.size, origins, window_s, past.layout.step_s) for window_s in UNREST_S]
    return np.stack(windows, axis=-1)
