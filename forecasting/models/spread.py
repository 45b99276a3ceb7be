"""How wrong forecasts have been, as quantiles: conformal bands from rolling origins inside the history.

A residual on the root scale is divided by its series' own spread at that hour of the day; what is left has nearly one
shape for all, so its quantiles are pooled over every series, by horizon class and level. A new series borrows the
shape at once and earns its own spread with each day.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from forecasting.grid import Int64Array
from forecasting.load import BoolArray
from forecasting.models.week_layout import Float64Array, FloatArray

LEVELS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.975, 0.99, 0.995, 0.999)
"""The quantile levels that are learnt; others are interpolated between them on the normal law's scale."""
HOURS = 24
_RATE_EDGES = np.float32(2.0) * np.sqrt(np.array([1.0, 4.0, 16.0, 64.0], dtype=np.float32) + np.float32(0.375))
HORIZON_GROUPS = np.array([0, 0, 0, 1, 1, 2, 2, 2, 3, 3, 4, 4, 4])
"""Horizon classes in few groups, so that each has residuals enough for its tails."""
_PRIOR_SAMPLES = 20.0
_PRIOR_SHARE = np.float32(0.1)
_MOST = 0.9
_TAMED = np.float32(1.5)
"""A residual counts for no more than so many times the size that nine in ten stay below: 2.5 normal deviations."""
_LONGEST_TAIL = 3.0
_BIN = 0.01
_BINS = 2400
_ENOUGH = 400.0
"""Residuals that a table's cell must have to stand on its own; with fewer it leans on all levels and horizons."""


def hour_of_day(slot_of_day: Int64Array, slots_per_day: int) -> Int64Array:
    """Local hour of each slot of day."""
    return slot_of_day * HOURS // slots_per_day


def level_class(root: FloatArray) -> Int64Array:
    """Which of the level classes a forecast root belongs to."""
    return np.searchsorted(_RATE_EDGES, root).astype(np.int64)


def level_classes() -> int:
    """How many level classes there are."""
    return int(_RATE_EDGES.size) + 1


def hourly_spread(residual: FloatArray, hours: Int64Array, weights: FloatArray, typical_root: FloatArray) -> FloatArray:
    """Root mean square residual of each series at each local hour, shape (series, 24).

    `residual` (series, samples), NaN unknown; `hours` and `weights` (samples,). Shrunk towards the series' mean over
    the day, and that towards Poisson noise with a tenth of the level on top, all that is known of a new series.
    """
    at_hour = (hours[:, None] == np.arange(HOURS)).astype(np.float32)
    known = ~np.isnan(residual)
    squares = np.where(known, _tamed(residual), np.float32(0.0)).astype(np.float64) ** 2
    total, count = (squares * weights) @ at_hour, (known * weights).astype(np.float64) @ at_hour
    prior = 1.0 + (float(_PRIOR_SHARE) * typical_root.astype(np.float64)) ** 2
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


@dataclass(frozen=True, slots=True, eq=False)
class ResidualLaw:
    """Quantiles of scaled residuals: shape (horizon groups, level classes, LEVELS)."""

    table: FloatArray

    def quantiles(self, horizon: Int64Array, level: Int64Array, wanted: tuple[float, ...]) -> FloatArray:
        """Scaled residual quantiles, shape (*broadcast of horizon classes and levels, wanted)."""
        # Further out, never back.
        lines = np.maximum.accumulate(between_levels(self.table, LEVELS, wanted), axis=-1)
        scaled: FloatArray = lines[HORIZON_GROUPS[horizon], level]
        return scaled

    def tail(self) -> float:
        """How far the 99.9 % line lies beyond the 99 % line, beside where a normal law would draw it by the 95 % line.

        Of the hours ahead and of loads that the count law leaves alone; never nearer, and no further than can be told.
        """
        normal = NormalDist()
        usual = (normal.inv_cdf(0.999) - normal.inv_cdf(0.99)) / (normal.inv_cdf(0.99) - normal.inv_cdf(0.95))
        near, far, farthest = (self.table[:2, 2:, LEVELS.index(level)] for level in (0.95, 0.99, 0.999))
        beside = (farthest - far) / np.maximum(far - near, np.float32(1e-3)) / usual
        return float(np.clip(np.median(beside), 1.0, _LONGEST_TAIL))


def between_levels(table: FloatArray, levels: tuple[float, ...], wanted: tuple[float, ...]) -> FloatArray:
    """Quantiles that are not in a table (…, levels), straight lines on the normal law's scale: shape (…, wanted).

    Outside the table's levels its last line goes on.
    """
    normal = NormalDist()
    learnt = np.array([normal.inv_cdf(level) for level in levels])
    asked = np.array([normal.inv_cdf(level) for level in wanted])
    upper = np.clip(np.searchsorted(learnt, asked), 1, learnt.size - 1)
    share = ((asked - learnt[upper - 1]) / (learnt[upper] - learnt[upper - 1])).astype(np.float32)
    between: FloatArray = table[..., upper - 1] + share * (table[..., upper] - table[..., upper - 1])
    return between


class ResidualCounts:
    """Collects scaled residuals into histograms, so that any number of series fits in the same memory."""

    def __init__(self) -> None:
        self._counts = np.zeros((int(HORIZON_GROUPS.max()) + 1, _RATE_EDGES.size + 1, _BINS))

    def add(self, scaled: FloatArray, horizon: Int64Array, level: Int64Array, weights: FloatArray) -> None:
        """Add residuals with their horizon and level classes and weights, all of one shape; NaN is left out."""
        known: BoolArray = ~np.isnan(scaled)
        # The inverse hyperbolic sine is linear near 0 and logarithmic in the tails: fine bins where most lie, and room
        # for the wildest burst.
        position = np.arcsinh(scaled[known].astype(np.float64)) / _BIN + _BINS / 2
        place = np.clip(position.astype(np.int64), 0, _BINS - 1)
        group = HORIZON_GROUPS[np.broadcast_to(horizon, scaled.shape)[known]]
        flat = (group * self._counts.shape[1] + level[known]) * _BINS + place
        counted = np.bincount(flat, np.broadcast_to(weights, scaled.shape)[known], minlength=self._counts.size)
        self._counts += counted.reshape(self._counts.shape)

    def __add__(self, other: ResidualCounts) -> ResidualCounts:
        both = ResidualCounts()
        both._counts = self._counts + other._counts
        return both

    def law(self) -> ResidualLaw:
        """The quantiles of each cell, leaning on its horizon group, then on all, then on the normal law."""
        counts = self._counts
        normal = _normal_counts()
        overall = _lean(counts.sum(axis=(0, 1)), normal)
        by_horizon = _lean(counts.sum(axis=1), overall)
        cells = _lean(counts, by_horizon[:, None, :])
        return ResidualLaw(_quantiles_of(cells))


def _lean(counts: Float64Array, on: Float64Array) -> Float64Array:
    support = on / on.sum(axis=-1, keepdims=True)
    lacking = np.maximum(_ENOUGH - counts.sum(axis=-1, keepdims=True), 0.0)
    leaning: Float64Array = counts + lacking * support
    return leaning


def _normal_counts() -> Float64Array:
    edges = np.sinh((np.arange(_BINS + 1) - _BINS / 2) * _BIN)
    normal = NormalDist()
    return np.diff(np.array([normal.cdf(edge) for edge in edges]))


def _quantiles_of(counts: Float64Array) -> FloatArray:
    shares = np.cumsum(counts, axis=-1) / counts.sum(axis=-1, keepdims=True)
    quantiles = np.empty((*counts.shape[:-1], len(LEVELS)), dtype=np.float32)
    for index, level in enumerate(LEVELS):
        at = np.argmax(shares >= level, axis=-1)
        quantiles[..., index] = np.sinh((at + 0.5 - _BINS / 2) * _BIN)
    return quantiles
