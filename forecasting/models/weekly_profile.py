"""What an ordinary week looks like, as it was known at the start of each week.

An exponentially weighted mean per weekday and slot of day, kept as a sum and a weight, so that a gap only lets both
fade and is never a zero. The value for a week uses the weeks before it and nothing else, so the profile at any past
origin can be read off afterwards without fitting again: residuals against it are honest forecasts' residuals.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from forecasting.grid import Int64Array
from forecasting.load import BoolArray
from forecasting.models.week_layout import FloatArray

WEEKLY_FADE = np.float32(0.85)
"""What a week counts for when it is one week older."""
_NEWER_FADE, _OLDER_FADE = np.float32(0.6), np.float32(0.95)
"""The same for a memory that forgets sooner, and for one that forgets later."""
DAILY_FADE = np.float32(0.85)
"""What a day counts for in the profile of its day group when it is one day older."""
BANDWIDTHS_S = (0, 900, 1800, 3600, 7200)
"""Half-widths of the smoothing that a series may choose from."""
_CELLS_AT_ONCE = 65_536
"""Of a smoothing, so that all it needs in between stays in the cache."""


@dataclass(frozen=True, slots=True, eq=False)
class WeeklyProfile:
    """Ordinary level per cell on the root scale, NaN where nothing was learnt before that week.

    `first_week` is the layout's week that index 0 stands for. `level` has shape (series, weeks, slots_per_week);
    `newer` and `older`, of the same shape, are how far above it a mean lies that forgets sooner, or later. `daily` has
    shape (series, days, 2, slots_per_day): the profile of working days and of the weekend as of each day's start.
    """

    first_week: int
    level: FloatArray
    newer: FloatArray
    older: FloatArray
    daily: FloatArray


def learn_profile(
    ordinary: FloatArray, weekend: tuple[int, ...], half_widths: Int64Array, *, first_week: int
) -> WeeklyProfile:
    """Learn from roots (series, weeks, slots_per_week) with special days already NaN; `half_widths` (series,) slots."""
    memories = _weekly_sums(ordinary, first_week, (WEEKLY_FADE, _NEWER_FADE, _OLDER_FADE))
    level, newer, older = (_smoothed_levels(*memory, half_widths) for memory in memories)
    newer -= level
    older -= level
    return WeeklyProfile(first_week, level, newer, older, _daily_profiles(ordinary, weekend, first_week))


def _smoothed_levels(sums: FloatArray, weights: FloatArray, half_widths: Int64Array) -> FloatArray:
    """The mean of sums and weights, (series, weeks, slots_per_week) each, smoothed as each series has chosen."""
    level = np.empty_like(sums)
    for width in np.unique(half_widths):
        rows = np.flatnonzero(half_widths == width)
        level[rows] = smoothed_mean(sums[rows], weights[rows], int(width))
    return level


def weekly_sums(ordinary: FloatArray, first_week: int) -> tuple[FloatArray, FloatArray]:
    """Weighted sums and weights of each cell over the weeks before, for the weeks from `first_week` on."""
    ((sums, weights),) = _weekly_sums(ordinary, first_week, (WEEKLY_FADE,))
    return sums, weights


def _weekly_sums(
    ordinary: FloatArray, first_week: int, fades: Sequence[np.float32]
) -> list[tuple[FloatArray, FloatArray]]:
    """The same for several memories, which see each week once."""
    series, weeks, cells = ordinary.shape
    kept = [np.empty((2, series, weeks - first_week, cells), dtype=np.float32) for _ in fades]
    memories = [np.zeros((2, series, cells), dtype=np.float32) for _ in fades]
    for week in range(weeks):
        if week >= first_week:
            for sums, memory in zip(kept, memories, strict=True):
                sums[:, :, week - first_week] = memory
        if week < weeks - 1:
            _fade_and_add(memories, ordinary[:, week], fades)
    return [(sums[0], sums[1]) for sums in kept]


def _fade_and_add(memories: Sequence[FloatArray], seen: FloatArray, fades: Sequence[np.float32]) -> None:
    """Let memories (2: sum and weight, *seen.shape) fade, and add what was seen where it is not NaN, in place."""
    known = ~np.isnan(seen)
    # Adding by a mask is several times slower than adding, and mostly nothing or everything was seen.
    weight: np.float32 | BoolArray = np.float32(1.0) if known.all() else known
    some = bool(known.any())
    if some and weight is known:
        seen = np.where(known, seen, np.float32(0.0))
    for memory, fade in zip(memories, fades, strict=True):
        memory *= fade
        if some:
            memory[0] += seen
            memory[1] += weight


def smoothed_mean(sums: FloatArray, weights: FloatArray, half_width: int) -> FloatArray:
    """Mean over the neighbouring slots of the week, NaN where the cell itself has no weight.

    Sums and weights are smoothed apart, so that a gap or closed hours beside the cell pull nothing down.
    """
    own = weights > 0
    if half_width > 0:
        sums, weights = smoothed(sums, half_width), _smoothed_weights(weights, half_width)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean: FloatArray = np.where(own, sums / weights, np.float32(np.nan))
    return mean


def _smoothed_weights(weights: FloatArray, half_width: int) -> FloatArray:
    """As `smoothed`; where all series have missed the same slots, and mostly none, they are smoothed once."""
    if weights.ndim > 1 and (weights == weights[:1]).all():
        return np.broadcast_to(smoothed(weights[:1], half_width), weights.shape)
    return smoothed(weights, half_width)


def smoothed(values: FloatArray, half_width: int) -> FloatArray:
    """Triangular kernel around the circular last axis, as two running means."""
    narrow = max(1, half_width // 2)
    window = 2 * narrow + 1
    rows = values.reshape(-1, values.shape[-1])
    mean = np.empty(rows.shape, dtype=np.float32)
    at_once = max(1, _CELLS_AT_ONCE // rows.shape[1])
    for start in range(0, rows.shape[0], at_once):
        part = rows[start : start + at_once]
        around = np.concatenate([part[:, -2 * narrow :], part, part[:, : 2 * narrow]], axis=1)
        twice = _running_sum(_running_sum(around, window), window)
        np.divide(twice, np.float32(window * window), out=mean[start : start + at_once])
    return mean.reshape(values.shape)


def _running_sum(values: FloatArray, window: int) -> FloatArray:
    """Sums over `window` neighbours, an odd number, of values (rows, cells): (rows, cells - window + 1).

    By doubling: sums of 2, 4, 8 … neighbours, put together by the bits of the window. A cumulative sum would be one
    long chain of additions, several times slower, and needs double precision.
    """
    size = values.shape[-1] - window + 1
    total = values[:, :size].copy()
    block, width, done = values, 1, 1
    while done < window:
        block = block[:, :-width] + block[:, width:]
        width *= 2
        if window & width:
            total += block[:, done : done + size]
            done += width
    return total


def _daily_profiles(ordinary: FloatArray, weekend: tuple[int, ...], first_week: int) -> FloatArray:
    series, weeks, cells = ordinary.shape
    slots = cells // 7
    days = ordinary.reshape(series, weeks * 7, slots)
    profiles = np.empty((series, (weeks - first_week) * 7, 2, slots), dtype=np.float32)
    groups = np.zeros((2, 2, series, slots), dtype=np.float32)
    with np.errstate(invalid="ignore", divide="ignore"):
        for day in range(weeks * 7):
            if day >= first_week * 7:
                np.divide(groups[:, 0], groups[:, 1], out=profiles[:, day - first_week * 7].swapaxes(0, 1))
            group = int(day % 7 in weekend)
            seen = days[:, day]
            # A day on which nothing was seen lets nothing fade.
            if not np.isnan(seen).all():
                _fade_and_add([groups[group]], seen, [DAILY_FADE])
    return profiles


def choose_half_widths(ordinary: FloatArray, step_s: int, weeks: int) -> Int64Array:
    """The smoothing (slots) with the least one-week-ahead squared error over the last weeks. Shape (series,)."""
    candidates = sorted({round(width / step_s) for width in BANDWIDTHS_S})
    first_week = max(0, ordinary.shape[1] - weeks)
    sums, weights = weekly_sums(ordinary, first_week)
    seen = ordinary[:, first_week:]
    errors = np.stack([_squared_error(seen, smoothed_mean(sums, weights, width)) for width in candidates])
    chosen: Int64Array = np.asarray(candidates, dtype=np.int64)[np.argmin(errors, axis=0)]
    return chosen


def _squared_error(seen: FloatArray, level: FloatArray) -> npt.NDArray[np.float64]:
    both: BoolArray = ~(np.isnan(seen) | np.isnan(level))
    difference = np.where(both, seen - level, np.float32(0.0)).astype(np.float64)
    error: npt.NDArray[np.float64] = np.einsum("swc,swc->s", difference, difference)
    return error
