"""What training does with one chunk of series: three passes, each a pure function of what it is given.

A pass returns the share that its chunk has in what is learnt. `training` puts the shares together in the order of the
chunks, so that it does not matter where a pass ran or which ended first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from forecasting.civil_time import DayType
from forecasting.grid import Int64Array
from forecasting.load import BoolArray
from forecasting.models.boosted import MOST_ROWS, ResidualRows
from forecasting.models.chunks import Part
from forecasting.models.common_load import common_past
from forecasting.models.count_law import are_counts, dispersion_sums
from forecasting.models.features import features_of
from forecasting.models.learnt import View, centre, view
from forecasting.models.level_breaks import LevelBreaks, at_newest_level, level_breaks
from forecasting.models.regression import Correction, Regression, horizon_class
from forecasting.models.replay import Replay
from forecasting.models.residual_law import ResidualCounts
from forecasting.models.scale import poisson_rate, to_counts, to_root
from forecasting.models.shapes import CellSums, WeeklyShapes
from forecasting.models.special_days import SpecialDays, SpecialEvidence, without_special_days
from forecasting.models.spread import hour_of_day, hourly_spread, level_class, noise_of
from forecasting.models.week_layout import FloatArray
from forecasting.models.weekly_profile import choose_half_widths, smoothed_mean, weekly_sums

_WEEKS_TO_CHOOSE = 4
_WEEKS_BEFORE = 2
"""Weeks of the profile before the oldest origin that its look-backs read."""


@dataclass(frozen=True, slots=True, eq=False)
class Habits:
    """The first pass: breaks of the level, smoothing (series,) in slots, what special days said, a sample's weeks.

    Without any special day there is nothing that they could have said.
    """

    breaks: LevelBreaks
    half_width: Int64Array
    special: SpecialEvidence | None
    cells: CellSums


def habits_of(part: Part, *, per_unit: float, shaped_every: int) -> Habits:
    """Choose each series' smoothing and weigh its special days; every nth series is a sample for the shapes."""
    chunk = part.chunk
    breaks = level_breaks(chunk, part.load, per_unit)
    part = at_newest_level(part, breaks, per_unit)
    weekly = chunk.layout.weekly(to_root(part.load, per_unit))
    ordinary = without_special_days(weekly, chunk.kinds)
    half_width = choose_half_widths(ordinary, chunk.layout.step_s, _WEEKS_TO_CHOOSE)
    special = None
    if chunk.may_be_special:
        special = SpecialEvidence.of(chunk, weekly, smoothed_mean(*weekly_sums(ordinary, 0), 0))
    sample = part.every(shaped_every)
    # By the local week, so that zones can teach each other.
    counts = chunk.layout.weekly(sample.load * np.float32(per_unit))
    cells = CellSums.of(without_special_days(counts, sample.chunk.kinds))
    return Habits(breaks, half_width, special, cells)


@dataclass(frozen=True, slots=True, eq=False)
class KnownPart:
    """A part with what the first pass told of its series: smoothing (series,) and special days."""

    part: Part
    half_width: Int64Array
    special: SpecialDays

    def every(self, nth: int) -> KnownPart:
        """The same with every nth series only."""
        rows = np.arange(self.half_width.size)[::nth]
        return KnownPart(self.part.every(nth), self.half_width[rows], self.special.rows(rows))


@dataclass(frozen=True, slots=True, eq=False)
class Setting:
    """What all chunks share: events per unit of load, typical weeks, and the past origins."""

    per_unit: float
    shapes: WeeklyShapes | None
    replay: Replay

    def roots_and_view(self, known: KnownPart) -> tuple[FloatArray, View]:
        """Roots that were observed (series, slots), and what past origins could see of them."""
        chunk, slots = known.part.chunk, known.part.load.shape[1]
        roots = to_root(known.part.load, self.per_unit)
        first_week = max(0, int(chunk.layout.day[min(self.replay.first, slots - 1)]) // 7 - _WEEKS_BEFORE)
        common = common_past(known.part, self.per_unit, first_week)
        seen = view(
            chunk,
            roots,
            known.half_width,
            known.special,
            self.shapes,
            first_week=first_week,
            until_now=False,
            common=common,
        )
        return _after_first_week(roots, chunk.layout.step_s), seen


def _after_first_week(roots: FloatArray, step_s: int) -> FloatArray:
    """Roots (series, slots), NaN in each series' first week when it began inside the history.

    In its first week a replayed origin knows less than any forecast that is made later: its errors would widen the
    bands of all.
    """
    first = np.argmax(~np.isnan(roots), axis=1)
    until = np.where(first > 86400 // step_s, first + 7 * 86400 // step_s, 0)
    return np.where(np.arange(roots.shape[1]) < until[:, None], np.float32(np.nan), roots)


def regressions_of(known: KnownPart, *, setting: Setting) -> tuple[Regression, Regression]:
    """The second pass: normal equations of the deviations ahead, for each half of the origins."""
    roots, seen = setting.roots_and_view(known)
    first, second = setting.replay.halves()
    return _regressed(roots, seen, first), _regressed(roots, seen, second)


def _days_apart(seen: View) -> BoolArray:
    """Slots (series, slots) of holidays, events and closures, whose errors say nothing of those of other days.

    Days beside a holiday err more than others, and as those to come will: without them the bands would be too sure.
    """
    apart: BoolArray = (seen.chunk.kinds >= DayType.HOLIDAY)[:, seen.past.layout.day]
    return apart


def _regressed(roots: FloatArray, seen: View, replay: Replay) -> Regression:
    features = features_of(seen.past, replay.origins, replay.targets(roots.shape[1]))
    deviation = replay.observed(roots) - features.base
    known = ~np.isnan(deviation)
    squares = np.where(known, deviation, np.float32(0.0)).astype(np.float64) ** 2
    mean = squares.sum(axis=(1, 2), keepdims=True) / np.maximum(known.sum(axis=(1, 2), keepdims=True), 1)
    # In units of its own deviations every series weighs alike, whatever its size.
    scale = np.maximum(np.sqrt(mean), 1e-3).astype(np.float32)
    regression = Regression()
    regression.add(features.everywhere() / scale[..., None], deviation / scale, replay.leads_s)
    return regression


@dataclass(frozen=True, slots=True, eq=False)
class Residuals:
    """The third pass: how wrong forecasts from past origins were.

    `spread` (series, 24) by local hour, in units of `noise_of`; `counts` of scaled residuals; `excess` and `squares`,
    each (series,), tell the dispersion of the count law; `counted` (series,) whose values are whole events; `rows` are
    what trees learn from, of a sample of the series.
    """

    spread: FloatArray
    counts: ResidualCounts
    excess: FloatArray
    squares: FloatArray
    counted: BoolArray
    rows: tuple[ResidualRows, ...]


def residuals_of(
    known: KnownPart, *, setting: Setting, crossed: tuple[Correction, Correction], boosted_every: int
) -> Residuals:
    """Forecast from past origins, each half by the correction that is given for it; trees get every nth series."""
    roots, seen = setting.roots_and_view(known)
    halves = setting.replay.halves()
    forecasts = [_forecast(seen, half, correction) for half, correction in zip(halves, crossed, strict=True)]
    counts = ResidualCounts()
    spread = _collect(roots, seen, halves, forecasts, counts)
    excess, squares = _count_sums(roots, halves, forecasts)
    if boosted_every > 1:
        roots, seen = setting.roots_and_view(known.every(boosted_every))
    rows = tuple(
        _residual_rows(roots, seen, half, correction, spread[::boosted_every])
        for half, correction in zip(halves, crossed, strict=True)
    )
    return Residuals(spread, counts, excess, squares, are_counts(known.part.load, setting.per_unit), rows)


def _forecast(seen: View, replay: Replay, correction: Correction) -> FloatArray:
    slots = seen.past.layout.day.size
    return correction.at(features_of(seen.past, replay.origins, replay.targets(slots)), replay.leads_s)


def _collect(
    roots: FloatArray, seen: View, halves: Sequence[Replay], forecasts: Sequence[FloatArray], counts: ResidualCounts
) -> FloatArray:
    """Add the residuals of the forecasts to the counts; returns the spread by hour, (series, 24)."""
    layout, slots = seen.past.layout, roots.shape[1]
    ordinary = ~_days_apart(seen)
    residuals = [
        np.where(ordinary[:, half.targets(slots)], half.observed(roots) - forecast, np.float32(np.nan))
        / noise_of(forecast)
        for half, forecast in zip(halves, forecasts, strict=True)
    ]
    hours = [hour_of_day(layout.time.slot_of_day[half.targets(slots)], layout.slots_per_day) for half in halves]
    flat = np.concatenate([residual.reshape(residual.shape[0], -1) for residual in residuals], axis=1)
    weights = np.concatenate([np.repeat(half.weights(slots), half.leads.size) for half in halves])
    spread = hourly_spread(flat, np.concatenate([hour.ravel() for hour in hours]), weights, seen.past.typical()[:, 0])
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
    kept = path.calm[:, :, None] & ~(np.isnan(scaled) | _days_apart(seen)[:, replay.targets(slots)])
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
