"""This calltide among its replicas, or alone: who leads, whose answers KEDA gets here, and what the page says of it.

Without `replicas` in the configuration nothing is elected, nothing listens and nothing is copied: the one instance
always leads, in term 0.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import uuid4

import structlog

from scaler.clock import Clock
from scaler.core.election import Candidacy
from scaler.core.plan_book import PlanBook
from scaler.errors import StateError
from scaler.policy.confirmations import note_leader
from scaler.policy.store import PolicyStore
from scaler.service.answers import Answers
from scaler.service.copy_server import CopyServer
from scaler.service.leadership import LeaseLeadership, LeaseStore, SingleInstance
from scaler.service.plan_keeper import PlanKeeper
from scaler.service.replica import Books, Replica
from scaler.service.settings import Configuration, ReplicaSettings
from scaler.web.state import ReplicaRole, ReplicaStatus

_log = structlog.get_logger("replicas")

KEPT_FOR_S = 600.0
"""Plans that were kept longer than this are no reason to lead before somebody who has a copy of newer ones."""


@dataclass(frozen=True, slots=True)
class _Elected:
    """What only a calltide with replicas has."""

    leadership: LeaseLeadership
    replica: Replica
    server: CopyServer


class Replication:
    """The leadership of this process and the answer book that goes with it."""

    def __init__(
        self,
        configuration: Configuration,
        lease: LeaseStore | None,
        clock: Clock,
        policies: PolicyStore,
        plans: PlanKeeper,
    ) -> None:
        """Take the address that others copy from.

        Raises:
            AddressError: nothing can listen there.
            ConfigurationError: the certificates of the replicas cannot be used.
        """
        settings = configuration.replicas
        self._elected: _Elected | None = None
        if settings is None or lease is None:
            self.answers = Answers(configuration.book_path, SingleInstance())
            _forget_leader(configuration.state)
            return
        kept = _are_of_late(plans.book, clock)
        leadership = LeaseLeadership(lease, _candidacy(settings), prepared=lambda: self._prepared(kept))
        self.answers = Answers(configuration.book_path, leadership)
        replica = Replica(settings, configuration.state, leadership, Books(self.answers, plans, policies), clock)
        self._elected = _Elected(leadership, replica, CopyServer(settings, replica.offer))
        if settings.tls is None:
            _log.warning(
                "replicas trust each other without TLS: close replicas.listen to all but them", at=settings.listen
            )

    def term(self) -> int | None:
        """The term in which this process leads at this moment, None while it does not."""
        return 0 if self._elected is None else self._elected.leadership.term()

    @property
    def is_elected(self) -> bool:
        """Whether there are replicas to elect a leader from."""
        return self._elected is not None

    def status(self) -> ReplicaStatus:
        """For page, API and metrics."""
        if self._elected is None:
            return ReplicaStatus()
        membership, copied_at_s = self._elected.leadership.membership(), self._elected.replica.copied_at_s
        if membership.term is not None:
            return ReplicaStatus(ReplicaRole.LEADER, membership.name, membership.name, membership.term, copied_at_s)
        status = ReplicaStatus(
            ReplicaRole.FOLLOWER, membership.name, copied_at_s=copied_at_s, problem=membership.problem
        )
        leader = membership.leader
        return status if leader is None else replace(status, leader=leader.name, term=leader.term)

    def start(self, on_gain: Callable[[], object]) -> None:
        """Stand for leadership and let others copy. `on_gain` is called in another thread when this process leads."""
        if self._elected is not None:
            self._elected.server.start()
            self._elected.leadership.start(on_gain)

    async def copy(self) -> None:
        """Copy the leader's books unless this process leads.

        Raises:
            CopyError: there is no leader, or its books cannot be had or used. Those before stay in use.
            StateError: they cannot be written here.
        """
        if self._elected is not None:
            self._elected.server.renew()
            await self._elected.replica.copy()

    async def hand_over(self) -> None:
        """Let the followers copy the last plan, for those moments that it takes them to ask."""
        if self._elected is not None:
            await self._elected.replica.hand_over()

    def give_back(self) -> None:
        """Lead no more, and let another lead at once."""
        if self._elected is not None:
            self._elected.leadership.stop()

    async def stop(self) -> None:
        """Let nobody copy any more."""
        if self._elected is not None:
            await self._elected.server.stop()

    def _prepared(self, kept: bool) -> bool:
        return kept or self.answers.in_use is not None


def _are_of_late(plan_book: PlanBook, clock: Clock) -> bool:
    """Whether the plans of a run before are something to lead from at once; those of last week are not."""
    return any(clock.now_s() - page.last.made_at_s < KEPT_FOR_S for page in plan_book.pages.values())


def _forget_leader(state: Path) -> None:
    """Take back what a run with replicas noted for `calltide policy confirm`."""
    try:
        note_leader(state, None)
    except StateError as error:
        _log.warning("`calltide policy confirm` will name a leader that there is not", reason=str(error))


def _candidacy(settings: ReplicaSettings) -> Candidacy:
    # Of this run alone: the one before may have led, and what it knew is not known here.
    identity = f"{settings.replica_name}_{uuid4().hex[:12]}"
    return Candidacy(identity, settings.address, settings.timings)
