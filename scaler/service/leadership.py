"""Whether this replica leads, asked before every write; and the thread that keeps the Lease.

What may be concluded from the Lease is decided in scaler/core/election.py. Here is the clock and the talking, in a
thread of its own: neither a busy event loop nor a slow disk may delay a renewal, and nothing that asks `term` waits.

The clock is CLOCK_BOOTTIME. CLOCK_MONOTONIC stands still while a machine is suspended, so a leader that sleeps for an
hour would wake up and believe in its lease. A hypervisor that pauses a machine behind its back stops every clock in
it; against that only the term helps, which every book carries and every reader compares.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

import structlog

from scaler.core.election import NOBODY, Candidacy, LeaseRecord, term_at
from scaler.errors import FleetError, StateError
from scaler.fleet.kubernetes.lease import LeaseConflictError

_log = structlog.get_logger("leadership")

LONGEST_NAME = 253
_UNFIT = re.compile(r"[^A-Za-z0-9._-]")

GIVE_BACK_WITHIN_S = 2.0
"""How long a stop waits for the Lease to be given back; without that the others wait out its duration."""


class NotLeadingError(StateError):
    """A write was given up, since this replica does not lead any more. The leader does it."""


@dataclass(frozen=True, slots=True)
class Leader:
    """The replica that others follow: its name, where its books are, and its term."""

    name: str
    address: str
    term: int


@dataclass(frozen=True, slots=True)
class Membership:
    """What this replica knows of the leadership: its own name, the other that leads (if it does not), what hinders."""

    name: str
    term: int | None
    leader: Leader | None
    problem: str | None = None


class Leadership(Protocol):
    """Asked from any thread; never waits."""

    def term(self) -> int | None:
        """The term in which this replica leads at this moment, None while it does not. Ask before each write."""
        ...


class SingleInstance:
    """The leadership of a calltide without replicas: it always leads."""

    def term(self) -> int | None:
        """Always the same term."""
        return 0


class LeaseStore(Protocol):
    """Where the record of the leadership lies."""

    def read(self, within_s: float) -> LeaseRecord | None:
        """The record, None while there is none; a `FleetError` when it cannot be read in time."""
        ...

    def write(self, record: LeaseRecord, within_s: float) -> LeaseRecord:
        """Write it over the version that it names; `LeaseConflictError` when that is no longer the newest."""
        ...

    def close(self) -> None:
        """Give back the connection."""
        ...


def boottime_s() -> float:
    """Seconds since the machine started, suspended or not."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def name_of(identity: str) -> str:
    """The replica's name in a Lease's holder, fit to be shown: whoever may write Leases may write anything."""
    return _UNFIT.sub("?", identity.rpartition("_")[0] or identity)[:LONGEST_NAME]


class LeaseLeadership:
    """Keeps a Lease, or waits for it.

    `prepared` says whether this replica has something to go on from: plans of before, or a copy of the leader's.
    """

    def __init__(
        self,
        lease: LeaseStore,
        candidacy: Candidacy,
        *,
        prepared: Callable[[], bool],
        clock: Callable[[], float] = boottime_s,
    ) -> None:
        self._lease = lease
        self._candidacy = candidacy
        self._prepared = prepared
        self._on_gain: Callable[[], object] = lambda: None
        self._clock = clock
        self._resigned = False
        self._told_term: int | None = None
        self._problem: str | None = None
        self._stop = threading.Event()
        # A daemon: a request that hangs must not keep the process alive.
        self._thread = threading.Thread(target=self._run, name="lease", daemon=True)

    def term(self) -> int | None:
        """The term in which this replica leads at this moment, None while it does not."""
        candidacy = self._candidacy
        return candidacy.term if not self._resigned and candidacy.leads(self._clock()) else None

    def membership(self) -> Membership:
        """For the page, and for those who want to follow."""
        candidacy, record = self._candidacy, self._candidacy.record
        leader = None
        if record is not None and record.holder not in (NOBODY, candidacy.identity):
            leader = Leader(name_of(record.holder), record.address, record.term)
        return Membership(name_of(candidacy.identity), self.term(), leader, self._problem)

    @property
    def highest_term(self) -> int:
        """The highest term that was seen in the Lease."""
        return self._candidacy.highest_term

    def start(self, on_gain: Callable[[], object]) -> None:
        """Stand as a candidate from now on; `on_gain` is called in the thread of the Lease when a leadership begins."""
        self._on_gain = on_gain
        self._thread.start()

    def stop(self) -> None:
        """Lead no more, and give the Lease back so that another leads at once."""
        self._resigned = True
        self._stop.set()
        # A renewal that is under way and comes later than this is refused: it names a version that is gone.
        if self._thread.is_alive():
            self._thread.join(GIVE_BACK_WITHIN_S / 2)
        self._candidacy, record = self._candidacy.resigned()
        if record is not None:
            try:
                self._lease.write(record, GIVE_BACK_WITHIN_S / 2)
                _log.info("the lease was given back", term=record.term)
            except FleetError as error:
                _log.warning("the lease could not be given back; the others wait until it is over", reason=str(error))
        self._lease.close()

    def _run(self) -> None:
        while not self._stop.is_set():
            began_s = self._clock()
            self.step()
            self._stop.wait(max(0.0, self._pause_s(began_s)))

    def step(self) -> None:
        """Renew the Lease, or look at it and take it if it is free."""
        try:
            if not self._candidacy.is_holder:
                self._look()
            least_term = term_at(time.time())
            wanted = self._candidacy.wanted(self._clock(), prepared=self._prepared(), least_term=least_term)
            if wanted is not None:
                self._write(wanted)
            self._problem = None
        except LeaseConflictError as error:
            _log.info("the lease was written by somebody else", reason=str(error))
            self._try_to_look()
        except FleetError as error:
            if self._problem is None:
                _log.warning("the lease cannot be reached", reason=str(error))
            self._problem = str(error)
        except Exception as error:  # noqa: BLE001 - a candidate that dies silently would never lead again
            _log.exception("the lease could not be kept")
            self._problem = f"{type(error).__name__}: {error}"
        self._tell()

    def _look(self) -> None:
        record = self._lease.read(self._candidacy.timings.request_s)
        self._candidacy = self._candidacy.looked(record, self._clock())

    def _try_to_look(self) -> None:
        try:
            self._look()
        except FleetError as error:
            self._problem = str(error)

    def _write(self, wanted: LeaseRecord) -> None:
        # Before the request leaves: the others count from when it arrives, which is later.
        sent_s = self._clock()
        written = self._lease.write(wanted, self._candidacy.timings.request_s)
        # Of what the server sent back only the version counts: the rest was ours.
        self._candidacy = self._candidacy.written(replace(wanted, version=written.version), sent_s, self._clock())

    def _tell(self) -> None:
        term, before = self.term(), self._told_term
        if term == before:
            return
        self._told_term = term
        if term is None:
            _log.warning("this replica leads no more", term=before, reason=self._problem)
        else:
            _log.info("this replica leads", term=term, identity=self._candidacy.identity)
            self._on_gain()

    def _pause_s(self, began_s: float) -> float:
        candidacy, now_s = self._candidacy, self._clock()
        next_s = began_s + candidacy.timings.retry_s
        if not candidacy.is_holder:
            # Not a moment later than it is free, if that comes first.
            free_s = candidacy.free_from_s(prepared=self._prepared())
            next_s = min(next_s, max(free_s, now_s + candidacy.timings.retry_s / 10))
        return next_s - now_s
