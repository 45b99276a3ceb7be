"""Taking a live fleet into retirement's care: no pod is restarted, no call is cut.

First the pods that run, then budget and admission, last the template. leaving.py goes the other way.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from scaler.core.fleets import FleetKey
from scaler.errors import FleetError
from scaler.fleet.kubernetes import annotations as marks
from scaler.fleet.kubernetes.adopting_template import ADOPTED, Change, change_template, not_changeable
from scaler.fleet.kubernetes.api import JsonObject
from scaler.fleet.kubernetes.by_hand import ByHand, namespace_path, path_of, read_fleet
from scaler.fleet.kubernetes.doctor.findings import FleetObjects
from scaler.fleet.kubernetes.doctor.guards import IS_ENABLED, budgets_over, missing_admission
from scaler.fleet.kubernetes.doctor.workload import UNMOVED
from scaler.fleet.kubernetes.fields import annotation_of, label_of, map_at, name_of, selector_text
from scaler.fleet.kubernetes.objects import uid_of

BUDGET = "calltide-protected"
_NEEDED = ("policies", "bindings", "budgets", "namespace")
_PROTECTING = (marks.IS_PROTECTED, marks.IS_RELEASED)


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do, in a sentence, and how."""

    sentence: str
    carry_out: Callable[[], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """What would be done; what it means besides; and why it cannot be done now, empty when it can."""

    steps: tuple[Step, ...]
    notes: tuple[str, ...]
    obstacles: tuple[str, ...]


def disruption_budget(namespace: str) -> JsonObject:
    """The one budget of a namespace, as deploy/fleet/namespace.yaml has it."""
    among = {"key": marks.PROTECTED, "operator": "In", "values": [marks.IS_PROTECTED, marks.IS_RELEASED]}
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": BUDGET, "namespace": namespace},
        "spec": {"minAvailable": 1_000_000, "selector": {"matchExpressions": [among]}},
    }


def give_back_line(fleet: FleetObjects) -> str:
    """The one command by which an operator has a fleet's pods back, whatever has become of calltide."""
    selector = selector_text(map_at(fleet.workload or {}, "spec", "selector"))
    return f"kubectl label pods -n {fleet.key.namespace} -l {selector!r} {marks.PROTECTED}-"


def plan_adoption(by_hand: ByHand, fleet: FleetObjects, *, template: bool) -> Plan:
    """What it takes to have a fleet's pods protected. Without `template` whoever owns that writes the label there."""
    key, workload = fleet.key, fleet.workload
    if workload is None:
        return Plan((), (), (f"{fleet.workload_name} does not exist",))
    obstacles = [f"{finding.object}: {finding.what} {finding.fix}" for finding in missing_admission(fleet)]
    obstacles += [f"{what} could not be read: {why}" for what, why in fleet.unread.items() if what in _NEEDED]
    steps = [*_protect_pods(by_hand, fleet), *_guard(by_hand, fleet)]
    change = _adopting_change(fleet)
    notes = [f"Then only calltide and cluster administrators can lower replicas of any workload in {key.namespace}."]
    if change is None:
        notes.append("The pod template has all of it already.")
    elif not template:
        notes.append(f'Until the pod template has the label {marks.PROTECTED}: "true", new pods are not protected.')
    else:
        why_not = not_changeable(fleet)
        if why_not is not None:
            obstacles.append(f"{fleet.workload_name}: {why_not}. Or adopt it with --no-template")
        steps.append(Step(_sentence_of(fleet), lambda: change_now(by_hand, key, _adopting_change)))
        steps.append(Step("Protect the pods that were born meanwhile.", lambda: _protect_born(by_hand, key)))
        if fleet.kind == "StatefulSet":
            notes.append("To calltide the running pods are of an old revision then: it replaces them, each when empty.")
    return Plan(tuple(steps), tuple(notes), tuple(obstacles))


def _sentence_of(fleet: FleetObjects) -> str:
    how = "with updateStrategy OnDelete" if fleet.kind == "StatefulSet" else "and into its ReplicaSet's"
    return f"Write protection into the pod template of {fleet.workload_name}, {how}; no pod is restarted."


def _protect_pods(by_hand: ByHand, fleet: FleetObjects) -> list[Step]:
    bare = [pod for pod in fleet.pods if label_of(pod, marks.PROTECTED) not in _PROTECTING]
    if not bare:
        return []
    text = f"Label {len(bare)} running pods {marks.PROTECTED}=true."
    return [Step(text, lambda: _protect_born(by_hand, fleet.key))]


def _protect_born(by_hand: ByHand, key: FleetKey) -> None:
    for pod in read_fleet(by_hand, key).pods:
        if label_of(pod, marks.PROTECTED) not in _PROTECTING:
            metadata = {"labels": {marks.PROTECTED: marks.IS_PROTECTED}, "annotations": UNMOVED, "uid": uid_of(pod)}
            by_hand.patch(path_of("Pod", key.namespace, name_of(pod)), {"metadata": metadata})


def _guard(by_hand: ByHand, fleet: FleetObjects) -> list[Step]:
    """The budget and the namespace's label, where they are missing."""
    namespace = fleet.key.namespace
    labels = dict(map_at(fleet.template, "metadata", "labels")) | {marks.PROTECTED: marks.IS_PROTECTED}
    steps = []
    if not budgets_over(fleet, labels):
        path = path_of("PodDisruptionBudget", namespace)
        text = f"Make the disruption budget {namespace}/{BUDGET}, which refuses evictions."
        steps.append(Step(text, lambda: _done(by_hand.create(path, disruption_budget(namespace)))))
    if label_of(fleet.namespace, marks.ENABLED) != IS_ENABLED:
        change = {"metadata": {"labels": {marks.ENABLED: IS_ENABLED}}}
        text = f"Label the namespace {namespace} {marks.ENABLED}={IS_ENABLED}: the admission policies hold in it."
        steps.append(Step(text, lambda: _done(by_hand.patch(namespace_path(namespace), change))))
    return steps


def _done(_answer: JsonObject) -> None:
    """That it was answered is all that matters."""


def _adopting_change(fleet: FleetObjects) -> Change | None:
    """What the template lacks; None when it lacks nothing."""
    template = fleet.template
    missing = {name: value for name, value in UNMOVED.items() if annotation_of(template, name) != value}
    if not missing and label_of(template, marks.PROTECTED) == marks.IS_PROTECTED:
        return None
    before = annotation_of(fleet.workload or {}, ADOPTED)
    added = sorted({*before.split(","), *missing} - {""})
    return Change({marks.PROTECTED: marks.IS_PROTECTED}, missing, ",".join(added))


def change_now(by_hand: ByHand, key: FleetKey, wanted: Callable[[FleetObjects], Change | None]) -> None:
    """Change the template as it is now, if that is still possible."""
    fleet = read_fleet(by_hand, key)
    change, why_not = wanted(fleet), not_changeable(fleet)
    if why_not is not None:
        raise FleetError(f"{fleet.workload_name}: {why_not}. What was done so far stays; run the command again then")
    if change is not None:
        change_template(by_hand, fleet, change)
