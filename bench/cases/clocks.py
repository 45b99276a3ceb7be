"""A change of the clock laid over a real series: the same days on the wall, on a clock that is put forward or back.

The days are read off the wall where they were lived and moved by whole weeks, so that the night on which Berlin changes
its clock falls into the last week but one. People live by the wall: by it nothing has changed, so the week after should
be forecast as well as on a clock that never changes. Beside it stands what comes of forecasting in UTC.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from bench.cases.replaying import NOT_SCORED, CaseRow, Tally, published, some_of
from forecasting.calendar import CivilCalendar
from forecasting.civil_time import DayType, civil_time, day_types
from forecasting.forecast import Forecaster
from forecasting.grid import Int64Array, SlotGrid
from forecasting.load import Float32Array, LoadMatrix, Measure
from forecasting.origins import DAY_S, Origins
from forecasting.scores import Scores

CHANGING, CONSTANT = "Europe/Berlin", "UTC"
CHANGES: Mapping[str, date] = {"spring forward": date(2021, 3, 28), "fall back": date(2021, 10, 31)}
"""Sundays on which the clock of `CHANGING` does."""
_EPOCH = date(1970, 1, 1)
_SUNDAY = 6
_LEAST_WEEKS = 5


@dataclass(frozen=True, slots=True, eq=False)
class Wall:
    """Days as the clock on the wall showed them: `values` (series, days, slots_per_day), NaN where nothing was seen.

    `first` is the first day, `special` the days among them that follow no weekly habit.
    """

    measure: Measure
    series: tuple[str, ...]
    values: Float32Array
    first: date
    special: tuple[date, ...]

    def moved(self, days: int) -> Wall:
        """The same days, so many days later."""
        by = timedelta(days)
        special = tuple(day + by for day in self.special)
        return Wall(self.measure, self.series, self.values, self.first + by, special)


def on_the_wall(load: LoadMatrix, calendar: CivilCalendar) -> Wall:
    """What the clock of the calendar's zone showed: a skipped hour is a gap, one that repeats is averaged."""
    clock = civil_time(calendar.time_zone, load.grid)
    first, days = int(clock.local_day[0]), int(clock.local_day[-1] - clock.local_day[0]) + 1
    cells = (clock.local_day - first) * clock.slots_per_day + clock.slot_of_day
    known = ~np.isnan(load.values)
    shape = (len(load.series), days * clock.slots_per_day)
    sums, counts = np.zeros((2, *shape))
    np.add.at(sums.T, cells, np.nan_to_num(load.values).T)
    np.add.at(counts.T, cells, known.T)
    values = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan).astype(np.float32)
    kinds = day_types(calendar, first, days)
    special = tuple(_day(first + int(day)) for day in np.flatnonzero(kinds > DayType.ORDINARY))
    return Wall(load.measure, load.series, values.reshape(len(load.series), days, -1), _day(first), special)


def lived_by(wall: Wall, time_zone: str) -> LoadMatrix:
    """The days as they come to pass in a zone: an hour that its clock skips is lost, one that repeats is had twice."""
    days, per_day = wall.values.shape[1:]
    begin_s, end_s = (
        datetime.combine(wall.first + timedelta(day), time(), ZoneInfo(time_zone)).timestamp() for day in (0, days)
    )
    grid = SlotGrid.covering(begin_s, end_s, DAY_S // per_day)
    clock = civil_time(time_zone, grid)
    values = wall.values[:, clock.local_day - (wall.first - _EPOCH).days, clock.slot_of_day]
    return LoadMatrix(wall.measure, wall.series, grid, values)


def _day(since_epoch: int) -> date:
    return _EPOCH + timedelta(since_epoch)


def played(
    history: LoadMatrix, calendar: CivilCalendar, models: Sequence[Forecaster], most_series: int
) -> Iterator[CaseRow]:
    """The week after each change by each model; nothing from files too short, or of slots that no hour is made of."""
    weeks = history.grid.slots * history.grid.step_s // (7 * DAY_S)
    if weeks < _LEAST_WEEKS or 3600 % history.grid.step_s:
        return
    wall = on_the_wall(some_of(history, most_series), calendar)
    sunday = _sunday_before_last_week(wall)
    for name, change in CHANGES.items():
        moved = wall.moved((change - sunday).days)
        for model in models:
            constant = _week_after(moved, change, CONSTANT, CONSTANT, model)
            by_the_wall = _week_after(moved, change, CHANGING, CHANGING, model)
            in_utc = _week_after(moved, change, CHANGING, CONSTANT, model)
            yield CaseRow(name, "no change", model.name, constant, 1.0)
            yield CaseRow(name, "week after", model.name, by_the_wall, by_the_wall.wape / constant.wape)
            yield CaseRow(name, "week after, in UTC", model.name, in_utc, in_utc.wape / constant.wape)


def _sunday_before_last_week(wall: Wall) -> date:
    """The last Sunday with a whole week after it."""
    last = wall.first + timedelta(wall.values.shape[1] - 8)
    return last - timedelta((last.weekday() - _SUNDAY) % 7)


def _week_after(wall: Wall, change: date, lived_in: str, told: str, model: Forecaster) -> Scores:
    """A day ahead from seven midnights, lived in a zone and forecast by a calendar; learnt at that of the change."""
    load = lived_by(wall, lived_in)
    calendars = [CivilCalendar(told, events=wall.special)] * len(load.series)
    origins = at_midnights(load.grid, [change + timedelta(day) for day in range(7)], lived_in)
    tally = Tally(len(load.series), _scored(load.grid, origins), load.grid.step_s)
    for forecast in published(load, calendars, model, origins, refit_s=7 * DAY_S):
        tally.add(forecast, load.values)
    return tally.scores()[0]


def at_midnights(grid: SlotGrid, days: Sequence[date], time_zone: str) -> Origins:
    """Origins at the local midnights of these days, each with the path to the next midnight."""
    local_day = civil_time(time_zone, grid).local_day
    slots, ahead = [], []
    for day in days:
        begin, end = np.searchsorted(local_day, [(day - _EPOCH).days, (day - _EPOCH).days + 1])
        if 0 < begin < end:
            slots.append(begin)
            ahead.append(np.arange(end - begin, dtype=np.int64))
    return Origins(np.array(slots, dtype=np.int64), tuple(ahead))


def _scored(grid: SlotGrid, origins: Origins) -> Int64Array:
    groups = np.full(grid.slots, NOT_SCORED, dtype=np.int64)
    groups[int(origins.slots[0]) :] = 0
    return groups
