"""Outages: falls that many tenants have in common are recognised, so that nothing learns them.

A dead trunk or a broken exporter takes many tenants to nothing, or to the same fraction, at the same time. Learnt, it
would come back as a dip one week later, and within the hour it would talk the forecast down while people redial.
Nights and weekends, special days of the calendars, slow declines and tenants who fall by themselves are no outages.

Where the sum over tenants is low (`root_sums`), tenants are looked at one by one (`fall_evidence`). The level that a
fall is measured by is what most of the last 48 open hours say. So a fall that outlasts 24 of them is the new level: it
must be learnt, since a forecast that holds on to what is gone for good never comes down. Nothing is judged in the first
week, where there is no earlier one to compare with. Where a new level lasts for days and leaves a third and more, its
first day belongs to it and was no outage: only so do the tenants' own breaks (`level_breaks`) see when it began.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from weakref import WeakKeyDictionary

import numpy as np

from forecasting.calendar import CivilCalendar
from forecasting.errors import ForecastInputError
from forecasting.forecast import QuantileForecast, Trust
from forecasting.grid import Int64Array, SlotGrid
from forecasting.load import BoolArray, Float32Array, LoadMatrix
from forecasting.models.fall_evidence import Judge, Pieces, sudden_falls, who_fell
from forecasting.models.root_sums import Float64Array, clocks_of, level_and_low, runs
from forecasting.models.scale import counts_per_unit
from forecasting.models.trust import HELD_REASON

_WEEK_S = 7 * 86400
_LASTING = (0.35, 0.7)
"""What a new level leaves of the load before. Less than that is an outage however long, and believed a day later."""
_SOON_S, _SETTLED_S = 86400, 4 * 86400
"""So long after a fall its level must be the new one, and so long must it have held."""
_LOOKED_AT = 1024
"""What a fifth of all tenants have in common shows in so many of them as well."""
_TOLD_IN_SUMS = 0.02
"""A fleet's sum is left alone where those of its members who fell are less of it than that."""
_SIZED_BY_S = 7200
"""One slot in so long is enough to tell the size of a tenant."""


@dataclass(frozen=True, slots=True, eq=False)
class CommonFall:
    """A part of an outage, [start_s, end_s), in which the same `rows` (series,) were down or coming back."""

    start_s: int
    end_s: int
    rows: Int64Array

    def take_out(self, values: Float32Array, rows: Int64Array, grid: SlotGrid) -> None:
        """Put NaN into the values (rows, slots) on the grid where the fall was; `rows` are their places among all."""
        first, last = (max(0, grid.index_of(at_s)) for at_s in (self.start_s, self.end_s))
        values[np.isin(rows, self.rows), first:last] = np.nan


_found: WeakKeyDictionary[LoadMatrix, tuple[tuple[CivilCalendar, ...], tuple[CommonFall, ...]]] = WeakKeyDictionary()
"""What was found in the histories that are still in use: training, forecasts and sums ask for the same."""


def common_falls(history: LoadMatrix, calendars: Sequence[CivilCalendar]) -> tuple[CommonFall, ...]:
    """The outages of a history, from the oldest on; where tenants come and go, one has several parts.

    What is said of a slot depends on nothing that comes more than six hours later, but that a fall is none any more
    once it is the new level of all, unless that goes within days.

    Raises:
        ForecastInputError: there is not one calendar per series, or a calendar is wrong.
    """
    if len(calendars) != len(history.series):
        raise ForecastInputError(f"{len(calendars)} calendars for {len(history.series)} series: one for each is needed")
    by, falls = _found.get(history, (None, ()))
    if by != tuple(calendars):
        falls = _falls(history, calendars)
        _found[history] = tuple(calendars), falls
    return falls


def _falls(history: LoadMatrix, calendars: Sequence[CivilCalendar]) -> tuple[CommonFall, ...]:
    grid = history.grid
    if grid.slots * grid.step_s <= _WEEK_S or not history.series:
        return ()
    nth = -(-len(history.series) // _LOOKED_AT)
    sample, clocks = history.values[::nth], clocks_of(calendars[::nth], grid)
    per_unit = counts_per_unit(history.measure, grid.step_s)
    level, low = level_and_low(sample, clocks, per_unit, grid.step_s)
    some = Judge(sample, clocks, level, per_unit, grid.step_s)
    every: Judge | None = None
    falls: list[CommonFall] = []
    for first, last in runs(low):
        until = grid.index_of(falls[-1].end_s) if falls else 0
        for pieces in sudden_falls(some, first, last, until):
            # Most histories hold no outage, and then nobody asks for the clocks of all.
            every = every or Judge(history.values, clocks_of(calendars, grid), level, per_unit, grid.step_s)
            if not _lasts(pieces, level, grid.step_s):
                falls.extend(_parts(every, pieces, grid))
    return tuple(falls)


def _lasts(pieces: Pieces, level: Float64Array, step_s: int) -> bool:
    """Whether the fall has become a new level, by the `level` (slots,) of the days before each slot.

    It must be that soon after the fall, or another fall may have made it; and still some days later, or as long as is
    known. What comes after that is no matter: by then earlier weeks are of the new level too.
    """
    first, last = int(pieces.cuts[0]), int(pieces.cuts[-1])
    least, most = (share * level[first] for share in _LASTING)
    later = [min(last + seconds // step_s, level.size - 1) for seconds in (_SOON_S, _SETTLED_S)]
    return last < level.size and all(bool(least < level[slot] < most) for slot in later)


def _parts(judge: Judge, pieces: Pieces, grid: SlotGrid) -> list[CommonFall]:
    """One part for all pieces in which the same tenants had fallen."""
    fell, start, end = who_fell(judge, pieces)
    edges = grid.start_s + grid.step_s * np.array([start, *pieces.cuts[1:-1], end])
    changes = np.flatnonzero((fell[:, 1:] != fell[:, :-1]).any(axis=0)) + 1
    bounds = [0, *changes.tolist(), fell.shape[1]]
    return [
        CommonFall(int(edges[first]), int(edges[last]), np.flatnonzero(fell[:, first]))
        for first, last in pairwise(bounds)
    ]


def masked(load: LoadMatrix, falls: Iterable[CommonFall]) -> LoadMatrix:
    """The load with NaN wherever rows fell. Without falls it is not copied: it may be hundreds of megabytes."""
    values = load.values
    for fall in falls:
        if values is load.values:
            values = load.values.copy()
        fall.take_out(values, np.arange(values.shape[0]), load.grid)
    return load if values is load.values else LoadMatrix(load.measure, load.series, load.grid, values)


def falling_now(load: LoadMatrix, falls: Iterable[CommonFall]) -> BoolArray:
    """Who is down, or coming back, in the newest slot, shape (series,)."""
    falling = np.zeros(len(load.series), dtype=np.bool_)
    for fall in falls:
        if fall.end_s >= load.grid.end_s:
            falling[fall.rows] = True
    return falling


def held_forecast(forecast: QuantileForecast, load: LoadMatrix, falling: BoolArray) -> QuantileForecast:
    """A forecast made from the masked load, told by the `load` that was seen: who is `falling` (series,) is held.

    What was seen during the fall is an observation all the same, only none to learn from.
    """
    trust, reasons = list(forecast.trust), list(forecast.trust_reasons)
    for row in np.flatnonzero(falling):
        if trust[row] is not Trust.COLD:
            trust[row], reasons[row] = Trust.DEGRADED, HELD_REASON
    return replace(
        forecast,
        newest_observation_s=load.last_observed_s(),
        trust=tuple(trust),
        trust_reasons=tuple(reasons),
    )


def falls_of_sums(
    falls: Sequence[CommonFall], history: LoadMatrix, members: Mapping[str, Sequence[str]]
) -> tuple[CommonFall, ...]:
    """The same falls for the rows of `fleet_sums(history, members)`: a sum fell where members fell who matter to it.

    A matrix of sums has too few rows to say what is common, so the falls are those of the tenants.
    """
    if not falls:
        return ()
    row_of = {name: row for row, name in enumerate(history.series)}
    rows_of = [
        np.array([row_of[name] for name in names if name in row_of], dtype=np.int64) for names in members.values()
    ]
    some = history.values[:, :: max(1, _SIZED_BY_S // history.grid.step_s)]
    size = np.nan_to_num(some).sum(axis=1, dtype=np.float64)
    of_sums = []
    for fall in falls:
        fell = np.zeros(size.size)
        fell[fall.rows] = size[fall.rows]
        told = [float(fell[rows].sum()) > _TOLD_IN_SUMS * float(size[rows].sum()) for rows in rows_of]
        if any(told):
            of_sums.append(CommonFall(fall.start_s, fall.end_s, np.flatnonzero(told)))
    return tuple(of_sums)
