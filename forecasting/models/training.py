"""Learning from rolling origins inside the history: smoothing, coefficients, residual quantiles.

Three passes over the series. The first chooses each one's smoothing and weighs its special days, the second collects
the pooled regression from a sample of series, the third the residuals of all. Only the newest weeks are replayed:
older ones say little about how wrong the next forecast will be.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from forecasting.calendar import CivilCalendar
from forecasting.grid import Int64Array
from forecasting.load import LoadMatrix
from forecasting.models.chunks import Chunk, chunks_of
from forecasting.models.count_law import are_counts, dispersion_sums, shrunk_dispersion
from forecasting.models.learnt import Learnt, SeriesLearnt, View, view
from forecasting.models.recent import HORIZON_EDGES_S, Correction, Regression, base_and_features, horizon_class
from forecasting.models.scale import counts_per_unit, poisson_rate, to_counts, to_root
from forecasting.models.shapes import CellSums, WeeklyShapes, learn_shapes
from forecasting.models.special_days import (
    SpecialDays,
    closure_levels,
    event_shifts,
    holiday_evidence,
    rest_weights,
    without_special_days,
)
from forecasting.models.spread import HOURS, ResidualCounts, hour_of_day, hourly_spread, level_class
from forecasting.models.week_layout import FloatArray
from forecasting.models.weekly_profile import choose_half_widths, smoothed_mean, weekly_sums

_REPLAYED_S = 28 * 86400
_WEEKS_KEPT = 6
"""Weeks of the profile that a replay needs: four of origins, one of look-back, and what is left of the newest."""
_WEEKS_TO_CHOOSE = 4
_BETWEEN_ORIGINS_S = 5 * 3600
"""Not a divisor of the day, so that origins fall on every hour of it."""
_LEADS_PER_CLASS = 4
_REGRESSED_SERIES = 256
_SHAPED_SERIES = 512


@dataclass(frozen=True, slots=True, eq=False)
class Replay:
    """Past origins (origins,) and the leads (leads,) that are forecast from each, in slots."""

    origins: Int64Array
    leads: Int64Array
    step_s: int

    @property
    def leads_s(self) -> Int64Array:
        """Seconds from an origin to the end of each slot that is forecast."""
        seconds: Int64Array = (self.leads + 1) * self.step_s
        return seconds

    def halves(self) -> tuple[Replay, Replay]:
        """Two interleaved parts of a week or so each, so that neighbouring origins stay together."""
        block = np.arange(self.origins.size) * 4 // max(self.origins.size, 1)
        return (
            Replay(self.origins[block % 2 == 0], self.leads, self.step_s),
            Replay(self.origins[block % 2 == 1], self.leads, self.step_s),
        )

    def targets(self, slots: int) -> Int64Array:
        """The slot of every origin and lead, kept inside the history: shape (origins, leads)."""
        targets: Int64Array = np.minimum(self.origins[:, None] + self.leads, slots - 1)
        return targets

    def observed(self, roots: FloatArray) -> FloatArray:
        """What was seen at the targets, NaN after the history's end: (series, origins, leads)."""
        slots = roots.shape[1]
        ended = self.origins[:, None] + self.leads >= slots
        seen: FloatArray = np.where(ended, np.float32(np.nan), roots[:, self.targets(slots)])
        return seen


def replay_of(slots: int, step_s: int) -> Replay:
    """The origins of the newest weeks and a sample of leads from every horizon class."""
    between = max(1, round(_BETWEEN_ORIGINS_S / step_s))
    first = max(round(86400 / step_s), slots - round(_REPLAYED_S / step_s), 1)
    origins = np.arange(slots - 1, first - 1, -between, dtype=np.int64)[::-1]
    edges = np.array([0, *HORIZON_EDGES_S]) // step_s
    leads = [np.linspace(low, high - 1, _LEADS_PER_CLASS) for low, high in pairwise(edges) if high > low]
    return Replay(origins, np.unique(np.concatenate([[0.0], *leads]).round().astype(np.int64)), step_s)


def train(history: LoadMatrix, calendars: Sequence[CivilCalendar]) -> Learnt:
    """Learn everything that later forecasts of these series use.

    Raises:
        ForecastInputError: a calendar names an unknown zone, country or subdivision.
    """
    chunks = list(chunks_of(calendars, history.grid))
    per_unit = counts_per_unit(history.measure, history.grid.step_s)
    half_width, special = _habits(history, chunks, per_unit)
    shapes = _shapes(history, chunks, per_unit)
    halves = replay_of(history.grid.slots, history.grid.step_s).halves()

    def roots_and_view(chunk: Chunk) -> tuple[FloatArray, View]:
        roots = to_root(history.values[chunk.rows], per_unit)
        first_week = max(0, chunk.layout.weeks - _WEEKS_KEPT)
        seen = view(
            chunk,
            roots,
            half_width[chunk.rows],
            special.rows(chunk.rows),
            shapes,
            first_week=first_week,
            until_now=False,
        )
        return _after_first_week(roots, chunk.layout.step_s), seen

    regressions = (Regression(), Regression())
    for chunk in _sampled(chunks, len(history.series)):
        roots, seen = roots_and_view(chunk)
        for half, regression in zip(halves, regressions, strict=True):
            _regress(roots, seen, half, regression)
    # Each half is judged by the coefficients of the other: residuals of one's own fit would be too small.
    crossed = (regressions[1].solve(), regressions[0].solve())
    residuals = ResidualCounts()
    spread = np.ones((len(history.series), HOURS), dtype=np.float32)
    excess, squares = np.zeros((2, len(history.series)), dtype=np.float32)
    counted = np.zeros(len(history.series), dtype=np.bool_)
    for chunk in chunks:
        roots, seen = roots_and_view(chunk)
        forecasts = [_forecast(seen, half, correction) for half, correction in zip(halves, crossed, strict=True)]
        spread[chunk.rows] = _collect(roots, seen, halves, forecasts, residuals)
        counted[chunk.rows] = are_counts(history.values[chunk.rows], per_unit)
        excess[chunk.rows], squares[chunk.rows] = _count_sums(roots, halves, forecasts)
    series = SeriesLearnt(half_width, special, spread, shrunk_dispersion(excess, squares), counted)
    return Learnt(
        history.series, history.grid, series, (regressions[0] + regressions[1]).solve(), residuals.law(), shapes
    )


def _habits(history: LoadMatrix, chunks: Sequence[Chunk], per_unit: float) -> tuple[Int64Array, SpecialDays]:
    """Smoothing (series,) and the ways of special days."""
    series = len(history.series)
    half_width = np.zeros(series, dtype=np.int64)
    shift, closed = np.zeros((2, series), dtype=np.float32)
    products, squares, days = np.zeros((3, series), dtype=np.float32)
    country = np.zeros(series, dtype=np.int64)
    countries: dict[str | None, int] = {}
    slots_per_day = 1
    for chunk in chunks:
        rows = chunk.rows
        slots_per_day = chunk.layout.slots_per_day
        country[rows] = countries.setdefault(chunk.country, len(countries))
        weekly = chunk.layout.weekly(to_root(history.values[rows], per_unit))
        ordinary = without_special_days(weekly, chunk.kinds)
        half_width[rows] = choose_half_widths(ordinary, history.grid.step_s, _WEEKS_TO_CHOOSE)
        if chunk.may_be_special:
            level = smoothed_mean(*weekly_sums(ordinary, 0), 0)
            products[rows], squares[rows], days[rows] = holiday_evidence(weekly, level, chunk.kinds, chunk.weekend[-1])
            shift[rows] = event_shifts(weekly, level, chunk.kinds)
            closed[rows] = closure_levels(weekly, level, chunk.kinds)
    weights = np.zeros(series, dtype=np.float32)
    for index in countries.values():
        of_country = country == index
        weights[of_country] = rest_weights(products[of_country], squares[of_country], days[of_country], slots_per_day)
    return half_width, SpecialDays(weights, shift, closed)


def _shapes(history: LoadMatrix, chunks: Sequence[Chunk], per_unit: float) -> WeeklyShapes | None:
    """Shapes of a sample of all series: by the local week, so that zones can teach each other."""
    parts = []
    for chunk in _sampled(chunks, len(history.series), _SHAPED_SERIES):
        counts = history.values[chunk.rows] * np.float32(per_unit)
        parts.append(CellSums.of(without_special_days(chunk.layout.weekly(counts), chunk.kinds)))
    return learn_shapes(CellSums.joined(parts)) if parts else None


def _after_first_week(roots: FloatArray, step_s: int) -> FloatArray:
    """Roots (series, slots), NaN in each series' first week when it began inside the history.

    In its first week a replayed origin knows less than any forecast that is made later: its errors would widen the
    bands of all.
    """
    first = np.argmax(~np.isnan(roots), axis=1)
    until = np.where(first > 86400 // step_s, first + 7 * 86400 // step_s, 0)
    return np.where(np.arange(roots.shape[1]) < until[:, None], np.float32(np.nan), roots)


def _sampled(chunks: Sequence[Chunk], series: int, wanted: int = _REGRESSED_SERIES) -> list[Chunk]:
    """Chunks with evenly chosen series, few in all: coefficients are pooled, and more would not change them."""
    every = max(1, -(-series // wanted))
    return [chunk.every(every) for chunk in chunks]


def _regress(roots: FloatArray, seen: View, replay: Replay, regression: Regression) -> None:
    base, features = base_and_features(seen.past, replay.origins, replay.targets(roots.shape[1]))
    deviation = replay.observed(roots) - base
    known = ~np.isnan(deviation)
    squares = np.where(known, deviation, np.float32(0.0)).astype(np.float64) ** 2
    mean = squares.sum(axis=(1, 2), keepdims=True) / np.maximum(known.sum(axis=(1, 2), keepdims=True), 1)
    # In units of its own deviations every series weighs alike, whatever its size.
    scale = np.maximum(np.sqrt(mean), 1e-3).astype(np.float32)
    regression.add(features / scale[..., None], deviation / scale, replay.leads_s)


def _forecast(seen: View, replay: Replay, correction: Correction) -> FloatArray:
    slots = seen.past.layout.day.size
    base, features = base_and_features(seen.past, replay.origins, replay.targets(slots))
    return correction.at(base, features, replay.leads_s)


def _collect(
    roots: FloatArray, seen: View, halves: Sequence[Replay], forecasts: Sequence[FloatArray], counts: ResidualCounts
) -> FloatArray:
    """Add the residuals of the forecasts to the counts; returns the spread by hour, (series, 24)."""
    layout, slots = seen.past.layout, roots.shape[1]
    ordinary = ~seen.past.special
    residuals = [
        np.where(ordinary[:, half.targets(slots)], half.observed(roots) - forecast, np.float32(np.nan))
        for half, forecast in zip(halves, forecasts, strict=True)
    ]
    hours = [hour_of_day(layout.time.slot_of_day[half.targets(slots)], layout.slots_per_day) for half in halves]
    flat = np.concatenate([residual.reshape(residual.shape[0], -1) for residual in residuals], axis=1)
    spread = hourly_spread(flat, np.concatenate([hour.ravel() for hour in hours]), seen.past.typical[:, 0])
    for half, residual, hour, forecast in zip(halves, residuals, hours, forecasts, strict=True):
        scaled = (residual / spread[:, hour]).astype(np.float32)
        counts.add(scaled, horizon_class(half.leads_s), level_class(forecast))
    return spread


def _count_sums(
    roots: FloatArray, halves: Sequence[Replay], forecasts: Sequence[FloatArray]
) -> tuple[FloatArray, FloatArray]:
    seen = np.concatenate([to_counts(half.observed(roots)).reshape(roots.shape[0], -1) for half in halves], axis=1)
    rates = np.concatenate([poisson_rate(forecast).reshape(roots.shape[0], -1) for forecast in forecasts], axis=1)
    return dispersion_sums(seen, rates)
