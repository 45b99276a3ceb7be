"""What a history source has to be able to do: a range for all tenants at once, and the load right now.

Reading blocks, so callers do it in a thread or a worker. A source is stateless: what has been read already is the
archive's business.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from forecasting.grid import SlotGrid
from forecasting.load import LoadMatrix, Measure


class SlotStatistic(StrEnum):
    """How the samples of one slot, or the concurrency within it, become one number."""

    MEAN = "mean"
    MAXIMUM = "maximum"


@dataclass(frozen=True, slots=True)
class RefusedCalls:
    """How the calls are counted that a full fleet refused, in the source's own query language.

    `expression` yields every tenant's refused call set-ups per second. Each would have held channels for `holding_s`
    seconds, or for as long as `holding_expression` yields for its tenant; a call rate needs neither. `retry_share` of
    them were the next try of a caller who had been refused before.
    """

    expression: str
    holding_s: float | None = None
    holding_expression: str | None = None
    retry_share: float = 0.0


@dataclass(frozen=True, slots=True)
class HistoryQuery:
    """One measure of all tenants, in the source's own query language.

    `expression` is sent as it is. A source that holds samples and no query language (files) makes slots by `statistic`;
    elsewhere the expression itself says which statistic it yields. `completeness` yields the share of a tenant's
    targets that were up; a slot below `minimum_completeness` is a gap. With `refused` the history is the offered load;
    without, and for the load right now always, it is what was carried.
    """

    measure: Measure
    expression: str
    tenant_label: str
    completeness: str | None = None
    minimum_completeness: float = 0.9
    statistic: SlotStatistic = SlotStatistic.MAXIMUM
    refused: RefusedCalls | None = None


@dataclass(frozen=True, slots=True)
class CurrentLoad:
    """The load that is carried right now. A tenant that could not be measured completely is not in `by_tenant`.

    `measured_at_s` is the time of the oldest sample that went into it, epoch seconds; `measured_at_s_of` has the same
    for each tenant where a source can tell them apart. `incomplete` names tenants that the source knows of now, but
    could not measure completely or freshly: they are there, and missing.
    """

    measure: Measure
    by_tenant: Mapping[str, float]
    measured_at_s: float
    measured_at_s_of: Mapping[str, float] = field(default_factory=dict)
    incomplete: frozenset[str] = frozenset()

    def oldest_s(self, tenants: Iterable[str]) -> float:
        """Time of the oldest sample that went into the load of these tenants; of all where there are none."""
        return min((self.measured_at_s_of.get(one, self.measured_at_s) for one in tenants), default=self.measured_at_s)


class HistorySource(Protocol):
    """Somewhere that load of the past can be read."""

    def read(self, query: HistoryQuery, grid: SlotGrid) -> LoadMatrix:
        """Load of every tenant on the grid; slots without a trustworthy observation are NaN.

        It is the offered load where the query counts refused calls, else the carried one.

        Raises:
            SourceError: the source did not answer, or not with what was asked.
        """
        ...

    def current(self, query: HistoryQuery, now_s: float) -> CurrentLoad:
        """Load of every tenant at `now_s`.

        Raises:
            SourceError: the source did not answer.
        """
        ...

    def close(self) -> None:
        """Give back connections. The source is not used afterwards."""
        ...
