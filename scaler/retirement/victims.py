"""Which pod is drained next, and whether any may be.

Drained is the pod that is expected to be empty first, and only ahead of a valley that lasts longer than its drain and a
new pod's lead: a drain begun too early costs a recall in the ramp, one begun too late an idle pod for some minutes.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from scaler.retirement.closings import Closing
from scaler.retirement.observed import ObservedPod, Workload
from scaler.retirement.readings import Unproved, as_of
from scaler.retirement.scene import Scene
from scaler.retirement.states import Cause, Purpose, RetirementState, Wish


@dataclass(frozen=True, slots=True)
class Victim:
    """A pod to drain, what for and why."""

    pod: ObservedPod
    purpose: Purpose
    cause: Cause
    sentence: str


def victims(scene: Scene) -> list[Victim]:
    """The pods to drain now, as many as the policy lets drain at once; those that must go anyway come first."""
    room = scene.limits.max_at_once - len(scene.leaving())
    chosen = _to_replace(scene)[: max(0, room)]
    taken = {victim.pod.uid for victim in chosen}
    while len(chosen) < room:
        victim = _to_shrink(scene, taken)
        if victim is None:
            break
        chosen.append(victim)
        taken.add(victim.pod.uid)
    return chosen


def _to_replace(scene: Scene) -> list[Victim]:
    found = []
    for pod in scene.observed.pods:
        cause = cause_to_go(scene, pod)
        if cause is None or not _may_leave(scene, pod, on_own_account=cause is Cause.ASKED):
            continue
        sentence = f"{pod.name} drains to be replaced: {cause.value.replace('-', ' ')}."
        found.append(Victim(pod, Purpose.REPLACE, cause, sentence))
    zones = _zones(scene)
    return sorted(found, key=lambda victim: (victim.cause is not Cause.ASKED, *_soonest_empty(victim.pod, zones)))


def cause_to_go(scene: Scene, pod: ObservedPod) -> Cause | None:
    """What a pod has to be replaced for, whatever is needed; None when it may stay."""
    if pod.wish is Wish.REPLACE:
        return Cause.ASKED
    if any(node.name == pod.node and node.cordoned for node in scene.observed.nodes):
        return Cause.CORDONED_NODE
    return None if pod.current_revision else Cause.OLD_REVISION


def _to_shrink(scene: Scene, taken: set[str]) -> Victim | None:
    """The pod that is not needed for longest, if there is one."""
    left = len(scene.relied_on()) - len(taken) - 1
    candidates = [
        pod
        for pod in scene.staying()
        if pod.uid not in taken
        and _may_leave(scene, pod, on_own_account=pod.wish is Wish.DRAIN)
        and (_is_tail(scene, pod, taken) or not scene.has(Closing.TAIL_FIRST))
        and _in_valley(scene, pod, left)
    ]
    zones = _zones(scene)
    pod = min(candidates, key=lambda pod: _soonest_empty(pod, zones), default=None)
    if pod is None:
        return None
    cause = Cause.ASKED if pod.wish is Wish.DRAIN else Cause.NOT_NEEDED
    return Victim(pod, Purpose.SHRINK, cause, f"{pod.name} drains: the need is met without it.")


def _may_leave(scene: Scene, pod: ObservedPod, *, on_own_account: bool) -> bool:
    """Whether a pod may be drained at all. One that nobody can read would never be proved empty."""
    recalled_s = scene.memory.of(pod.uid).recalled_s
    rested = recalled_s is None or scene.now_s - recalled_s >= scene.limits.dwell_s
    known = not isinstance(as_of(pod.reading, scene.now_s, scene.limits.serving_fresh_s), Unproved)
    serves = pod.stands and pod.ready and pod.state is RetirementState.ACTIVE
    return serves and known and not pod.pinned and (rested or on_own_account) and pod.wish is not Wish.RECALL


def _in_valley(scene: Scene, pod: ObservedPod, left: int) -> bool:
    """Whether the `left` others meet the need until it has left and a new one could have come."""
    if not scene.has(Closing.NEED_WITHOUT_POD):
        return True
    if scene.need is None:
        return False
    until_s = pod.time_to_empty_s + scene.limits.quiet_window_s + scene.limits.lead_s
    until_s = max(until_s, scene.limits.look_ahead_s)
    return left >= scene.limits.floor and scene.need.lasts_s(left, scene.now_s) >= until_s


def _is_tail(scene: Scene, pod: ObservedPod, taken: set[str]) -> bool:
    """Whether every pod above it in a StatefulSet is leaving for good. In a Deployment any pod may go."""
    if scene.observed.workload is not Workload.STATEFUL_SET or pod.ordinal is None:
        return True
    return all(
        other.uid in taken or _shrinks(other)
        for other in scene.observed.pods
        if other.ordinal is not None and other.ordinal > pod.ordinal
    )


def _shrinks(pod: ObservedPod) -> bool:
    return pod.state.is_leaving and pod.drain is not None and pod.drain.purpose is Purpose.SHRINK


def _zones(scene: Scene) -> Counter[str | None]:
    return Counter(pod.zone for pod in scene.staying())


def _soonest_empty(pod: ObservedPod, zones: Counter[str | None]) -> tuple[bool, bool, float, int, str]:
    """Asked for first, then old revisions, then the soonest empty; zones kept level; the name, to be definite."""
    return (pod.wish is not Wish.DRAIN, pod.current_revision, pod.time_to_empty_s, -zones[pod.zone], pod.name)
