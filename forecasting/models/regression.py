"""What recent deviations say about those ahead: a ridge regression, pooled over all series.

One set of coefficients per horizon: thousands of tenants teach what a single one has too few days for. With little to
learn from, the coefficients stay near a damped decay that is set by hand.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from forecasting.grid import Int64Array
from forecasting.models.features import ALIKE, FEATURES, VARYING, Features
from forecasting.models.week_layout import Float64Array, FloatArray

HORIZON_EDGES_S = tuple(int(hours * 3600) for hours in (0.25, 0.5, 1, 2, 4, 6, 9, 12, 18, 24, 36, 48))
"""Upper edges of the horizon classes; what lies beyond the last belongs to one more."""
_RELATIVE_PENALTY = 0.02
_ABSOLUTE_PENALTY = 50.0


@dataclass(frozen=True, slots=True, eq=False)
class Correction:
    """How much of each feature carries over, by horizon class: shape (classes, features)."""

    coefficients: Float64Array

    def at(self, features: Features, leads_s: Int64Array) -> FloatArray:
        """The corrected root (series, origins, leads); `leads_s` (leads,) seconds from origin to the slot's end."""
        varying, alike, shares = np.split(
            self.by_lead(leads_s).astype(np.float32), (len(VARYING), len(VARYING) + len(ALIKE)), axis=1
        )
        corrected: FloatArray = features.shares @ shares.T
        corrected += np.float32(1.0)
        corrected *= features.base
        corrected += features.alike @ alike.T
        corrected += np.einsum("solf,lf->sol", features.varying, varying)
        return corrected

    def by_lead(self, leads_s: Int64Array) -> Float64Array:
        """The coefficients at each lead: (leads, FEATURES)."""
        # Between the classes' middles the coefficients glide, so that a path has no steps where a class ends.
        middles = _middles_s()
        weights = np.empty((leads_s.size, len(FEATURES)))
        for feature in range(len(FEATURES)):
            weights[:, feature] = np.interp(leads_s, middles, self.coefficients[:, feature])
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
        prior = damped_decay()
        penalty = _ABSOLUTE_PENALTY + _RELATIVE_PENALTY * np.trace(self._squares, axis1=1, axis2=2) / len(FEATURES)
        ridge = penalty[:, None, None] * np.eye(len(FEATURES))
        right = self._products + penalty[:, None] * prior
        return Correction(np.linalg.solve(self._squares + ridge, right[..., None])[..., 0])
