"""The sum over all tenants, slot by slot, beside what it was at the same local time in earlier weeks.

A fall that many tenants have in common (`common_fall`) shows here first, and looking at one sum is cheap enough for
every refresh. Summed are the square roots of the loads: a tenant with a hundred times the load of another then weighs
ten times as much and not a hundred, so that no single one makes a fall.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from forecasting.calendar import CivilCalendar
from forecasting.civil_time import day_types
from forecasting.grid import Int64Array, SlotGrid
from forecasting.load import BoolArray, Float32Array
from forecasting.models.week_layout import week_layout

Float64Array = npt.NDArray[np.float64]

EARLY_OR_LATE_S = 900
"""A morning that begins so much later than usual is no fall."""
_WEEKS_COMPARED = 4
_LEVEL_S = 48 * 3600
"""Open time whose median is the level; half of it is the longest fall."""
_LEVEL_KNOWN_S = 6 * 3600
_OPEN_FROM = 3.0
"""A smaller sum of roots is a closed hour, which says nothing of the level."""
_LOW = 0.85
"""Less of the sum is worth a look at the tenants: half of them at half of their load leave 0.85."""
_WEEKS_NEEDED = 2
_STRAYED_S = 14 * 86400
_FAR, _SIGMAS = 6.0, 1.4826
"""So many standard deviations, each so many median deviations as with normal noise."""
_ALWAYS_FAR = 0.65
"""So much less of the sum, an eighth of the load being left, is far however much it strays."""
_BRIDGED_S = 1800
"""Where calls are few, one slot in the midst of a fall may be as usual by chance."""
_BURST, _FEW = np.float32(2.0), np.float32(3.0)
"""In the mean of earlier weeks a week counts for at most so many medians and calls: a burst is not expected again."""
_ROWS_AT_ONCE = 128


@dataclass(frozen=True, slots=True, eq=False)
class Clock:
    """The series that share a time zone and public holidays.

    `rows` (series,) are their places among all; `day` (slots,) the local day of each slot, `special` (series, days)
    which of them are not ordinary, closures and events of the single series included. `earlier` (weeks, slots) is the
    slot of the same local weekday and time, one row for each week back, -1 for none.
    """

    rows: Int64Array
    day: Int64Array
    special: BoolArray
    earlier: Int64Array

    def seen_and_usual(self, values: Float32Array, places: slice, part: slice) -> tuple[Float32Array, Float32Array]:
        """The load of some of its series in a part of the slots, and the mean of earlier weeks at the same local time.

        Both (series, slots), and 0 wherever one of them is unknown or the day is special.
        """
        rows = self.rows[places]
        seen = values[rows, part]
        back = self.earlier[:, part]
        weeks = values[rows[:, None, None], np.maximum(back, 0)]
        special = self.special[places]
        weeks[np.broadcast_to(back < 0, weeks.shape)] = np.nan
        if special.any():
            weeks[special[:, self.day[np.maximum(back, 0)]]] = np.nan
            seen = np.where(special[:, self.day[part]], np.float32(np.nan), seen)
        usual = _mean_without_bursts(weeks)
        known = ~(np.isnan(seen) | np.isnan(usual))
        return np.where(known, seen, np.float32(0.0)), np.where(known, usual, np.float32(0.0))


def clocks_of(calendars: Sequence[CivilCalendar], grid: SlotGrid) -> tuple[Clock, ...]:
    """Group series by their clocks, on a grid of at least one slot.

    Raises:
        ForecastInputError: a calendar names an unknown zone, country or subdivision.
    """
    distinct = {calendar: index for index, calendar in enumerate(dict.fromkeys(calendars))}
    which = np.fromiter((distinct[calendar] for calendar in calendars), dtype=np.int64, count=len(calendars))
    alike: dict[tuple[str, str | None, str | None], list[CivilCalendar]] = {}
    for calendar in distinct:
        alike.setdefault((calendar.time_zone, calendar.country, calendar.subdivision), []).append(calendar)
    earlier: dict[str, Int64Array] = {}
    clocks = []
    for (time_zone, _, _), members in alike.items():
        layout = week_layout(time_zone, grid)
        if time_zone not in earlier:
            earlier[time_zone] = _earlier_weeks(layout.cell, layout.slots_per_week)
        kinds = np.stack([day_types(calendar, layout.first_day, layout.weeks * 7) for calendar in members])
        place = np.full(len(distinct), -1, dtype=np.int64)
        place[[distinct[calendar] for calendar in members]] = np.arange(len(members))
        rows = np.flatnonzero(place[which] >= 0)
        clocks.append(Clock(rows, layout.day, (kinds != 0)[place[which[rows]]], earlier[time_zone]))
    return tuple(clocks)


def _earlier_weeks(cell: Int64Array, slots_per_week: int) -> Int64Array:
    slot_of = np.full(int(cell.max()) + 1, -1, dtype=np.int64)
    slot_of[cell[::-1]] = np.arange(cell.size)[::-1]
    wanted = cell - slots_per_week * np.arange(1, _WEEKS_COMPARED + 1)[:, None]
    earlier: Int64Array = np.where(wanted >= 0, slot_of[np.maximum(wanted, 0)], -1)
    return earlier


def _middle(weeks: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    """The median of what is known along the first axis, the lower of two, NaN where nothing is.

    Of two weeks the lower is the safer claim of what a load fell below.
    """
    ordered = np.sort(weeks, axis=0)  # what is not known comes last
    known = (~np.isnan(weeks)).sum(axis=0)
    middle: npt.NDArray[np.floating] = np.take_along_axis(ordered, (np.maximum(known - 1, 0) // 2)[None], axis=0)[0]
    return middle


def _mean_without_bursts(weeks: Float32Array) -> Float32Array:
    """Mean of weeks (series, weeks, slots) over the weeks that are known, NaN where none is."""
    weeks = weeks.transpose(1, 0, 2)
    bounded = np.fmin(weeks, _BURST * _middle(weeks) + _FEW)
    known = ~np.isnan(weeks)
    total = np.where(known, bounded, np.float32(0.0)).sum(axis=0)
    with np.errstate(invalid="ignore"):
        mean: Float32Array = total / known.sum(axis=0, dtype=np.float32)
    return mean


def level_and_low(
    values: Float32Array, clocks: Sequence[Clock], per_unit: float, step_s: int
) -> tuple[Float64Array, BoolArray]:
    """What share of the usual load the days before had, and where the sum of roots lies far below that. Both (slots,).

    Far is told by how much the sum has strayed in the two weeks before. Nothing depends on later slots, but for
    bridges of half an hour between low ones. The level is NaN until enough is known.
    """
    seen, usual = np.zeros(values.shape[1]), np.zeros(values.shape[1])
    for clock in clocks:
        total = _sum_of_roots(values, clock, per_unit)
        before = np.where(clock.earlier >= 0, total[np.maximum(clock.earlier, 0)], np.nan)
        enough = np.count_nonzero(~np.isnan(before), axis=0) >= _WEEKS_NEEDED
        expected = np.where(enough, _middle(before), np.nan)
        known = ~(np.isnan(total) | np.isnan(expected))
        seen[known] += total[known]
        usual[known] += expected[known]
    level = _level(seen, usual, step_s)
    expected = np.nan_to_num(_lowest_nearby(usual, EARLY_OR_LATE_S // step_s) * level)
    low = _far_below(seen, expected, step_s)
    return level**2, _bridged(low, _BRIDGED_S // step_s)


def _far_below(seen: Float64Array, expected: Float64Array, step_s: int) -> BoolArray:
    """The slots that lie further below what was expected than the slots before them strayed. All (slots,)."""
    opened = np.flatnonzero(expected > 0)
    usual = expected[opened]
    far = seen[opened] < _LOW * usual
    # By night chance strays relatively most, by day what all tenants have in common: it must be far by either scale.
    for scale in (usual, np.sqrt(usual)):
        deviation = pd.Series((seen[opened] - usual) / scale)
        strays = deviation.abs().rolling(_STRAYED_S // step_s, min_periods=_LEVEL_KNOWN_S // step_s).median().shift(1)
        needed = np.minimum(_FAR * _SIGMAS * strays, _ALWAYS_FAR * usual / scale)
        far &= (deviation < -needed).to_numpy()
    low = np.zeros(seen.size, dtype=np.bool_)
    low[opened[far]] = True
    return low


def _sum_of_roots(values: Float32Array, clock: Clock, per_unit: float) -> Float64Array:
    """Over the clock's series, NaN where none was observed and on days that are special for all. Shape (slots,)."""
    total, any_seen = np.zeros(values.shape[1]), np.zeros(values.shape[1], dtype=np.bool_)
    for start in range(0, clock.rows.size, _ROWS_AT_ONCE):
        roots = np.sqrt(values[clock.rows[start : start + _ROWS_AT_ONCE]])
        part = roots.sum(axis=0, dtype=np.float32)
        if np.isnan(part).any():
            any_seen |= ~np.isnan(roots).all(axis=0)
            part = np.fmax(roots, np.float32(0.0), out=roots).sum(axis=0, dtype=np.float32)
        else:
            any_seen[:] = True
        total += part
    special_for_all: BoolArray = np.asarray(clock.special.all(axis=0))
    total[~any_seen | special_for_all[clock.day]] = np.nan
    return total * math.sqrt(per_unit)


def _level(seen: Float64Array, usual: Float64Array, step_s: int) -> Float64Array:
    """Median share of the usual sum over the open hours before each slot, NaN until enough are known: (slots,)."""
    opened = np.flatnonzero(usual >= _OPEN_FROM)
    share = pd.Series(seen[opened] / usual[opened])
    enough = max(2, _LEVEL_KNOWN_S // step_s)
    rolled = share.rolling(max(enough, _LEVEL_S // step_s), min_periods=enough).median().shift(1)
    level = np.full(seen.size, np.nan)
    level[opened] = rolled.to_numpy()
    filled: Float64Array = pd.Series(level).ffill().to_numpy(dtype=np.float64)
    return filled


def _lowest_nearby(values: Float64Array, nearby: int) -> Float64Array:
    """The lowest value within so many slots of each. Shape (slots,)."""
    padded = np.pad(values, nearby, constant_values=np.inf)
    lowest: Float64Array = np.lib.stride_tricks.sliding_window_view(padded, 2 * nearby + 1).min(axis=1)
    return lowest


def _bridged(marked: BoolArray, gap: int) -> BoolArray:
    """Marked, with the gaps of at most so many slots between marked slots. Shape (slots,)."""
    filled = marked.copy()
    for first, last in runs(~marked):
        if first > 0 and last < marked.size and last - first <= gap:
            filled[first:last] = True
    return filled


def runs(marked: BoolArray) -> list[tuple[int, int]]:
    """First slot and end of each stretch of marked slots."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], marked, [False]]).astype(np.int8)))
    return [(int(first), int(last)) for first, last in zip(edges[::2], edges[1::2], strict=True)]
