"""Keeps the archive level with a source: everything at first start, afterwards only what is missing.

The archive is the only memory of what was asked for, so a crash, a restart or a change of leader continues where the
last durable write ended. Each chunk is archived before the next is asked for, the newest first: a service that is
stopped in the middle of its first backfill has the load of today already, and a source with a short retention loses
nothing more than it must.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from threading import Lock

import numpy as np

from forecasting.archive import Archive, Coverage, DatasetKey, Problem, Snapshot, Span
from forecasting.errors import ForecastInputError, SourceError
from forecasting.grid import SlotGrid, floor_to_step
from forecasting.load import LoadMatrix
from forecasting.sources.protocol import HistoryQuery, HistorySource

REREAD_SLOTS = 3
"""Slots before the newest that are asked for once more with it: a scrape or a recording rule may come late."""

GAP_REREAD_S = 24 * 3600
"""How far back a slot without any observation is asked for again: the source may have filled it in meanwhile."""

GAP_REREAD_EVERY_S = 3600
"""Such gaps are asked for at the first catch-up and then no more often than this."""

GAP_REREAD_SPANS = 12
"""At most so many separate gaps each time, the newest first."""

RETAINED_S = 400 * 86400
"""Nothing younger than this is ever dropped, however short the look-back is now: the policy or fleet that asked for
more may only be away for a moment, and a source with a short retention could not give its history back."""


@dataclass(frozen=True, slots=True)
class IngestReport:
    """What a catch-up did.

    `fetched_slots` were asked for, re-reads included; `left_slots` were not any more, for want of time; `gap_slots` of
    the last 24 hours have no observation of any tenant; `newest_observation_s` is the end of the newest observed slot,
    epoch seconds, 0 for none; `set_aside` are archive files that were found damaged since this ingest began, their
    time is fetched again; `seconds` of wall time.
    """

    fetched_slots: int
    left_slots: int
    new_tenants: tuple[str, ...]
    gap_slots: int
    newest_observation_s: int
    set_aside: tuple[Problem, ...]
    seconds: float


class Ingest:
    """One dataset's way from source to archive, and its newest matrix in memory.

    `look_back_s` is the longest that anyone wants of this dataset now. What was archived before it is kept for
    `RETAINED_S`, and only then dropped. `catch_up` and `load` block, and may be called from different threads.

    Raises:
        ForecastInputError: the key is of another step or measure.
    """

    def __init__(
        self,
        source: HistorySource,
        archive: Archive,
        key: DatasetKey,
        query: HistoryQuery,
        step_s: int,
        look_back_s: int,
    ) -> None:
        if (key.step_s, key.measure) != (step_s, query.measure):
            raise ForecastInputError(f"{key} does not fit {query.measure} on {step_s} s; make it with DatasetKey.of")
        self._source = source
        self._archive = archive
        self._key = key
        self._query = query
        self.look_back_s = look_back_s
        self._snapshot: Snapshot | None = None
        self._loading = Lock()
        self._gaps_asked_at_s = -math.inf

    def load(self, now_s: float) -> LoadMatrix:
        """The look-back up to the last slot that is over, from the archive alone.

        A series is NaN before its first observation. The same object comes back while nothing has changed.

        Raises:
            ArchiveError: the archive cannot be read.
        """
        with self._loading:
            self._snapshot = self._archive.refresh(self._key, self._grid(now_s), self._snapshot)
            return self._snapshot.load

    def catch_up(self, now_s: float, at_most_s: float = math.inf) -> IngestReport:
        """Fetch and archive what is missing of the look-back, never the slot that is not over yet.

        After `at_most_s` seconds of wall time no further day is begun; at least one is fetched each time, so that a
        caller with other work in between gets to the end by calling again until `left_slots` is 0.

        Raises:
            SourceError: the source did not answer; what came before it failed is archived.
            ArchiveError: the archive cannot be read or written.
        """
        began_s = time.perf_counter()
        before = self.load(now_s)
        ask_for_gaps = now_s - self._gaps_asked_at_s >= GAP_REREAD_EVERY_S
        wanted = self._wanted(before, ask_for_gaps=ask_for_gaps)
        days = list(wanted.by_day())
        left_s = wanted.seconds
        while days and (left_s == wanted.seconds or time.perf_counter() - began_s < at_most_s):
            span = days.pop()
            self._fetch(SlotGrid.covering(span.start_s, span.end_s, self._key.step_s))
            left_s -= span.end_s - span.start_s
        if ask_for_gaps and not days:
            self._gaps_asked_at_s = now_s  # only now: where the source failed they are asked for again at once
        after = self.load(now_s)
        newest_s = int(after.last_observed_s().max(initial=0))
        # Counted from what was seen last, not from the clock: a clock that is a year ahead must not empty the archive.
        self._archive.drop_before(self._key, min(newest_s, now_s) - max(self.look_back_s, RETAINED_S))
        self._archive.compact(self._key)
        return IngestReport(
            fetched_slots=(wanted.seconds - left_s) // self._key.step_s,
            left_slots=left_s // self._key.step_s,
            new_tenants=tuple(sorted(set(after.series).difference(before.series))),
            gap_slots=sum(span.end_s - span.start_s for span in _gaps(after)) // self._key.step_s,
            newest_observation_s=newest_s,
            set_aside=self._archive.problems,
            seconds=time.perf_counter() - began_s,
        )

    def close(self) -> None:
        """Give back the source's connections. The ingest is not used afterwards."""
        self._source.close()

    def _grid(self, now_s: float) -> SlotGrid:
        end_s = floor_to_step(now_s, self._key.step_s)
        return SlotGrid.covering(end_s - self.look_back_s, end_s, self._key.step_s)

    def _wanted(self, known: LoadMatrix, *, ask_for_gaps: bool) -> Coverage:
        grid = known.grid
        covered = self._archive.coverage(self._key)
        spans = list(covered.missing_in(grid.start_s, grid.end_s).spans)
        if spans and spans[-1].end_s == grid.end_s:
            newest = spans[-1]
            spans.append(Span(max(grid.start_s, newest.start_s - REREAD_SLOTS * grid.step_s), newest.end_s))
        if ask_for_gaps:
            spans += _gaps(known)[-GAP_REREAD_SPANS:]
        return Coverage.of(spans)

    def _fetch(self, grid: SlotGrid) -> None:
        load = self._source.read(self._query, grid)
        if load.grid != grid or load.measure is not self._key.measure:
            raise SourceError(
                f"source {self._key.source}: asked for {self._key.measure} on {grid}, got {load.measure} on "
                f"{load.grid}; the adapter is at fault"
            )
        self._archive.append(self._key, load)


def _gaps(load: LoadMatrix) -> tuple[Span, ...]:
    """Where nothing of any series was observed in the last `GAP_REREAD_S` of the matrix, rising."""
    slots = min(load.grid.slots, GAP_REREAD_S // load.grid.step_s)
    starts_s = load.grid.starts_s[load.grid.slots - slots :]
    empty = np.isnan(load.values[:, load.grid.slots - slots :]).all(axis=0)
    return Coverage.of((start_s, start_s + load.grid.step_s) for start_s in starts_s[empty].tolist()).spans
