"""The week of tenants that have hardly one of their own: borrowed from those that have, and given back week by week.

A tenant that began this morning has no Tuesday yet, and one with a call an hour has none that is more than noise.
Both look like others, though: offices, night desks, restaurants. So the weeks of mature series are sorted into a few
shapes, a series is assigned softly to those that explain what was seen of it, at the level that was seen, and each
cell moves from the shape to the series' own mean as its own weeks outweigh how far series usually lie from their
shape. That weight is learnt and not set: a busy cell speaks for itself after a week, a sparse one hardly after ten.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np

from forecasting.grid import Int64Array
from forecasting.load import BoolArray
from forecasting.models.week_layout import Float64Array, FloatArray
from forecasting.models.weekly_profile import smoothed, smoothed_mean

MATURE_WEEKS = 3
"""Weeks that a series must have been observed to teach a shape."""
LARGEST_COUNT = np.float32(1e12)
"""Events per slot are cut here, far above any load, so that squares stay finite in float32."""
_MOST_SHAPES = 6
_SERIES_PER_SHAPE = 3
_CLUSTERED_SERIES = 2048
"""Series that the clusters are found on; more would not move them."""
_HOURS = 168
_SMOOTH_S = 1800
_HABIT_SMOOTH_S = 3600
_CELL_SHARE = 0.5
"""How much of its strangeness a series has by slot of the week, beyond that by time of day."""
_LEVEL_PRIOR_EVENTS = 0.5
"""Events that the mature series' mean level is worth beside a series' own: hardly one, since sizes differ widely."""
_LEAST_STRANGENESS, _MOST_STRANGENESS = 0.01, 2.0
_MOST_RESTLESSNESS = 1.0
_LEAST_RATE = np.float32(1e-3)
_WEEK_S = 7 * 86400


@dataclass(frozen=True, slots=True, eq=False)
class WeeklyShapes:
    """Typical weeks of mature series, in linear rates by local slot of week.

    `rates` (shapes, slots_per_week) has a mean of 1 in each row; `shares` (shapes,) of the mature series that are of
    each; `level` their mean events per slot. `strangeness` is the variance of a series' own rate around its shape's,
    as a share of the rate squared; `restlessness` that of a slot from week to week beyond Poisson noise.
    """

    rates: FloatArray
    shares: FloatArray
    level: float
    strangeness: float
    restlessness: float

    @property
    def pooled(self) -> FloatArray:
        """The shape of a series of which nothing is known: the mean of all. Shape (slots_per_week,)."""
        pooled: FloatArray = self.shares @ self.rates
        return pooled


@dataclass(frozen=True, slots=True, eq=False)
class Shaped:
    """What shapes say about series: `rate` events per slot and `variance` of it, (…, slots_per_week)."""

    rate: FloatArray
    variance: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class CellSums:
    """What shapes are learnt from, so that chunk after chunk of a long history can be let go.

    `sums` of events, `weights` (weeks observed) and `squares` of the deviations from each cell's own mean have shape
    (series, slots_per_week); `weeks` (series,) in which a series was observed at all.
    """

    sums: FloatArray
    weights: FloatArray
    squares: FloatArray
    weeks: Int64Array

    @classmethod
    def of(cls, counts: FloatArray) -> CellSums:
        """Of events per slot (series, weeks, slots_per_week), NaN where nothing was seen or a special day lies."""
        known, counts = ~np.isnan(counts), np.minimum(counts, LARGEST_COUNT)
        weights = known.sum(axis=1).astype(np.float32)
        sums = np.where(known, counts, np.float32(0.0)).sum(axis=1)
        own = sums / np.maximum(weights, 1)
        squares = np.where(known, counts - own[:, None, :], np.float32(0.0)) ** 2
        return cls(sums, weights, squares.sum(axis=1), known.any(axis=2).sum(axis=1).astype(np.int64))

    @classmethod
    def joined(cls, parts: Sequence[CellSums]) -> CellSums:
        """Those of several chunks, of at least one, with the same slots per week."""
        return cls(
            np.concatenate([part.sums for part in parts]),
            np.concatenate([part.weights for part in parts]),
            np.concatenate([part.squares for part in parts]),
            np.concatenate([part.weeks for part in parts]),
        )

    def rows(self, rows: Int64Array) -> CellSums:
        """The same for some of the series."""
        return CellSums(self.sums[rows], self.weights[rows], self.squares[rows], self.weeks[rows])

    def is_mature(self) -> BoolArray:
        """Whether enough weeks were seen, and half of the cells that any series was seen in. Shape (series,)."""
        usual = max(1, int((self.weights > 0).any(axis=0).sum()))
        cells = (self.weights >= MATURE_WEEKS - 1).sum(axis=1)
        mature: BoolArray = (self.weeks >= MATURE_WEEKS) & (cells >= usual / 2) & (self.sums.sum(axis=1) > 0)
        return mature


def learn_shapes(cells: CellSums, *, seed: int = 0) -> WeeklyShapes | None:
    """Shapes of the mature series among these; None when not one is mature."""
    cells = cells.rows(np.flatnonzero(cells.is_mature()))
    sums, weights = cells.sums, cells.weights
    if sums.shape[0] == 0:
        return None
    totals = sums.sum(axis=1, dtype=np.float64)
    levels = totals / weights.sum(axis=1)
    labels = _clusters(sums, weights, levels, seed)
    # A series counts fully from about an event per cell on: shapes are those of tenants, not of the largest tenant.
    worth = (totals / (totals + sums.shape[1])).astype(np.float32)
    per_level = worth / levels.astype(np.float32)
    shapes = int(labels.max()) + 1
    rates = np.stack(
        [_shape_of(sums, weights, per_level, worth, np.flatnonzero(labels == shape)) for shape in range(shapes)]
    )
    shares = np.bincount(labels, minlength=shapes) / labels.size
    restlessness, strangeness = _moments(cells, levels[:, None] * rates[labels])
    return WeeklyShapes(rates, shares.astype(np.float32), float(levels.mean()), strangeness, restlessness)


def _clusters(sums: FloatArray, weights: FloatArray, levels: Float64Array, seed: int) -> Int64Array:
    """The cluster of each series, (series,), counted from 0 without holes."""
    shapes = min(_MOST_SHAPES, levels.size // _SERIES_PER_SHAPE)
    if shapes < 2:
        return np.zeros(levels.size, dtype=np.int64)
    hourly = _by_hour(sums) / np.maximum(_by_hour(weights), np.float32(1e-6)) / levels[:, None]
    # Roots, since noise is even on them; by the hour, so that a finer step costs no more and is no noisier.
    points = np.sqrt(hourly).astype(np.float32)
    every = -(-levels.size // _CLUSTERED_SERIES)
    # Imported here: it takes a second and 90 MB, which processes that only plan or answer need not spend.
    from sklearn.cluster import KMeans

    found = KMeans(shapes, n_init=4, random_state=seed).fit(points[::every])
    nearness = found.transform(points)
    # A shape of one or two series would be their noise: they go to the nearest shape that more of them share.
    few = np.bincount(nearness.argmin(axis=1), minlength=shapes) < _SERIES_PER_SHAPE
    if not few.all():
        nearness[:, few] = np.inf
    labels: Int64Array = np.unique(nearness.argmin(axis=1), return_inverse=True)[1].astype(np.int64)
    return labels


def _by_hour(values: FloatArray) -> FloatArray:
    """Sums over the slots of each hour of the week, (series, 168); of slots longer than an hour, as they are."""
    series, cells = values.shape
    if cells % _HOURS:
        return values
    hourly: FloatArray = values.reshape(series, _HOURS, -1).sum(axis=2)
    return hourly


def _shape_of(
    sums: FloatArray, weights: FloatArray, per_level: FloatArray, worth: FloatArray, rows: Int64Array
) -> FloatArray:
    smooth_slots = round(_SMOOTH_S / (_WEEK_S / sums.shape[1])) if sums.shape[1] > 2 * _HOURS else 0
    mean = smoothed_mean(per_level[rows] @ sums[rows], worth[rows] @ weights[rows], smooth_slots)
    known = np.flatnonzero(~np.isnan(mean))
    # Hours that nobody was observed in lie between those beside them, around the week's end too.
    cells = mean.size
    filled = np.interp(np.arange(cells), known, mean[known], period=cells)
    filled = np.maximum(filled, float(_LEAST_RATE))
    shape: FloatArray = (filled / filled.mean()).astype(np.float32)
    return shape


def _moments(cells: CellSums, expected: Float64Array) -> tuple[float, float]:
    """Restlessness and strangeness by moments, the medians over series: one wild tenant shall not speak for all."""
    weights = np.maximum(cells.weights, 1).astype(np.float64)
    own, enough = cells.sums / weights, cells.weights >= 2
    variance = cells.squares / np.maximum(weights - 1, 1)
    scale = np.where(enough, own**2 - variance / weights, 0).sum(axis=1)
    busy = scale > 0
    excess = np.where(enough, variance - own, 0).sum(axis=1)
    restless = float(np.median(excess[busy] / scale[busy])) if busy.any() else 0.0
    apart = np.where(enough, (own - expected) ** 2 - variance / weights, 0).sum(axis=1)
    usual = np.where(enough, expected**2, 0).sum(axis=1)
    strange = float(np.median(apart / np.maximum(usual, 1e-9)))
    return (
        min(max(restless, 0.0), _MOST_RESTLESSNESS),
        min(max(strange, _LEAST_STRANGENESS), _MOST_STRANGENESS),
    )


def shaped_rate(sums: FloatArray, weights: FloatArray, shapes: WeeklyShapes) -> Shaped:
    """The rate that the shapes give to series of which this much was seen.

    `sums` and `weights` (…, slots_per_week) are events and weeks by cell, faded or not. Each shape is judged by the
    Poisson likelihood of the sums at the level that fits it best; the level is the posterior mean of a gamma law
    (Gelman et al., Bayesian Data Analysis, 3rd ed., 2.6). Nothing seen gives the mean level on the mean shape, with
    a variance that says so.
    """
    seen = sums.sum(axis=-1, dtype=np.float64)[..., None]
    exposure = (weights @ shapes.rates.T).astype(np.float64)
    prior = _LEVEL_PRIOR_EVENTS
    level = (seen + prior) / (exposure + prior / shapes.level)
    # Days differ by more than Poisson noise; unless that is taken off, a busy morning is certain of the wrong shape.
    slots = np.maximum((weights > 0).sum(axis=-1), 1)[..., None]
    noise = 1 + shapes.restlessness * seen / slots
    likelihood = (sums @ np.log(shapes.rates).T + seen * np.log(level) - level * exposure) / noise
    likelihood += np.log(np.maximum(shapes.shares, np.float32(1e-6)))
    share = np.exp(likelihood - likelihood.max(axis=-1, keepdims=True))
    share /= share.sum(axis=-1, keepdims=True)
    scaled = (share * level).astype(np.float32)
    rate = np.maximum(scaled @ shapes.rates, _LEAST_RATE)
    between = np.maximum((scaled * level.astype(np.float32)) @ shapes.rates**2 - rate**2, 0)
    uncertain = (noise / (seen + prior)).astype(np.float32)
    variance = between + rate**2 * (np.float32(shapes.strangeness) + uncertain)
    return Shaped(rate, variance.astype(np.float32))


def own_habits(
    shaped: Shaped, sums: FloatArray, weights: FloatArray, shapes: WeeklyShapes, weekend: tuple[int, ...]
) -> Shaped:
    """The rate after the series' own habits have bent its shape, as far as what was seen can tell.

    Three ratios of seen to expected, each the posterior mean of a gamma law around 1 and each on top of the one
    before: by time of day, by time of day on working days and at weekends, by slot of the week. So the first Tuesday
    already teaches Wednesday, and the first week Saturday's own. A ratio has its neighbours' events as well; the edges
    of the day stay, since they are the shape's.
    """
    slots_per_day = sums.shape[-1] // 7
    half_width = round(_HABIT_SMOOTH_S * slots_per_day / 86400)
    days = (*sums.shape[:-1], 7, slots_per_day)
    seen, rate = sums.reshape(days), shaped.rate.reshape(days)
    expected = rate * weights.reshape(days)
    prior = _prior_events(rate.mean(axis=(-2, -1))[..., None], shapes.strangeness, half_width, shapes)
    by_day, known_by_day = _ratio(seen.sum(axis=-2), expected.sum(axis=-2), prior, half_width)
    ratio = np.repeat(by_day[..., None, :], 7, axis=-2)
    for group in (sorted(weekend), [day for day in range(7) if day not in weekend]):
        seen_of_group = reduce(np.add, (seen[..., day, :] for day in group))
        of_group = reduce(np.add, (expected[..., day, :] * by_day for day in group))
        by_group, _ = _ratio(seen_of_group, of_group, prior, half_width)
        for day in group:
            ratio[..., day, :] *= by_group
    bent = (rate * ratio).reshape(sums.shape)
    cell_prior = _prior_events(bent, _CELL_SHARE * shapes.strangeness, half_width, shapes)
    by_cell, known_by_cell = _ratio(sums, bent * weights, cell_prior, half_width)
    left_by_day = np.broadcast_to((1 - (1 - _CELL_SHARE) * known_by_day)[..., None, :], days).reshape(sums.shape)
    left = left_by_day * (1 - known_by_cell) * (ratio.reshape(sums.shape) * by_cell) ** 2
    return Shaped((bent * by_cell).astype(np.float32), (shaped.variance * left).astype(np.float32))


def _prior_events(rate: FloatArray, strangeness: float, half_width: int, shapes: WeeklyShapes) -> FloatArray:
    """Events that a shape's ratio of 1 is worth. Neighbouring slots are restless together, so their excess adds up."""
    prior: FloatArray = (1 + shapes.restlessness * _independent(half_width) * rate) / strangeness
    return prior


def _ratio(seen: FloatArray, expected: FloatArray, prior: FloatArray, half_width: int) -> tuple[FloatArray, FloatArray]:
    """Seen to expected events with the neighbours around the last axis, and how much of its uncertainty is gone."""
    expected = _smoothed_events(expected, half_width)
    ratio: FloatArray = (_smoothed_events(seen, half_width) + prior) / (expected + prior)
    known: FloatArray = expected / (expected + prior)
    return ratio, known


def _smoothed_events(events: FloatArray, half_width: int) -> FloatArray:
    """Events of a slot and its neighbours, as many as independent ones would be."""
    if half_width == 0:
        return events
    return smoothed(events, half_width) * np.float32(_independent(half_width))


def _independent(half_width: int) -> float:
    """How many slots' worth of events the kernel's mean rests on: (Σ k)² / Σ k²."""
    window = 2 * max(1, half_width // 2) + 1
    return 3 * window**3 / (2 * window**2 + 1) if half_width else 1.0
