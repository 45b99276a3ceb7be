"""Learning for how many slots a window counts: from past windows, and how their largest load lay to the lines.

For each past window there is a lowest line that its largest load stayed under. Of these levels a quantile is taken:
where 95 % of windows stayed under their 99.2 % lines, the 95 % of windows are answered for by that line. Pooled over
series by the size of load, since small counts tie and busy series err together; what has few windows leans on all
sizes, and those on a rule of thumb.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from forecasting.forecast import QUANTILES
from forecasting.grid import Int64Array
from forecasting.models.week_layout import FloatArray
from forecasting.quantile_lines import at_quantile
from forecasting.window_levels import Float64Array, WindowLevels

LONGEST_S = 7200
"""Windows are learnt up to this length, and of two slots at least."""
_LOADS = np.array([0.5, 2.0, 8.0, 32.0, 128.0])
"""Middles of the size classes, events in a slot: a factor of four from one to the next."""
_LEVELS = np.array([*np.linspace(0.5, 0.9, 9), 0.925, *np.linspace(0.95, 0.99, 9), 0.993, 0.995, 0.997, 0.999, 0.9995])
_BINS = 300
_SLACK = 0.01
"""Events: roots and back, no load is quite a whole number any more, and none quite zero. A line that meets it holds."""
_RAREST = -np.log1p(-_LEVELS[-1])
_ENOUGH = 200.0
"""Windows that a size class must have to stand on its own; with fewer it leans on all sizes."""
_PRIOR = 50.0
"""Windows that the rule of thumb counts as: a window of w slots counts for the square root of w."""


@dataclass(frozen=True, slots=True, eq=False)
class PastWindows:
    """Past forecasts of consecutive slots from their origins on, and what came.

    `paths` (series, origins, slots, QUANTILES) and `observed` (series, origins, slots) in the load's unit, NaN where
    nothing was observed; `weights` (origins,) what each origin counts for.
    """

    paths: FloatArray
    observed: FloatArray
    weights: FloatArray


def windows_of(step_s: int) -> Int64Array:
    """The lengths of windows that are learnt, in slots: doubling from one to the longest."""
    longest = max(2, LONGEST_S // step_s)
    doubling = 2 ** np.arange(longest.bit_length())
    return np.unique(np.append(doubling[doubling < longest], longest)).astype(np.int64)


def learn_window_levels(
    parts: Iterable[PastWindows], step_s: int, per_unit: float, tail: float = 1.0
) -> WindowLevels | None:
    """Learn from past windows, some series at a time; None without a single one that was observed throughout.

    Each part has at least as many slots as the longest of `windows_of(step_s)`; `per_unit` is the factor from the
    load's unit to events per slot, `tail` says how far lines beyond the last lie. A window of which any slot was not
    observed teaches nothing: its largest load is not known.
    """
    windows = windows_of(step_s)
    counts = np.zeros((_LOADS.size, windows.size, _BINS))
    for part in parts:
        counts += _counted(part, windows, per_unit, tail)
    if not counts.any():
        return None
    pooled = _leaning(counts.sum(axis=0), np.stack([_rule_of_thumb(int(width)) for width in windows]), _PRIOR)
    sizes = _leaning(counts, pooled, np.maximum(_ENOUGH - counts.sum(axis=-1, keepdims=True), 0.0))
    return WindowLevels(step_s, _LOADS / per_unit, windows, np.array(QUANTILES), _counts_for(sizes, windows), tail)


def _counted(part: PastWindows, windows: Int64Array, per_unit: float, tail: float) -> Float64Array:
    """The part's windows by size, length and the level that each one's largest load reached: (sizes, windows, bins)."""
    ends = windows - 1
    # The largest of a NaN and a number is NaN, and so is what comes after it.
    largest = np.maximum.accumulate(part.observed, axis=2)[:, :, ends]
    lines = np.stack([_largest_lines(part.paths, level, ends, tail) for level in _LEVELS], axis=-1)
    # The median's largest slot says which windows are alike, as the plan will know it before the load is there.
    busiest = np.maximum(_largest_lines(part.paths, QUANTILES[0], ends, tail) * np.float32(per_unit), _LOADS[0])
    known = np.nonzero(~np.isnan(largest))
    size = np.rint(np.interp(np.log(busiest[known]), np.log(_LOADS), np.arange(_LOADS.size))).astype(np.int64)
    rare = _reached(lines[known], largest[known] - np.float32(_SLACK / per_unit))
    place = np.minimum((rare / _RAREST * _BINS).astype(np.int64), _BINS - 1)
    flat = (size * windows.size + known[2]) * _BINS + place
    cells = _LOADS.size * windows.size * _BINS
    counted = np.bincount(flat, part.weights[known[1]], minlength=cells).astype(np.float64)
    return counted.reshape(_LOADS.size, windows.size, _BINS)


def _largest_lines(paths: FloatArray, level: float, ends: Int64Array, tail: float) -> FloatArray:
    """The largest of the lines at a level from each origin up to each of `ends`: (series, origins, ends)."""
    lines = at_quantile(paths.reshape(-1, paths.shape[-1]), QUANTILES, level, tail).reshape(paths.shape[:3])
    largest: FloatArray = np.maximum.accumulate(lines, axis=2)[:, :, ends]
    return largest


def _reached(lines: FloatArray, largest: FloatArray) -> Float64Array:
    """The lowest level whose line (windows, levels) lies at or over each largest load: -log of what is above it."""
    rare = -np.log1p(-_LEVELS)
    under = lines < largest[:, None]
    upper = np.clip(under.sum(axis=1), 1, _LEVELS.size - 1)
    low, high = (np.take_along_axis(lines, places[:, None], axis=1)[:, 0] for places in (upper - 1, upper))
    share = np.clip((largest - low) / np.maximum(high - low, np.float32(1e-9)), 0.0, 1.0)
    # Over the last line it is as rare as can be told.
    found: Float64Array = np.where(under[:, -1], rare[-1], rare[upper - 1] + share * (rare[upper] - rare[upper - 1]))
    return found


def _rule_of_thumb(width: int) -> Float64Array:
    """Shares of windows in each bin if a window of w slots were √w independent ones: (bins,)."""
    edges = -np.expm1(-np.linspace(0.0, _RAREST, _BINS + 1))
    reached = edges ** np.sqrt(width)
    reached[-1] = 1.0
    return np.diff(reached)


def _leaning(counts: Float64Array, on: Float64Array, weight: float | Float64Array) -> Float64Array:
    leaning: Float64Array = counts + weight * on / on.sum(axis=-1, keepdims=True)
    return leaning


def _counts_for(counts: Float64Array, windows: Int64Array) -> Float64Array:
    """For how many slots each window counts, (sizes, windows, QUANTILES), from counts (sizes, windows, bins)."""
    shares = np.cumsum(counts, axis=-1) / counts.sum(axis=-1, keepdims=True)
    bins = np.argmax(shares[..., None, :] >= np.array(QUANTILES)[:, None] - 1e-9, axis=-1)
    above = np.exp(-(bins + 1) / _BINS * _RAREST)
    slots = (1.0 - np.array(QUANTILES)) / above
    # A longer window holds the shorter one; and the next quantile's line is no lower, which the bins see to.
    longer = np.maximum.accumulate(slots, axis=1)
    slots_of_all: Float64Array = np.clip(longer, 1.0, windows[:, None].astype(np.float64))
    return slots_of_all
