"""From what the watches have told to what retirement looks at: pods with their marks, nodes, the way up, freezes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice

from scaler.core.fleets import FleetKey, PodState
from scaler.fleet.kubernetes import annotations as marks
from scaler.fleet.kubernetes.freezes import freeze_of
from scaler.fleet.kubernetes.memory import ClusterMemory
from scaler.fleet.kubernetes.objects import Node, PodDetails, PodSeen, Workload
from scaler.fleet.kubernetes.observe import Claim
from scaler.fleet.kubernetes.pods import PodLife
from scaler.fleet.pbx.protocol import PodTarget
from scaler.fleet.retiring import FleetLook
from scaler.retirement import observed
from scaler.retirement.observed import ObservedNode, ObservedPod, Standstill, WayUp
from scaler.retirement.readings import Doubt, Unproved
from scaler.retirement.states import RetirementState

PENDING_S = 30.0
"""A pod that no node takes, or that cannot start, for this long says that the next would not come either."""
LONGEST_GAP_S = 15.0
"""Who leads looks every second. Whoever has not looked for this long did not lead, hung, or was cut off."""
_TERMINAL = ("Succeeded", "Failed")
_NOT_ASKED = Unproved(Doubt.NEVER_ASKED, 0.0)


@dataclass
class StaleNodes:
    """Since when each node has had no Lease, counted on the leader's clock while the API server answered unbroken.

    The node controller sets a node's Ready condition to Unknown when its Lease has not been renewed for its grace
    period, so a node is counted stale somewhat later than it is: that way round it costs time, and no call. A node
    that pods are on and whose object is not there has no Lease either; whoever removed it may not have stopped it.
    """

    since_s: dict[str, float] = field(default_factory=dict)
    followed_s: float = float("-inf")
    """When it was followed last: only who leads looks, and nobody can lead while the API server is away."""

    def follow(self, memory: ClusterMemory, now_s: float, *, unbroken: bool) -> None:
        """Take in what the watches say now."""
        known = {node.name: node.ready for node in memory.nodes.all()}
        stale = {name for name, ready in known.items() if ready == "Unknown"}
        stale |= {life.seen.node for life in memory.pods.lives.all() if life.seen.node is not None} - known.keys()
        gap_s, self.followed_s = now_s - self.followed_s, now_s
        if not unbroken or gap_s > LONGEST_GAP_S:
            # Whoever has just come back knows nothing of the time between.
            self.since_s = dict.fromkeys(stale, now_s)
            return
        self.since_s = {name: self.since_s.get(name, now_s) for name in stale}


@dataclass
class UnmadePods:
    """Since when each fleet has had fewer pods than its target, on the leader's clock."""

    since_s: dict[FleetKey, float] = field(default_factory=dict)

    def follow(self, looks: Mapping[FleetKey, FleetLook]) -> dict[FleetKey, FleetLook]:
        """The looks with that in their way up. One that cannot be relied on begins anew."""
        lacking = {key: look for key, look in looks.items() if _lacks_pods(look)}
        self.since_s = {key: self.since_s.get(key, look.looked_at_s) for key, look in lacking.items()}
        return {key: self._told(key, look) for key, look in looks.items()}

    def _told(self, key: FleetKey, look: FleetLook) -> FleetLook:
        since_s = self.since_s.get(key)
        if since_s is None or not isinstance(look.way_up, WayUp):
            return look
        return replace(look, way_up=replace(look.way_up, unmade_s=look.looked_at_s - since_s))


def _lacks_pods(look: FleetLook) -> bool:
    """Whether its controller would have to make a pod. It waits for those of a StatefulSet that are terminating."""
    return isinstance(look.way_up, WayUp) and sum(not pod.terminal for pod in look.pods) < look.spec_replicas


@dataclass(frozen=True, slots=True)
class Sight:
    """What holds for all fleets of one look: its time on the leader's clock and as epoch seconds, and its faults."""

    now_s: float
    wall_s: float
    stale_since_s: Mapping[str, float]
    problem: str | None


def look_at(memory: ClusterMemory, claim: Claim, sight: Sight) -> FleetLook | None:
    """One fleet; None while its workload is not there."""
    workload = memory.workload(claim.workload)
    if workload is None:
        return None
    seen = list(_seen(memory, workload))
    pods = tuple(_pod(life, details, current, memory, sight) for life, details, current in seen)
    names = {pod.node for pod in pods if pod.node is not None}
    return FleetLook(
        key=claim.key,
        looked_at_s=sight.now_s,
        workload=observed.Workload.STATEFUL_SET if claim.workload[1] == "StatefulSet" else observed.Workload.DEPLOYMENT,
        workload_name="{1}/{2}".format(*claim.workload),
        spec_replicas=workload.spec_replicas,
        scale_version=workload.version,
        pods=pods,
        targets={
            life.seen.uid: PodTarget(
                life.seen.uid, life.seen.name, details.address, details.container, claim.key.namespace
            )
            for life, details, _ in seen
            if details.address and not life.seen.deleting and life.seen.phase not in _TERMINAL
        },
        way_up=_way_up(memory, claim, seen, sight),
        nodes=tuple(_node(name, memory.nodes.first(name), sight) for name in sorted(names)),
        cluster_nodes=max(1, len(memory.nodes)),
        standstills=_frozen(memory, workload, sight.wall_s),
    )


def _seen(memory: ClusterMemory, workload: Workload) -> Iterator[tuple[PodLife, PodDetails, bool]]:
    """Every pod of the workload with its details, and whether it is of the newest revision."""
    for owner_uid, revision in memory.owners(workload).items():
        for life in memory.pods.lives.under(owner_uid):
            if life.seen.details is not None:
                current = (life.seen.revision if revision is None else revision) == workload.revision
                yield life, life.seen.details, current


def _pod(
    life: PodLife, details: PodDetails, current_revision: bool, memory: ClusterMemory, sight: Sight
) -> ObservedPod:
    seen = life.seen
    told = marks.told(seen.state_annotation, details.drain, details.evidence, details.wish)
    never_ready = life.pod.state is PodState.STARTING
    state = RetirementState.STARTING if never_ready and told.state is RetirementState.ACTIVE else told.state
    node = None if seen.node is None else memory.nodes.first(seen.node)
    return ObservedPod(
        uid=seen.uid,
        name=seen.name,
        version=details.version,
        version_read_s=sight.now_s,
        state=state,
        protected=details.protected == marks.IS_PROTECTED,
        # Nobody takes back the readiness of a pod whose node's object was removed.
        ready=seen.ready and node is not None,
        reading=_NOT_ASKED,
        started=details.started,
        was_ready=life.ready_s is not None,
        terminating=seen.deleting,
        terminal=seen.phase in _TERMINAL,
        drain=told.drain,
        evidence=told.evidence,
        node=seen.node,
        zone=None if node is None else node.zone,
        ordinal=_ordinal(seen),
        current_revision=current_revision,
        wish=told.wish,
        pinned=told.pinned,
        created_s=seen.created_s,
    )


def _ordinal(seen: PodSeen) -> int | None:
    """A StatefulSet's pod has its number at the end of its name. A Deployment's pods have none."""
    if not seen.revision:
        return None
    digits = seen.name.rpartition("-")[2]
    return int(digits) if digits.isdecimal() else None


def _node(name: str, node: Node | None, sight: Sight) -> ObservedNode:
    since_s = sight.stale_since_s.get(name)
    return ObservedNode(
        name=name,
        cordoned=node is not None and node.cordoned,
        out_of_service=node is not None and node.out_of_service,
        lease_stale_for_s=0.0 if since_s is None else sight.now_s - since_s,
    )


def _way_up(
    memory: ClusterMemory, claim: Claim, seen: list[tuple[PodLife, PodDetails, bool]], sight: Sight
) -> WayUp | Unproved:
    if sight.problem is not None:
        return Unproved(Doubt.NO_ANSWER, sight.now_s, sight.problem)
    if claim.scaled_object is None:
        return WayUp(("no ScaledObject points to the fleet",))
    hpa = memory.hpas.first(claim.scaled_object.hpa)
    faults = list(hpa.faults) if hpa is not None else ["its HPA does not exist"]
    if claim.scaled_object.paused:
        faults.append("the ScaledObject is paused")
    faults += islice(filter(None, (_held_up(life.seen, details, sight.wall_s) for life, details, _ in seen)), 1)
    return WayUp(tuple(faults))


def _held_up(seen: PodSeen, details: PodDetails, wall_s: float) -> str | None:
    """Why a pod has been pending for too long. One that nobody needs is soon taken out of the target."""
    if seen.phase != "Pending" or seen.deleting:
        return None
    if details.unschedulable_s is not None:
        return f"no node takes {seen.name}" if wall_s - details.unschedulable_s > PENDING_S else None
    waits_s = wall_s - seen.created_s
    return f"{seen.name} has not started for {waits_s:.0f} s" if waits_s > PENDING_S else None


def _frozen(memory: ClusterMemory, workload: Workload, wall_s: float) -> tuple[Standstill, ...]:
    why = freeze_of(memory, workload, wall_s)
    return () if why is None else (Standstill("freeze", f"Frozen: {why}.", stops_deletes=True),)
