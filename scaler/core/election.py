"""Who leads among the replicas of calltide: what a candidate may conclude from the Lease, and when.

Two that lead at once would plan, and later drain pods, against each other. What rules it out is one rule on each
side. The leader counts from the moment at which its last accepted renewal was *sent*, and stops `renew_deadline_s`
later, whether or not an answer came since. Another candidate counts from the moment at which it *saw* the Lease
change last, which is later, and waits the longer `lease_s`. Each counts on its own clock, which must only run at about
the right speed; times that stand in the Lease are for people and are never read.

The functions are pure: a record or an answer and the own time in, a new `Candidacy` out. Who talks to the API server
is scaler/service/leadership.py.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

NOBODY = ""
"""Holder of a Lease that was given back."""

TERM_STEP_S = 2.0

LARGEST_DEADLINE = 0.8
"""Most of the lease that the renew deadline may take: the rest is for clocks that run at different speeds."""


@dataclass(frozen=True, slots=True)
class ElectionTimings:
    """How long a lease holds for others, how long for its holder, and how often it is written or looked at.

    Raises:
        ValueError: they do not keep two leaders apart, or leave no second try for a renewal.
    """

    lease_s: float = 15
    renew_deadline_s: float = 10
    retry_s: float = 2

    def __post_init__(self) -> None:
        if not 0 < self.renew_deadline_s <= LARGEST_DEADLINE * self.lease_s:
            raise ValueError(
                f"the renew deadline of {self.renew_deadline_s:g} s must be at most {LARGEST_DEADLINE:.0%} of the "
                f"lease duration of {self.lease_s:g} s: a leader must have stopped before another may start"
            )
        if not 0 < self.retry_s <= self.renew_deadline_s / 3:
            raise ValueError(
                f"the retry period of {self.retry_s:g} s must be at most a third of the renew deadline of "
                f"{self.renew_deadline_s:g} s: one lost renewal must not end a leadership"
            )

    @property
    def request_s(self) -> float:
        """How long one request may take: after one that hung there is time for a second before the deadline."""
        return (self.renew_deadline_s - self.retry_s) / 2


@dataclass(frozen=True, slots=True)
class LeaseRecord:
    """A Lease as it stands, or as it shall be written.

    `term` rises with each leadership and is the fencing token: of two writes the one with the higher term is the newer
    leader's. `address` is where the holder's books can be copied. `version` is the resourceVersion that a write must
    find, empty to create the Lease.
    """

    holder: str
    lease_s: float
    term: int
    address: str
    version: str


@dataclass(frozen=True, slots=True)
class Candidacy:
    """What one candidate knows of the Lease, and until when it leads. Times are those of its own clock.

    `identity` belongs to one run of one process: a process that is started again is another candidate. `record` is
    None while there is no Lease; `seen_s` is when it was first seen as it is now, None before the first look;
    `wait_s` how long its holder may count on it. A Lease that was made anew leads to a leadership only at
    `leads_from_s`.
    """

    identity: str
    address: str
    timings: ElectionTimings
    highest_term: int = 0
    record: LeaseRecord | None = None
    seen_s: float | None = None
    wait_s: float = 0.0
    term: int = 0
    leads_from_s: float = -math.inf
    leads_until_s: float = -math.inf

    def leads(self, now_s: float) -> bool:
        """Whether this candidate is the leader."""
        return self.leads_from_s <= now_s < self.leads_until_s

    @property
    def is_holder(self) -> bool:
        """Whether the Lease, as it was seen last, is ours."""
        return self.record is not None and self.record.holder == self.identity

    def looked(self, record: LeaseRecord | None, received_s: float) -> Candidacy:
        """After an answer that shows the Lease, or that there is none."""
        changed = self.seen_s is None or _version(record) != _version(self.record)
        ousted = record is not None and record.holder != self.identity
        # A write of ours of which no answer came. It may have been to make the Lease, and done late: see `written`.
        found = record is not None and not ousted and changed and not self.leads(received_s)
        return replace(
            self,
            record=record,
            seen_s=received_s if changed else self.seen_s,
            # The holder's own duration counts: replicas may be configured differently while they are rolled out.
            wait_s=max(self.timings.lease_s, record.lease_s if record is not None else self.wait_s),
            highest_term=max(self.highest_term, record.term if record is not None else 0),
            leads_from_s=received_s + max(self.wait_s, self.timings.lease_s) if found else self.leads_from_s,
            leads_until_s=-math.inf if ousted else self.leads_until_s,
        )

    def free_from_s(self, *, prepared: bool) -> float:
        """From when on this candidate may write the Lease, if it does not change; infinity before the first look.

        A candidate that is not `prepared`, with no state to go on from, lets those go first that are.
        """
        if self.seen_s is None:
            return math.inf
        if self.is_holder or self.record is None:
            return self.seen_s
        waits = (self.record.holder != NOBODY) + (not prepared)
        return self.seen_s + waits * self.wait_s

    def wanted(self, now_s: float, *, prepared: bool = True, least_term: int = 1) -> LeaseRecord | None:
        """The record to write now over the one that was seen; None while there is nothing to do but look.

        A new leadership has a term of its own, of `least_term` at the least; see `term_at`.
        """
        if now_s < self.free_from_s(prepared=prepared):
            return None
        makes = self.record is None and not self.leads(now_s)
        # A leadership that begins later gets the term of then: until then others may lead, unseen.
        begins_in_s = self.wait_s if makes else max(0.0, self.leads_from_s - now_s)
        least_term += math.ceil(begins_in_s / TERM_STEP_S)
        goes_on = self.record is not None and self.record.term == self.term and now_s < self.leads_until_s
        term = self.term if goes_on else max(self.highest_term + 1, least_term)
        return LeaseRecord(self.identity, self.timings.lease_s, term, self.address, _version(self.record))

    def written(self, record: LeaseRecord, sent_s: float, received_s: float) -> Candidacy:
        """After the API server accepted a record of ours, which was sent and answered at these times.

        A Lease that had vanished, or never was, says nothing of who leads. Whoever made it anew leads only when any
        leader of before must have stopped or seen it; one that leads already goes on.
        """
        makes = self.record is None and not self.leads(sent_s)
        takes = self.record is not None and not self.is_holder
        return replace(
            self,
            record=record,
            seen_s=sent_s,
            wait_s=self.timings.lease_s,
            term=record.term,
            highest_term=max(self.highest_term, record.term),
            leads_from_s=received_s + self.wait_s if makes else -math.inf if takes else self.leads_from_s,
            leads_until_s=sent_s + self.timings.renew_deadline_s,
        )

    def resigned(self) -> tuple[Candidacy, LeaseRecord | None]:
        """This candidate leading no more, and what tells the others at once; None where the Lease is not ours."""
        stopped = replace(self, leads_until_s=-math.inf)
        given_back = replace(self.record, holder=NOBODY, address="") if self.record and self.is_holder else None
        return stopped, given_back


def term_at(wall_s: float) -> int:
    """A term above all that were before, for a candidate that may not have seen them: Leases can be removed.

    The wall clock in steps: terms do not begin more often for long, and the field (32 bits) holds them until the year
    2106. Only the order of terms rests on it, never who leads.
    """
    return max(1, int(wall_s // TERM_STEP_S))


def _version(record: LeaseRecord | None) -> str:
    return "" if record is None else record.version
