"""What somebody should look at: conditions of retirement that do not mend themselves."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from scaler.policy.durations import format_duration
from scaler.retirement.nodes import most_dead_at_once, silent_nodes
from scaler.retirement.observed import ObservedPod
from scaler.retirement.readings import Unproved
from scaler.retirement.scene import Scene
from scaler.retirement.states import RetirementState

LATE_DELETE_S = 60.0
"""A released pod is gone within seconds. One that stands this much longer has met something."""


class Condition(StrEnum):
    """What is reported."""

    DRAIN_TOO_LONG = "drain-too-long"
    RELEASED_STANDS = "released-stands"
    EVIDENCE_VOID = "evidence-void"
    UNPROVED = "unproved"
    RECALL_FAILED = "recall-failed"
    TOO_MANY_SILENT_NODES = "too-many-silent-nodes"


@dataclass(frozen=True, slots=True)
class Report:
    """One condition, of a pod or (uid empty) of the fleet."""

    condition: Condition
    uid: str
    sentence: str


def reports(scene: Scene) -> tuple[Report, ...]:
    """Every condition that holds now."""
    found = [report for pod in scene.observed.pods if pod.stands for report in _of_pod(scene, pod)]
    silent = silent_nodes(scene.observed.nodes, scene.limits, scene.closings)
    most = most_dead_at_once(scene.observed.cluster_nodes, scene.limits)
    if len(silent) > most:
        sentence = (
            f"{len(silent)} nodes have neither a lease nor an answering PBX, above the {most} that may die at once. "
            "None is declared dead. Look at the network before the nodes."
        )
        found.append(Report(Condition.TOO_MANY_SILENT_NODES, "", sentence))
    return tuple(found)


def _of_pod(scene: Scene, pod: ObservedPod) -> list[Report]:
    found: list[Report] = []

    def add(condition: Condition, sentence: str) -> None:
        found.append(Report(condition, pod.uid, f"{pod.name}: {sentence}"))

    wall_s = scene.observed.wall_s
    if pod.state.is_recallable and pod.drain is not None and wall_s - pod.drain.began_at_s > scene.limits.drain_max_s:
        add(Condition.DRAIN_TOO_LONG, f"drains since {format_duration(wall_s - pod.drain.began_at_s)}.")
    if scene.observed.should_answer(pod) and isinstance(pod.reading, Unproved):
        add(Condition.UNPROVED, f"its channels cannot be counted ({pod.reading.sentence}); it counts as busy.")
    if scene.gave_up_opening(pod):
        add(Condition.RECALL_FAILED, "recalled, and its gate does not open; it counts as failed.")
    if pod.state is RetirementState.RELEASED and pod.evidence is not None:
        if scene.evidence_holds(pod) is False:
            add(Condition.EVIDENCE_VOID, "released, and no longer what was proved of it; it is not deleted.")
        if wall_s - pod.evidence.released_at_s > LATE_DELETE_S:
            add(Condition.RELEASED_STANDS, "released a while ago and still there.")
    return found
