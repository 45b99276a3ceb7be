"""Drained → Released: the one edge that cannot be taken back, and what else could have been decided instead."""

from __future__ import annotations

from scaler.retirement.closings import Closing
from scaler.retirement.evidence import DrainRecord, Ground, OutOfService, ProvedEmpty, ReleaseEvidence
from scaler.retirement.observed import ObservedPod, Workload
from scaler.retirement.scene import Scene
from scaler.retirement.states import Cause, Purpose, RetirementState


def release_evidence(scene: Scene, pod: ObservedPod, ground: Ground) -> ReleaseEvidence:
    """The evidence of one release, with wall times."""
    observed = scene.observed
    if isinstance(ground, ProvedEmpty):
        ground = ground.dated(observed.wall_s - scene.now_s)
    drain = pod.drain or DrainRecord(Purpose.REPLACE, Cause.DEAD_NODE, observed.wall_s, observed.leader, observed.term)
    return ReleaseEvidence(
        uid=pod.uid,
        pod=pod.name,
        ground=ground,
        purpose=drain.purpose,
        cause=drain.cause,
        released_at_s=observed.wall_s,
        leader=observed.leader,
        term=observed.term,
    )


def refusal(scene: Scene, pod: ObservedPod) -> str | None:
    """Why a drained and proved pod is not released now; None when it may go. Standstills are asked for before."""
    if not scene.covers_lead():
        return "the need of the next lead is not met without it"
    if scene.has(Closing.TAIL_FIRST) and not _above_are_gone(scene, pod):
        return "a StatefulSet shrinks by its last pods, and one above it is not released yet"
    return None


def _above_are_gone(scene: Scene, pod: ObservedPod) -> bool:
    """Whether no pod stands above it in a StatefulSet but released ones. Asked of shrinks only."""
    shrinks = pod.drain is not None and pod.drain.purpose is Purpose.SHRINK
    if scene.observed.workload is not Workload.STATEFUL_SET or pod.ordinal is None or not shrinks:
        return True
    return all(
        other.state is RetirementState.RELEASED
        for other in scene.observed.pods
        if other.stands and other.ordinal is not None and other.ordinal > pod.ordinal
    )


def dead_ground(scene: Scene, pod: ObservedPod) -> Ground | None:
    """On what ground a pod may go without a proof: its node is gone."""
    return scene.dead_nodes().get(pod.node) if pod.node is not None else None


def may_force(pod: ObservedPod) -> bool:
    """Whether a released pod may be deleted without grace: an administrator said that its node is out of service."""
    return pod.evidence is not None and isinstance(pod.evidence.ground, OutOfService)
