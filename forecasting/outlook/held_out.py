"""Which way to carry weekly levels forward: told by weeks that it had not seen.

Every past week is an origin: from there each way says the weeks after it, and is compared with what came. A trend is
believed only where it would have been clearly better than a level that stays, in the older half of the origins and in
the newer one; a season of a year, of which a few months are known, looks like growth in one of them.

Which weeks were odd, and where a level broke, is told once for the whole history. So after a step the held-out errors
are somewhat smaller than those of somebody who did not know yet whether it would last.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from forecasting.grid import Int64Array
from forecasting.models.week_layout import Float64Array
from forecasting.outlook.smoothing import Way

YEAR_WEEKS = 52
FIRST_ORIGIN = 4
"""Measured weeks that an origin must have behind it."""
_TESTED_WEEKS = 13
_FEWEST_ORIGINS = 6
"""In each half of the origins, for a trend to be believed."""
_CLEARLY = 0.9
"""A trend's error must lie below that share of the error without."""
_SURE_AFTER = 26
"""With so many origins a series' own count for half, and those of all series for the other."""
_DAMPED_WITHIN_YEAR = 0.95
"""Growth that no whole year has borne out fades at least so fast."""
_LEAST_LOSS = 1e-9
"""Nearer than that to what came, ways are alike."""


def tested_weeks(known: int) -> Int64Array:
    """How far ahead so many known weeks can test: 1, 2, … up to a quarter. Shape (horizons,), at least one."""
    return np.arange(1, 1 + max(1, min(_TESTED_WEEKS, known - FIRST_ORIGIN)))


def held_out_errors(roots: Float64Array, expected: Float64Array) -> Float64Array:
    """What came of one series (weeks,) less what was expected (…, weeks as origins, horizons): NaN where unknown."""
    known = ~np.isnan(roots)
    horizons = expected.shape[-1]
    came = np.full((roots.size, horizons), np.nan)
    for place in range(horizons):
        came[: max(0, roots.size - place - 1), place] = roots[place + 1 :]
    # The level after a missing week is that of the weeks before: counted again, it would be an origin twice.
    came[~known | (np.cumsum(known) < FIRST_ORIGIN)] = np.nan
    return came - expected


def choose(errors: Sequence[Float64Array], ways: Sequence[Way], measured: Int64Array) -> list[int]:
    """The place of each series' way, the first of which is the one without a trend.

    `errors` has (ways, origins, horizons) for each series: its own and those of all series speak together. `measured`
    (series,) are their known weeks.
    """
    losses = np.array([_losses(of_series) for of_series in errors])
    logs = np.log(np.maximum(losses, _LEAST_LOSS))
    relative = logs - logs[:, :, :1]
    # Where too few origins tell, nothing speaks for a trend.
    relative[np.isnan(relative)] = 0.0
    origins = np.array([(~np.isnan(of_series[0]).all(axis=1)).sum() for of_series in errors])
    own = (origins / (origins + _SURE_AFTER))[:, None, None]
    blended = own * relative + (1.0 - own) * relative.mean(axis=0, keepdims=True)
    return [_best(of_series, ways, weeks) for of_series, weeks in zip(blended, measured.tolist(), strict=True)]


def _losses(errors: Float64Array) -> Float64Array:
    """Mean absolute error of (ways, origins, horizons) over all origins, their older half, the newer one: (3, ways).

    Each horizon counts alike, however few origins reach it. NaN where a half has too few origins.
    """
    known = np.flatnonzero(~np.isnan(errors[0]).all(axis=1))
    losses = np.full((3, errors.shape[0]), np.nan)
    for place, origins in enumerate((known, known[: known.size // 2], known[known.size // 2 :])):
        if origins.size >= _FEWEST_ORIGINS:
            some = errors[:, origins]
            reached = (~np.isnan(some[0])).any(axis=0)
            losses[place] = np.nanmean(np.abs(some[:, :, reached]), axis=1).mean(axis=1)
    return losses


def _best(relative: Float64Array, ways: Sequence[Way], weeks: int) -> int:
    """By logarithms of errors beside the first way's, (3, ways): all origins, the older half, the newer one."""
    damped = np.array([weeks >= YEAR_WEEKS or way.damping <= _DAMPED_WITHIN_YEAR for way in ways])
    grows = damped & (relative < np.log(_CLEARLY)).all(axis=0)
    return int(np.argmin(np.where(grows, relative[0], np.inf))) if grows.any() else 0
