"""Series that are computed together: one time zone, one country, and few enough to bound memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from forecasting.calendar import CivilCalendar
from forecasting.civil_time import EPOCH, DayType, Int8Array, SpecialDay, special_days, weekend_of
from forecasting.grid import Int64Array, SlotGrid
from forecasting.load import LoadMatrix
from forecasting.models.common_fall import CommonFall
from forecasting.models.week_layout import FloatArray, WeekLayout, week_layout

CELLS = 2_000_000
"""Cells of one array of a chunk: 8 MB in float32, so that the dozen arrays of a computation stay near the caches."""


@dataclass(frozen=True, slots=True, eq=False)
class Chunk:
    """Some series of one layout. `rows` (series,) are their places among all; `kinds` (series, days) their day types.

    `weekend` are the weekdays of rest in the country, the principal one last. `which` (series, days) says which of
    `special` a day is, the first of them for an ordinary one. `likes` are places among the series with days (counted
    since 1970-01-01) as which one of their events, past or to come, is to go. `announced` says that closures or events
    may be to come.
    """

    rows: Int64Array
    layout: WeekLayout
    kinds: Int8Array
    weekend: tuple[int, ...]
    country: str | None
    which: Int64Array
    special: tuple[SpecialDay, ...]
    likes: tuple[tuple[int, int], ...]
    announced: bool

    @property
    def may_be_special(self) -> bool:
        """Whether any day of any series, also one to come, may not be ordinary."""
        return self.announced or bool(self.kinds.any())

    def every(self, nth: int, first: int = 0) -> Chunk:
        """The chunk with every nth series only, from the given one on."""
        likes = tuple(
            ((place - first) // nth, day) for place, day in self.likes if place >= first and (place - first) % nth == 0
        )
        kept = slice(first, None, nth)
        return replace(self, rows=self.rows[kept], kinds=self.kinds[kept], which=self.which[kept], likes=likes)


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """A chunk with its own rows of the history: all of it that a computation elsewhere has to be given.

    `load` has shape (series, slots) on the grid `grid`, NaN where nothing was observed. `common` (slots,) is what a
    typical series of the same clock has, those of other chunks included; None where these are few, or nobody asks.
    """

    chunk: Chunk
    grid: SlotGrid
    load: FloatArray
    common: FloatArray | None = None

    @classmethod
    def of(
        cls, chunk: Chunk, history: LoadMatrix, falls: Sequence[CommonFall], common: FloatArray | None = None
    ) -> Part:
        """The rows of the history that are the chunk's, without the falls common to many.

        They are taken out of the chunk's own copy: one of the whole history may be hundreds of megabytes.
        """
        load = history.values[chunk.rows]
        for fall in falls:
            fall.take_out(load, chunk.rows, history.grid)
        return cls(chunk, history.grid, load, common)

    def every(self, nth: int) -> Part:
        """The part with every nth series only."""
        return replace(self, chunk=self.chunk.every(nth), load=self.load[::nth])


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
        labels = {SpecialDay(DayType.ORDINARY): 0}
        labelled = np.zeros((len(every), layout.weeks * 7), dtype=np.int64)
        for index in members:
            for day, special in special_days(every[index], layout.first_day, layout.weeks * 7).items():
                labelled[index, day] = labels.setdefault(special, len(labels))
        kind_of = np.array([special.kind for special in labels], dtype=np.int8)
        announced = any(every[index].announces for index in members)
        rows = np.flatnonzero(np.isin(which, members))
        size = max(1, CELLS // (layout.weeks * layout.slots_per_week))
        for start in range(0, rows.size, size):
            part = rows[start : start + size]
            days = labelled[which[part]]
            likes = _likes([every[index] for index in which[part]]) if announced else ()
            yield Chunk(
                part, layout, kind_of[days], weekend_of(country), country, days, tuple(labels), likes, announced
            )


def _likes(calendars: Sequence[CivilCalendar]) -> tuple[tuple[int, int], ...]:
    named = ((place, event.like) for place, calendar in enumerate(calendars) for event in calendar.sized_events)
    return tuple(dict.fromkeys((place, (like - EPOCH).days) for place, like in named if like is not None))
