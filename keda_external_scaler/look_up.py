"""What a fleet is told at a given time: a pure look-up, so that every replica and every restart answers alike.

While the book is fresh, its number stands. Once the control plane is silent the answer is given *alone*: nobody can
recall a draining pod any more, the plan's path carries the fleet for its hours, and then the same hours of the last
week do. Alone, a number only ever rises: to keep a pod too many costs money, to lose one costs calls.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

from keda_external_scaler.band import band_safe
from keda_external_scaler.book import HOURS_OF_A_WEEK, BookEntry

DEFAULT_STALE_AFTER_S = 30.0
_HOUR_S = 3600


class BookTimes(Protocol):
    """The clock that a book is told by; see `Book`."""

    @property
    def written_at_s(self) -> float:
        """Wall-clock time of the book."""
        ...

    @property
    def now_s(self) -> float:
        """The plan's time at that moment."""
        ...

    @property
    def speed(self) -> float:
        """Seconds of the plan per wall-clock second."""
        ...


@dataclass(frozen=True, slots=True)
class Answer:
    """A number of pods, whether it was given alone, and the age of the book that it comes from."""

    value: int
    alone: bool
    stale_s: float


def answer_at(entry: BookEntry, times: BookTimes, wall_now_s: float, stale_after_s: float) -> Answer:
    """The number of pods for a fleet at a wall-clock time.

    A book from further in the future than `stale_after_s` counts as old too: one of the clocks is wrong, and then
    the careful number is the right one.
    """
    age_s = wall_now_s - times.written_at_s
    if abs(age_s) <= stale_after_s:
        return Answer(entry.answer, alone=False, stale_s=max(0.0, age_s))
    plan_now_s = times.now_s + max(0.0, age_s) * times.speed
    not_serving = max(0, entry.alone - entry.need)
    value = max(entry.alone, not_serving + highest_need(entry, times.now_s, plan_now_s))
    if not entry.exact_tolerance:
        value = band_safe(value)
    return Answer(max(entry.answer, value), alone=True, stale_s=max(0.0, age_s))


def highest_need(entry: BookEntry, from_s: float, to_s: float) -> int:
    """The highest need known for any time between two times of the plan's clock, 0 where nothing is known.

    It comes from the path; for the time after its end, from the same hours of the week.
    """
    highest = 0
    path_end_s = float(from_s)
    if len(entry.path):
        first = max(0, math.floor((from_s - entry.path_start_s) / entry.path_step_s))
        last = math.floor((to_s - entry.path_start_s) / entry.path_step_s)
        highest = max(entry.path[first : max(0, last + 1)], default=0)
        path_end_s = max(from_s, entry.path_start_s + len(entry.path) * entry.path_step_s)
    if to_s >= path_end_s and len(entry.week):
        first_hour = math.floor(path_end_s / _HOUR_S)
        last_hour = min(math.floor(to_s / _HOUR_S), first_hour + HOURS_OF_A_WEEK - 1)
        hours = range(first_hour, last_hour + 1)
        highest = max(highest, *(entry.week[hour % HOURS_OF_A_WEEK] for hour in hours))
    return highest
