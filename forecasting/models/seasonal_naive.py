"""The baseline: what was seen at the same local weekday and time a week ago.

A gap a week ago is filled from the week before it, and so on; where a weekday was never seen, the newest observed day
at that time stands in. Its quantiles come from its own residuals of the last weeks, so that it is a fair opponent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from forecasting.calendar import CivilCalendar
from forecasting.forecast import QUANTILES, QuantileForecast
from forecasting.grid import Int64Array, SlotGrid
from forecasting.load import LoadMatrix
from forecasting.models.chunks import Chunk, chunks_of
from forecasting.models.result import check_inputs, finish, joined
from forecasting.models.scale import ZERO, counts_per_unit, to_counts, to_root
from forecasting.models.spread import HOURS, ResidualCounts, hour_of_day, hourly_spread, level_class
from forecasting.models.week_layout import FloatArray

_WEEKS_OF_RESIDUALS = 4
_ONE_HORIZON = np.zeros(1, dtype=np.int64)
"""A copy of last week is as old at every lead, so its residuals know no horizon classes."""


@dataclass(frozen=True, slots=True)
class SeasonalNaive:
    """Repeats the week before."""

    name: str = "seasonal-naive"

    def forecast(
        self,
        history: LoadMatrix,
        calendars: Sequence[CivilCalendar],
        horizon: SlotGrid,
        quantiles: tuple[float, ...] = QUANTILES,
    ) -> QuantileForecast:
        """See `Forecaster`.

        Raises:
            ForecastInputError: grids, calendars or quantiles do not fit.
        """
        check_inputs(history, calendars, horizon)
        values = np.zeros((len(history.series), horizon.slots, len(quantiles)), dtype=np.float32)
        if history.grid.slots and horizon.slots:
            per_unit = counts_per_unit(history.measure, history.grid.step_s)
            chunks = list(chunks_of(calendars, joined(history.grid, horizon)))
            paths = np.empty((len(history.series), horizon.slots), dtype=np.float32)
            spread = np.empty((len(history.series), HOURS), dtype=np.float32)
            residuals = ResidualCounts()
            for chunk in chunks:
                roots = to_root(history.values[chunk.rows], per_unit)
                paths[chunk.rows], spread[chunk.rows] = _repeat(chunk, roots, horizon, residuals)
            law = residuals.law()
            for chunk in chunks:
                path = paths[chunk.rows]
                hours = _hours(chunk)[-horizon.slots :]
                scaled = law.quantiles(_ONE_HORIZON, level_class(path), quantiles)
                roots = path[..., None] + spread[chunk.rows][:, hours, None] * scaled
                values[chunk.rows] = to_counts(roots) / np.float32(per_unit)
        return finish(history, horizon, quantiles, values, self.name)


def _hours(chunk: Chunk) -> Int64Array:
    return hour_of_day(chunk.layout.time.slot_of_day, chunk.layout.slots_per_day)


def _repeat(
    chunk: Chunk, roots: FloatArray, horizon: SlotGrid, residuals: ResidualCounts
) -> tuple[FloatArray, FloatArray]:
    """The path (series, slots of horizon) and the spread by hour (series, 24); residuals are added to the counts."""
    layout = chunk.layout
    weekly = layout.weekly(roots)
    newest = np.full((weekly.shape[0], layout.slots_per_week), np.nan, dtype=np.float32)
    before = np.empty_like(weekly)
    for week in range(layout.weeks):
        before[:, week] = newest
        newest = np.where(np.isnan(weekly[:, week]), newest, weekly[:, week])
    typical = np.nan_to_num(_mean_of_known(weekly), nan=ZERO)
    past = weekly[:, -_WEEKS_OF_RESIDUALS - 1 :] - before[:, -_WEEKS_OF_RESIDUALS - 1 :]
    slot_of_day = np.tile(np.arange(layout.slots_per_day), past.shape[1] * 7)
    hours = hour_of_day(slot_of_day, layout.slots_per_day)
    flat = past.reshape(past.shape[0], -1)
    alike = np.ones(flat.shape[1], dtype=np.float32)
    spread = hourly_spread(flat, hours, alike, typical)
    forecast = before[:, -_WEEKS_OF_RESIDUALS - 1 :].reshape(flat.shape)
    residuals.add(flat / spread[:, hours], _ONE_HORIZON, level_class(forecast), alike)
    cell, slot_of_day = layout.cell[-horizon.slots :], layout.time.slot_of_day[-horizon.slots :]
    path = before.reshape(before.shape[0], -1)[:, cell]
    any_day = _newest_day(weekly)[:, slot_of_day]
    path = np.where(np.isnan(path), any_day, path)
    return np.where(np.isnan(path), typical[:, None], path), spread


def _newest_day(weekly: FloatArray) -> FloatArray:
    """The newest value at each slot of day on any day, NaN where there is none: (series, slots_per_day)."""
    days = weekly.reshape(weekly.shape[0], weekly.shape[1] * 7, -1)
    known = ~np.isnan(days)
    newest = days.shape[1] - 1 - np.argmax(known[:, ::-1], axis=1)
    value: FloatArray = np.take_along_axis(days, newest[:, None, :], axis=1)[:, 0]
    return value


def _mean_of_known(values: FloatArray) -> FloatArray:
    known = ~np.isnan(values)
    total = np.where(known, values, np.float32(0.0)).sum(axis=(1, 2), dtype=np.float64)
    count = known.sum(axis=(1, 2))
    mean: FloatArray = np.where(count > 0, total / np.maximum(count, 1), np.nan).astype(np.float32)
    return mean
