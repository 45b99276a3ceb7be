"""What the wall clock says at each slot: local weekday, slot of the local day, and the kind of day.

Slots are UTC instants and stay so; habits live in civil time. A profile learnt by the wall clock keeps the nine
o'clock peak at nine across a daylight-saving change, one learnt in UTC is an hour off for a week. Everything here is
computed once per distinct zone or calendar and cached, since thousands of tenants share a few.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from enum import IntEnum
from functools import lru_cache
from zoneinfo import available_timezones

import holidays
import numpy as np
import numpy.typing as npt
import pandas as pd

from forecasting.calendar import CivilCalendar
from forecasting.errors import ForecastInputError
from forecasting.grid import Int64Array, SlotGrid

Int8Array = npt.NDArray[np.int8]

EPOCH = date(1970, 1, 1)
_DAY_S = 86400
_A_DAY = timedelta(days=1)
_SATURDAY, _SUNDAY = 5, 6
_EXCHANGES = {"US": "XNYS"}
"""Where the stock exchange keeps the holidays that employers keep. Of eleven federal ones two are not among them."""


class DayType(IntEnum):
    """The kinds of local day. The larger one wins where a day is of several."""

    ORDINARY = 0
    LONG_WEEKEND = 1
    """A day of the weekend that a holiday, with or without a bridge, makes longer."""
    EVE = 2
    """A working day before a holiday."""
    BRIDGE = 3
    """A working day between a holiday and the weekend, or between two holidays."""
    MINOR_HOLIDAY = 4
    """A public holiday that most employers work through."""
    HOLIDAY = 5
    EVENT = 6
    SIZED_EVENT = 7
    CLOSURE = 8


@dataclass(frozen=True, slots=True)
class SpecialDay:
    """What is known of a day that is not ordinary.

    `name` is that of the holiday, also of its eve and bridge: days of one kind and name in different years are taken
    to go alike. `factor` and `like` (a local day, counted since 1970-01-01) are the size of an event, see `SizedEvent`.
    """

    kind: DayType
    name: str = ""
    factor: float | None = None
    like: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class CivilTime:
    """The wall clock of one zone at every slot of a grid.

    `local_day` (slots,) counts days since 1970-01-01; `slot_of_day` (slots,) is 0 … slots_per_day - 1. The hour that
    spring skips has no slot, the hour that autumn repeats has its slots of day twice.
    """

    local_day: Int64Array
    slot_of_day: Int64Array
    slots_per_day: int

    @property
    def weekday(self) -> Int64Array:
        """Local weekday of each slot, Monday is 0. Shape (slots,)."""
        return weekday_of(self.local_day)


def weekday_of(local_day: Int64Array) -> Int64Array:
    """Weekday of days counted since 1970-01-01 (a Thursday), Monday is 0."""
    return (local_day + 3) % 7


@lru_cache(maxsize=1)
def _known_zones() -> frozenset[str]:
    """Read once: it is a walk through hundreds of files, and each new grid would ask for it."""
    return frozenset(available_timezones())


@lru_cache(maxsize=64)
def civil_time(time_zone: str, grid: SlotGrid) -> CivilTime:
    """The wall clock of the zone on the grid.

    Raises:
        ForecastInputError: the zone is unknown, or a slot is longer than a day.
    """
    if grid.step_s > _DAY_S:
        raise ForecastInputError(f"step_s is {grid.step_s}: a slot longer than a day has no slot of day")
    if time_zone not in _known_zones():
        raise ForecastInputError(f"time zone {time_zone!r} is not an IANA name; write it like 'Europe/Berlin'")
    utc = pd.DatetimeIndex(grid.starts_s.astype("datetime64[s]"), tz="UTC")
    local_s = utc.tz_convert(time_zone).tz_localize(None).to_numpy().astype("datetime64[s]").astype(np.int64)
    local_day, slot_of_day = local_s // _DAY_S, (local_s % _DAY_S) // grid.step_s
    for shared in (local_day, slot_of_day):
        shared.flags.writeable = False
    return CivilTime(local_day, slot_of_day, -(-_DAY_S // grid.step_s))


@lru_cache(maxsize=4096)
def day_types(calendar: CivilCalendar, first_day: int, days: int) -> Int8Array:
    """The kind of each local day (`DayType`), for days counted since 1970-01-01. Shape (days,).

    Raises:
        ForecastInputError: the `holidays` library does not know the country or its subdivision.
    """
    kinds = np.zeros(days, dtype=np.int8)
    for index, special in special_days(calendar, first_day, days).items():
        kinds[index] = special.kind
    kinds.flags.writeable = False
    return kinds


@lru_cache(maxsize=4096)
def special_days(calendar: CivilCalendar, first_day: int, days: int) -> Mapping[int, SpecialDay]:
    """The days that are not ordinary, by their place after `first_day` (counted since 1970-01-01).

    Raises:
        ForecastInputError: the `holidays` library does not know the country or its subdivision.
    """
    first, last = EPOCH + timedelta(days=first_day), EPOCH + timedelta(days=first_day + days)
    found: dict[date, SpecialDay] = {}
    if calendar.country is not None:
        # A year beside the wanted ones: a bridge or an eve at its end belongs to a holiday of the next.
        found |= _public_days(calendar.country, calendar.subdivision, range(first.year - 1, last.year + 2))
    found |= dict.fromkeys(calendar.events, SpecialDay(DayType.EVENT))
    for event in calendar.sized_events:
        like = None if event.like is None else (event.like - EPOCH).days
        found[event.day] = SpecialDay(DayType.SIZED_EVENT, factor=event.factor, like=like)
        if event.like is not None:
            # A day that is an example was no ordinary one, whether the calendar said so at the time or not.
            found.setdefault(event.like, SpecialDay(DayType.SIZED_EVENT, like=like))
    found |= dict.fromkeys(calendar.closures, SpecialDay(DayType.CLOSURE))
    return {(day - first).days: special for day, special in found.items() if first <= day < last}


@lru_cache(maxsize=512)
def _public_days(country: str, subdivision: str | None, years: range) -> dict[date, SpecialDay]:
    names = {day: _plain(name) for day, name in _country(country, subdivision, years).items()}
    rests = frozenset(names) - _worked_through(country, frozenset(names), years)
    weekend = weekend_of(country)

    def is_off(day: date) -> bool:
        return day in rests or day.weekday() in weekend

    found: dict[date, SpecialDay] = {}
    for holiday in sorted(rests):
        name = names[holiday]
        if not is_off(holiday - _A_DAY):
            found[holiday - _A_DAY] = SpecialDay(DayType.EVE, name)
        # On a weekend it makes no weekend longer.
        for away in () if holiday.weekday() in weekend else (-_A_DAY, _A_DAY):
            beside = holiday + away
            if not is_off(beside) and is_off(beside - _A_DAY) and is_off(beside + _A_DAY):
                found[beside] = SpecialDay(DayType.BRIDGE, name)
                beside += away
            while beside.weekday() in weekend:
                found.setdefault(beside, SpecialDay(DayType.LONG_WEEKEND, name))
                beside += away
    for day, name in names.items():
        found[day] = SpecialDay(DayType.HOLIDAY if day in rests else DayType.MINOR_HOLIDAY, name)
    return found


def _plain(name: str) -> str:
    """The name without what some years add to it: a day off in lieu goes as the holiday itself."""
    return name.split(";")[0].split(" (")[0].strip()


def _worked_through(country: str, days: frozenset[date], years: range) -> frozenset[date]:
    """Those of a country's holidays on which its stock exchange trades, where that is what most employers do."""
    if country not in _EXCHANGES:
        return frozenset()
    closed = holidays.financial_holidays(_EXCHANGES[country], years=years)
    return frozenset(day for day in days if day.weekday() not in weekend_of(country) and day not in closed)


@lru_cache(maxsize=512)
def _country(country: str, subdivision: str | None, years: range) -> holidays.HolidayBase:
    try:
        return holidays.country_holidays(country, subdiv=subdivision, years=years)
    except NotImplementedError as error:
        raise ForecastInputError(f"holidays: {error}; use ISO codes like country 'US', subdivision 'NY'") from error


@lru_cache(maxsize=512)
def weekend_of(country: str | None) -> tuple[int, ...]:
    """The weekdays (Monday is 0) on which a country rests, the principal day of rest last.

    Friday and Saturday in some, Saturday and Sunday in most and where no country is named.
    """
    if country is None:
        return (_SATURDAY, _SUNDAY)
    days = sorted(_country(country, None, range(2026, 2027)).weekend)
    return tuple(days) if days else (_SATURDAY, _SUNDAY)
