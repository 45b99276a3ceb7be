"""What recent deviations say about those ahead: a ridge regression, pooled over all series.

One set of coefficients per horizon: thousands of tenants teach what a single one has too few days for. With little to
learn from, the coefficients stay near a damped decay that is set by hand.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from forecasting.grid import Int64Array
from forecasting.models.features import ALIKE, FEATURES, OWN, SHARES, VARYING, Features
from forecasting.models.week_layout import Float64Array, FloatArray

HORIZON_EDGES_S = tuple(int(hours * 3600) for hours in (0.25, 0.5, 1, 2, 4, 6, 9, 12, 18, 24, 36, 48))
"""Upper edges of the horizon classes; what lies beyond the last belongs to one more."""
_RELATIVE_PENALTY = 0.02
_ABSOLUTE_PENALTY = 50.0
_STIFFNESS = np.array([20.0 if name in ("newer weeks", "older weeks") else 1.0 for name in FEATURES])
"""Of each feature, as multiples of the penalty. Memories change within weeks, so that a history holds few of their
states, and weeks that are left out in turn are told of by those beside them.
"""


@dataclass(frozen=True, slots=True, eq=False)
class Correction:
    """How much of each feature carries over, by horizon class: shape (classes, FEATURES) each.

    `alone` is for series that are too few to have anything in common, 0 for features of that: without them the others
    have to say all.
    """

    coefficients: Float64Array
    alone: Float64Array

    def at(self, features: Features, leads_s: Int64Array) -> FloatArray:
        """The corrected root (series, origins, leads); `leads_s` (leads,) seconds from origin to the slot's end."""
        if features.common is None:
            return self.at_alone(features, leads_s)
        weights = _by_lead(self.coefficients, leads_s)
        common = features.common @ weights[:, len(OWN) :].T
        return _corrected(features, weights, common)

    def at_alone(self, features: Features, leads_s: Int64Array) -> FloatArray:
        """The same by what each series' own past says, whatever all have in common."""
        return _corrected(features, _by_lead(self.alone, leads_s), np.float32(0.0))


def _corrected(features: Features, weights: FloatArray, common: FloatArray | np.float32) -> FloatArray:
    varying, alike, shares, _ = np.split(weights, np.cumsum([len(VARYING), len(ALIKE), len(SHARES)]), axis=1)
    corrected: FloatArray = features.shares @ shares.T
    corrected += np.float32(1.0) + common
    corrected *= features.base
    corrected += features.alike @ alike.T
    corrected += np.einsum("solf,lf->sol", features.varying, varying)
    return corrected


def _by_lead(coefficients: Float64Array, leads_s: Int64Array) -> FloatArray:
    # Between the classes' middles the coefficients glide, so that a path has no steps where a class ends.
    middles = _middles_s()
    weights = np.empty((leads_s.size, len(FEATURES)), dtype=np.float32)
    for feature in range(len(FEATURES)):
        weights[:, feature] = np.interp(leads_s, middles, coefficients[:, feature])
    return weights


def horizon_class(leads_s: Int64Array) -> Int64Array:
    """Index of each lead's horizon class."""
    return np.searchsorted(HORIZON_EDGES_S, leads_s, side="left").astype(np.int64)


def _middles_s() -> Float64Array:
    edges = np.array([0, *HORIZON_EDGES_S, 2 * HORIZON_EDGES_S[-1]], dtype=np.float64)
    middles: Float64Array = (edges[:-1] + edges[1:]) / 2
    return middles


def damped_decay() -> Float64Array:
    """Coefficients without anything learnt: recent deviations fade within hours, the last day's within days."""
    hours = _middles_s() / 3600
    prior = np.zeros((hours.size, len(FEATURES)))
    prior[:, FEATURES.index("day group")] = 0.25
    prior[:, FEATURES.index("mean 3600 s")] = 0.5 * np.exp(-hours / 2)
    prior[:, FEATURES.index("mean 10800 s")] = 0.2 * np.exp(-hours / 6)
    prior[:, FEATURES.index("mean 86400 s")] = 0.25 * np.exp(-hours / 48)
    prior[:, FEATURES.index("mean 604800 s")] = 0.25
    return prior


class Regression:
    """Collects the normal equations per horizon class and solves them."""

    def __init__(self) -> None:
        shape = (len(HORIZON_EDGES_S) + 1, len(FEATURES))
        self._squares = np.zeros((*shape, len(FEATURES)))
        self._products = np.zeros(shape)

    def add(self, features: FloatArray, deviation: FloatArray, leads_s: Int64Array) -> None:
        """Add features (series, origins, leads, features) and the deviations (series, origins, leads), NaN unknown.

        The features are in the order of `FEATURES`.
        """
        classes = horizon_class(leads_s)
        for horizon in np.unique(classes):
            known = ~np.isnan(deviation[..., classes == horizon])
            rows = features[..., classes == horizon, :][known].astype(np.float64)
            self._squares[horizon] += rows.T @ rows
            self._products[horizon] += rows.T @ deviation[..., classes == horizon][known].astype(np.float64)

    def __add__(self, other: Regression) -> Regression:
        both = Regression()
        both._squares = self._squares + other._squares
        both._products = self._products + other._products
        return both

    def solve(self) -> Correction:
        """Ridge towards the damped decay."""
        own = np.arange(len(OWN))
        return Correction(self._solve(np.arange(len(FEATURES))), self._solve(own))

    def _solve(self, which: Int64Array) -> Float64Array:
        """By some of the features, 0 for the others: (classes, FEATURES)."""
        penalty = _ABSOLUTE_PENALTY + _RELATIVE_PENALTY * np.trace(self._squares, axis1=1, axis2=2) / len(FEATURES)
        penalty = penalty[:, None] * _STIFFNESS[which]
        squares = self._squares[:, which[:, None], which] + penalty[:, None] * np.eye(which.size)
        right = self._products[:, which] + penalty * damped_decay()[:, which]
        coefficients = np.zeros_like(self._products)
        coefficients[:, which] = np.linalg.solve(squares, right[..., None])[..., 0]
        return coefficients
