"""Letting a fleet go out of retirement's care, so that nothing protects its pods and nothing has ended one.

First the template, while everything is still protected, then what refuses deletes. It is not begun while a controller
waits to end pods, since taking the protection off would let it.
"""

from __future__ import annotations

from http import HTTPStatus

from scaler.core.fleets import FleetKey
from scaler.errors import FleetError
from scaler.fleet.kubernetes import annotations as marks
from scaler.fleet.kubernetes.adopting import BUDGET, Plan, Step, change_now
from scaler.fleet.kubernetes.adopting_template import ADOPTED, Change, not_at_rest, not_changeable
from scaler.fleet.kubernetes.api import ApiRefusedError, JsonObject
from scaler.fleet.kubernetes.by_hand import ByHand, namespace_path, path_of, read_fleet
from scaler.fleet.kubernetes.doctor.findings import FleetObjects
from scaler.fleet.kubernetes.doctor.scaling import ends_pods_at_once
from scaler.fleet.kubernetes.doctor.workload import UNMOVED
from scaler.fleet.kubernetes.fields import annotation_of, label_of, map_at, name_of, selects
from scaler.fleet.kubernetes.objects import uid_of


def plan_leaving(by_hand: ByHand, fleet: FleetObjects) -> Plan:
    """What it takes to have nothing of a fleet protected any more."""
    key = fleet.key
    others = _others(by_hand, fleet)
    obstacles = _keeps_from_leaving(fleet)
    obstacles += [
        f"{what} could not be read: {why}" for what, why in fleet.unread.items() if what in ("hpas", "budgets")
    ]
    steps: list[Step] = []
    if _leaving_change(fleet) is not None:
        why_not = not_changeable(fleet)
        if why_not is not None and why_not not in " ".join(obstacles):
            obstacles.append(f"{fleet.workload_name}: {why_not}")
        text = (
            f"Take the label {marks.PROTECTED} out of the pod template of {fleet.workload_name}; no pod is restarted."
        )
        steps.append(Step(text, lambda: change_now(by_hand, key, _leaving_change)))
    if not others:
        text = f"Take the label {marks.ENABLED} off the namespace {key.namespace}, and its budget {BUDGET} away."
        steps.append(Step(text, lambda: _open_namespace(by_hand, key)))
    protected = [pod for pod in fleet.pods if label_of(pod, marks.PROTECTED)]
    if protected:
        text = f"Take the protection off {len(protected)} pods."
        steps.append(Step(text, lambda: _unprotect_pods(by_hand, key)))
    notes = ["Set retirement.mode of the fleet's policy to off first, or calltide goes on retiring its pods."]
    if others:
        notes.append(f"Admission and budget of {key.namespace} stay, for {', '.join(others[:5])}.")
    if fleet.kind == "StatefulSet":
        notes.append("Its updateStrategy stays OnDelete: pods of an old revision are yours to delete.")
    return Plan(tuple(steps), tuple(notes), tuple(obstacles))


def _leaving_change(fleet: FleetObjects) -> Change | None:
    """What of us the template has; None when it has nothing."""
    ours = annotation_of(fleet.workload or {}, ADOPTED).split(",")
    removed = {name: None for name in UNMOVED if name in ours}
    if not removed and not label_of(fleet.template, marks.PROTECTED):
        return None
    return Change({marks.PROTECTED: None}, removed, None)


def _keeps_from_leaving(fleet: FleetObjects) -> list[str]:
    """What would end pods with their calls as soon as nothing refused it."""
    found = [f"{finding.object}, {finding.field}: {finding.what} {finding.fix}" for finding in ends_pods_at_once(fleet)]
    rolls = not_at_rest(fleet) if fleet.workload is not None else None
    if rolls is not None:
        found.append(f"{fleet.workload_name}: {rolls}")
    away = [name_of(pod) for pod in fleet.pods if _is_leaving(pod)]
    if away:
        text = "take no new calls; recall those that drain (calltide recall POD), and wait for those that are released"
        found.append(f"{', '.join(away[:5])} {text}")
    return found


def _is_leaving(pod: JsonObject) -> bool:
    return marks.told(annotation_of(pod, marks.STATE) or None, None, None, None).state.is_leaving


def _others(by_hand: ByHand, fleet: FleetObjects) -> list[str]:
    """What else in the namespace is protected."""
    namespace = fleet.key.namespace
    own = {uid_of(pod) for pod in fleet.pods}
    selector = map_at(fleet.workload or {}, "spec", "selector")
    pods = [
        f"pod {name_of(pod)}"
        for pod in by_hand.every(path_of("Pod", namespace), {"labelSelector": marks.PROTECTED})
        # Those of the fleet that are ending are no reason to keep anything.
        if uid_of(pod) not in own and not (selector and selects(selector, map_at(pod, "metadata", "labels")))
    ]
    workloads = [
        f"{kind} {name_of(one)}"
        for kind in ("Deployment", "StatefulSet")
        for one in by_hand.every(path_of(kind, namespace))
        if uid_of(one) != uid_of(fleet.workload or {})
        and label_of(map_at(one, "spec", "template"), marks.PROTECTED) == marks.IS_PROTECTED
    ]
    return [*workloads, *pods]


def _still_may_leave(by_hand: ByHand, key: FleetKey) -> FleetObjects:
    """The fleet as it is right before something refuses no more.

    Raises:
        FleetError: something waits to end its pods.
    """
    fleet = read_fleet(by_hand, key)
    obstacles = _keeps_from_leaving(fleet)
    if obstacles:
        raise FleetError(f"{key} is still protected, since meanwhile {obstacles[0]}")
    return fleet


def _open_namespace(by_hand: ByHand, key: FleetKey) -> None:
    fleet = _still_may_leave(by_hand, key)
    by_hand.patch(namespace_path(key.namespace), {"metadata": {"labels": {marks.ENABLED: None}}})
    for budget in fleet.budgets:
        if name_of(budget) == BUDGET:
            by_hand.delete(path_of("PodDisruptionBudget", key.namespace, BUDGET), uid_of(budget))


def _unprotect_pods(by_hand: ByHand, key: FleetKey) -> None:
    fleet = _still_may_leave(by_hand, key)
    ours = set(UNMOVED) - {name for name in UNMOVED if annotation_of(fleet.template, name)}
    for pod in fleet.pods:
        metadata = {"labels": {marks.PROTECTED: None}, "annotations": dict.fromkeys(sorted(ours)), "uid": uid_of(pod)}
        try:
            by_hand.patch(path_of("Pod", key.namespace, name_of(pod)), {"metadata": metadata})
        except ApiRefusedError as error:
            if error.status == HTTPStatus.FORBIDDEN:
                raise FleetError(
                    f"{error}. While other fleets of {key.namespace} stay, only who has the verb `retire` on "
                    "`pods.calltide.io` (cluster-admin has) takes protection off: ask an administrator to run it"
                ) from error
            if error.status != HTTPStatus.NOT_FOUND:
                raise
