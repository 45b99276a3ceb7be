"""From the need to the number that KEDA is told.

The HPA counts pods, serving or not, so pods that are inside its target and neither serve nor can be recalled come on
top of the need. They are counted over pod UIDs, never as a difference of two counts that were read at two times.
"""

from __future__ import annotations

from dataclasses import dataclass

from scaler.core import wording
from scaler.core.fleets import FleetObservation, Pod, PodState

_OUTSIDE = frozenset({PodState.RELEASED, PodState.TERMINATING, PodState.TERMINAL})
_RECALLABLE = frozenset({PodState.DRAINING, PodState.DRAINED})
_OVERDUE_LEADS = 3
_OVERDUE_S = 600.0
"""A pod that has a node and after so long, and so many leads, was not Ready once will not serve by itself."""


@dataclass(frozen=True, slots=True)
class PodsApart:
    """Pods inside the target that do not count as serving.

    `failed` are those replaced by now, `failed_waiting` those whose turn comes: pods that were Ready and are not, and
    `overdue` of them that never were. `recallable` drain for a shrink.
    """

    replacing: int
    failed: int
    failed_waiting: int
    recallable: int
    overdue: int

    @property
    def not_serving(self) -> int:
        """Pods that neither serve nor can be recalled, as far as they are replaced now."""
        return self.replacing + self.failed

    @property
    def sentence(self) -> str:
        """What they are."""
        parts = []
        if self.replacing:
            parts.append(f"{wording.pods(self.replacing)} on the way out with a successor to come")
        if self.failed:
            never = " or never became Ready" if self.overdue else ""
            parts.append(f"{wording.pods(self.failed)} failed{never}")
        return f"Inside the target but not serving: {' and '.join(parts)}."


def pods_apart(observation: FleetObservation, need: int, *, lead_s: float) -> PodsApart:
    """Sort the pods inside the current target by whether they serve.

    Starting pods will serve, as long as they take no more than thrice the lead that is planned with. Failed ones are
    replaced a budget at a time: one, or a tenth of the need, and the next as soon as the successors of these serve.
    """
    inside = _inside_target(observation)
    started_before_s = observation.observed_at_s - max(_OVERDUE_S, _OVERDUE_LEADS * lead_s)
    others = [pod for pod in inside if not pod.replacing]
    overdue = sum(_is_overdue(pod, started_before_s) for pod in others)
    failed = overdue + sum(pod.state is PodState.FAILED for pod in others)
    replaced = min(failed, _serving_successors(inside, need) + max(1, need // 10))
    recallable = sum(pod.state in _RECALLABLE for pod in others)
    return PodsApart(len(inside) - len(others), replaced, failed - replaced, recallable, overdue)


def _is_overdue(pod: Pod, started_before_s: float) -> bool:
    # One that no node takes is not: another would wait beside it.
    return pod.state is PodState.STARTING and pod.node is not None and pod.created_s < started_before_s


def need_within(observation: FleetObservation, answer: int, *, lead_s: float) -> int:
    """The highest need whose answer, with what does not serve on top, is no higher than this."""
    return next(
        (
            need
            for need in range(answer, 0, -1)
            if need + pods_apart(observation, need, lead_s=lead_s).not_serving <= answer
        ),
        0,
    )


def _serving_successors(inside: list[Pod], need: int) -> int:
    """How many of the pods beyond the need serve: the newest ones, as those were asked for last.

    A bad image or password brings none that serves, so it costs a budget and cannot double a fleet. A dead node or a
    switch that took half of the pods along is made good in steps, each as long as a new pod takes.
    """
    newest = sorted(inside, key=lambda pod: (pod.created_s, pod.uid))[need:]
    return sum(pod.state is PodState.SERVING and not pod.replacing for pod in newest)


def _inside_target(observation: FleetObservation) -> list[Pod]:
    """The pods that the target's number counts, each UID once.

    A rollout leaves pods of the old revision standing beyond the target while their deletion is refused. Of those,
    the ones that do not serve are the surplus: their successors are there already.
    """
    standing = {pod.uid: pod for pod in observation.pods if pod.state not in _OUTSIDE}
    surplus = len(standing) - observation.spec_replicas
    if surplus <= 0:
        return list(standing.values())
    old = [pod for pod in standing.values() if not pod.current_revision]
    outside = {pod.uid for pod in sorted(old, key=_serves_least)[:surplus]}
    return [pod for uid, pod in standing.items() if uid not in outside]


def _serves_least(pod: Pod) -> tuple[bool, bool, bool, str]:
    return (not pod.replacing, pod.state is not PodState.FAILED, pod.state not in _RECALLABLE, pod.uid)
