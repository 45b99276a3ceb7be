"""A cluster and its PBXs in memory, with a clock that a test moves: what retirement asks and writes, done at once."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from forecasting.forecast import Trust
from forecasting.grid import SlotGrid
from forecasting.load import Measure
from scaler.core.fleets import FleetKey, FleetObservation
from scaler.core.lead import Lead
from scaler.core.plan import Contribution, Explanation, Part, Plan
from scaler.fleet.pbx.protocol import Channel, PbxAnswer, PbxError, PodTarget
from scaler.fleet.proxies.protocol import FrontGateError, FrontGates
from scaler.fleet.retiring import FleetLook
from scaler.policy.model import Mode, PolicySpec
from scaler.retirement.actions import DeletePod, LowerScale, MovePod, PodWrite, ReleasePod
from scaler.retirement.audit import Outcome
from scaler.retirement.observed import ObservedNode, ObservedPod, Standstill, WayUp, Workload
from scaler.retirement.readings import (
    Boot,
    Doubt,
    FrontGate,
    GatePosition,
    PodReading,
    Reading,
    Steering,
    Unproved,
)
from scaler.retirement.states import RetirementState, Wish
from scaler.service.loads import FleetLoad
from scaler.service.planning import SizedFleet
from scaler.service.retiring.audit_log import AuditLog
from scaler.service.retiring.retirer import Edges, Retirer
from scaler.service.roster import RosterEntry

ACME = FleetKey("voice", "acme")
EPOCH_S = 1_790_000_000.0
LEAD_S = 60.0


def plan(
    need: int, *, at_s: float = EPOCH_S, path: list[int] | None = None, ahead: bool = True, **more: object
) -> Plan:
    """A plan that needs so many pods now, and those of `path` in the hours to come."""
    steps = np.repeat(np.array(path or [need], dtype=np.int32), 12)
    grid = SlotGrid(int(at_s) // 300 * 300, 300, steps.size)
    part = more.pop("part", Part.MEASURED)
    step = Contribution(part, need, need, f"{need} pods are needed.")
    explanation = Explanation(
        (step,), 0, part, (), Mode.ASSIST, Mode.ASSIST, Trust.TRUSTED, "", 0.0, 0.0, LEAD_S, "", **more
    )
    return Plan(ACME, "voice", at_s, need, need, need, grid, steps, explanation, ahead)


@dataclass
class OnePod:
    """A pod with its PBX."""

    pod: ObservedPod
    channels: int = 0
    gate: GatePosition = GatePosition.OPEN
    boot: str = "boot-1"
    answers: bool = True
    held: tuple[str, ...] = ()
    address: str = "127.0.0.1"


@dataclass
class Platform:
    """The cluster of one fleet, its media server and its plan, as one thing."""

    spec: PolicySpec
    now_s: float = 1000.0
    replicas: int = 3
    need: int = 3
    path: list[int] | None = None
    """Need by hour, where it is not the same for ever."""
    channels: float | None = None
    ahead: bool = True
    term_now: int | None = 4
    pods: dict[str, OnePod] = field(default_factory=dict)
    way_up: WayUp | Unproved = field(default_factory=WayUp)
    standstills: tuple[Standstill, ...] = ()
    writes: list[str] = field(default_factory=list)
    events: list[str] = field(default_factory=list)
    asked: int = 0
    version: int = 100
    lose_leadership_after: int | None = None
    node: str | None = None
    stale_for_s: float = 0.0
    heard: bool = False
    """Whether SIP answers where the probe does not."""
    hangs: bool = False
    """Whether a question to a pod never comes back."""
    slow_write_s: float = 0.0

    def __post_init__(self) -> None:
        for number in range(self.replicas):
            self.add(f"acme-{number}")

    @property
    def speed(self) -> float:
        return 1.0

    def add(self, name: str, **changed: object) -> OnePod:
        self.version += 1
        nothing = Unproved(Doubt.NEVER_ASKED, 0.0)
        pod = ObservedPod(f"uid-{name}", name, str(self.version), 0.0, RetirementState.ACTIVE, True, True, nothing)
        self.pods[name] = OnePod(replace(pod, **changed))
        return self.pods[name]

    def states(self) -> dict[str, str]:
        return {name: one.pod.state.value for name, one in sorted(self.pods.items())}

    def clock(self) -> float:
        return self.now_s

    # RetirementSide

    def look(self, now_s: float) -> Mapping[FleetKey, FleetLook]:
        pods = tuple(replace(one.pod, version_read_s=now_s) for one in self.pods.values())
        targets = {pod.uid: PodTarget(pod.uid, pod.name, self.pods[pod.name].address, "c-1") for pod in pods}
        look = FleetLook(
            ACME, now_s, Workload.DEPLOYMENT, "Deployment/acme", self.replicas, str(self.version), pods, targets,
            self.way_up, standstills=self.standstills,
            nodes=() if self.node is None else (ObservedNode(self.node, lease_stale_for_s=self.stale_for_s),),
        )  # fmt: skip
        return {ACME: look}

    async def write(self, look: FleetLook, action: PodWrite | LowerScale, within_s: float) -> Outcome:
        self.now_s += self.slow_write_s
        self.writes.append(_named(action))
        if len(self.writes) == self.lose_leadership_after:
            self.term_now = None
        if isinstance(action, LowerScale):
            if (action.version, action.replicas) != (str(self.version), self.replicas):
                return Outcome.CONFLICT
            self.replicas = action.to
            self.version += 1
            return Outcome.DONE
        one = self.pods.get(action.pod)
        if one is None or one.pod.version != action.version:
            return Outcome.CONFLICT
        self.version += 1
        match action:
            case DeletePod():
                del self.pods[action.pod]
                return Outcome.DONE
            case MovePod():
                changed = {"state": action.to, "drain": action.drain, "wish": None}
            case ReleasePod():
                changed = {"state": RetirementState.RELEASED, "protected": False, "evidence": action.evidence}
        one.pod = replace(one.pod, version=str(self.version), **changed)
        return Outcome.DONE

    async def tell(self, look: FleetLook, uid: str, reason: str, sentence: str, *, warning: bool) -> None:
        self.events.append(f"{'warning' if warning else 'normal'} {reason}: {sentence}")

    # MediaServer

    async def read(self, pod: PodTarget) -> PbxAnswer:
        self.asked += 1
        if self.hangs:
            await asyncio.Event().wait()
        one = self.pods[pod.name]
        reading: PodReading = Unproved(Doubt.REFUSED, self.now_s, "401")
        if one.answers:
            boot = Boot(one.boot, pod.container)
            reading = Reading(self.now_s, self.now_s, boot, one.gate, one.channels, (), one.held)
        return PbxAnswer(reading, tuple(Channel(f"PJSIP/{n}", 60.0) for n in range(one.channels)))

    async def set_gate(self, pod: PodTarget, boot: Boot, position: GatePosition) -> None:
        one = self.pods[pod.name]
        if not one.answers or boot.started != one.boot:
            raise PbxError(f"{pod.name} refused")
        one.gate = position

    async def is_heard(self, pod: PodTarget) -> bool:
        return self.heard or self.pods[pod.name].answers

    async def close(self) -> None: ...

    async def stop(self) -> None: ...

    # the plan

    def sized(self) -> Mapping[FleetKey, SizedFleet]:
        seen = FleetObservation(ACME, "voice", ("acme",), None, "Deployment/acme", 3, 3, (), self.wall_s())
        entry = RosterEntry(seen, ("acme",), self.spec)
        loads = {} if self.channels is None else {Measure.CHANNELS: FleetLoad(self.channels, 0.0)}
        made = plan(self.need, at_s=self.wall_s(), path=self.path or [self.need] * 24, ahead=self.ahead)
        return {ACME: SizedFleet(entry, self.spec, loads, Lead(LEAD_S, True, ""), made)}

    def wall_s(self) -> float:
        return EPOCH_S + self.now_s


@dataclass
class MadeUpProxy:
    """A proxy whose list a test sees: what is disabled, by address and not by pod, whoever did it."""

    platform: Platform
    disabled: set[str] = field(default_factory=set)
    answers: bool = True

    async def read(self, pods: Sequence[PodTarget]) -> Mapping[str, tuple[FrontGate, ...]]:
        now_s = self.platform.now_s
        doubt = Unproved(Doubt.NO_ANSWER, now_s)
        steering = {
            pod.uid: (Steering.AWAY if pod.address in self.disabled else Steering.TOWARDS) if self.answers else doubt
            for pod in pods
        }
        return {pod.uid: (FrontGate("sip-0", steering[pod.uid], now_s),) for pod in pods}

    async def steer(self, proxy: str, pod: PodTarget, steering: Steering) -> None:
        if not self.answers:
            raise FrontGateError(f"{proxy} does not answer")
        if steering is Steering.AWAY:
            self.disabled.add(pod.address)
        else:
            self.disabled.discard(pod.address)

    async def close(self) -> None: ...


class Driven:
    """A retirer on a platform, moved on by a test."""

    def __init__(self, platform: Platform, audit: AuditLog, gates: Mapping[str, FrontGates] | None = None) -> None:
        self.platform = platform
        self.loop = asyncio.new_event_loop()
        edges = Edges(platform, {"default": platform}, gates or {}, audit, lambda channels: 30.0 * len(channels))
        self.retirer = self.loop.run_until_complete(self._made(edges))

    async def _made(self, edges: Edges) -> Retirer:
        platform = self.platform
        wall = type("Wall", (), {"speed": 1.0, "now_s": lambda _: platform.wall_s()})()
        return Retirer(
            edges,
            clock=wall,
            leader_clock=platform.clock,
            fleets=platform.sized,
            term=lambda: platform.term_now,
            name="calltide-0",
        )

    def run(self, seconds: float, every_s: float = 1.0) -> None:
        """Let so much time pass, one step after the other, each with its rounds done."""
        until_s = self.platform.now_s + seconds
        while self.platform.now_s < until_s:
            self.loop.run_until_complete(self._step())
            self.platform.now_s += every_s

    async def _step(self) -> None:
        await self.retirer.step()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        if others:
            await asyncio.wait(others, timeout=20)

    def close(self) -> None:
        self.loop.run_until_complete(self.retirer.stop())
        self.loop.close()


def wished(one: OnePod, wish: Wish) -> None:
    """What a person writes onto a pod."""
    one.pod = replace(one.pod, wish=wish, version=f"{one.pod.version}0")


def _named(action: PodWrite | LowerScale) -> str:
    match action:
        case LowerScale():
            return f"scale {action.replicas}→{action.to}"
        case MovePod():
            return f"{action.pod} {action.before.value}→{action.to.value}"
        case ReleasePod():
            return f"release {action.pod}"
        case DeletePod():
            return f"delete {action.pod}"
