"""How large each week of the past was: its mean and its busy hour, of what an ordinary week would have been.

A week with a holiday, an outage or a gap is no smaller than its neighbours, it was only seen in part. So its level is
that of the hours which were observed and ordinary, scaled by the share of a usual week that lies in these hours; where
too little of it was seen it is missing, and never zero. A lasting change of level is taken out of the past, as the
forecast of the next days does: a step is no trend.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from forecasting.calendar import CivilCalendar
from forecasting.errors import ForecastInputError
from forecasting.load import BoolArray, LoadMatrix
from forecasting.models.chunks import Chunk, Part, chunks_of
from forecasting.models.common_fall import CommonFall
from forecasting.models.level_breaks import LevelBreaks, level_breaks
from forecasting.models.scale import counts_per_unit
from forecasting.models.week_layout import Float64Array, FloatArray

LEAST_SEEN = 0.5
"""A week of which less than that share of the usual load was seen on ordinary days is missing."""
_WHOLE = 0.8
"""A week of which that share of the open hours was seen may tell how a usual week is shaped."""
_LASTING_S = 14 * 86400
"""A change of level must have lasted so long: a strike, or a week of holidays that no calendar knows, is no new level.

The forecast of the next hours believes it after a day or two, since it has to follow at once.
"""
_HOUR_S = 3600
_LARGEST = 1e30
"""Loads are cut here, far above any, so that sums stay finite."""


@dataclass(frozen=True, slots=True, eq=False)
class WeeklyLevels:
    """What each civil week of the past carried, Monday first.

    `first_day` is the first Monday, in days since 1970-01-01. `mean` and `busy_hour`, both (series, weeks), are in the
    load's unit: the mean over the open hours, and the largest mean of an hour (of a slot, where slots are longer); NaN
    where too little was seen.
    """

    first_day: int
    mean: Float64Array
    busy_hour: Float64Array


def weekly_levels(
    history: LoadMatrix,
    calendars: Sequence[CivilCalendar],
    falls: Sequence[CommonFall],
    *,
    as_it_came: bool = False,
) -> WeeklyLevels:
    """The weekly levels of all series, each by its own clock, without the `falls` common to many.

    All weeks are at the newest level, or `as_it_came` each at its own.

    Raises:
        ForecastInputError: there is not one calendar per series, or a calendar is wrong.
    """
    if len(calendars) != len(history.series):
        raise ForecastInputError(f"{len(calendars)} calendars for {len(history.series)} series: one for each is needed")
    chunks = list(chunks_of(calendars, history.grid)) if calendars else []
    first_day = min((chunk.layout.first_day for chunk in chunks), default=0)
    weeks = max((_week_of(chunk, first_day) + chunk.layout.weeks for chunk in chunks), default=0)
    mean, busy = (np.full((len(history.series), weeks), np.nan) for _ in range(2))
    for chunk in chunks:
        first = _week_of(chunk, first_day)
        at = np.ix_(chunk.rows, np.arange(first, first + chunk.layout.weeks))
        mean[at], busy[at] = _levels(_ordinary_hours(chunk, history, falls, as_it_came))
    return WeeklyLevels(first_day, mean, busy)


def _week_of(chunk: Chunk, first_day: int) -> int:
    return (chunk.layout.first_day - first_day) // 7


def _ordinary_hours(chunk: Chunk, history: LoadMatrix, falls: Sequence[CommonFall], as_it_came: bool) -> Float64Array:
    """Mean load of each hour of ordinary days, (series, weeks, hours of the week)."""
    load = Part.of(chunk, history, falls).load
    if not as_it_came:
        load = _lasting_breaks(chunk, load, history).taken_out(load)
    laid = chunk.layout.weekly(load)
    hours = _hourly(laid.reshape(*chunk.kinds.shape, -1), max(1, _HOUR_S // history.grid.step_s))
    hours[chunk.kinds > 0] = np.nan
    return hours.reshape(laid.shape[0], laid.shape[1], -1)


def _lasting_breaks(chunk: Chunk, load: FloatArray, history: LoadMatrix) -> LevelBreaks:
    """Breaks of the chunk's load (series, slots) without the newest ones, as long as no level has lasted after them."""
    breaks = level_breaks(chunk, load, counts_per_unit(history.measure, history.grid.step_s))
    lasting = _LASTING_S // history.grid.step_s
    until = np.full(load.shape[0], load.shape[1])
    lasted = np.ones(breaks.slot.size, dtype=np.bool_)
    # From the newest on: where a level did not last, neither its beginning nor its end was a step.
    for place in reversed(range(breaks.slot.size)):
        series, slot = breaks.series[place], breaks.slot[place]
        lasted[place] = until[series] - slot >= lasting
        until[series] = load.shape[1] + lasting if lasted[place] else slot
    return LevelBreaks(breaks.series[lasted], breaks.slot[lasted], breaks.believed[lasted], breaks.factor[lasted])


def _hourly(by_day: FloatArray, slots: int) -> Float64Array:
    """Means of so many slots each, (series, days, hours); an hour of which less than half was seen is missing."""
    short = -by_day.shape[2] % slots
    hours = np.pad(by_day, ((0, 0), (0, 0), (0, short)), constant_values=np.nan)
    hours = hours.reshape(*by_day.shape[:2], -1, slots)
    known = (~np.isnan(hours)).sum(axis=3)
    there = np.full(known.shape[2], slots)
    there[-1] -= short
    total = np.nansum(np.minimum(hours, _LARGEST), axis=3, dtype=np.float64)
    return np.where(2 * known >= there, total / np.maximum(known, 1), np.nan)


def _levels(hours: Float64Array) -> tuple[Float64Array, Float64Array]:
    """Mean and busy hour of each week, (series, weeks) each, of hours (series, weeks, hours of the week)."""
    is_open, shape = _usual_week(hours)
    seen = ~np.isnan(hours) & is_open[:, None]
    usual = np.where(seen, shape[:, None], 0.0)
    whole = shape.sum(axis=1, keepdims=True)
    share = usual.sum(axis=2) / np.where(whole > 0, whole, 1.0)
    told = share >= LEAST_SEEN
    # Of the load that was seen, by the share of a usual week that lies where it was seen.
    mean = (
        np.where(seen, hours, 0.0).sum(axis=2)
        / np.where(told, share, 1.0)
        / np.maximum(1, is_open.sum(axis=1))[:, None]
    )
    busiest = usual.max(axis=2, initial=0.0)
    missed = shape.max(axis=1, initial=0.0)[:, None] / np.where(busiest > 0, busiest, 1.0)
    busy = np.where(seen, hours, 0.0).max(axis=2, initial=0.0) * missed
    return np.where(told, mean, np.nan), np.where(told, np.maximum(mean, busy), np.nan)


def _usual_week(hours: Float64Array) -> tuple[BoolArray, Float64Array]:
    """Which hours of the week are open, and what share of a usual week's level each holds: (series, hours) each."""
    known = ~np.isnan(hours)
    weeks = known.any(axis=2).sum(axis=1)
    is_open = known.any(axis=1) & (2 * known.sum(axis=1) >= weeks[:, None])
    seen = (known & is_open[:, None]).sum(axis=2) / np.maximum(1, is_open.sum(axis=1))[:, None]
    whole = np.where((seen >= _WHOLE).any(axis=1)[:, None], seen >= _WHOLE, seen > 0)
    with warnings.catch_warnings(), np.errstate(invalid="ignore", divide="ignore"):
        # A week or an hour of which nothing is known has no mean: NaN is the answer.
        warnings.simplefilter("ignore", RuntimeWarning)
        level = np.nanmean(hours, axis=2)
        shape = np.nanmean(np.where(whole[:, :, None], hours / level[:, :, None], np.nan), axis=1)
    shape = np.where(is_open, np.nan_to_num(shape, posinf=0.0), 0.0)
    silent = shape.sum(axis=1) <= 0
    shape[silent] = is_open[silent]
    return is_open, shape
