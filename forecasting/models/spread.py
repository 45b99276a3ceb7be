"""How wrong the forecasts of a series usually are, by the hour of the day, and the classes that residuals fall into.

A residual on the root scale is divided by the noise of a load of its size and by its series' own spread at that hour;
what is left has nearly one shape for all (`residual_law`). A new series begins with the noise of calls and a tenth of
its level, and earns a spread of its own with each day.
"""

from __future__ import annotations

import numpy as np

from forecasting.grid import Int64Array
from forecasting.models.scale import LARGEST_ROOT
from forecasting.models.week_layout import FloatArray

HOURS = 24
_RATE_EDGES = np.float32(2.0) * np.sqrt(np.array([1.0, 4.0, 16.0, 64.0], dtype=np.float32) + np.float32(0.375))
HORIZON_GROUPS = np.array([0, 0, 0, 1, 1, 2, 2, 2, 3, 3, 4, 4, 4])
"""Horizon classes in few groups, so that each has residuals enough for its tails."""
_PRIOR_SAMPLES = 20.0
_PRIOR_SHARE = np.float32(0.1)
_MOST = 0.9
_TAMED = np.float32(1.5)
"""A residual counts for no more than so many times the size that nine in ten stay below: 2.5 normal deviations."""


def hour_of_day(slot_of_day: Int64Array, slots_per_day: int) -> Int64Array:
    """Local hour of each slot of day."""
    return slot_of_day * HOURS // slots_per_day


def level_class(root: FloatArray) -> Int64Array:
    """Which of the level classes a forecast root belongs to."""
    return np.searchsorted(_RATE_EDGES, root).astype(np.int64)


def level_classes() -> int:
    """How many level classes there are."""
    return int(_RATE_EDGES.size) + 1


def noise_of(root: FloatArray) -> FloatArray:
    """What residuals are measured in beside their series' spread: how the noise of a load grows with it. Any array.

    Poisson noise is 1 whatever the root, and a mood of the day is a share of it. This is half of the way between them,
    since some series have more of one and some of the other; what is left is in the spread by hour.
    """
    # One array all the way, and no hypot, which is many times as slow: these are all cells of a forecast.
    noise: FloatArray = np.clip(root, -LARGEST_ROOT, LARGEST_ROOT)
    noise *= _PRIOR_SHARE
    noise *= noise
    noise += np.float32(1.0)
    return np.sqrt(np.sqrt(noise, out=noise), out=noise)


def hourly_spread(residual: FloatArray, hours: Int64Array, weights: FloatArray, typical_root: FloatArray) -> FloatArray:
    """Root mean square of each series' residuals at each local hour, in units of `noise_of`, shape (series, 24).

    `residual` (series, samples) in the same units, NaN unknown; `hours` and `weights` (samples,). Shrunk towards the
    series' mean over the day, and that towards Poisson noise with a tenth of the level on top, all that is known of a
    new series of `typical_root` (series,).
    """
    at_hour = (hours[:, None] == np.arange(HOURS)).astype(np.float32)
    known = ~np.isnan(residual)
    squares = np.where(known, _tamed(residual), np.float32(0.0)).astype(np.float64) ** 2
    total, count = (squares * weights) @ at_hour, (known * weights).astype(np.float64) @ at_hour
    prior = noise_of(typical_root).astype(np.float64) ** 2
    overall = (total.sum(axis=1) + _PRIOR_SAMPLES * prior) / (count.sum(axis=1) + _PRIOR_SAMPLES)
    spread: FloatArray = np.sqrt((total + _PRIOR_SAMPLES * overall[:, None]) / (count + _PRIOR_SAMPLES)).astype(
        np.float32
    )
    return spread


def _tamed(residual: FloatArray) -> FloatArray:
    """Residuals (series, samples) held within some deviations of their own: one burst widens no hour for weeks."""
    if not residual.size:
        return residual  # of nothing numpy has no quantile, and says so in the log
    size = np.abs(residual)
    unseen = np.isnan(size).all(axis=1, keepdims=True)
    bound = np.nanquantile(np.where(unseen, np.float32(0.0), size), _MOST, axis=1, keepdims=True).astype(np.float32)
    tamed: FloatArray = np.clip(residual, -_TAMED * bound, _TAMED * bound)
    return tamed
