"""Where a backtest stands and what it looks at: origins a quarter of a day apart, each with the path after it.

A desk that is open from seven to nine has no night to forecast. A slot of the local week that most weeks do not show is
closed; in open time only the other slots count: a quarter of the open day lies between origins, and the path of a day
runs on over night and weekend until it has the slots of one. Where nothing is ever closed this is the civil day.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from forecasting.calendar import CivilCalendar
from forecasting.civil_time import CivilTime, civil_time
from forecasting.errors import ForecastInputError
from forecasting.grid import Int64Array, SlotGrid
from forecasting.load import BoolArray, LoadMatrix

DAY_S = 86400
_WEEK_S = 7 * DAY_S
_LONGEST_DEFAULT_WINDOW_S = 4 * _WEEK_S
_SHARE_TESTED = 4
_QUARTERS = 4
_FARTHEST_S = 5 * DAY_S
"""How far ahead in civil time a path may run on over closed hours: a long weekend, and no more."""
_WEEKS_OF_EVIDENCE = 2
_ALWAYS_OPEN = 0.95
"""With so large a share of the week observed in most weeks, what is missing are gaps and no closing time."""


@dataclass(frozen=True, slots=True, eq=False)
class Origins:
    """Slots at which forecasts are made, and which slots ahead of each are looked at.

    `slots` (origins,) index the history's grid. `ahead` has one array per origin: the leads that are scored, 0 for the
    slot at the origin itself, rising.
    """

    slots: Int64Array
    ahead: tuple[Int64Array, ...]

    def where(self, kept: BoolArray) -> Origins:
        """Some of the origins: `kept` (origins,)."""
        return Origins(self.slots[kept], tuple(ahead for ahead, keep in zip(self.ahead, kept, strict=True) if keep))


def default_window_s(grid: SlotGrid) -> int:
    """The newest four weeks, or the newest quarter of a shorter history: to the nearest week, where there is one."""
    window_s = min(_LONGEST_DEFAULT_WINDOW_S, grid.slots * grid.step_s // _SHARE_TESTED)
    return round(window_s / _WEEK_S) * _WEEK_S if window_s >= _WEEK_S else window_s


def origins_of(
    history: LoadMatrix,
    calendars: Sequence[CivilCalendar],
    *,
    horizon_s: int,
    window_s: int | None = None,
    open_time: bool = False,
) -> Origins:
    """The origins in the newest `window_s` of a history whose whole path lies inside it.

    `window_s` is counted by the local clock, that of the first series, back from the end of the last local day, or its
    beginning where the day is not over. `open_time` counts open slots only: a quarter
    of the open day between origins, and a horizon of a day is the slots of one open day.

    Raises:
        ForecastInputError: there is no such origin, or a calendar is wrong.
    """
    grid = history.grid
    window_s = default_window_s(grid) if window_s is None else window_s
    too_short = ForecastInputError(
        f"{grid.slots * grid.step_s / DAY_S:.1f} days of history: no origin of the window has a day before it and "
        f"{horizon_s / 3600:.0f} hours after it; use more history, a longer window, a shorter horizon"
    )
    if not calendars or grid.slots == 0:
        raise too_short
    clock = civil_time(calendars[0].time_zone, grid)
    local_s = clock.local_day * DAY_S + clock.slot_of_day * grid.step_s
    is_open = open_slots(history, clock) if open_time else np.ones(grid.slots, dtype=np.bool_)
    tested = local_s >= _last_midnight_s(is_open, clock) - window_s
    tested[: DAY_S // grid.step_s] = False
    per_day = _open_per_day(is_open, clock)
    begins = _quarters(is_open, clock, per_day, grid.step_s)
    length = max(1, round(horizon_s / DAY_S * per_day))
    origins = _with_paths(begins[tested[begins]], is_open, length, _FARTHEST_S // grid.step_s)
    if origins.slots.size == 0:
        raise too_short
    return origins


def open_slots(history: LoadMatrix, clock: CivilTime) -> BoolArray:
    """Which slots of the grid lie in a slot of the local week that any series shows in most weeks. Shape (slots,)."""
    seen = history.observed.any(axis=0)
    of_week, cells = _slot_of_week(clock)
    weeks = np.bincount(of_week, minlength=cells)
    is_open = np.bincount(of_week, weights=seen, minlength=cells) * 2 > weeks
    if history.grid.slots * history.grid.step_s < 2 * _WEEK_S or is_open.mean() >= _ALWAYS_OPEN or not is_open.any():
        return np.ones(history.grid.slots, dtype=np.bool_)
    at_slots: BoolArray = is_open[of_week]
    return at_slots


def never_observed(history: LoadMatrix, time_zone: str, ahead: SlotGrid) -> BoolArray:
    """Which slots ahead lie in a slot of the local week that a series has never shown. Shape (series, ahead.slots).

    Weeks count from the series' first observation on, and one without it is no evidence: it takes two. `ahead` has the
    history's step.

    Raises:
        ForecastInputError: the zone is unknown, or a slot is longer than a day.
    """
    of_week, cells = _slot_of_week(civil_time(time_zone, history.grid))
    of_week_ahead, _ = _slot_of_week(civil_time(time_zone, ahead))
    never = np.zeros((len(history.series), ahead.slots), dtype=np.bool_)
    for row, values in enumerate(history.values):
        shown = np.flatnonzero(~np.isnan(values))
        if shown.size == 0:
            continue
        weeks = np.bincount(of_week[shown[0] :], minlength=cells)
        seen = np.bincount(of_week[shown], minlength=cells)
        never[row] = ((weeks >= _WEEKS_OF_EVIDENCE) & (seen == 0))[of_week_ahead]
    return never


def _slot_of_week(clock: CivilTime) -> tuple[Int64Array, int]:
    """The slot of the local week at each slot of a grid, and how many a week has."""
    return clock.weekday * clock.slots_per_day + clock.slot_of_day, 7 * clock.slots_per_day


def _last_midnight_s(is_open: BoolArray, clock: CivilTime) -> int:
    """The local end of the last day, its beginning where open slots of it are to come; seconds by the local clock."""
    last_of_day = int(clock.slot_of_day[is_open].max())
    is_over = clock.slot_of_day[-1] >= last_of_day
    return int(clock.local_day[-1] + is_over) * DAY_S


def _open_per_day(is_open: BoolArray, clock: CivilTime) -> int:
    """Open slots of the usual open day."""
    if is_open.all():
        return clock.slots_per_day
    days = np.bincount(clock.local_day[is_open] - clock.local_day[0])
    return int(np.median(days[days > 0]))


def _quarters(is_open: BoolArray, clock: CivilTime, per_day: int, step_s: int) -> Int64Array:
    """Slots at which a quarter of a local day's open time begins."""
    if is_open.all():
        quarter = (clock.local_day * DAY_S + clock.slot_of_day * step_s) // (DAY_S // _QUARTERS)
        return np.flatnonzero(np.diff(quarter, prepend=-1)).astype(np.int64)
    opened = np.flatnonzero(is_open)
    day = clock.local_day[opened]
    first_of_day = np.flatnonzero(np.diff(day, prepend=-1))
    place = np.arange(opened.size) - first_of_day[np.searchsorted(day[first_of_day], day)]
    step = max(1, per_day // _QUARTERS)
    begins: Int64Array = opened[(place % step == 0) & (place // step < _QUARTERS)]
    return begins


def _with_paths(begins: Int64Array, is_open: BoolArray, length: int, farthest: int) -> Origins:
    opened = np.flatnonzero(is_open)
    slots, ahead = [], []
    for begin in begins.tolist():
        start = int(np.searchsorted(opened, begin))
        path = opened[start : start + length] - begin
        if path.size == length:
            slots.append(begin)
            ahead.append(path[path < max(farthest, length)])
    return Origins(np.array(slots, dtype=np.int64), tuple(ahead))
