"""Quantiles of small counts: the negative binomial law, looked up.

Where a slot has fewer than a handful of calls, residuals of many slots say less than the law of counts itself: a
Poisson variable whose rate is itself uncertain by a share. Its variance is rate + dispersion · rate².
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from forecasting.load import BoolArray
from forecasting.models.week_layout import Float64Array, FloatArray

CERTAIN_BELOW = np.float32(2.0)
"""Below this rate only the count law speaks; from here on the residuals' quantiles fade in."""
UNUSED_ABOVE = np.float32(6.0)
"""Above this rate only the residuals' quantiles speak."""
_DISPERSIONS = np.concatenate([[0.0], np.geomspace(0.01, 4.0, 24)])
_RATE_STEP = 0.02
_PRIOR_RATE_SQUARES = 50.0
_LARGEST_COUNT = 400
_BURST = np.float32(60.0)


def dispersion_sums(counts: FloatArray, rates: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Sums that tell the dispersion: Σ((count - rate)² - rate) and Σ rate², each of shape (series,).

    Shapes (series, samples); NaN and rates beyond the law's use are left out, and one wild burst counts no more than
    any burst. The ratio of the sums is the moment estimate; sums are kept apart so that series can be pooled.
    """
    used = ~np.isnan(counts) & (rates < UNUSED_ABOVE)
    rates = np.where(used, rates, np.float32(0.0))
    counts = np.minimum(np.where(used, counts, np.float32(0.0)), _BURST)
    excess = ((counts - rates) ** 2 - rates).sum(axis=1, dtype=np.float64)
    squares = (rates**2).sum(axis=1, dtype=np.float64)
    return excess.astype(np.float32), squares.astype(np.float32)


def shrunk_dispersion(excess: FloatArray, squares: FloatArray) -> FloatArray:
    """Dispersion of each series, shrunk to that of all. Shape (series,)."""
    total = float(squares.sum())
    pooled = max(float(excess.sum()) / total, 0.0) if total > 0 else 0.2
    own: FloatArray = (excess + np.float32(_PRIOR_RATE_SQUARES * pooled)) / (squares + np.float32(_PRIOR_RATE_SQUARES))
    return np.clip(own, 0.0, _DISPERSIONS[-1]).astype(np.float32)


def count_quantiles(rates: FloatArray, dispersions: FloatArray, quantiles: tuple[float, ...]) -> FloatArray:
    """Quantiles of counts with these rates (series, slots) and dispersions (series,): (series, slots, quantiles)."""
    table = _table(quantiles)
    rate_index = np.clip(np.round(rates / _RATE_STEP), 0, table.shape[1] - 1).astype(np.int64)
    middles = (_DISPERSIONS[1:] + _DISPERSIONS[:-1]) / 2
    found: FloatArray = table[np.searchsorted(middles, dispersions)[:, None], rate_index]
    return found


def count_weight(rates: FloatArray) -> FloatArray:
    """How much the count law speaks at each rate: 1 below a few calls, 0 above a handful."""
    weight: FloatArray = np.clip((UNUSED_ABOVE - rates) / (UNUSED_ABOVE - CERTAIN_BELOW), 0.0, 1.0)
    return weight


@lru_cache(maxsize=8)
def _table(quantiles: tuple[float, ...]) -> FloatArray:
    """Smallest count whose distribution function reaches the quantile: (dispersions, rates, quantiles)."""
    rates = np.arange(0.0, float(UNUSED_ABOVE) + _RATE_STEP, _RATE_STEP)[None, :]
    spread = np.maximum(_DISPERSIONS, 1e-9)[:, None]
    size = 1.0 / spread
    # P(0) = (1 + dispersion · rate)^(-size), and each next one by the recurrence of the law.
    probability: Float64Array = np.exp(-size * np.log1p(spread * rates))
    odds = spread * rates / (1.0 + spread * rates)
    reached = probability.copy()
    found = np.zeros((*reached.shape, len(quantiles)), dtype=np.float32)
    open_cells: BoolArray = reached[..., None] < np.asarray(quantiles)
    for count in range(1, _LARGEST_COUNT):
        if not open_cells.any():
            break
        probability = probability * odds * (count - 1 + size) / count
        reached = reached + probability
        found[open_cells] = count
        open_cells = reached[..., None] < np.asarray(quantiles)
    return found


def are_counts(load: FloatArray, per_unit: float) -> BoolArray:
    """Whether a load (series, slots) is whole events per slot almost throughout, shape (series,)."""
    known = ~np.isnan(load)
    # Cut before it is multiplied: whether huge loads are whole does not matter to a law of small ones.
    counts = np.minimum(load, np.float32(1e6 / per_unit)) * np.float32(per_unit)
    whole = np.where(known, np.abs(counts - np.round(counts)) < 0.01, False).sum(axis=1)
    counted: BoolArray = whole >= 0.99 * np.maximum(known.sum(axis=1), 1)
    return counted
