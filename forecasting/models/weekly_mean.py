"""The floor of every report: the mean of the last four weeks at the same local weekday and time.

It costs nothing, and many a famous method does not beat it. Gaps leave their week out of the mean; where a weekday was
never seen, the last four days at that time stand in. Its quantiles come from its own residuals, so that it is a fair
opponent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from forecasting.calendar import CivilCalendar
from forecasting.forecast import QUANTILES, QuantileForecast
from forecasting.grid import SlotGrid
from forecasting.load import LoadMatrix
from forecasting.models.chunks import Chunk, chunks_of
from forecasting.models.result import check_inputs, finish, joined
from forecasting.models.scale import counts_per_unit, to_counts, to_root
from forecasting.models.spread import HOURS, ResidualCounts, hour_of_day, hourly_spread, level_class
from forecasting.models.week_layout import FloatArray

_REPEATS = 4
_ONE_HORIZON = np.zeros(1, dtype=np.int64)
"""A mean of past weeks is as old at every lead, so its residuals know no horizon classes."""


@dataclass(frozen=True, slots=True)
class WeeklyMean:
    """Averages the last four weeks."""

    name: str = "weekly-mean"

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
            per_unit = np.float32(counts_per_unit(history.measure, history.grid.step_s))
            chunks = list(chunks_of(calendars, joined(history.grid, horizon)))
            paths = np.empty(values.shape[:2], dtype=np.float32)
            spread = np.empty((values.shape[0], HOURS), dtype=np.float32)
            residuals = ResidualCounts()
            for chunk in chunks:
                counts = history.values[chunk.rows] * per_unit
                paths[chunk.rows], spread[chunk.rows] = _average(chunk, counts, horizon, residuals)
            law = residuals.law()
            for chunk in chunks:
                layout, path = chunk.layout, paths[chunk.rows]
                hours = hour_of_day(layout.time.slot_of_day[-horizon.slots :], layout.slots_per_day)
                scaled = law.quantiles(_ONE_HORIZON, level_class(path), quantiles)
                roots = path[..., None] + spread[chunk.rows][:, hours, None] * scaled
                values[chunk.rows] = to_counts(roots) / per_unit
        return finish(history, horizon, quantiles, values, self.name)


def _average(
    chunk: Chunk, counts: FloatArray, horizon: SlotGrid, residuals: ResidualCounts
) -> tuple[FloatArray, FloatArray]:
    """The path (series, slots of horizon) and the spread by hour (series, 24), root scale; residuals are added."""
    layout = chunk.layout
    weekly = layout.weekly(counts)
    means = to_root(_mean_before(weekly), 1.0)
    typical = to_root(np.nan_to_num(_mean(weekly.reshape(weekly.shape[0], -1), axis=1)), 1.0)
    first = -_REPEATS - 1
    forecast = means[:, first:].reshape(weekly.shape[0], -1)
    flat = to_root(weekly[:, first:], 1.0).reshape(forecast.shape) - forecast
    slots_of_day = np.tile(np.arange(layout.slots_per_day), flat.shape[1] // layout.slots_per_day)
    hours, alike = hour_of_day(slots_of_day, layout.slots_per_day), np.ones(flat.shape[1], dtype=np.float32)
    spread = hourly_spread(flat, hours, alike, typical)
    residuals.add(flat / spread[:, hours], _ONE_HORIZON, level_class(forecast), alike)
    cell, slot_of_day = layout.cell[-horizon.slots :], layout.time.slot_of_day[-horizon.slots :]
    path = means.reshape(means.shape[0], -1)[:, cell]
    path = np.where(np.isnan(path), to_root(_newest_days(weekly), 1.0)[:, slot_of_day], path)
    return np.where(np.isnan(path), typical[:, None], path), spread


def _mean_before(weekly: FloatArray) -> FloatArray:
    """At each week and slot of week, the mean of the last four that were observed before: (series, weeks, slots)."""
    means = np.full(weekly.shape, np.nan, dtype=np.float32)
    newest = np.full((_REPEATS, weekly.shape[0], weekly.shape[2]), np.nan, dtype=np.float32)
    for week in range(weekly.shape[1]):
        means[:, week] = _mean(newest, axis=0)
        seen = ~np.isnan(weekly[:, week])
        newest[:, seen] = np.concatenate([newest[1:, seen], weekly[None, :, week][:, seen]])
    return means


def _newest_days(weekly: FloatArray) -> FloatArray:
    """The mean of the last four days on which anything was seen, at each slot of day: (series, slots_per_day)."""
    days = weekly.reshape(weekly.shape[0], weekly.shape[1] * 7, -1)
    known = ~np.isnan(days)
    recent = known[:, ::-1].cumsum(axis=1)[:, ::-1] <= _REPEATS
    return _mean(np.where(recent, days, np.float32(np.nan)), axis=1)


def _mean(values: FloatArray, axis: int) -> FloatArray:
    """The mean of what is known, NaN where nothing is."""
    known = ~np.isnan(values)
    total = np.where(known, values, np.float32(0.0)).sum(axis=axis, dtype=np.float64)
    count = known.sum(axis=axis)
    mean: FloatArray = np.where(count > 0, total / np.maximum(count, 1), np.nan).astype(np.float32)
    return mean
