"""Series that are computed together: one time zone, one country, and few enough to bound memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from forecasting.calendar import CivilCalendar
from forecasting.civil_time import Int8Array, day_types, weekend_of
from forecasting.grid import Int64Array, SlotGrid
from forecasting.models.week_layout import WeekLayout, week_layout

_CELLS = 2_000_000
"""Cells of one array of a chunk: 8 MB in float32, so that the dozen arrays of a computation stay near the caches."""


@dataclass(frozen=True, slots=True, eq=False)
class Chunk:
    """Some series of one layout. `rows` (series,) are their places among all; `kinds` (series, days) their day types.

    `weekend` are the weekdays of rest in the country, the principal one last.
    """

    rows: Int64Array
    layout: WeekLayout
    kinds: Int8Array
    weekend: tuple[int, ...]
    country: str | None

    @property
    def may_be_special(self) -> bool:
        """Whether any day of any series is a holiday, an event or a closure."""
        return bool(self.kinds.any())

    def every(self, nth: int) -> Chunk:
        """The chunk with every nth series only."""
        return replace(self, rows=self.rows[::nth], kinds=self.kinds[::nth])


def chunks_of(calendars: Sequence[CivilCalendar], grid: SlotGrid) -> Iterator[Chunk]:
    """Cut all series into chunks on the given grid; there are none on a grid without slots.

    Raises:
        ForecastInputError: a calendar names an unknown zone, country or subdivision.
    """
    if grid.slots == 0:
        return
    distinct = {calendar: index for index, calendar in enumerate(dict.fromkeys(calendars))}
    which = np.fromiter((distinct[calendar] for calendar in calendars), dtype=np.int64, count=len(calendars))
    alike: dict[tuple[str, str | None], list[int]] = {}
    for calendar, index in distinct.items():
        alike.setdefault((calendar.time_zone, calendar.country), []).append(index)
    every = tuple(distinct)
    for (time_zone, country), members in alike.items():
        layout = week_layout(time_zone, grid)
        kinds = np.zeros((len(every), layout.weeks * 7), dtype=np.int8)
        for index in members:
            kinds[index] = day_types(every[index], layout.first_day, layout.weeks * 7)
        rows = np.flatnonzero(np.isin(which, members))
        size = max(1, _CELLS // (layout.weeks * layout.slots_per_week))
        for start in range(0, rows.size, size):
            part = rows[start : start + size]
            yield Chunk(part, layout, kinds[which[part]], weekend_of(country), country)
