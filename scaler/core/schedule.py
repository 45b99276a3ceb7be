"""Windows of civil time: scheduled minimums, and times in which nothing is retired.

A window opens by the clock on the wall and closes after so many elapsed seconds. On the days on which the clock
changes, an opening inside the skipped hour happens at the first instant after it, and one inside the doubled hour
happens once, the first time. Only an expression that fires in every hour follows real time through both, since a
window that is always open must not get a hole.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import takewhile
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
from cronsim import CronSim

from forecasting.grid import SlotGrid
from scaler.policy.model import InhibitWindow, ScheduledMinimum

_HOURS_OF_A_DAY = 24
_HOUR_FROM_THE_END = -4
_JUST_BEFORE = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class OpenWindow:
    """One window that is, was or will be open: [opens_s, closes_s), epoch seconds. `min_pods` is 0 for an inhibit."""

    name: str
    owner: str
    opens_s: float
    closes_s: float
    min_pods: int = 0


def scheduled_minimum(
    entries: Sequence[ScheduledMinimum], time_zone: str, start_s: float, end_s: float
) -> OpenWindow | None:
    """The largest scheduled minimum that is open at any instant of [start_s, end_s], None without one.

    `time_zone` is the calendar's, for entries that name none. Of equal minimums the one that opened first is named.
    """
    found = [window for entry in entries for window in _minimum_windows(entry, time_zone, start_s, end_s)]
    return min(found, key=lambda window: (-window.min_pods, window.opens_s, window.name), default=None)


@lru_cache(maxsize=1024)
def scheduled_path(
    entries: tuple[ScheduledMinimum, ...], time_zone: str, grid: SlotGrid, lead_s: float
) -> npt.NDArray[np.int64]:
    """The largest scheduled minimum that any instant of a slot, or of the lead after it, asks for. Shape (slots,).

    Kept for the next step and the next fleet of the policy, so it is read-only.
    """
    path = np.zeros(grid.slots, dtype=np.int64)
    for entry in entries:
        for window in _minimum_windows(entry, time_zone, grid.start_s, grid.end_s + lead_s):
            first = max(0, grid.index_of(window.opens_s - lead_s))
            last = min(grid.slots, -int(-(window.closes_s - grid.start_s) // grid.step_s))
            path[first:last] = np.maximum(path[first:last], window.min_pods)
    path.setflags(write=False)
    return path


def open_inhibit(windows: Sequence[InhibitWindow], time_zone: str, now_s: float) -> OpenWindow | None:
    """The inhibit window that is open now and closes last, None without one."""
    found = [
        OpenWindow(entry.name, "", opens_s, opens_s + entry.duration)
        for entry in windows
        for opens_s in _openings(entry.cron, time_zone, now_s - entry.duration, now_s)
        if opens_s <= now_s < opens_s + entry.duration
    ]
    return max(found, key=lambda window: window.closes_s, default=None)


def _minimum_windows(entry: ScheduledMinimum, time_zone: str, start_s: float, end_s: float) -> list[OpenWindow]:
    """The entry's windows that are open at any instant of [start_s, end_s]."""
    expires_s = entry.expires.timestamp() if entry.expires is not None else np.inf
    zone = entry.time_zone or time_zone
    found = []
    for opens_s in _openings(entry.cron, zone, start_s - entry.duration, end_s):
        closes_s = min(opens_s + entry.duration, expires_s)
        if opens_s <= end_s and start_s < closes_s and opens_s < closes_s:
            found.append(OpenWindow(entry.name, entry.owner, opens_s, closes_s, entry.min_pods))
    return found


def _openings(cron: str, time_zone: str, start_s: float, end_s: float) -> list[int]:
    """Every opening of the local days that [start_s, end_s] touches, rising."""
    zone = ZoneInfo(time_zone)
    day = datetime.fromtimestamp(start_s, zone).date()
    last = datetime.fromtimestamp(end_s, zone).date()
    found: set[int] = set()
    while day <= last:
        found.update(_openings_of_day(cron, time_zone, day))
        day += timedelta(days=1)
    return sorted(found)


@lru_cache(maxsize=16_384)
def _openings_of_day(cron: str, time_zone: str, day: date) -> tuple[int, ...]:
    """Every opening of a local day, epoch seconds. Kept, since all fleets ask for the same days every few seconds."""
    zone = ZoneInfo(time_zone)
    midnight, next_midnight = datetime.combine(day, time()), datetime.combine(day + timedelta(days=1), time())
    if len(CronSim(cron, midnight).hours) == _HOURS_OF_A_DAY:
        # A star for the hour makes cronsim count real time; so does a start that knows its zone.
        fields = cron.split()
        fields[_HOUR_FROM_THE_END] = "*"
        cron = " ".join(fields)
        start_s, end_s = _instant(midnight, zone), _instant(next_midnight, zone)
        fired = (int(at.timestamp()) for at in CronSim(cron, datetime.fromtimestamp(start_s - 1, zone)))
        return tuple(takewhile(lambda at_s: at_s < end_s, fired))
    local = takewhile(lambda at: at < next_midnight, CronSim(cron, midnight - _JUST_BEFORE))
    return tuple(sorted({_instant(at, zone) for at in local}))


def _instant(local: datetime, zone: ZoneInfo) -> int:
    """Epoch seconds of a time on the wall: the first of two, and the first instant after a skipped one."""
    while True:
        aware = local.replace(tzinfo=zone, fold=0)
        if aware.astimezone(UTC).astimezone(zone).replace(tzinfo=None) == local:
            return int(aware.timestamp())
        # The clock skips by whole minutes, so that whole minutes find its end.
        local = (local + timedelta(minutes=1)).replace(second=0)
