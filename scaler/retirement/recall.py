"""Bringing pods back: the cheapest capacity is a pod that is still there, so a recall comes before any scale-out."""

from __future__ import annotations

from scaler.retirement.closings import Closing
from scaler.retirement.observed import ObservedPod
from scaler.retirement.scene import Scene
from scaler.retirement.states import Cause, Purpose, RetirementState, Wish
from scaler.retirement.victims import cause_to_go

_MAY_PASS = (Cause.OLD_REVISION, Cause.CORDONED_NODE)
"""What a pod has to go for until somebody takes it back."""


def recalls(scene: Scene) -> list[ObservedPod]:
    """The pods to take back now: those asked for or not to be replaced any more, and as many as the need of now lacks.

    Starting pods are not waited for: they take a lead, a recall takes a moment. Of the pods that drain for a shrink,
    the one that would be empty last comes back first.
    """
    asked = [pod for pod in scene.leaving() if pod.wish is Wish.RECALL or _may_stay(scene, pod)]
    lacking = 0 if scene.need is None else scene.need.now_pods - len(scene.staying()) - len(scene.opening())
    lacking -= len(asked)
    spare = sorted(
        (pod for pod in scene.observed.pods if _may_return(scene, pod) and pod not in asked),
        key=lambda pod: (pod.state is not RetirementState.DRAINING, -pod.time_to_empty_s, pod.name),
    )
    return [*asked, *spare[: max(0, lacking)]]


def _may_return(scene: Scene, pod: ObservedPod) -> bool:
    recallable = pod.state.is_recallable or (
        pod.state is RetirementState.RELEASED and not scene.has(Closing.RELEASED_IS_FINAL)
    )
    for_shrink = pod.drain is not None and pod.drain.purpose is Purpose.SHRINK
    return pod.stands and pod.ready and recallable and for_shrink and pod.wish is not Wish.DRAIN


def _may_stay(scene: Scene, pod: ObservedPod) -> bool:
    """Whether what it was to be replaced for is no more: the rollout was undone, the node is open again."""
    had_to_go = pod.drain is not None and pod.drain.cause in _MAY_PASS
    return had_to_go and pod.ready and cause_to_go(scene, pod) is None
