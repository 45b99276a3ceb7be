"""Which time has been asked for already.

A slot that was fetched and found empty is covered all the same, otherwise it would be fetched for ever.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple, Self

from forecasting.archive.keys import DAY_S


class Span(NamedTuple):
    """The time [start_s, end_s), epoch seconds."""

    start_s: int
    end_s: int


@dataclass(frozen=True, slots=True)
class Coverage:
    """A set of time: disjoint spans that do not touch, rising. Make it with `of`."""

    spans: tuple[Span, ...] = ()

    @classmethod
    def of(cls, spans: Iterable[tuple[int, int]]) -> Self:
        """The union of any spans."""
        joined: list[Span] = []
        for start_s, end_s in sorted(span for span in spans if span[0] < span[1]):
            if joined and start_s <= joined[-1].end_s:
                joined[-1] = Span(joined[-1].start_s, max(joined[-1].end_s, end_s))
            else:
                joined.append(Span(start_s, end_s))
        return cls(tuple(joined))

    def missing_in(self, start_s: int, end_s: int) -> Coverage:
        """What of [start_s, end_s) is not covered."""
        missing: list[Span] = []
        reached_s = start_s
        for span in self.spans:
            if span.start_s >= end_s:
                break
            if span.start_s > reached_s:
                missing.append(Span(reached_s, span.start_s))
            reached_s = max(reached_s, span.end_s)
        missing.append(Span(reached_s, end_s))
        return Coverage.of(missing)

    def by_day(self) -> Iterator[Span]:
        """The spans cut at UTC midnights, rising."""
        for start_s, end_s in self.spans:
            reached_s = start_s
            while reached_s < end_s:
                midnight_s = (reached_s // DAY_S + 1) * DAY_S
                yield Span(reached_s, min(midnight_s, end_s))
                reached_s = midnight_s

    @property
    def seconds(self) -> int:
        """How much time it is."""
        return sum(span.end_s - span.start_s for span in self.spans)
