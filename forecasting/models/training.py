"""Learning from rolling origins inside the history: smoothing, coefficients, residual quantiles.

Four passes over the series. The first chooses each one's smoothing and weighs its special days, the second collects
the pooled regression from a sample of series, the third the residuals of all, the fourth what trees can tell of a
sample of them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from forecasting.calendar import CivilCalendar
from forecasting.grid import Int64Array
from forecasting.load import LoadMatrix
from forecasting.models.boosted import MOST_ROWS, ResidualRows, learn_boosted
from forecasting.models.chunks import Chunk, chunks_of
from forecasting.models.count_law import are_counts, dispersion_sums, shrunk_dispersion
from forecasting.models.learnt import Learnt, SeriesLearnt, View, centre, view
from forecasting.models.recent import Correction, Regression, base_and_features, horizon_class
from forecasting.models.replay import Replay, replay_of
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

_WEEKS_TO_CHOOSE = 4
_WEEKS_BEFORE = 2
"""Weeks of the profile before the oldest origin that its look-backs read."""
_REGRESSED_SERIES = 256
_SHAPED_SERIES = 512
_BOOSTED_SERIES = 256
_ROWS_AT_ONCE = 256


def train(history: LoadMatrix, calendars: Sequence[CivilCalendar]) -> Learnt:
    """Learn everything that later forecasts of these series use.

    Raises:
        ForecastInputError: a calendar names an unknown zone, country or subdivision.
    """
    chunks = list(chunks_of(calendars, history.grid))
    per_unit = counts_per_unit(history.measure, history.grid.step_s)
    half_width, special = _habits(history, chunks, per_unit)
    shapes = _shapes(history, chunks, per_unit)
    grid = history.grid
    replay = replay_of(_begun(history), grid.slots, grid.step_s, len(history.series))
    halves = replay.halves()

    def roots_and_view(chunk: Chunk) -> tuple[FloatArray, View]:
        roots = to_root(history.values[chunk.rows], per_unit)
        first_week = max(0, int(chunk.layout.day[min(replay.first, grid.slots - 1)]) // 7 - _WEEKS_BEFORE)
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
    law = residuals.law()
    rows = [
        _residual_rows(roots, seen, half, correction, spread[chunk.rows])
        for chunk in _sampled(chunks, len(history.series), _BOOSTED_SERIES)
        for roots, seen in [roots_and_view(chunk)]
        for half, correction in zip(halves, crossed, strict=True)
    ]
    return Learnt(
        names=history.series,
        grid=grid,
        series=SeriesLearnt(half_width, special, spread, shrunk_dispersion(excess, squares), counted),
        correction=(regressions[0] + regressions[1]).solve(),
        residuals=law,
        boosted=learn_boosted(ResidualRows.joined(rows), law) if rows else None,
        shapes=shapes,
    )


def _begun(history: LoadMatrix) -> int:
    """The first slot in which anything was observed, 0 without any."""
    # Some rows at a time: the mask of a whole history of thousands of tenants would be as large as a chunk's arrays.
    begun = history.grid.slots
    for row in range(0, len(history.series), _ROWS_AT_ONCE):
        seen = ~np.isnan(history.values[row : row + _ROWS_AT_ONCE, :begun])
        if seen.any():
            begun = int(np.argmax(seen.any(axis=0)))
    return begun % max(history.grid.slots, 1)


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
    weights = np.concatenate([np.repeat(half.weights(slots), half.leads.size) for half in halves])
    spread = hourly_spread(flat, np.concatenate([hour.ravel() for hour in hours]), weights, seen.past.typical[:, 0])
    for half, residual, hour, forecast in zip(halves, residuals, hours, forecasts, strict=True):
        scaled = (residual / spread[:, hour]).astype(np.float32)
        counts.add(scaled, horizon_class(half.leads_s), level_class(forecast), half.weights(slots)[:, None])
    return spread


def _count_sums(
    roots: FloatArray, halves: Sequence[Replay], forecasts: Sequence[FloatArray]
) -> tuple[FloatArray, FloatArray]:
    seen = np.concatenate([to_counts(half.observed(roots)).reshape(roots.shape[0], -1) for half in halves], axis=1)
    rates = np.concatenate([poisson_rate(forecast).reshape(roots.shape[0], -1) for forecast in forecasts], axis=1)
    return dispersion_sums(seen, rates)


def _residual_rows(
    roots: FloatArray, seen: View, replay: Replay, correction: Correction, spread: FloatArray
) -> ResidualRows:
    """The scaled residuals of ordinary days that were observed, with what was known at their origins."""
    slots = roots.shape[1]
    path = centre(seen, correction, spread, replay.origins, replay.leads)
    scaled = (replay.observed(roots) - path.root) / path.spread
    kept = ~(np.isnan(scaled) | seen.past.special[:, replay.targets(slots)])
    series, origin, lead = np.nonzero(kept)
    # Thinned before they are gathered: a sample of every part is enough, and the whole may be gigabytes.
    every = max(1, series.size // MOST_ROWS)
    series, origin, lead = series[::every], origin[::every], lead[::every]
    at = (series, origin, lead)
    level = np.maximum(path.root[at], np.float32(1.0))
    return ResidualRows(
        context=path.context(at),
        scaled=scaled[at].astype(np.float32),
        horizon=path.horizon[lead],
        level=level_class(path.root[at]),
        weight=replay.weights(slots)[origin],
        size=path.spread[at] * level,
        week=(slots - replay.origins[origin]) * replay.step_s // (7 * 86400),
    )
