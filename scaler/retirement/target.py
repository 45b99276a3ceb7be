"""How far the target is lowered: by what was released, never below what is needed, and never twice for one pod.

The number follows from what stands, not from what was done: after a crash nobody knows whether the last write came
through. A released pod that still stands inside the target has not been subtracted; one that stands beyond it has.
"""

from __future__ import annotations

from scaler.core import wording
from scaler.retirement.actions import LowerScale
from scaler.retirement.closings import Closing
from scaler.retirement.evidence import ProvedEmpty
from scaler.retirement.observed import ObservedPod, Workload
from scaler.retirement.scene import Scene
from scaler.retirement.states import Purpose, RetirementState


def waits_for_target(scene: Scene) -> bool:
    """Whether the target is, or will in a moment be, lowered: only a larger answer of before may still be read.

    A released pod that is deleted before that would get a successor that nobody needs. While the need is not known, as
    when another leader has just taken over, the target cannot be lowered yet.
    """
    return _may_be_lowered_later(scene) if scene.answer() is None else _lowered(scene, told=0) is not None


def _may_be_lowered_later(scene: Scene) -> bool:
    """Whether fewer pods than the target would stand without those that were released for it to be lowered."""
    observed = scene.observed
    stand = sum(pod.stands for pod in observed.pods)
    return stand - sum(_is_to_subtract(scene, pod) for pod in observed.pods) < min(stand, observed.spec_replicas)


def lowered_target(scene: Scene) -> LowerScale | None:
    """The write that lowers the target now, None when there is nothing to lower.

    Pods that never started carried no call and are unprotected: the target is lowered by those that nobody needs as
    well, and the controller takes them first.
    """
    return _lowered(scene, scene.observed.told)


def _lowered(scene: Scene, told: int) -> LowerScale | None:
    observed = scene.observed
    least = _least_target(scene, told)
    released = [pod for pod in observed.pods if _is_to_subtract(scene, pod)]
    unstarted = sum(pod.stands and not pod.started for pod in observed.pods)
    if least is None:
        return None
    if not scene.has(Closing.SCALE_ABOVE_ANSWER):
        least = 0
    lower_by = min(len(released) + unstarted, observed.spec_replicas - least)
    if lower_by <= 0:
        return None
    to = observed.spec_replicas - lower_by
    names = ", ".join(sorted(pod.name for pod in released)) or "pods that never started"
    sentence = f"The target goes from {observed.spec_replicas:,} to {wording.pods(to)}, for {names}."
    return LowerScale(observed.scale_version, observed.spec_replicas, to, sentence)


def _is_to_subtract(scene: Scene, pod: ObservedPod) -> bool:
    shrinks = pod.evidence is not None and pod.evidence.purpose is Purpose.SHRINK
    empty = pod.evidence is not None and isinstance(pod.evidence.ground, ProvedEmpty)
    released = pod.stands and pod.state is RetirementState.RELEASED
    return released and shrinks and empty and scene.evidence_holds(pod) is True


def _least_target(scene: Scene, told: int) -> int | None:
    """The target must not go below this: the answer, what KEDA may still read, and every pod that is not released."""
    answer = scene.answer()
    if answer is None:
        return None
    observed = scene.observed
    kept = [pod for pod in observed.pods if pod.stands and pod.started and pod.state is not RetirementState.RELEASED]
    least = max(answer, told, len(kept), scene.limits.floor)
    if observed.workload is Workload.STATEFUL_SET and scene.has(Closing.TAIL_FIRST):
        least = max(least, *(1 + (pod.ordinal or 0) for pod in kept), 0)
    return least
