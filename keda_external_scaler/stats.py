"""What the KEDA process says about itself: a small file, written every few seconds, that the main process shows.

The process has no HTTP server, so that nothing but KEDA can make it wait; its counters leave by this file.
"""

from __future__ import annotations

import json
import os
import threading
import time
from bisect import bisect_left
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from keda_external_scaler.errors import StatsError

BUCKETS_S = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)
"""Upper bounds of the handling-time histogram; what is slower falls into one more."""

# KEDA never tells that a ScaledObject is gone, so what is not asked for is forgotten after a while.
FORGET_AFTER_S = 3600.0


@dataclass(frozen=True, slots=True)
class KedaStats:
    """Counters since `started_at_s`, as of `written_at_s` (wall clock, epoch seconds).

    `handling_counts` has one number per bound of `BUCKETS_S` and one for what was slower, not cumulative; the time
    counts from the request's arrival at the handler to its answer. `recent_p99_s` is an upper bound over the time
    since the last file, None when nobody asked. `last_call_s` is when KEDA last asked for the number of a fleet, by
    `namespace/name`. A book age is None while there is no book.
    """

    pid: int
    started_at_s: float
    written_at_s: float
    answers_live: int
    answers_alone: int
    answers_refused: int
    triggers_differing: int
    handling_counts: tuple[int, ...]
    handling_sum_s: float
    recent_p99_s: float | None
    book_written_at_s: float | None
    book_age_s: float | None
    book_fleets: int
    books_taken: int
    books_rejected: int
    book_problem: str | None
    streams: int
    rss_bytes: int | None
    last_call_s: Mapping[str, float]


def read_stats(path: Path) -> KedaStats:
    """The file as values.

    Raises:
        StatsError: there is none, or it is not one.
    """
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
        fields["handling_counts"] = tuple(fields["handling_counts"])
        return KedaStats(**fields)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise StatsError(f"{path}: no statistics of the KEDA process: {error}") from error


class StatsCollector:
    """Counts from the handlers' threads."""

    def __init__(self, wall_clock: Callable[[], float] = time.time) -> None:
        self._wall_clock = wall_clock
        self._started_at_s = wall_clock()
        self._lock = threading.Lock()
        self._live = self._alone = self._refused = self._differing = 0
        self._taken = self._rejected = 0
        self._problem: str | None = None
        self._handling_counts = [0] * (len(BUCKETS_S) + 1)
        self._handling_sum_s = 0.0
        self._counts_before = list(self._handling_counts)
        self._last_call_s: dict[str, float] = {}

    def count_answer(self, fleet: str, *, alone: bool, differing: bool) -> None:
        """A number or an activity was told, alone or not, to a trigger that differs from the book's or not."""
        with self._lock:
            self._alone += alone
            self._live += not alone
            self._differing += differing
            self._last_call_s[fleet] = self._wall_clock()

    def count_refusal(self) -> None:
        """A call was refused with a remedy."""
        with self._lock:
            self._refused += 1

    def observe_handling(self, seconds: float) -> None:
        """A unary call took so long in its handler."""
        with self._lock:
            self._handling_counts[bisect_left(BUCKETS_S, seconds)] += 1
            self._handling_sum_s += seconds

    def count_book(self, problem: str | None) -> None:
        """A new file was taken into use (None) or rejected."""
        with self._lock:
            self._taken += problem is None
            self._rejected += problem is not None
            self._problem = problem

    def snapshot(self, *, book_written_at_s: float | None, book_fleets: int, streams: int) -> KedaStats:
        """All counters now. Begins a new window of `recent_p99_s`."""
        now_s = self._wall_clock()
        with self._lock:
            recent = [now - before for now, before in zip(self._handling_counts, self._counts_before, strict=True)]
            self._counts_before = list(self._handling_counts)
            for fleet in [key for key, at_s in self._last_call_s.items() if now_s - at_s > FORGET_AFTER_S]:
                del self._last_call_s[fleet]
            return KedaStats(
                pid=os.getpid(),
                started_at_s=self._started_at_s,
                written_at_s=now_s,
                answers_live=self._live,
                answers_alone=self._alone,
                answers_refused=self._refused,
                triggers_differing=self._differing,
                handling_counts=tuple(self._handling_counts),
                handling_sum_s=self._handling_sum_s,
                recent_p99_s=_quantile(recent, 0.99),
                book_written_at_s=book_written_at_s,
                book_age_s=None if book_written_at_s is None else max(0.0, now_s - book_written_at_s),
                book_fleets=book_fleets,
                books_taken=self._taken,
                books_rejected=self._rejected,
                book_problem=self._problem,
                streams=streams,
                rss_bytes=resident_bytes(),
                last_call_s=dict(self._last_call_s),
            )


def write_stats(path: Path, stats: KedaStats) -> None:
    """Replace the file. It is no loss when the machine stops in between, so nothing waits for the disk.

    Raises:
        StatsError: it cannot be written.
    """
    fresh = path.with_name(f".{path.name}.new")
    try:
        fresh.write_text(json.dumps(asdict(stats)), encoding="utf-8")
        fresh.replace(path)
    except OSError as error:
        raise StatsError(f"{path}: statistics cannot be written: {error.strerror}; check folder and space") from error


def resident_bytes() -> int | None:
    """Memory of this process, None where the system does not tell."""
    try:
        pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    except OSError:
        return None
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def _quantile(counts: list[int], share: float) -> float | None:
    wanted, seen = share * sum(counts), 0
    if not wanted:
        return None
    for bound, count in zip(BUCKETS_S, counts, strict=False):
        seen += count
        if seen >= wanted:
            return bound
    return BUCKETS_S[-1]
