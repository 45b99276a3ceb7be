"""Every call of one tenant on one local day, made from the seed alone.

A day is made whole and the same each time, so that history, the load now and the calls on each pod can never disagree:
all three are looks at the same calls. Arrivals are a Poisson process whose rate follows the tenant's wall clock (so
daylight saving moves the calls, as it moves people), the weekday, public holidays, slow growth, a factor that the day
draws, and bursts.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from forecasting.calendar import CivilCalendar
from forecasting.civil_time import DayType, day_types, weekend_of
from scaler.demo.profiles import MINUTES_OF_A_DAY, Float64Array, Profile

LONGEST_CALL_S = 4 * 3600
"""Holding times are cut here, so that a day's calls reach into the next day only."""

_GROWTH_BEGAN = date(2026, 1, 1)
_EPOCH = date(1970, 1, 1)
Int32Array = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class SimulatedTenant:
    """Somebody who telephones. `busy_calls_per_hour` is the rate at the peak of an ordinary day."""

    name: str
    calendar: CivilCalendar
    profile: Profile
    busy_calls_per_hour: float
    growth_per_year: float = 0.12


@dataclass(frozen=True, slots=True, eq=False)
class DayCalls:
    """Calls that begin on one local day, by the minute of their start and in no order within it.

    `start_s`, `end_s` (calls,) are seconds since `midnight_s`; `channels` (calls,) is 1 or 2; `first_of_minute`
    (minutes + 1,) is where each minute's calls begin in these arrays. A day of a time change has 23 or 25 hours.
    """

    midnight_s: int
    start_s: Int32Array
    end_s: Int32Array
    channels: npt.NDArray[np.int8]
    first_of_minute: npt.NDArray[np.int64]

    @property
    def minutes(self) -> int:
        """Minutes of the day."""
        return self.first_of_minute.size - 1

    def span(self, from_s: float, until_s: float) -> slice:
        """Where the calls lie that begin in the minutes of [from_s, until_s), epoch seconds."""
        first = min(max(int((from_s - self.midnight_s) // 60), 0), self.minutes)
        last = min(max(int(-((self.midnight_s - until_s) // 60)), first), self.minutes)
        return slice(int(self.first_of_minute[first]), int(self.first_of_minute[last]))


def local_day(time_zone: str, at_s: float) -> date:
    """The date on the wall at an instant."""
    return datetime.fromtimestamp(at_s, ZoneInfo(time_zone)).date()


@lru_cache(maxsize=4096)
def midnight_s(time_zone: str, day: date) -> int:
    """The instant at which a local day begins, epoch seconds."""
    return int(datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(time_zone)).timestamp())


def make_day(tenant: SimulatedTenant, day: date, seed: int) -> DayCalls:
    """All calls of the tenant that begin on this local day."""
    random = np.random.default_rng([seed, zlib.crc32(tenant.name.encode()), day.toordinal()])
    profile = tenant.profile
    counts = random.poisson(_calls_per_minute(tenant, day, random))
    first_of_minute = np.concatenate(([0], np.cumsum(counts)))
    calls = int(first_of_minute[-1])
    minute_s = np.repeat(np.arange(counts.size, dtype=np.int32) * np.int32(60), counts)
    start_s = minute_s + (random.random(calls, dtype=np.float32) * np.float32(60)).astype(np.int32)

    kind = random.random(calls, dtype=np.float32)
    menu = kind < profile.menu
    two = kind >= 1 - (1 - profile.menu) * profile.two_channels
    sigma = np.where(menu, np.float32(profile.menu_holding.sigma), np.float32(profile.holding.sigma))
    mu = np.where(menu, np.float32(profile.menu_holding.mu), np.float32(profile.holding.mu))
    holding_s = np.exp(mu + sigma * random.standard_normal(calls, dtype=np.float32))
    end_s = start_s + np.clip(np.rint(holding_s), 1, LONGEST_CALL_S).astype(np.int32)
    return DayCalls(
        midnight_s=midnight_s(tenant.calendar.time_zone, day),
        start_s=start_s,
        end_s=end_s,
        channels=1 + two.astype(np.int8),
        first_of_minute=first_of_minute,
    )


def expected_calls_per_minute(tenant: SimulatedTenant, day: date) -> Float64Array:
    """The rate without the day's own luck and without bursts, for each minute of the local day."""
    profile, calendar = tenant.profile, tenant.calendar
    # Monday where Saturday and Sunday are free, Sunday where Friday and Saturday are.
    first_working_day = (max(weekend_of(calendar.country)) + 1) % 7
    factor = profile.week[(day.weekday() - first_working_day) % 7]
    if day_types(calendar, (day - _EPOCH).days, 1)[0] == DayType.HOLIDAY:
        factor = min(factor, profile.holiday)
    factor *= (1 + tenant.growth_per_year) ** ((day - _GROWTH_BEGAN).days / 365.0)
    peak = factor * tenant.busy_calls_per_hour / 60.0
    rate: Float64Array = peak * profile.shape(_wall_minutes(calendar.time_zone, day))
    return rate


def _calls_per_minute(tenant: SimulatedTenant, day: date, random: np.random.Generator) -> Float64Array:
    rate = expected_calls_per_minute(tenant, day)
    shape = 1 / tenant.profile.day_spread**2
    rate = rate * random.gamma(shape, 1 / shape)
    for _ in range(random.poisson(tenant.profile.bursts_per_day)):
        begins, lasts = random.uniform(8 * 60, 19 * 60), random.uniform(20, 60)
        lift = random.uniform(0.3, 1.0)
        since = (np.arange(rate.size) - begins) / lasts
        # Up within a tenth of its length, then fading: callers hang up and redial less and less.
        rate = rate * (1 + lift * np.clip(np.minimum(since * 10, 1 - since), 0, 1))
    return rate


def _wall_minutes(time_zone: str, day: date) -> Float64Array:
    begin_s, end_s = midnight_s(time_zone, day), midnight_s(time_zone, day + timedelta(days=1))
    minutes = np.arange((end_s - begin_s) // 60, dtype=np.float64)
    if minutes.size == MINUTES_OF_A_DAY:
        return minutes
    # The clock changes on this day: ask it every quarter of an hour, on which all changes fall.
    zone = ZoneInfo(time_zone)
    quarters = [datetime.fromtimestamp(at_s, UTC).astimezone(zone) for at_s in range(begin_s, end_s, 900)]
    on_the_wall = np.array([quarter.hour * 60 + quarter.minute for quarter in quarters], dtype=np.float64)
    return on_the_wall[(minutes // 15).astype(np.int64)] + minutes % 15
