"""Where a pod is in its life, and how long it took to get there.

"Was Ready" is not in a pod's status: the Ready condition only says since when it has been what it is now. While we
watch, we remember. For a pod that is found not Ready (after a restart of ours) the condition itself tells: the kubelet
writes it as False together with `startTime`, so a change much later than that can only be the loss of readiness.
"""

from __future__ import annotations

from dataclasses import dataclass

from scaler.core.fleets import Pod, PodState
from scaler.fleet.kubernetes.annotations import Told, told
from scaler.fleet.kubernetes.objects import PodSeen
from scaler.retirement.states import Purpose, RetirementState

CONDITION_DELAY_S = 5.0
"""A Ready condition that turned False this much later than the pod's start was True before."""
LONGEST_FOUND_LEAD_S = 3600.0
"""A pod that is found Ready and became so later than this after its creation had lost readiness in between."""

_ANNOTATED = {RetirementState.DRAINING: PodState.DRAINING, RetirementState.DRAINED: PodState.DRAINED}


@dataclass(frozen=True, slots=True)
class PodLife:
    """A pod and what we remember of it. `ready_s` is when it was Ready last (or stopped to be), None for never.

    `pod` is the same in the words of the core, made once per event and not at each look.
    """

    seen: PodSeen
    ready_s: float | None
    pod: Pod


def follow(before: PodLife | None, seen: PodSeen) -> PodLife:
    """The pod's life after one more event."""
    ready_s = before.ready_s if before else None
    if seen.ready:
        ready_s = seen.ready_changed_s or ready_s or seen.created_s
    elif ready_s is None:
        ready_s = _lost_readiness_s(seen)
    marks = told(seen.state_annotation, None if seen.details is None else seen.details.drain, None, None)
    state = _state(seen, ready_s, marks)
    pod = Pod(seen.uid, seen.name, state, seen.created_s, ready_s, seen.node, replacing=_is_replaced(marks, state))
    return PodLife(seen, ready_s, pod)


def measured_lead_s(before: PodLife | None, now: PodLife) -> float | None:
    """Seconds from creation to the first Ready, once per pod: when this event shows it, by the cluster's own times."""
    seen = now.seen
    if not seen.ready or now.ready_s is None or (before is not None and before.ready_s is not None):
        return None
    lead_s = max(0.0, now.ready_s - seen.created_s)
    if before is None and (seen.restarts or lead_s > LONGEST_FOUND_LEAD_S):
        return None  # found Ready, but not for the first time: its first Ready is not known any more
    return lead_s


def _state(seen: PodSeen, ready_s: float | None, marks: Told) -> PodState:
    if seen.phase in ("Succeeded", "Failed"):
        return PodState.TERMINAL
    if seen.deleting:
        return PodState.TERMINATING
    if marks.state is RetirementState.RELEASED:
        return PodState.RELEASED
    if not seen.ready:
        # A draining pod that is not Ready has failed, since it cannot be recalled.
        return PodState.STARTING if ready_s is None else PodState.FAILED
    return _ANNOTATED.get(marks.state, PodState.SERVING)


def _is_replaced(marks: Told, state: PodState) -> bool:
    """Whether the pod is on its way out with a successor to come."""
    leaves = state in (PodState.DRAINING, PodState.DRAINED)
    return leaves and marks.drain is not None and marks.drain.purpose is Purpose.REPLACE


def _lost_readiness_s(seen: PodSeen) -> float | None:
    if seen.ready_changed_s is None or seen.started_s is None:
        return None
    return seen.ready_changed_s if seen.ready_changed_s - seen.started_s > CONDITION_DELAY_S else None
