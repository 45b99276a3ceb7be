"""The leader in the model: shows the production function what it could see, and takes down what it decides.

Ages of readings are kept in ticks before now, so that states which differ only in how long ago something was, beyond
what any rule asks, are one.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from scaler.core.fleets import FleetKey
from scaler.retirement.actions import DeletePod, LowerScale, MovePod, ReleasePod, SetFrontGate, SetPodGate
from scaler.retirement.closings import Closing, Closings
from scaler.retirement.evidence import DeadNode, DrainRecord, ProvedEmpty, ReleaseEvidence
from scaler.retirement.machine import Decision, step
from scaler.retirement.observed import ObservedFleet, ObservedNode, ObservedPod, Standstill, WayUp
from scaler.retirement.outlook import Outlook, OutlookStep
from scaler.retirement.proof import Memory, PodMemory
from scaler.retirement.readings import (
    Boot,
    FrontGate,
    GatePosition,
    PodReading,
    Reading,
    Steering,
    Unproved,
)
from scaler.retirement.states import Cause
from tools.model_check.pods import (
    ACTIVE,
    DRAINING,
    FORGOTTEN,
    NO_EVIDENCE,
    NOBODY_ANSWERS,
    NODE_GONE,
    NODE_OK,
    NODE_STALE,
    PURPOSES,
    RELEASED,
    STATES,
    TOWARDS_OPEN,
    TOWARDS_SHUT,
    PodW,
    Write,
)
from tools.model_check.scenarios import Scenario

OLDEST = -2.0
_BOOTS = [Boot(str(number), "") for number in range(9)]
_KEY = FleetKey("default", "model")


class Decided(NamedTuple):
    """What one step comes to: per pod the memory, the gate writes sent, front gates set and the write decided."""

    memories: tuple[PodMemory, ...]
    gates: tuple[int, ...]
    fronts: tuple[tuple[int, int], ...]
    """Proxies told to steer towards the pod, and away from it, as bits."""
    writes: tuple[Write | None, ...]
    scale: tuple[int, int, int] | None
    """From, to, and how many released or unstarted pods stand for it."""
    told: int
    drains_or_shuts: bool
    releases: bool


def probe(pod: PodW, *, answered: bool) -> PodReading:
    """What the pod answers now. Counts beyond one are all alike: busy."""
    if not (answered and pod.takes_calls):
        return NOBODY_ANSWERS
    gate = GatePosition.CLOSED if pod.shut else GatePosition.OPEN
    pending = ("a recording",) if pod.work else ()
    return Reading(0.0, 0.0, _BOOTS[pod.boot], gate, min(pod.calls, 1), pending)


def observed_pod(pod: PodW, slot: int, lost_proxy: int, scenario: Scenario) -> ObservedPod:
    """The pod as the leader has it: the object as it is, and of a pod that leaves the newest reading."""
    reading = pod.memory.newest if pod.state != ACTIVE else probe(pod, answered=True)
    drain = DrainRecord(PURPOSES[pod.purpose], Cause.NOT_NEEDED, 0.0, "", 1) if pod.state != ACTIVE else None
    evidence = None
    if pod.evidence != NO_EVIDENCE:
        dead = pod.evidence == NODE_GONE
        ground = DeadNode(str(slot), 1.0, 1.0) if dead else ProvedEmpty(_BOOTS[pod.evidence], -2.0, (-1.0,))
        evidence = ReleaseEvidence("", "", ground, PURPOSES[pod.purpose], Cause.NOT_NEEDED, 0.0, "", 1)
    return ObservedPod(
        uid=str(slot),
        name=str(slot),
        version="",
        version_read_s=-OLDEST if pod.state != ACTIVE and not pod.reread else 2 * OLDEST,
        state=STATES[pod.state],
        protected=pod.protected,
        ready=pod.ready,
        reading=reading,
        started=pod.started,
        was_ready=pod.started,
        drain=drain,
        evidence=evidence,
        front=() if scenario.pod_gate else _front(pod, lost_proxy),
        node=str(slot),
        ordinal=pod.ordinal if pod.ordinal >= 0 else None,
        current_revision=not pod.old,
    )


def _front(pod: PodW, lost_proxy: int) -> tuple[FrontGate, ...]:
    def steering(bit: int) -> Steering | Unproved:
        if bit & lost_proxy:
            return NOBODY_ANSWERS
        return Steering.TOWARDS if pod.front & bit else Steering.AWAY

    return tuple(FrontGate(str(bit), steering(bit), 0.0) for bit in (1, 2))


def observed_node(pod: PodW, slot: int) -> ObservedNode:
    """The pod's own node."""
    silent_for_s = float(pod.node_dead and pod.node == NODE_STALE)
    return ObservedNode(str(slot), lease_stale_for_s=float(pod.node == NODE_STALE), silent_for_s=silent_for_s)


def decide(
    pods: tuple[PodW, ...],
    replicas: int,
    need: int,
    told: int,
    way_broken: bool,
    frozen: bool,
    lost_proxy: int,
    scenario: Scenario,
    closings: Closings,
) -> Decided:
    """Step the production function once."""
    fleet = ObservedFleet(
        key=_KEY,
        workload=scenario.workload,
        spec_replicas=replicas,
        scale_version="",
        pods=tuple(observed_pod(pod, slot, lost_proxy, scenario) for slot, pod in enumerate(pods)),
        need=Outlook((OutlookStep(0.0, need),), 1e9) if need else NOBODY_ANSWERS,
        told=0,
        way_up=WayUp(("broken",)) if way_broken else WayUp(),
        wall_s=0.0,
        leader="",
        term=1,
        standstills=(Standstill("freeze", "frozen", stops_deletes=True),) if frozen else (),
        nodes=tuple(observed_node(pod, slot) for slot, pod in enumerate(pods) if pod.node != NODE_OK),
        cluster_nodes=len(pods),
    )
    memory = Memory(tuple(replace(pod.memory, uid=str(slot)) for slot, pod in enumerate(pods)))
    return _taken_down(pods, step(memory, fleet, scenario.limits, 0.0, closings), told, lost_proxy)


def _taken_down(pods: tuple[PodW, ...], decision: Decision, told: int, lost_proxy: int) -> Decided:
    count = len(pods)
    gates, fronts, scale = [0] * count, [[0, 0] for _ in pods], None
    writes: list[Write | None] = [None] * count
    turns_away = False
    fresh = {slot for slot, pod in enumerate(pods) if pod.state == DRAINING and decision.memory.pods[slot].shut is None}
    for action in decision.actions:
        match action:
            case LowerScale():
                scale = (action.replicas, action.to, action.replicas - action.to)
            case SetPodGate():
                shuts = action.position is GatePosition.CLOSED
                gates[int(action.uid)] |= TOWARDS_SHUT if shuts else TOWARDS_OPEN
                turns_away |= shuts and int(action.uid) in fresh
            case SetFrontGate():
                fronts[int(action.uid)][action.steering is Steering.AWAY] |= int(action.proxy)
                reached = not int(action.proxy) & lost_proxy
                turns_away |= action.steering is Steering.AWAY and reached and int(action.uid) in fresh
            case _:
                writes[int(action.uid)] = _write(action)
    return Decided(
        tuple(kept(memory, pod) for memory, pod in zip(decision.memory.pods, pods, strict=True)),
        tuple(gates),
        tuple((towards, away) for towards, away in fronts),
        tuple(writes),
        scale,
        told if decision.answer is None else decision.answer,
        turns_away,
        any(
            isinstance(action, ReleasePod)
            and isinstance(action.evidence.ground, ProvedEmpty)
            and pods[int(action.uid)].state != RELEASED
            for action in decision.actions
        ),
    )


def _write(action: MovePod | ReleasePod | DeletePod) -> Write:
    match action:
        case MovePod():
            purpose = PURPOSES.index(action.drain.purpose) if action.drain else 0
            return ("move", STATES.index(action.to), purpose)
        case ReleasePod():
            ground = action.evidence.ground
            boot = int(ground.boot.started) if isinstance(ground, ProvedEmpty) else NODE_GONE
            return ("release", boot, PURPOSES.index(action.evidence.purpose))
        case _:
            return ("delete", 0, 0)


def kept(memory: PodMemory, pod: PodW) -> PodMemory:
    """The memory without what no rule will ask for. A pod that serves is read anew at each step."""
    if pod.state == ACTIVE and memory.shut is None:
        return replace(FORGOTTEN, waits_open_s=memory.waits_open_s)
    return replace(memory, uid="", recalled_s=None)


def aged(memory: PodMemory, closings: Closings) -> PodMemory:
    """The memory one tick later. Where a stale reading counts for nothing, it is forgotten, and its zero with it."""
    newest, zeros_at_s = memory.newest, memory.zeros_at_s
    if isinstance(newest, Reading):
        forgets = Closing.FRESH_READING in closings
        newest = NOBODY_ANSWERS if forgets else replace(newest, asked_at_s=-1.0, answered_at_s=-1.0)
        zeros_at_s = () if forgets else tuple(-1.0 for _ in zeros_at_s)
    shut, waits_open_s = memory.shut, memory.waits_open_s
    return PodMemory(
        uid="",
        newest=newest,
        shut=None if shut is None else replace(shut, at_s=-1.0),
        zeros_at_s=zeros_at_s,
        waits_open_s=None if waits_open_s is None else max(waits_open_s - 1.0, OLDEST),
    )
