"""How far off weekly levels come, by the weeks ahead: from the errors of held-out weeks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from forecasting.models.week_layout import Float64Array

_LEAST_SPREAD = 0.005
"""Of the root: no level is known better than by one per cent."""
_NEAR = 4
"""Weeks ahead whose errors together tell the size of a series' spread."""
_FEWEST_ERRORS = 4
"""A horizon that fewer origins reached tells nothing of how the spread grows."""
_WILDEST = 8.0
"""Errors count up to so many typical ones: one week must not set the width of a quarter."""


def spreads(errors: Sequence[Float64Array], roots: Float64Array, weeks: int) -> Float64Array:
    """Standard deviations of roots so many weeks ahead, (series, weeks ahead).

    `errors` has (origins, horizons) for each series, `roots` (series, weeks known) NaN where a week is missing. How
    much a series errs is its own, how that grows with the weeks ahead is that of all.
    """
    squared = [_squared(of_series) for of_series in errors]
    near = np.array([_near(of_series, row) for of_series, row in zip(squared, roots, strict=True)])
    # What was measured last may be some weeks old, and lies that much further behind each week ahead.
    old = np.argmax(~np.isnan(roots[:, ::-1]), axis=1)
    curve = _curve(squared, near, weeks + int(old.max(initial=0)))
    variance = near[:, None] * curve[old[:, None] + np.arange(weeks)]
    spread: Float64Array = np.sqrt(variance)
    return spread


def _squared(errors: Float64Array) -> Float64Array:
    known = np.abs(errors[~np.isnan(errors)])
    limit = _WILDEST * float(np.median(known)) if known.size else 0.0
    squared: Float64Array = np.clip(errors, -limit, limit) ** 2
    return squared


def _near(squared: Float64Array, roots: Float64Array) -> float:
    """Variance of the nearest weeks ahead; where no held-out week tells, that of the weeks themselves."""
    some, known = squared[:, :_NEAR], roots[~np.isnan(roots)]
    told = some[~np.isnan(some)]
    variance = float(told.mean()) if told.size else float(known.var())
    return max(variance, (_LEAST_SPREAD * float(np.median(known))) ** 2)


def _curve(squared: Sequence[Float64Array], near: Float64Array, weeks: int) -> Float64Array:
    """Variance so many weeks ahead beside that of the nearest ones, pooled and never falling: (weeks,).

    Further ahead than origins could test, it goes on in proportion to time, as that of a level that wanders.
    """
    curve = np.arange(1.0, weeks + 1)
    told = 0
    for place in range(min(weeks, squared[0].shape[1])):
        by_series = [of_series[:, place] for of_series in squared]
        beside = [
            float(of_series[~np.isnan(of_series)].mean()) / variance
            for of_series, variance in zip(by_series, near.tolist(), strict=True)
            if (~np.isnan(of_series)).sum() >= _FEWEST_ERRORS
        ]
        if not beside:
            break
        curve[place], told = float(np.mean(beside)), place + 1
    if told:
        curve[told:] *= curve[told - 1] / told
    rising: Float64Array = np.maximum.accumulate(curve)
    return rising
