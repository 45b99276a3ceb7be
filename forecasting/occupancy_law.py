"""Quantiles of calls in progress from their mean and variance.

Calls that are up now end independently of each other and spread less than Poisson; arrivals whose rate is uncertain
spread more. Binomial, Poisson and negative binomial are one family with one recurrence, so nothing jumps where one
turns into the next as a forecast reaches beyond the calls that it knows.
"""

from __future__ import annotations

from functools import lru_cache
from statistics import NormalDist

import numpy as np

from forecasting.holding_times import Float64Array
from forecasting.load import Float32Array

_EXACT_TO = 30.0
"""Up to this mean the law is exact; above it, a normal law corrected for skewness is as good."""
_RATIOS = np.geomspace(0.02, 12.0, 49)
_ROOTS = np.sqrt(_EXACT_TO) * np.arange(301) / 300
_LARGEST_COUNT = 600


def occupancy_quantiles(mean: Float64Array, variance: Float64Array, quantiles: tuple[float, ...]) -> Float32Array:
    """Quantiles of a count with these means and variances (series, slots): (series, slots, quantiles).

    Source: Panjer, "Recursive evaluation of a family of compound distributions", ASTIN Bulletin 12 (1981); above the
    exact range Cornish & Fisher, "Moments and cumulants in the specification of distributions" (1938), first order.
    """
    ratio = np.clip(variance / np.maximum(mean, 1e-12), _RATIOS[0], _RATIOS[-1])
    ratio_step = np.log(_RATIOS[1] / _RATIOS[0])
    row = np.clip(np.rint(np.log(ratio / _RATIOS[0]) / ratio_step), 0, _RATIOS.size - 1).astype(np.int64)
    column = np.clip(np.rint(np.sqrt(mean / _EXACT_TO) * (_ROOTS.size - 1)), 0, _ROOTS.size - 1).astype(np.int64)
    values: Float32Array = _table(quantiles)[row, column]
    many = mean > _EXACT_TO
    if many.any():
        values[many] = _of_many(mean[many], variance[many], quantiles)
    return values


def _of_many(mean: Float64Array, variance: Float64Array, quantiles: tuple[float, ...]) -> Float32Array:
    """The same for large means, shape (cells, quantiles)."""
    normal = np.array([NormalDist().inv_cdf(quantile) for quantile in quantiles])
    # Below a variance of one the correction would outweigh the deviation, and quantiles would fall.
    variance = np.maximum(variance, 1.0)
    # Third cumulant over variance: the same in all three laws.
    skew = (2 * variance / mean - 1)[:, None] * (normal**2 - 1) / 6
    values: Float64Array = np.maximum(mean[:, None] + np.sqrt(variance)[:, None] * normal + skew, 0.0)
    return values.astype(np.float32)


@lru_cache(maxsize=8)
def _table(quantiles: tuple[float, ...]) -> Float32Array:
    """Smallest count whose distribution function reaches the quantile: (ratios, roots of the mean, quantiles)."""
    mean = _ROOTS[None, :] ** 2
    share = 1.0 - 1.0 / np.where(np.abs(_RATIOS - 1) < 1e-6, 1 + 1e-6, _RATIOS)[:, None]
    size = mean * (1.0 - share)
    # P(k) = P(k - 1) · (share + (size - share) / k); a binomial of broken size ends where that turns negative.
    log_none = np.where(mean > 0, np.log1p(-share) * size / share, 0.0)
    probability = np.exp(log_none)
    reached = probability.copy()
    found = np.zeros((*reached.shape, len(quantiles)), dtype=np.float32)
    levels = np.asarray(quantiles)
    for count in range(1, _LARGEST_COUNT):
        open_cells = reached[..., None] < levels
        probability = probability * np.maximum(share + (size - share) / count, 0.0)
        open_cells &= (probability > 0)[..., None]
        if not open_cells.any():
            break
        found[open_cells] = count
        reached = reached + probability
    return found
