"""How holidays go, and the days before and between: learnt from those of a country, shrunk to each series.

A holiday is drawn some way towards the country's day of rest and is then fuller or emptier than that, both by amounts
that glide through the day between a few knots: roads are empty in the morning of a holiday and not at night. The
amounts are a ridge regression over all holidays of a country seen so far, whose penalty draws towards what holidays
mostly are; a holiday that was seen before under its name goes half by itself; a series goes its own way as far as
several of its holidays agree (normal means shrunk in steps: Lindley & Smith, "Bayes estimates for the linear model",
Journal of the Royal Statistical Society B 34, 1972). An eve and a bridge begin as a share of the country's holidays.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from forecasting.civil_time import DayType
from forecasting.grid import Int64Array
from forecasting.models.holiday_evidence import (
    COEFFICIENTS,
    KNOTS,
    TOWARDS_REST,
    DaySums,
    Float64Array,
    HolidayEvidence,
    PublicDay,
    hats_at,
    way_and_fullness,
)
from forecasting.models.week_layout import FloatArray

_SPREAD_REST, _SPREAD_REST_AT_KNOT, _SPREAD_FULLNESS = 0.4, 0.3, 0.15
"""Standard deviations of the coefficients from one holiday to another: all knots together, and each by itself."""
_DOUBT_REST, _DOUBT_FULLNESS = 0.3, 0.1
"""How far a holiday lies from what was learnt: shares of the way to the day of rest and of the root."""
_PRIOR_DAYS = {
    DayType.HOLIDAY: 0.7,
    DayType.MINOR_HOLIDAY: 0.7,
    DayType.BRIDGE: 0.7,
    DayType.EVE: 2.0,
    DayType.LONG_WEEKEND: 4.0,
}
"""Days of a kind whose evidence weighs as much as what they mostly are. Those beside a holiday have reasons of their
own to differ from each other: one goes home before it, another comes back after."""
_NAME_DAYS, _OWN_DAYS = 1.0, 1.0
"""The same for a holiday's name beside its country, and for a series beside all others."""
_DOUBT_DAYS, _LARGEST_DOUBT = 3.0, 3.0
_LARGEST_FULLNESS = 0.6

_KINDS = (DayType.HOLIDAY, DayType.MINOR_HOLIDAY, DayType.BRIDGE, DayType.EVE, DayType.LONG_WEEKEND)
_SHARES = {
    DayType.HOLIDAY: np.ones(COEFFICIENTS),
    DayType.MINOR_HOLIDAY: np.full(COEFFICIENTS, 0.2),
    DayType.BRIDGE: np.full(COEFFICIENTS, 0.3),
    # Work is done as ever until the afternoon.
    DayType.EVE: np.tile([0.0, 0.0, 0.0, 0.2, 0.4], 2),
    # Days of rest already.
    DayType.LONG_WEEKEND: np.zeros(COEFFICIENTS),
}
"""What of a holiday's effect such a day has, as long as none of them was seen: (coefficients,)."""
_DOUBTS = {
    DayType.HOLIDAY: 1.0,
    DayType.MINOR_HOLIDAY: 0.5,
    DayType.BRIDGE: 1.0,
    DayType.EVE: 1.0,
    DayType.LONG_WEEKEND: 1.0,
}
"""Its standard deviation, as a multiple of `_DOUBT_REST` and `_DOUBT_FULLNESS`."""

_COVARIANCE = np.zeros((COEFFICIENTS, COEFFICIENTS))
_COVARIANCE[:KNOTS, :KNOTS] = _SPREAD_REST**2 + _SPREAD_REST_AT_KNOT**2 * np.eye(KNOTS)
_COVARIANCE[KNOTS:, KNOTS:] = _SPREAD_FULLNESS**2 * np.eye(KNOTS)
_PRECISION = np.linalg.inv(_COVARIANCE)


@dataclass(frozen=True, slots=True, eq=False)
class Effect:
    """How such a day goes: `coefficients` (COEFFICIENTS,), and its doubt in units of what it mostly is."""

    coefficients: Float64Array
    doubt: float


@dataclass(frozen=True, slots=True, eq=False)
class HolidayEffects:
    """What was learnt of countries and of each series.

    `known` is by country, kind and name (the name "" stands for all). `past` are days of the history, each as all
    others tell of it: told by itself it would go as forecast, and the days after it would not hear that it did not.
    `own` (series, coefficients) is by how much a series differs.
    """

    known: dict[tuple[str | None, DayType, str], Effect]
    past: dict[PublicDay, Effect]
    own: FloatArray

    def rows(self, rows: Int64Array) -> HolidayEffects:
        """The same for some of the series."""
        return HolidayEffects(self.known, self.past, self.own[rows])

    def effect(self, public: PublicDay) -> Effect:
        """As told by all other days, if it is past; else by its name, by its kind, or as such days mostly are."""
        if public in self.past:
            return self.past[public]
        for name in (public.name, ""):
            if (public.country, public.kind, name) in self.known:
                return self.known[public.country, public.kind, name]
        return Effect(_SHARES[public.kind] * _usual(), _DOUBTS[public.kind])

    def shift_and_doubt(
        self,
        ordinary: FloatArray,
        rest: FloatArray,
        rows: Int64Array,
        effects: Sequence[tuple[DayType, Effect]],
        which: Int64Array,
    ) -> tuple[FloatArray, FloatArray]:
        """What to add to the roots of ordinary days (cells, slots_per_day), and its standard deviation.

        `rows` (cells,) says whose of the series, `which` (cells,) by which of the effects.
        """
        way, fullness = way_and_fullness(ordinary, rest)
        shares = np.stack([_SHARES[kind] for kind, _ in effects]).astype(np.float32)
        learnt = np.stack([effect.coefficients for _, effect in effects]).astype(np.float32)
        coefficients = learnt[which] + shares[which] * self.own[rows]
        hats = hats_at(ordinary.shape[1])
        fuller = np.clip(coefficients[:, KNOTS:], -_LARGEST_FULLNESS, _LARGEST_FULLNESS)
        shift = way * (coefficients[:, :KNOTS] @ hats.T) + fullness * (fuller @ hats.T)
        scale = np.array([effect.doubt for _, effect in effects], dtype=np.float32)[which, None]
        doubt = scale * np.hypot(_DOUBT_REST * way, _DOUBT_FULLNESS * fullness)
        return shift.astype(np.float32), doubt.astype(np.float32)


def learn_holidays(pooled: Mapping[PublicDay, DaySums], countries: Iterable[str | None], series: int) -> HolidayEffects:
    """Effects in each country, from the sums of its days; nothing of their own yet for so many series."""
    effects = HolidayEffects({}, {}, np.zeros((series, COEFFICIENTS), dtype=np.float32))
    for country in dict.fromkeys(countries):
        prior = _usual()
        for kind in _KINDS:
            days = {day: sums for day, sums in pooled.items() if (day.country, day.kind) == (country, kind)}
            of_kind = _learn_kind(kind, days, _SHARES[kind] * prior, effects)
            effects.known[country, kind, ""] = of_kind
            prior = of_kind.coefficients if kind is DayType.HOLIDAY else prior
    return effects


def _learn_kind(
    kind: DayType, days: Mapping[PublicDay, DaySums], prior: Float64Array, effects: HolidayEffects
) -> Effect:
    """The effect of a kind; what its names and its past days go by is added to the effects."""
    total = sum(days.values(), start=DaySums.none())
    names: dict[str, DaySums] = defaultdict(DaySums.none)
    for day, sums in days.items():
        names[day.name] += sums
    told, missed = {}, []
    for day, sums in days.items():
        others = total.without(sums)
        told[day] = _ridge(kind, others, len(days) - 1, prior)
        missed.append(_missed(sums, told[day]))
        # Among days of its name only where there are others, or it would be told by itself.
        if sum(other.name == day.name for other in days) > 1:
            told[day] = _named(names[day.name].without(sums), others, len(days) - 1, told[day])
    variance = (_DOUBT_DAYS * _DOUBTS[kind] ** 2 + sum(missed)) / (_DOUBT_DAYS + len(missed))
    effect = Effect(_ridge(kind, total, len(days), prior), float(np.sqrt(variance)))
    for name, of_name in names.items():
        coefficients = _named(of_name, total, len(days), effect.coefficients)
        effects.known[next(iter(days)).country, kind, name] = Effect(coefficients, effect.doubt)
    effects.past.update((day, Effect(coefficients, effect.doubt)) for day, coefficients in told.items())
    return effect


def own_effects(evidence: HolidayEvidence, country: Effect) -> FloatArray:
    """By how much each series' holidays differ from those of its country, shrunk to nothing: (series, coefficients)."""
    coefficients = country.coefficients.astype(np.float32)
    days = np.maximum(evidence.days, 1)[:, None, None]
    one_day = _OWN_DAYS * evidence.products / days + _PRECISION.astype(np.float32)
    left = evidence.targets - evidence.products @ coefficients
    own: FloatArray = np.linalg.solve(evidence.products + one_day, left[..., None])[..., 0].astype(np.float32)
    return own


def _usual() -> Float64Array:
    """Coefficients of a holiday that nothing is known of."""
    return np.repeat([TOWARDS_REST, 0.0], KNOTS)


def _ridge(kind: DayType, sums: DaySums, days: int, prior: Float64Array) -> Float64Array:
    # The penalty in units of a day's evidence: a thousand series that share a holiday have still seen only one.
    one_day = float(np.trace(sums.products @ _COVARIANCE)) / COEFFICIENTS / max(days, 1)
    penalty = _PRECISION * (_PRIOR_DAYS[kind] * max(one_day, 1.0))
    return _solve(sums.products + penalty, sums.targets + penalty @ prior)


def _named(of_name: DaySums, of_kind: DaySums, days: int, usual: Float64Array) -> Float64Array:
    penalty = _NAME_DAYS * of_kind.products / days + _PRECISION
    return _solve(of_name.products + penalty, of_name.targets + penalty @ usual)


def _solve(products: Float64Array, targets: Float64Array) -> Float64Array:
    solved: Float64Array = np.linalg.solve(products, targets).astype(np.float64)
    return solved


def _missed(day: DaySums, told: Float64Array) -> float:
    """How far a day lay from what others told, squared, in units of what is usual."""
    missed = float(day.squares - 2 * told @ day.targets + told @ day.products @ told - day.slots)
    way = float(day.products[:KNOTS, :KNOTS].sum())
    fullness = float(day.products[KNOTS:, KNOTS:].sum())
    expected = max(_DOUBT_REST**2 * way + _DOUBT_FULLNESS**2 * fullness, 1.0)
    return min(max(missed, 0.0) / expected, _LARGEST_DOUBT**2)
