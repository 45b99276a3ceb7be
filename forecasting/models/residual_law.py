"""How wrong forecasts have been, as quantiles: conformal bands from rolling origins inside the history.

Residuals in units of their series' spread (`spread`) have nearly one shape for all, so their quantiles are pooled over
every series, by horizon class and level, and a new series borrows them at once. Where there are few residuals their
width is believed and the shape is that of more: the last hundredth of a single centre's is a handful of bad days.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from forecasting.grid import Int64Array
from forecasting.load import BoolArray
from forecasting.models.spread import HORIZON_GROUPS, level_classes
from forecasting.models.week_layout import Float64Array, FloatArray

LEVELS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.975, 0.99, 0.995, 0.999)
"""The quantile levels that are learnt; others are interpolated between them on the normal law's scale."""
_LONGEST_TAIL = 3.0
_BIN = 0.01
_BINS = 2400
_ENOUGH = 20_000.0
"""Residuals, by their weight, that a cell of the table must have to have a shape of its own.

A path has dozens, and they err together. A single series never has so many: its shape is partly the normal law's.
"""
_ENOUGH_FOR_WIDTH = 300.0
"""From so many on a cell's width is more its own than that of others: some days of one series."""


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
        self._counts = np.zeros((int(HORIZON_GROUPS.max()) + 1, level_classes(), _BINS))

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
        """The quantiles of each cell, leaning on its horizon group, that on all, and these on the normal law.

        How far the median lies off is each horizon's own: a first slot has no bias that tomorrow has. Of the levels at
        one horizon it is much the same, and mostly noise where they differ.
        """
        counts = self._counts
        overall = _lean(counts.sum(axis=(0, 1)), _normal_counts(), own_median=True)
        by_horizon = _lean(counts.sum(axis=1), overall, own_median=True)
        return ResidualLaw(_quantiles_of(_lean(counts, by_horizon[:, None, :], own_median=False)))


def _lean(counts: Float64Array, on: Float64Array, *, own_median: bool) -> Float64Array:
    """Add as many residuals as counts (…, bins) lack, in the shape of `on`, and the wider the surer counts are wider.

    How wide they are a few tell, and how far the tails go only very many: so width is taken from them and the shape
    from others. With their `own_median` it is told by them as well; else how far they lie off it counts as width.
    """
    on = np.broadcast_to(on, counts.shape)
    known = counts.sum(axis=-1)
    sure = known / (known + _ENOUGH_FOR_WIDTH)
    median = _value_at(on, 0.5)
    middle = np.where(known > 0, _value_at(counts, 0.5), median) if own_median else median
    wider = np.where(known > 0, _width(counts, middle) / _width(on, median), 1.0) ** sure
    shift = median * (1.0 - wider) + (middle - median) * sure
    lacking = np.maximum(_ENOUGH - known, 0.0)
    leaning: Float64Array = counts + lacking[..., None] * _resized(on, wider, shift)
    return leaning


def _width(counts: Float64Array, middle: Float64Array) -> Float64Array:
    """Between the outer tenths of histograms (…, bins), or from one of them to a middle (…) beyond the other: (…)."""
    low, high = np.minimum(_value_at(counts, 0.1), middle), np.maximum(_value_at(counts, 0.9), middle)
    width: Float64Array = np.maximum(high - low, _BIN)
    return width


def _value_at(counts: Float64Array, level: float) -> Float64Array:
    """A quantile of histograms (…, bins): (…)."""
    reached = np.cumsum(counts, axis=-1)
    at = np.argmax(reached >= level * reached[..., -1:], axis=-1)
    value: Float64Array = np.sinh((at + 0.5 - _BINS / 2) * _BIN)
    return value


def _resized(counts: Float64Array, wider: Float64Array, shift: Float64Array) -> Float64Array:
    """Histograms (…, bins) as shares, each value `wider` times as large and `shift` further up, (…) each."""
    edges = _edges()
    resized = np.empty(counts.shape)
    for place in np.ndindex(counts.shape[:-1]):
        reached = np.concatenate([[0.0], np.cumsum(counts[place])])
        there = np.interp((edges - shift[place]) / wider[place], edges, reached)
        # What would leave the bins stays in the outermost.
        there[0], there[-1] = 0.0, reached[-1]
        resized[place] = np.diff(there)
    shares: Float64Array = resized / resized.sum(axis=-1, keepdims=True)
    return shares


def _edges() -> Float64Array:
    """Of the bins, (bins + 1,)."""
    edges: Float64Array = np.sinh((np.arange(_BINS + 1) - _BINS / 2) * _BIN)
    return edges


def _normal_counts() -> Float64Array:
    normal = NormalDist()
    return np.diff(np.array([normal.cdf(edge) for edge in _edges()]))


def _quantiles_of(counts: Float64Array) -> FloatArray:
    return np.stack([_value_at(counts, level) for level in LEVELS], axis=-1).astype(np.float32)
