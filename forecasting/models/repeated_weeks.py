"""Models that say what past weeks were: a path taken from them, and quantiles from its own residuals.

A baseline is a fair opponent only when its width is learnt as well as that of the model it is measured against. So what
repeats weeks differs in the path alone; spread and residual law are made here, and know no horizon: a copy of the past
is as old at every lead.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from forecasting.calendar import CivilCalendar
from forecasting.fan_out import chosen_fan_out
from forecasting.forecast import QuantileForecast
from forecasting.grid import Int64Array, SlotGrid
from forecasting.load import LoadMatrix
from forecasting.models.chunks import Chunk, Part, chunks_of
from forecasting.models.residual_law import ResidualCounts, ResidualLaw
from forecasting.models.result import check_inputs, finish, joined
from forecasting.models.scale import counts_per_unit, to_counts
from forecasting.models.spread import hour_of_day, hourly_spread, level_class, noise_of
from forecasting.models.week_layout import FloatArray, WeekLayout

_ONE_HORIZON = np.zeros(1, dtype=np.int64)
_WEEKS_OF_RESIDUALS = 4


@dataclass(frozen=True, slots=True, eq=False)
class Repeated:
    """What past weeks say of a chunk's series, all on the root scale.

    `weekly` (series, weeks, slots_per_week) is what was seen, `before` of the same shape each week as it was forecast
    from those before it, NaN where nothing was known. `any_day` (series, slots_per_day) stands in where a weekday is
    new, `typical` (series,) where the time of day is.
    """

    weekly: FloatArray
    before: FloatArray
    any_day: FloatArray
    typical: FloatArray


Repeat = Callable[[WeekLayout, FloatArray, float], Repeated]
"""Reads a chunk's loads (series, slots of history); the number is their factor to events per slot."""


def forecast_repeated(
    name: str,
    repeat: Repeat,
    history: LoadMatrix,
    calendars: Sequence[CivilCalendar],
    horizon: SlotGrid,
    quantiles: tuple[float, ...],
) -> QuantileForecast:
    """The forecast of a model of this name that repeats weeks so; see `Forecaster`.

    Raises:
        ForecastInputError: grids, calendars or quantiles do not fit.
    """
    check_inputs(history, calendars, horizon)
    values = np.zeros((len(history.series), horizon.slots, len(quantiles)), dtype=np.float32)
    if history.grid.slots and horizon.slots:
        per_unit = counts_per_unit(history.measure, history.grid.step_s)
        chunks = list(chunks_of(calendars, joined(history.grid, horizon)))
        look = partial(_path_and_residuals, repeat=repeat, per_unit=per_unit, slots=horizon.slots)
        parts = (Part.of(chunk, history, ()) for chunk in chunks)
        paths, residuals = [], ResidualCounts()
        for of_chunk, counts in chosen_fan_out().map(look, parts):
            paths.append(of_chunk)
            residuals += counts
        law = residuals.law()
        draw = partial(_lines, law=law, quantiles=quantiles, per_unit=per_unit)
        for chunk, lines in zip(chunks, chosen_fan_out().map(draw, zip(chunks, paths, strict=True)), strict=True):
            values[chunk.rows] = lines
    return finish(history, horizon, quantiles, values, name)


@dataclass(frozen=True, slots=True, eq=False)
class _OfChunk:
    """A chunk's `path` (series, slots of horizon), roots, and its `spread` (series, 24) in units of `noise_of`."""

    path: FloatArray
    spread: FloatArray


def _path_and_residuals(part: Part, *, repeat: Repeat, per_unit: float, slots: int) -> tuple[_OfChunk, ResidualCounts]:
    repeated = repeat(part.chunk.layout, part.load, per_unit)
    residuals = ResidualCounts()
    spread = _spread(part.chunk, repeated, residuals)
    return _OfChunk(_path(part.chunk, repeated, slots), spread), residuals


def _lines(
    given: tuple[Chunk, _OfChunk], *, law: ResidualLaw, quantiles: tuple[float, ...], per_unit: float
) -> FloatArray:
    """The chunk's lines, (series, slots of horizon, quantiles), in the load's unit."""
    chunk, found = given
    hours = _hours(chunk, chunk.layout.time.slot_of_day[-found.path.shape[1] :])
    scaled = law.quantiles(_ONE_HORIZON, level_class(found.path), quantiles)
    width = found.spread[:, hours] * noise_of(found.path)
    roots = found.path[..., None] + width[..., None] * scaled
    lines: FloatArray = to_counts(roots) / np.float32(per_unit)
    return lines


def _hours(chunk: Chunk, slot_of_day: Int64Array) -> Int64Array:
    return hour_of_day(slot_of_day, chunk.layout.slots_per_day)


def _path(chunk: Chunk, repeated: Repeated, slots: int) -> FloatArray:
    """The forecast roots (series, slots of horizon)."""
    layout, before = chunk.layout, repeated.before
    path = before.reshape(before.shape[0], -1)[:, layout.cell[-slots:]]
    path = np.where(np.isnan(path), repeated.any_day[:, layout.time.slot_of_day[-slots:]], path)
    filled: FloatArray = np.where(np.isnan(path), repeated.typical[:, None], path)
    return filled


def _spread(chunk: Chunk, repeated: Repeated, residuals: ResidualCounts) -> FloatArray:
    """The spread by hour (series, 24) over the newest weeks; their residuals are added to the counts."""
    newest = slice(-_WEEKS_OF_RESIDUALS - 1, None)
    forecast = repeated.before[:, newest].reshape(repeated.before.shape[0], -1)
    residual = (repeated.weekly[:, newest].reshape(forecast.shape) - forecast) / noise_of(forecast)
    slots_per_day = chunk.layout.slots_per_day
    hours = _hours(chunk, np.tile(np.arange(slots_per_day), forecast.shape[1] // slots_per_day))
    alike = np.ones(forecast.shape[1], dtype=np.float32)
    spread = hourly_spread(residual, hours, alike, repeated.typical)
    residuals.add(residual / spread[:, hours], _ONE_HORIZON, level_class(forecast), alike)
    return spread


def mean_of_known(values: FloatArray, axis: int | tuple[int, ...]) -> FloatArray:
    """The mean of what is known along the axes, NaN where nothing is."""
    known = ~np.isnan(values)
    total = np.where(known, values, np.float32(0.0)).sum(axis=axis, dtype=np.float64)
    count = known.sum(axis=axis)
    mean: FloatArray = np.where(count > 0, total / np.maximum(count, 1), np.nan).astype(np.float32)
    return mean
