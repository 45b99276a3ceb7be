"""How long calls last, learnt from call records.

Concurrency follows arrivals with the lag of the holding time, and a call that is up now stays up by its own age: both
need the whole law, not its mean. The newest calls are still running, and those are the long ones; an average of what
has ended would be too short. So the law is the product-limit estimate, for which a running call counts as one that
has lasted at least its age.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from forecasting.errors import ForecastInputError
from forecasting.grid import Int64Array

Float64Array = npt.NDArray[np.float64]

PRIOR_CALLS = 50.0
"""A series' own law weighs as much as the law of all once it has seen this many calls."""
HALF_LIFE_S = 7 * 86400.0
"""How long calls last drifts with seasons, scripts and staff; a week sees every weekday."""
_KNOTS = 256
_SHORTEST_S = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class HoldingLaw:
    """Survival of calls, one law per series.

    `knots_s` (knots,) are ages from 0, seconds, and `survival` (series, knots) is P(S > age) there; between knots it is
    linear, beyond the last it falls exponentially by `tail_rate` per second. `area_s` and `second_area_s2` are its
    first and second integrals from 0 at the knots.
    """

    knots_s: Float64Array
    survival: Float64Array
    tail_rate: float
    area_s: Float64Array
    second_area_s2: Float64Array

    @property
    def mean_s(self) -> Float64Array:
        """Mean holding time of each series, seconds, shape (series,)."""
        mean: Float64Array = self.area_s[:, -1] + self.survival[:, -1] / self.tail_rate
        return mean

    def at(self, series: Int64Array, ages_s: Float64Array) -> Float64Array:
        """P(S > age) of the given series at the given ages, both of one shape."""
        knot, beyond_s, slope = self._place(series, ages_s)
        inner = self.survival[series, knot] + slope * beyond_s
        tail = self.survival[series, -1] * np.exp(-self.tail_rate * beyond_s)
        return np.where(knot == self.knots_s.size - 1, tail, inner)

    def area_to(self, series: Int64Array, ages_s: Float64Array) -> Float64Array:
        """Integral of P(S > u) from 0 to each age, seconds."""
        knot, beyond_s, slope = self._place(series, ages_s)
        inner = self.survival[series, knot] * beyond_s + slope * beyond_s**2 / 2
        tail = -self.survival[series, -1] * np.expm1(-self.tail_rate * beyond_s) / self.tail_rate
        return self.area_s[series, knot] + np.where(knot == self.knots_s.size - 1, tail, inner)

    def second_area_to(self, ages_s: Float64Array) -> Float64Array:
        """Integral of the area from 0 to each age (ages,), for all series: (series, ages), square seconds."""
        series = np.arange(self.survival.shape[0])[:, None]
        knot, beyond_s, slope = self._place(series, np.broadcast_to(ages_s, (series.size, ages_s.size)))
        last, rate = self.survival[series, -1], self.tail_rate
        inner = self.survival[series, knot] * beyond_s**2 / 2 + slope * beyond_s**3 / 6
        tail = last / rate * (beyond_s + np.expm1(-rate * beyond_s) / rate)
        begun = self.second_area_s2[series, knot] + self.area_s[series, knot] * beyond_s
        return begun + np.where(knot == self.knots_s.size - 1, tail, inner)

    def _place(self, series: Int64Array, ages_s: Float64Array) -> tuple[Int64Array, Float64Array, Float64Array]:
        """The knot at or before each age, the seconds since it, and the slope of the survival there."""
        knot = np.searchsorted(self.knots_s, ages_s, side="right") - 1
        following = np.minimum(knot + 1, self.knots_s.size - 1)
        width_s = np.maximum(self.knots_s[following] - self.knots_s[knot], 1e-9)
        slope = (self.survival[series, following] - self.survival[series, knot]) / width_s
        return knot.astype(np.int64), ages_s - self.knots_s[knot], slope


def recency(starts_s: Float64Array, now_s: float) -> Float64Array:
    """How much calls that began at these instants still say about the calls to come: half as much each week before."""
    weights: Float64Array = 0.5 ** ((now_s - starts_s) / HALF_LIFE_S)
    return weights


def holding_law(
    series: Int64Array, lasted_s: Float64Array, ended: npt.NDArray[np.bool_], weights: Float64Array, count: int
) -> HoldingLaw:
    """The law of each of `count` series from calls of which each has lasted so long, and has `ended` or runs on.

    All arrays have shape (calls,). `weights` say how much each call counts; see `recency`. A series with few calls is
    drawn towards the law of all: as if calls of that law of a weight of `PRIOR_CALLS` had been its own.

    Raises:
        ForecastInputError: there is no call, or a duration is negative or not finite.

    Source: Kaplan & Meier, "Nonparametric estimation from incomplete observations", JASA 53 (1958).
    """
    if not lasted_s.size:
        raise ForecastInputError("no call at all: a law of holding times needs call records; forecast the load itself")
    if not np.isfinite(lasted_s).all() or (lasted_s < 0).any():
        raise ForecastInputError(
            "a call's duration is negative or not finite: leave such calls out where they are read"
        )
    longest_s = max(float(lasted_s.max()), 2 * _SHORTEST_S)
    knots_s = np.concatenate([[0.0], np.geomspace(_SHORTEST_S, longest_s, _KNOTS - 1)])
    knots_s[-1] = longest_s
    cell = series * _KNOTS + np.searchsorted(knots_s, lasted_s)
    deaths = np.bincount(cell[ended], weights[ended], minlength=count * _KNOTS).reshape(count, _KNOTS)
    lost = np.bincount(cell[~ended], weights[~ended], minlength=count * _KNOTS).reshape(count, _KNOTS)
    prior = PRIOR_CALLS / max(float(weights.sum()), 1e-12)
    deaths, lost = deaths + prior * deaths.sum(axis=0), lost + prior * lost.sum(axis=0)
    gone = deaths + lost
    # Who is lost within a bin was at risk for half of it (the actuary's rule).
    at_risk = gone[:, ::-1].cumsum(axis=1)[:, ::-1] - lost / 2
    survival = np.cumprod(1.0 - deaths / np.maximum(at_risk, 1e-12), axis=1).clip(0.0, 1.0)
    # What outlives every call seen is expected to last as long again: the tail of such laws is heavy.
    return _law(knots_s, survival, 1.0 / longest_s)


def _law(knots_s: Float64Array, survival: Float64Array, tail_rate: float) -> HoldingLaw:
    width_s = np.diff(knots_s)
    area_s = np.zeros_like(survival)
    area_s[:, 1:] = np.cumsum((survival[:, 1:] + survival[:, :-1]) / 2 * width_s, axis=1)
    second = np.zeros_like(survival)
    piece = area_s[:, :-1] * width_s + (2 * survival[:, :-1] + survival[:, 1:]) * width_s**2 / 6
    second[:, 1:] = np.cumsum(piece, axis=1)
    return HoldingLaw(knots_s, survival, tail_rate, area_s, second)
