"""All fleets of the cluster, each in rounds of its own: look, ask, decide, carry out.

A fleet whose pods or proxies hang holds up no other. Whatever a round breaks on, nothing has been released by it, and
the next one begins with a new look.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import structlog

from scaler.clock import Clock
from scaler.core.fleets import FleetKey
from scaler.fleet.pbx.protocol import Channel, MediaServer, PbxAnswer
from scaler.fleet.proxies.protocol import FrontGates
from scaler.fleet.retiring import FleetLook, RetirementSide
from scaler.policy.model import PolicySpec, RetirementMode
from scaler.retirement.limits import limits_of
from scaler.retirement.machine import step
from scaler.retirement.observed import ObservedFleet, ObservedPod
from scaler.retirement.proof import Memory
from scaler.retirement.readings import Doubt, Unproved
from scaler.retirement.reports import Report
from scaler.retirement.states import Wish
from scaler.service.planning import SizedFleet
from scaler.service.retiring.asking import ask
from scaler.service.retiring.audit_log import AuditLog
from scaler.service.retiring.carrying_out import Hands, carry_out
from scaler.service.retiring.outlook import outlook_of
from scaler.service.retiring.past import Past
from scaler.service.retiring.silence import Silence
from scaler.service.retiring.standing import standstills_of
from scaler.service.retiring.state import FleetRound
from scaler.service.retiring.urgency import every_s

_log = structlog.get_logger("retirement")

ROUND_EVERY_S = 1.0
ROUNDS_AT_ONCE = 64


@dataclass(frozen=True, slots=True)
class Edges:
    """Whom retirement talks to. Servers and gates go by the names that policies use."""

    side: RetirementSide
    servers: Mapping[str, MediaServer]
    gates: Mapping[str, FrontGates]
    audit: AuditLog
    time_to_empty_s: Callable[[Sequence[Channel]], float]


@dataclass(slots=True)
class _Known:
    """What is remembered of one fleet in this leadership."""

    memory: Memory = field(default_factory=Memory)
    last: FleetRound | None = None
    answers: Mapping[str, PbxAnswer] = field(default_factory=dict)
    began_s: float = float("-inf")
    looked_at: frozenset[tuple[RetirementMode, str]] = frozenset()
    running: asyncio.Task[None] | None = None


@dataclass(slots=True)
class _Leadership:
    """What is remembered in one term."""

    term: int
    past: Past
    silence: Silence = field(default_factory=Silence)
    fleets: dict[FleetKey, _Known] = field(default_factory=dict)


class Retirer:
    """Retires pods while this replica leads.

    `clock` tells the plan's time, `leader_clock` rises by real seconds and never goes back; `term` says whether this
    replica leads at this moment; `name` is its name, for the evidence.
    """

    def __init__(
        self,
        edges: Edges,
        *,
        clock: Clock,
        leader_clock: Callable[[], float],
        fleets: Callable[[], Mapping[FleetKey, SizedFleet]],
        term: Callable[[], int | None],
        name: str,
    ) -> None:
        self._edges = edges
        self._clock = clock
        self._leader_clock = leader_clock
        self._sized = fleets
        self._term = term
        self._name = name
        self._leading: _Leadership | None = None
        self._at_once = asyncio.Semaphore(ROUNDS_AT_ONCE)

    def rounds(self) -> Mapping[FleetKey, FleetRound]:
        """Every fleet's last round of this leadership."""
        leading = self._leading
        if leading is None:
            return {}
        return {key: known.last for key, known in leading.fleets.items() if known.last is not None}

    async def step(self) -> None:
        """Begin the round of every fleet that is due, and return: rounds go on by themselves."""
        term = self._term()
        if term is None:
            self._leading = None
            return
        clock_s = self._leader_clock()
        if self._leading is None or self._leading.term != term:
            # Readings of before prove nothing to this leadership, and others may have told KEDA anything meanwhile.
            self._leading = _Leadership(term, Past(clock_s))
        leading, sized = self._leading, self._sized()
        leading.past.sample(sized, self._clock.now_s(), clock_s)
        looks = self._edges.side.look(clock_s)
        leading.fleets = {key: leading.fleets.get(key, _Known()) for key in looks if key in sized}
        for key, known in leading.fleets.items():
            spec = sized[key].spec
            if spec is not None and self._is_due(known, looks[key], sized[key], spec, clock_s):
                known.began_s = clock_s
                known.looked_at = frozenset((spec.retirement.mode, pod.uid) for pod in looks[key].pods if pod.started)
                known.running = asyncio.create_task(self._round(leading, known, looks[key], sized[key], spec))

    async def stop(self) -> None:
        """End the rounds that are under way, and give back connections."""
        leading, self._leading = self._leading, None
        running = [] if leading is None else [known.running for known in leading.fleets.values() if known.running]
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        closing = [self._edges.side.stop()]
        closing += [server.close() for server in self._edges.servers.values()]
        closing += [gate.close() for gate in self._edges.gates.values()]
        await asyncio.gather(*closing, return_exceptions=True)

    def _is_due(self, known: _Known, look: FleetLook, sized: SizedFleet, spec: PolicySpec, clock_s: float) -> bool:
        if known.running is not None and not known.running.done():
            return False
        last = known.last
        asked_for = () if last is None or last.mode is RetirementMode.DRY_RUN else last.decision.actions
        need = None if sized.plan is None else sized.plan.need
        unread = last is not None and any(isinstance(pod.reading, Unproved) for pod in last.observed.pods)
        interval_s = every_s(look, spec.retirement.mode, need, asked_for, known.looked_at, unread=unread)
        return interval_s is not None and clock_s - known.began_s >= interval_s

    async def _round(
        self, leading: _Leadership, known: _Known, look: FleetLook, sized: SizedFleet, spec: PolicySpec
    ) -> None:
        async with self._at_once:
            try:
                await self._one_round(leading, known, look, sized, spec)
            except Exception:  # noqa: BLE001 - it is told, and the other fleets go on
                _log.exception("a round of retirement broke", fleet=str(look.key))

    async def _one_round(
        self, leading: _Leadership, known: _Known, look: FleetLook, sized: SizedFleet, spec: PolicySpec
    ) -> None:
        retirement = spec.retirement
        server = self._edges.servers.get(retirement.media_server)
        gates = {name: self._edges.gates[name] for name in retirement.front_gates if name in self._edges.gates}
        if server is None or len(gates) < len(retirement.front_gates):
            self._tell_missing(spec, look)
            return
        asked = await ask(look, server, gates, self._edges.time_to_empty_s, self._leader_clock, known.answers)
        known.answers = asked.answers
        look = replace(look, nodes=await leading.silence.listen(look, asked.pods, server, self._leader_clock))
        limits = limits_of(spec, lead_s=0.0 if sized.lead is None else sized.lead.seconds)
        now_s, clock_s = self._clock.now_s(), self._leader_clock()
        observed = self._observed(leading, look, sized, spec, _with_policy(asked.pods, spec), now_s, clock_s)
        decision = step(known.memory, observed, limits, clock_s)
        known.memory = decision.memory
        failures: tuple[str, ...] = ()
        if retirement.mode is not RetirementMode.DRY_RUN:
            term = leading.term
            hands = Hands(
                self._edges.side,
                server,
                gates,
                asked.group_of_proxy,
                self._edges.audit,
                leads=lambda: self._term() == term,
                age_s=lambda: self._leader_clock() - clock_s,
            )
            failures = await carry_out(decision, observed, look, limits, hands)
        await self._tell_reports(known, look, decision.reports)
        known.last = FleetRound(look.key, retirement.mode, now_s, observed, decision, failures)

    def _observed(
        self,
        leading: _Leadership,
        look: FleetLook,
        sized: SizedFleet,
        spec: PolicySpec,
        pods: tuple[ObservedPod, ...],
        now_s: float,
        clock_s: float,
    ) -> ObservedFleet:
        past, plan = leading.past, sized.plan
        need = (
            Unproved(Doubt.NEVER_ASKED, clock_s, "there is no plan yet")
            if plan is None
            else outlook_of(plan, past.needs(look.key), spec.retirement.look_ahead, now_s, clock_s)
        )
        return ObservedFleet(
            key=look.key,
            workload=look.workload,
            spec_replicas=look.spec_replicas,
            scale_version=look.scale_version,
            pods=pods,
            need=need,
            told=past.still_told(look.key, look.spec_replicas, sized.entry.observation.polling_interval_s, clock_s),
            way_up=look.way_up,
            wall_s=now_s,
            leader=self._name,
            term=leading.term,
            standstills=(*look.standstills, *standstills_of(spec, past.shared_fall, now_s)),
            nodes=look.nodes,
            cluster_nodes=look.cluster_nodes,
        )

    def _tell_missing(self, spec: PolicySpec, look: FleetLook) -> None:
        wanted = {"mediaServers": spec.retirement.media_server, "frontGates": ", ".join(spec.retirement.front_gates)}
        _log.error(
            "nothing is retired: the configuration's retirement section lacks what the policy names",
            fleet=str(look.key),
            **wanted,
        )

    async def _tell_reports(self, known: _Known, look: FleetLook, reports: Sequence[Report]) -> None:
        """An Event for every condition that was not there in the round before."""
        before = set() if known.last is None else {(one.condition, one.uid) for one in known.last.decision.reports}
        for report in reports:
            if (report.condition, report.uid) not in before:
                reason = "".join(word.capitalize() for word in report.condition.value.split("-"))
                await self._edges.side.tell(look, report.uid, reason, report.sentence, warning=True)


def _with_policy(pods: tuple[ObservedPod, ...], spec: PolicySpec) -> tuple[ObservedPod, ...]:
    """The pods as the policy wants them: pinned, or, where retirement is off, back."""
    retirement = spec.retirement
    off = retirement.mode is RetirementMode.OFF
    return tuple(
        replace(
            pod,
            pinned=retirement.pinned or pod.pinned,
            wish=Wish.RECALL if off and pod.state.is_recallable else pod.wish,
        )
        for pod in pods
    )
