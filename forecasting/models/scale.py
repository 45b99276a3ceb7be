"""The scale on which load is learnt: the square root, where a call more or less weighs alike by night and at noon.

Counts of calls spread like a Poisson variable, with a variance that grows with the mean. Anscombe's transform
2·√(x + 3/8) makes that variance 1 whatever the mean (Anscombe, "The transformation of Poisson, binomial and
negative-binomial data", Biometrika 35, 1948), so that one set of coefficients and one set of residual quantiles serves
small and large tenants.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from forecasting.load import Measure
from forecasting.models.week_layout import FloatArray

_OFFSET = np.float32(0.375)
ZERO = 2.0 * math.sqrt(0.375)
"""The root of no load at all: the lowest value on the scale."""

_LARGEST = np.float32(1e30)
"""Loads are cut here, far above any load, so that squares stay finite in float32."""
LARGEST_ROOT = np.float32(1e18)
"""Roots are cut here on the way back, for the same reason: the quantile of an absurd load may lie far above it."""


def counts_per_unit(measure: Measure, step_s: int) -> float:
    """Factor from a load's own unit to events per slot: a call rate counts seconds, channels are counts already."""
    return float(step_s) if measure is Measure.CALL_RATE else 1.0


def to_root(load: FloatArray, per_unit: float) -> FloatArray:
    """Anscombe root of a load. Any shape; NaN stays NaN."""
    # One array all the way: these are whole histories.
    root: FloatArray = np.minimum(load, _LARGEST / np.float32(per_unit))
    root *= np.float32(per_unit)
    root += _OFFSET
    np.sqrt(root, out=root)
    root *= np.float32(2.0)
    return root


def to_counts(root: FloatArray, largest_root: np.float32 = LARGEST_ROOT) -> FloatArray:
    """Events per slot of an Anscombe root, never negative; larger roots are cut. Any shape; NaN stays NaN.

    The plain inverse: it takes medians to medians, and quantiles to quantiles.
    """
    # One array all the way: these are whole histories, or all cells of a forecast.
    counts: FloatArray = np.clip(root, np.float32(ZERO), largest_root)
    counts /= np.float32(2.0)
    counts *= counts
    counts -= _OFFSET
    return np.maximum(counts, np.float32(0.0), out=counts)


@lru_cache(maxsize=1)
def _poisson_roots() -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    rates = np.concatenate([np.linspace(0.0, 4.0, 401), np.geomspace(4.05, 60.0, 200)])
    probability = np.exp(-rates)
    mean = probability * ZERO
    for count in range(1, 140):
        probability = probability * rates / count
        mean = mean + probability * 2.0 * math.sqrt(count + 0.375)
    return rates, mean


def poisson_rate(root: FloatArray) -> FloatArray:
    """The Poisson rate whose expected root this is: what a mean of roots says about a small load. Any shape.

    The plain inverse would be low by a quarter of a call, which is everything where calls are few.
    """
    rates, roots = _poisson_roots()
    small = np.interp(root, roots, rates).astype(np.float32)
    large = np.maximum(to_counts(root) + np.float32(0.25), 0)
    rate: FloatArray = np.where(root < roots[-1], small, large)
    return rate
