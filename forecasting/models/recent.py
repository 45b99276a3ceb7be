"""How far the last minutes, hours and days have been off the weekly profile, and what that says about those ahead.

A ridge regression of the deviation ahead on recent deviations, with one set of coefficients per horizon, pooled over
all series: thousands of tenants teach what a single one has too few days for. With little to learn from, the
coefficients stay near a damped decay that is set by hand.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from forecasting.grid import Int64Array
from forecasting.load import BoolArray
from forecasting.models.week_layout import FloatArray, WeekLayout
from forecasting.models.weekly_profile import WeeklyProfile

Float64Array = npt.NDArray[np.float64]

HORIZON_EDGES_S = tuple(int(hours * 3600) for hours in (0.25, 0.5, 1, 2, 4, 6, 9, 12, 18, 24, 36, 48))
"""Upper edges of the horizon classes; what lies beyond the last belongs to one more."""
WINDOWS_S = (900, 3600, 3 * 3600, 86400, 7 * 86400)
FEATURES = ("day group", "last week", *(f"mean {w} s" for w in WINDOWS_S), "yesterday", "share 3 h", "share 24 h")
_UNREST_S = (3600, 3 * 3600, 86400, 7 * 86400)
UNREST_DAY = 2
"""Which of these windows is a day."""
_NEARBY_S = 3600
_DAY_S = 86400
_RELATIVE_PENALTY = 0.02
_ABSOLUTE_PENALTY = 50.0


@dataclass(frozen=True, slots=True, eq=False)
class Running:
    """Sums from slot `first` up to each slot, so that the mean over any window is two look-ups: (series, slots + 1)."""

    first: int
    total: Float64Array
    count: npt.NDArray[np.int32]

    @classmethod
    def of(cls, values: FloatArray, first: int) -> Running:
        """Of values (series, slots) that begin at slot `first`, NaN where missing."""
        missing = np.isnan(values)
        count = np.broadcast_to(np.arange(values.shape[1] + 1, dtype=np.int32), (values.shape[0], values.shape[1] + 1))
        if missing.any():
            count = count.copy()
            count[:, 1:] -= np.cumsum(missing, axis=1, dtype=np.int32)
        return cls(first, _running_total(values, missing), count)

    def alike(self, values: FloatArray, missing: BoolArray) -> Running:
        """Of other values (series, slots) that are missing where these are: both are counted once."""
        return Running(self.first, _running_total(values, missing), self.count)

    def mean(self, start: Int64Array, end: Int64Array) -> FloatArray:
        """Mean over the slots [start, end), 0 where nothing was observed. Shape (series, *start.shape)."""
        last = self.total.shape[1] - 1
        start, end = np.clip(start - self.first, 0, last), np.clip(end - self.first, 0, last)
        count = self.count[:, end] - self.count[:, start]
        mean: FloatArray = ((self.total[:, end] - self.total[:, start]) / np.maximum(count, 1)).astype(np.float32)
        return mean


def _running_total(values: FloatArray, missing: BoolArray) -> Float64Array:
    total = np.zeros((values.shape[0], values.shape[1] + 1))
    # Widened first and added up in place: a sum that widens as it goes does so through a buffer, at twice the cost.
    np.copyto(total[:, 1:], values, where=~missing)
    return np.cumsum(total, axis=1, out=total)


@dataclass(frozen=True, slots=True, eq=False)
class Past:
    """Everything that deviations ahead are read from, for some series of one layout.

    `base` (series, slots) is the weekly profile with special days in place, history and horizon alike, NaN where the
    weekday has not been seen before; `special` (series, slots) marks its special days; `typical` (series, 1) is the
    mean root of the whole history. `size` runs over the sizes of ordinary deviations.
    """

    layout: WeekLayout
    profile: WeeklyProfile
    weekend: BoolArray
    base: FloatArray
    special: BoolArray
    deviation: Running
    ordinary_deviation: Running
    size: Running
    level: Running
    typical: FloatArray


def past_of(
    layout: WeekLayout,
    profile: WeeklyProfile,
    weekend: tuple[int, ...],
    roots: FloatArray,
    base: FloatArray,
    special: BoolArray,
) -> Past:
    """Prepare the look-ups. `roots` (series, slots of history) are the observed roots."""
    weekend_slot = np.isin(layout.time.weekday, weekend)
    first = int(np.argmax(layout.day >= profile.first_week * 7))
    kept = slice(first, roots.shape[1])
    days = layout.day[kept] - profile.first_week * 7
    # Where a weekday is new, its day group as of that day's start stands in: a young series has recent deviations too.
    known_base = base[:, kept]
    if np.isnan(known_base).any():
        daily = profile.daily[:, days, weekend_slot[kept].astype(np.int64), layout.time.slot_of_day[kept]]
        known_base = np.where(np.isnan(known_base), daily, known_base)
    off = roots[:, kept] - known_base
    ordinary = deviation = Running.of(off, first)
    level = deviation.alike(known_base, np.isnan(off))
    if special[:, kept].any():
        off[special[:, kept]] = np.nan
        ordinary = Running.of(off, first)
    known = ~np.isnan(roots)
    typical = np.where(known, roots, np.float32(0.0)).sum(axis=1, keepdims=True) / np.maximum(
        known.sum(axis=1, keepdims=True), 1
    )
    return Past(
        layout,
        profile,
        weekend_slot,
        base,
        special,
        deviation,
        ordinary,
        ordinary.alike(np.abs(off), np.isnan(off)),
        level,
        typical.astype(np.float32),
    )


def base_and_features(past: Past, origins: Int64Array, targets: Int64Array) -> tuple[FloatArray, FloatArray]:
    """Profile and features as known at the origins for the targets.

    `origins` (origins,) and `targets` (origins, leads) are slots; a feature uses nothing at or after its origin.
    Returns the base (series, origins, leads) and the features (series, origins, leads, features), 0 where unknown.
    """
    layout = past.layout
    group = past.weekend[targets].astype(np.int64)
    slot_of_day = layout.time.slot_of_day[targets]
    first_day = past.profile.first_week * 7
    # At the end of the data an origin has no slot of its own: it is the start of the first slot ahead.
    day = np.clip(layout.day[np.minimum(origins, layout.day.size - 1)] - first_day, 0, past.profile.daily.shape[1] - 1)
    daily = past.profile.daily[:, day[:, None], group, slot_of_day]
    base = past.base[:, targets]
    other = past.profile.daily[:, day[:, None], 1 - group, slot_of_day]
    fallback = np.where(np.isnan(daily), np.where(np.isnan(other), past.typical[:, :, None], other), daily)
    base = np.where(np.isnan(base), fallback, base)
    ordinary = ~past.special[:, targets]
    step_s = layout.step_s
    features = np.empty((*base.shape, len(FEATURES)), dtype=np.float32)
    features[..., 0] = np.where(ordinary, _known(daily - base), np.float32(0.0))
    features[..., 1] = np.where(ordinary, _known(_last_week(past, targets) - base), np.float32(0.0))
    for index, window_s in enumerate(WINDOWS_S, start=2):
        source = past.deviation if window_s < _DAY_S else past.ordinary_deviation
        features[..., index] = _mean_before(source, origins, window_s, step_s)
    features[..., 7] = _yesterday(past, origins, targets, step_s)
    for index, window in ((8, 2), (9, 3)):
        usual = _mean_before(past.level, origins, WINDOWS_S[window], step_s)
        features[..., index] = features[..., 2 + window] / np.maximum(usual, np.float32(1.0)) * base
    return base, features


def unrest(past: Past, origins: Int64Array) -> FloatArray:
    """Mean size of the deviations in some windows before each origin: (series, origins, windows), root scale."""
    windows = [_mean_before(past.size, origins, window_s, past.layout.step_s)[..., 0] for window_s in _UNREST_S]
    return np.stack(windows, axis=-1)


def _known(values: FloatArray) -> FloatArray:
    known: FloatArray = np.where(np.isnan(values), np.float32(0.0), values)
    return known


def _mean_before(running: Running, origins: Int64Array, window_s: int, step_s: int) -> FloatArray:
    width = max(1, round(window_s / step_s))
    return running.mean(origins - width, origins)[:, :, None]


def _last_week(past: Past, targets: Int64Array) -> FloatArray:
    layout, profile = past.layout, past.profile
    cell = layout.cell[targets] - profile.first_week * layout.slots_per_week
    last_week: FloatArray = profile.last_week.reshape(profile.last_week.shape[0], -1)[:, cell]
    return last_week


def _yesterday(past: Past, origins: Int64Array, targets: Int64Array, step_s: int) -> FloatArray:
    """Deviation around the same time on the newest day that was complete at the origin."""
    nearby = max(1, round(_NEARBY_S / step_s))
    day = max(1, round(_DAY_S / step_s))
    days_back = -(-(targets - origins[:, None] + nearby + 1) // day)
    same_time = targets - days_back * day
    return past.deviation.mean(same_time - nearby, same_time + nearby + 1)


@dataclass(frozen=True, slots=True, eq=False)
class Correction:
    """How much of each feature carries over, by horizon class: shape (classes, features)."""

    coefficients: Float64Array

    def at(self, base: FloatArray, features: FloatArray, leads_s: Int64Array) -> FloatArray:
        """The corrected root, shape of `base` (…, leads); `leads_s` (leads,) seconds from origin to the slot's end."""
        weights = self._by_lead(leads_s).astype(np.float32)
        corrected: FloatArray = base + np.einsum("...lf,lf->...l", features, weights)
        return corrected

    def _by_lead(self, leads_s: Int64Array) -> Float64Array:
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
    prior[:, FEATURES.index("last week")] = 0.1
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
        """Add features (series, origins, leads, features) and the deviations (series, origins, leads), NaN unknown."""
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
