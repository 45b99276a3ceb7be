"""Holidays, events and closures: days that break the weekly habit and must not teach it anything.

They are taken out before the weekly profile is learnt, so neither the day itself nor its echo a week later misleads.
What they do instead is learnt apart, from those seen so far: holidays with their eves and bridges in
`holiday_effects`, events and closures in `event_effects`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from forecasting.civil_time import DayType, Int8Array
from forecasting.grid import Int64Array
from forecasting.models.chunks import Chunk
from forecasting.models.event_effects import LikeDays, closure_levels, event_shifts, like_days, resized
from forecasting.models.holiday_effects import HolidayEffects, learn_holidays, own_effects
from forecasting.models.holiday_evidence import DaySums, HolidayEvidence, PublicDay
from forecasting.models.week_layout import FloatArray

_EVENT_DOUBT, _SIZED_DOUBT = np.float32(0.1), np.float32(0.05)
"""Standard deviations of the root of an event, as shares of it: one of unknown size, and one whose size was stated."""


@dataclass(frozen=True, slots=True, eq=False)
class SpecialDays:
    """What special days do to each series. The shift on events and the level on closures, (series,), are roots."""

    holidays: HolidayEffects
    event_shift: FloatArray
    closure_level: FloatArray
    likes: LikeDays

    def rows(self, rows: Int64Array) -> SpecialDays:
        """The same for some of the series."""
        return SpecialDays(
            self.holidays.rows(rows), self.event_shift[rows], self.closure_level[rows], self.likes.rows(rows)
        )


@dataclass(frozen=True, slots=True, eq=False)
class SpecialEvidence:
    """What the special days of a chunk have said. Arrays are over the chunk's series, `rows` (series,) among all."""

    rows: Int64Array
    country: str | None
    holidays: HolidayEvidence
    event_shift: FloatArray
    closure_level: FloatArray
    likes: LikeDays

    @classmethod
    def of(cls, chunk: Chunk, weekly: FloatArray, level: FloatArray) -> SpecialEvidence:
        """From roots, and their ordinary level, both (series, weeks, slots_per_week)."""
        return cls(
            chunk.rows,
            chunk.country,
            _holiday_evidence(chunk, weekly, level),
            event_shifts(weekly, level, chunk.kinds),
            closure_levels(weekly, level, chunk.kinds),
            like_days(weekly, level, chunk.layout, chunk.likes, chunk.rows),
        )


def without_special_days(weekly: FloatArray, kinds: Int8Array) -> FloatArray:
    """Roots (series, weeks, slots_per_week) with every special day NaN; `kinds` (series, weeks × 7)."""
    if not kinds.any():
        return weekly
    by_day = weekly.reshape(*kinds.shape, -1)
    return np.where((kinds > 0)[:, :, None], np.float32(np.nan), by_day).reshape(weekly.shape)


def learn_special_days(evidence: Sequence[SpecialEvidence], series: int) -> SpecialDays:
    """Put together what all chunks have said, for so many series: pooled by country, shrunk to each series."""
    pooled: dict[PublicDay, DaySums] = {}
    for part in evidence:
        for day, sums in part.holidays.pooled.items():
            pooled[day] = pooled[day] + sums if day in pooled else sums
    effects = learn_holidays(pooled, (part.country for part in evidence), series)
    shift, closed = np.zeros((2, series), dtype=np.float32)
    for part in evidence:
        of_country = effects.known[part.country, DayType.HOLIDAY, ""]
        effects.own[part.rows] = own_effects(part.holidays, of_country)
        shift[part.rows], closed[part.rows] = part.event_shift, part.closure_level
    return SpecialDays(effects, shift, closed, LikeDays.joined([part.likes for part in evidence]))


def place_special_days(
    level: FloatArray, chunk: Chunk, first_week: int, special: SpecialDays
) -> tuple[FloatArray, FloatArray | None]:
    """The profile with special days in place, and the doubt that they add to it (None where there are none).

    `level` (series, weeks, slots_per_week) holds the chunk's weeks from `first_week` on; the doubt is a standard
    deviation on the root scale, of the level's shape.
    """
    which = chunk.which[:, first_week * 7 :]
    kinds = chunk.kinds[:, first_week * 7 :]
    if not kinds.any():
        return level, None
    by_day = level.reshape(*kinds.shape, -1).copy()
    doubt = np.zeros_like(by_day)
    rest = _rest_profile(level, chunk.weekend[-1])
    rows, days, public, of_public = _public_days(chunk, first_week)
    if rows.size:
        effects = [(day.kind, special.holidays.effect(day)) for day in public]
        shift, doubt[rows, days] = special.holidays.shift_and_doubt(
            by_day[rows, days], rest[rows, days // 7], rows, effects, of_public
        )
        by_day[rows, days] += shift
    rows, days = np.nonzero(kinds == DayType.EVENT)
    doubt[rows, days] = _EVENT_DOUBT * np.nan_to_num(by_day[rows, days])
    by_day[rows, days] += special.event_shift[rows, None]
    for label in np.unique(which[kinds == DayType.SIZED_EVENT]):
        rows, days = np.nonzero(which == label)
        by_day[rows, days], doubt[rows, days] = _sized(by_day[rows, days], rows, chunk, label, special)
    rows, days = np.nonzero(kinds == DayType.CLOSURE)
    by_day[rows, days] = special.closure_level[rows, None]
    return by_day.reshape(level.shape), doubt.reshape(level.shape)


def _sized(
    ordinary: FloatArray, rows: Int64Array, chunk: Chunk, label: int, special: SpecialDays
) -> tuple[FloatArray, FloatArray]:
    """Roots (days, slots_per_day) of an event of stated size and their doubt; `rows` (days,) says whose."""
    event = chunk.special[label]
    if event.factor is not None:
        sized = resized(ordinary, np.float32(event.factor))
        return sized, _SIZED_DOUBT * np.nan_to_num(sized)
    # Without an example the size is as good as not stated.
    sized = ordinary + special.event_shift[rows, None]
    doubt = _EVENT_DOUBT * np.nan_to_num(ordinary)
    if event.like is None:
        return sized, doubt
    found, ratio = special.likes.of(rows, event.like)
    sized[found] = resized(ordinary[found], ratio)
    doubt[found] = _SIZED_DOUBT * np.nan_to_num(sized[found])
    return sized, doubt


def _public_days(chunk: Chunk, first_week: int) -> tuple[Int64Array, Int64Array, list[PublicDay], npt.NDArray[np.intp]]:
    """Cells (series, day since the week) that are holidays or beside them: rows, days, the distinct ones, and which."""
    kinds = chunk.kinds[:, first_week * 7 :]
    rows, days = np.nonzero((kinds > DayType.ORDINARY) & (kinds <= DayType.HOLIDAY))
    labels = chunk.which[rows, first_week * 7 + days]
    distinct, which = np.unique(labels * kinds.shape[1] + days, return_inverse=True)
    public = []
    for label, day in zip(*divmod(distinct, kinds.shape[1]), strict=True):
        special = chunk.special[label]
        local_day = chunk.layout.first_day + first_week * 7 + int(day)
        public.append(PublicDay(chunk.country, special.kind, special.name, local_day))
    return rows, days, public, which


def _rest_profile(level: FloatArray, rest_day: int) -> FloatArray:
    """Profile of the day of rest as of each week, shape (series, weeks, slots_per_day)."""
    slots_per_day = level.shape[2] // 7
    return level[:, :, rest_day * slots_per_day : (rest_day + 1) * slots_per_day]


def _holiday_evidence(chunk: Chunk, weekly: FloatArray, level: FloatArray) -> HolidayEvidence:
    rows, days, public, which = _public_days(chunk, 0)
    shape = (*chunk.kinds.shape, -1)
    return HolidayEvidence.of(
        weekly.reshape(shape)[rows, days],
        level.reshape(shape)[rows, days],
        _rest_profile(level, chunk.weekend[-1])[rows, days // 7],
        rows,
        chunk.rows.size,
        public,
        which,
    )
