"""Weekly levels of many series carried forward, on the root scale: what is expected, how far off, with what growth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from forecasting.load import BoolArray
from forecasting.models.week_layout import Float64Array
from forecasting.outlook.held_out import FIRST_ORIGIN, choose, held_out_errors, tested_weeks
from forecasting.outlook.smoothing import GROWING, STEADY, States, states
from forecasting.outlook.spread import spreads

_WAYS = (STEADY, *GROWING)
_NEIGHBOURS = 4
_ODD = 4.0
"""A week is odd so many typical changes away from its neighbours."""
_LEAST_CHANGE = 0.005
"""Of the root: nobody's weeks are so even that less would be odd."""


@dataclass(frozen=True, slots=True, eq=False)
class LevelsAhead:
    """Expected roots and their standard deviations, (series, weeks ahead) each, of mean and busy hour.

    `growth` (series,) is that of the mean in the first week ahead, as a share of it; 0 where no trend was believed.
    """

    mean: Float64Array
    mean_spread: Float64Array
    busy_hour: Float64Array
    busy_hour_spread: Float64Array
    growth: Float64Array


def levels_ahead(mean: Float64Array, busy_hour: Float64Array, weeks: int) -> LevelsAhead:
    """So many weeks after the newest column; `mean` and `busy_hour`, (series, weeks known), are roots above zero.

    NaN stands for a missing week, of both; at least one series, and of each at least one week, must be known. The busy
    hour is the mean times a ratio that has no trend of its own: the one hour of each week says too little of one.

    Raises:
        SmoothingNotInstalledError: statsmodels is not installed.
    """
    tested, ahead = tested_weeks(mean.shape[1]), np.arange(1, weeks + 1)
    means = _mean_states(mean)
    ratios = [states(without_odd_weeks(row), (STEADY,))[0] for row in busy_hour / mean]
    of_mean = [held_out_errors(row, by.ahead(tested)) for row, by in zip(mean, means, strict=True)]
    of_busy = [
        held_out_errors(row, ratio.ahead(tested) * by.ahead(tested))
        for row, ratio, by in zip(busy_hour, ratios, means, strict=True)
    ]
    expected = np.stack([by.ahead(ahead)[-1] for by in means])
    level = np.array([by.level[-1] for by in means])
    return LevelsAhead(
        expected,
        spreads(of_mean, mean, weeks),
        expected * np.array([ratio.level[-1] for ratio in ratios])[:, None],
        spreads(of_busy, busy_hour, weeks),
        (np.maximum(expected[:, 0], 0.0) / level) ** 2 - 1.0,
    )


def _mean_states(mean: Float64Array) -> list[States]:
    """Each series' states by the way that held-out weeks have chosen for it."""
    tested = tested_weeks(mean.shape[1])
    by_way = [states(without_odd_weeks(row), _WAYS) for row in mean]
    errors = [
        held_out_errors(row, np.stack([by.ahead(tested) for by in of_series]))
        for row, of_series in zip(mean, by_way, strict=True)
    ]
    chosen = choose(errors, _WAYS, (~np.isnan(mean)).sum(axis=1))
    return [of_series[place] for of_series, place in zip(by_way, chosen, strict=True)]


def without_odd_weeks(roots: Float64Array) -> Float64Array:
    """One series (weeks,) with NaN for weeks far from those before and, to the same side, from those after.

    A strike or an outage of a week teaches no level. The newest week has none after it: far off, it counts only when
    the next one confirms it.
    """
    known = np.flatnonzero(~np.isnan(roots))
    kept = roots.copy()
    if known.size > FIRST_ORIGIN:
        kept[known[_odd(roots[known])]] = np.nan
    return kept


def _odd(values: Float64Array) -> BoolArray:
    """Which values (weeks,) are odd among their neighbours, the first one never."""
    before, after = np.zeros((2, values.size))
    for at in range(1, values.size):
        before[at] = values[at] - np.median(values[max(0, at - _NEIGHBOURS) : at])
        after[at - 1] = values[at - 1] - np.median(values[at : at + _NEIGHBOURS])
    after[-1] = before[-1]
    # The median's multiple is the standard deviation of a normal law, and a wild week does not move it.
    noise = 1.4826 * float(np.median(np.abs(before[1:])))
    limit = _ODD * max(noise, _LEAST_CHANGE * float(np.median(values)))
    odd: BoolArray = (np.abs(before) > limit) & (np.abs(after) > limit) & (before * after > 0)
    return odd
