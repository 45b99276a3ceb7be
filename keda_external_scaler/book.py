"""The answers that KEDA gets, as one file that is replaced whole.

The control plane writes it every few seconds; the KEDA process only ever looks things up in it. Each entry holds
more than the current number: when the file grows old, the same entry answers for the hours to come.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

HOURS_OF_A_WEEK = 168


@dataclass(frozen=True, slots=True)
class BookEntry:
    """What one fleet is told.

    `answer` holds while the control plane lives, as it stands. `alone` is the number for the same instant when nobody
    can recall a draining pod: `need` (the serving pods wanted now) plus the pods that neither serve nor return by
    themselves, before any rule for the HPA's tolerance. `path` is the need per slot from `path_start_s` on (UTC epoch
    seconds, width `path_step_s`); `week` the highest need of each hour of the last week, by (epoch hour modulo 168),
    -1 where it is not known. Either may be empty: a fleet that is only observed has neither, and its number stands.
    """

    namespace: str
    name: str
    policy: str
    tenants: tuple[str, ...]
    pool: str | None
    need: int
    answer: int
    alone: int
    active: bool
    replicas: int
    """Pods that the workload is asked for now; at 0, a push that wakes it is repeated."""
    exact_tolerance: bool
    path_start_s: int
    path_step_s: int
    path: Sequence[int]
    week: Sequence[int]


@dataclass(frozen=True, slots=True)
class Book:
    """All answers, and the clock they are told by.

    `written_at_s` is wall-clock time: the age of the book. `now_s` is the time of the plan's clock at that moment,
    and `speed` how many of its seconds pass per wall-clock second (1 everywhere but in a demo).

    `term` is that of the leader who wrote it and `number` its count within the term, both 0 where nobody is elected.
    Of two books the one with the higher pair is the newer, whatever the clocks of those who wrote them say.
    """

    written_at_s: float
    now_s: float
    speed: float
    entries: tuple[BookEntry, ...]
    term: int = 0
    number: int = 0
