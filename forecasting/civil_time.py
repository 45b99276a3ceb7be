"""What the wall clock says at each slot: local weekday, slot of the local day, and the kind of day.

Slots are UTC instants and stay so; habits live in civil time. A profile learnt by the wall clock keeps the nine
o'clock peak at nine across a daylight-saving change, one learnt in UTC is an hour off for a week. Everything here is
computed once per distinct zone or calendar and cached, since thousands of tenants share a few.
"""

from __future__ import annotations

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

_EPOCH = date(1970, 1, 1)
_DAY_S = 86400
_SATURDAY, _SUNDAY = 5, 6


class DayType(IntEnum):
    """The kinds of local day. The larger one wins where a day is of several."""

    ORDINARY = 0
    HOLIDAY = 1
    EVENT = 2
    CLOSURE = 3


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


@lru_cache(maxsize=64)
def civil_time(time_zone: str, grid: SlotGrid) -> CivilTime:
    """The wall clock of the zone on the grid.

    Raises:
        ForecastInputError: the zone is unknown, or a slot is longer than a day.
    """
    if grid.step_s > _DAY_S:
        raise ForecastInputError(f"step_s is {grid.step_s}: a slot longer than a day has no slot of day")
    if time_zone not in available_timezones():
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
    first, last = _EPOCH + timedelta(days=first_day), _EPOCH + timedelta(days=first_day + days)
    special = dict.fromkeys(_public_holidays(calendar, range(first.year, last.year + 1)), DayType.HOLIDAY)
    special.update(dict.fromkeys(calendar.events, DayType.EVENT))
    special.update(dict.fromkeys(calendar.closures, DayType.CLOSURE))
    for day, kind in special.items():
        if first <= day < last:
            kinds[(day - first).days] = kind
    kinds.flags.writeable = False
    return kinds


def _public_holidays(calendar: CivilCalendar, years: range) -> list[date]:
    if calendar.country is None:
        return []
    return list(_country(calendar.country, calendar.subdivision, years))


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
