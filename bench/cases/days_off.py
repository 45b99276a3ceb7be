"""Public holidays inside a file, a day ahead from local midnight, and the week after, beside ordinary days.

What a model makes of a holiday, and whether it learns it as an ordinary day and repeats it a week later. Models
learn at its midnight, at the next, and every week; the ordinary days are those of the week before.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import holidays
import numpy as np

from bench.cases.clocks import at_midnights
from bench.cases.replaying import NOT_SCORED, CaseRow, Tally, published, some_of
from forecasting.calendar import CivilCalendar
from forecasting.civil_time import civil_time
from forecasting.forecast import Forecaster
from forecasting.load import LoadMatrix
from forecasting.scores import Scores

_EPOCH = date(1970, 1, 1)
_WEEKS_BEFORE = 4
_WEEK_S = 7 * 86400
_ORDINARY, _AFTER, _WEEK_LATER, _FIRST_HOLIDAY = 0, 1, 2, 3


@dataclass(frozen=True, slots=True)
class DayOff:
    """A public holiday by its name."""

    day: date
    name: str


def days_off(history: LoadMatrix, calendar: CivilCalendar) -> list[DayOff]:
    """The public holidays in a history that have four weeks before them and something seen of them."""
    if calendar.country is None or not history.grid.slots:
        return []
    local_day = civil_time(calendar.time_zone, history.grid).local_day
    seen = set(local_day[history.observed.any(axis=0)].tolist())
    first, last = (_EPOCH + timedelta(int(day)) for day in (local_day[0], local_day[-1]))
    named = holidays.country_holidays(
        calendar.country, subdiv=calendar.subdivision, years=range(first.year, last.year + 1), language="en_US"
    )
    begin = first + timedelta(7 * _WEEKS_BEFORE)
    known = [DayOff(day, name) for day, name in sorted(named.items()) if begin <= day <= last]
    return [off for off in known if (off.day - _EPOCH).days in seen]


def played(
    history: LoadMatrix, calendar: CivilCalendar, models: Sequence[Forecaster], most_series: int
) -> Iterator[CaseRow]:
    """Ordinary days, each holiday, the six days after, and the day a week after, as a share of ordinary days."""
    found = days_off(history, calendar)
    if not found:
        return
    load = some_of(history, most_series)
    for model in models:
        scores = _scores(load, calendar, model, found)
        ordinary = scores.get(_ORDINARY)
        told = {_ORDINARY: "ordinary days", _AFTER: "the six days after", _WEEK_LATER: "the day a week after"}
        told |= {_FIRST_HOLIDAY + place: f"{off.day} {off.name}" for place, off in enumerate(found)}
        for group, of_group in scores.items():
            ratio = of_group.wape / ordinary.wape if ordinary else float("nan")
            yield CaseRow(told[group], "day ahead", model.name, of_group, ratio)


def _scores(load: LoadMatrix, calendar: CivilCalendar, model: Forecaster, found: Sequence[DayOff]) -> dict[int, Scores]:
    """The scores by group: ordinary, after, a week later, and each holiday."""
    calendars = [calendar] * len(load.series)
    local_day = civil_time(calendar.time_zone, load.grid).local_day
    groups = _groups({day.day for day in found})
    group_of_day = np.array([groups.get(_EPOCH + timedelta(int(day)), NOT_SCORED) for day in np.unique(local_day)])
    tally = Tally(len(load.series), group_of_day[local_day - local_day[0]], load.grid.step_s)
    asked = sorted(groups)
    for begin, end in _taught(asked, {day.day for day in found}):
        origins = at_midnights(load.grid, [day for day in asked if begin <= day < end], calendar.time_zone)
        for forecast in published(load, calendars, model, origins, refit_s=_WEEK_S):
            tally.add(forecast, load.values)
    return dict(tally.scores())


def _groups(off: set[date]) -> dict[date, int]:
    """The group of every day that is looked at. A day in the week after a holiday is no ordinary one for the next."""
    groups: dict[date, int] = {}
    for holiday in off:
        groups |= dict.fromkeys((holiday - timedelta(days) for days in range(1, 8)), _ORDINARY)
    for holiday in off:
        groups |= dict.fromkeys((holiday + timedelta(days) for days in range(1, 7)), _AFTER)
    groups |= dict.fromkeys((holiday + timedelta(7) for holiday in off), _WEEK_LATER)
    return groups | {holiday: _FIRST_HOLIDAY + place for place, holiday in enumerate(sorted(off))}


def _taught(asked: Sequence[date], off: set[date]) -> Iterator[tuple[date, date]]:
    """Spans of days [begin, end) for which a model learns anew: at the first, at each holiday and the day after it."""
    begins = sorted({asked[0], *off, *(holiday + timedelta(1) for holiday in off)})
    return zip(begins, [*begins[1:], asked[-1] + timedelta(1)], strict=True)
