"""What is wrong with who sets the number of pods: the ScaledObject, HPAs, VPAs, and tools that own `spec.replicas`.

KEDA and the HPA may only raise. The doors by which they lower all the same are listed in docs/keda.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal, InvalidOperation

from scaler.fleet.kubernetes.api import JsonObject
from scaler.fleet.kubernetes.doctor.findings import Finding, Findings, FleetObjects, Severity
from scaler.fleet.kubernetes.fields import (
    annotation_of,
    controller_of,
    integer_at,
    map_at,
    maps_at,
    name_of,
    text_at,
    value_at,
)

_KEDA = "autoscaling.keda.sh/"
_PAUSES = ("paused", "paused-scale-out")
_GO_FALSE = frozenset({"0", "f", "F", "false", "False", "FALSE"})
_HPA_BEHAVIOR = "spec.advanced.horizontalPodAutoscalerConfig.behavior"
_BY_A_PERSON = frozenset({"kubectl", "kubectl-create", "kubectl-edit", "kubectl-patch", "kubectl-replace"})
"""Managers that wrote once and do not come again by themselves."""
_RESTARTING_MODES = frozenset({"Auto", "Recreate", "InPlaceOrRecreate"})


def scaling(fleet: FleetObjects) -> Findings:
    """Everything that lowers the target, or keeps it from rising."""
    scaled = fleet.scaled_object
    if scaled is None:
        yield Finding(
            Severity.MISSES_PEAKS,
            fleet.workload_name,
            "",
            f"no ScaledObject {fleet.key} scales it, so nothing can add pods and nothing is retired.",
            "Apply one like examples/scaledobject.yaml.",
        )
    else:
        yield from _bounds(fleet, scaled)
        yield from _behavior(fleet, scaled)
        yield from _doors(fleet, scaled)
        yield from _pauses(fleet, scaled)
    yield from _other_hpas(fleet)
    yield from _vpas(fleet)
    yield from _managers(fleet)


def ends_pods_at_once(fleet: FleetObjects) -> Findings:
    """What would lower the target as soon as no admission policy refuses it."""
    scaled = fleet.scaled_object
    if scaled is not None:
        yield from (finding for finding in _bounds(fleet, scaled) if finding.severity is Severity.CUTS_CALLS)
        yield from _not_disabled(fleet, scaled)
        yield from _paused_at(fleet, scaled)
    yield from _other_hpas(fleet)


def _bounds(fleet: FleetObjects, scaled: JsonObject) -> Findings:
    name = fleet.scaled_object_name
    if integer_at(scaled, "spec", "minReplicaCount") < 1:
        text = "below 1 KEDA scales to zero by itself and ends the last pod, whoever talks through it."
        yield Finding(Severity.CUTS_CALLS, name, "spec.minReplicaCount", text, "Set it to 1 or more.")
    maximum = integer_at(scaled, "spec", "maxReplicaCount", default=100)
    if maximum < fleet.standing:
        text = f"{maximum} is below the {fleet.standing} pods that stand, and the HPA lowers the target to it."
        yield Finding(
            Severity.CUTS_CALLS,
            name,
            "spec.maxReplicaCount",
            text,
            f"Raise it to at least {fleet.standing}; lower maxPods in the policy to have fewer.",
        )
    if fleet.policy_maximum is not None and maximum < fleet.policy_maximum:
        text = f"{maximum} is below the policy's maxPods of {fleet.policy_maximum}: the HPA stops there."
        yield Finding(Severity.MISSES_PEAKS, name, "spec.maxReplicaCount", text, f"Raise it to {fleet.policy_maximum}.")


def _behavior(fleet: FleetObjects, scaled: JsonObject) -> Findings:
    yield from _not_disabled(fleet, scaled)
    if _way(scaled, "scaleUp").get("selectPolicy") == "Disabled":
        text = "the HPA never raises its target."
        yield _in_behavior(fleet, Severity.MISSES_PEAKS, "scaleUp.selectPolicy", text, "Set it to Max.")
    if not _is_zero(_way(scaled, "scaleUp").get("tolerance")):
        text = "without a tolerance of 0 the HPA ignores an answer that is less than a tenth away from its target."
        yield _in_behavior(fleet, Severity.MISSES_PEAKS, "scaleUp.tolerance", text, 'Set it to "0".')
    if not _is_zero(_way(scaled, "scaleDown").get("tolerance")):
        text = "inside its tolerance the HPA sets the target to the pods that stand, and so raises what was lowered."
        yield _in_behavior(fleet, Severity.NOTE, "scaleDown.tolerance", text, 'Set it to "0".')


def _not_disabled(fleet: FleetObjects, scaled: JsonObject) -> Findings:
    if _way(scaled, "scaleDown").get("selectPolicy") != "Disabled":
        text = "the HPA lowers the target by itself, and a controller ends pods whoever talks through them."
        yield _in_behavior(fleet, Severity.CUTS_CALLS, "scaleDown.selectPolicy", text, "Set it to Disabled.")


def _doors(fleet: FleetObjects, scaled: JsonObject) -> Findings:
    name = fleet.scaled_object_name
    if "fallback" in map_at(scaled, "spec"):
        text = "when KEDA has no answer it sets a fixed number, be it fewer than are busy or fewer than are needed."
        yield Finding(Severity.CUTS_CALLS, name, "spec.fallback", text, "Remove it: without one the target stays.")
    if value_at(scaled, "spec", "advanced", "restoreToOriginalReplicaCount") is True:
        text = "when the ScaledObject is deleted, KEDA sets the number of pods from before there was one."
        field = "spec.advanced.restoreToOriginalReplicaCount"
        yield Finding(Severity.CUTS_CALLS, name, field, text, "Set it to false or remove it.")
    if "idleReplicaCount" in map_at(scaled, "spec"):
        text = "when no trigger is active, KEDA goes below the minimum after spec.cooldownPeriod."
        yield Finding(Severity.CUTS_CALLS, name, "spec.idleReplicaCount", text, "Remove it.")


def _pauses(fleet: FleetObjects, scaled: JsonObject) -> Findings:
    yield from _paused_at(fleet, scaled)
    for flag in _PAUSES:
        field = f"{_KEDA}{flag}"
        if annotation_of(scaled, field) and annotation_of(scaled, field) not in _GO_FALSE:
            text = "KEDA adds no pods while this stands, and nothing is retired."
            fix = f"kubectl annotate scaledobject -n {fleet.key.namespace} {fleet.key.name} {field}-"
            yield Finding(Severity.MISSES_PEAKS, fleet.scaled_object_name, _annotation(field), text, fix)


def _paused_at(fleet: FleetObjects, scaled: JsonObject) -> Findings:
    field = f"{_KEDA}paused-replicas"
    replicas = annotation_of(scaled, field)
    if not replicas:
        return
    fewer = not replicas.isdecimal() or int(replicas) < fleet.standing
    text = f"KEDA sets {replicas[:20]} pods and keeps to it; {fleet.standing} stand."
    fix = f"kubectl annotate scaledobject -n {fleet.key.namespace} {fleet.key.name} {field}-"
    severity = Severity.CUTS_CALLS if fewer else Severity.MISSES_PEAKS
    yield Finding(severity, fleet.scaled_object_name, _annotation(field), text, fix)


def _other_hpas(fleet: FleetObjects) -> Findings:
    for hpa in fleet.hpas:
        owner = controller_of(hpa)
        if fleet.is_its_workload(map_at(hpa, "spec", "scaleTargetRef")) and owner != ("ScaledObject", fleet.key.name):
            yield Finding(
                Severity.CUTS_CALLS,
                f"HorizontalPodAutoscaler {fleet.key.namespace}/{name_of(hpa)}",
                "spec.scaleTargetRef",
                f"it scales {fleet.workload_name} too, up and down, by a number of its own.",
                "Delete it; only KEDA's HPA may scale the fleet.",
            )


def _vpas(fleet: FleetObjects) -> Findings:
    for vpa in fleet.vpas:
        # Without a mode, or with one that is not known here, a VPA may restart pods.
        mode = text_at(vpa, "spec", "updatePolicy", "updateMode") or "Auto"
        if fleet.is_its_workload(map_at(vpa, "spec", "targetRef")) and mode in _RESTARTING_MODES:
            yield Finding(
                Severity.CUTS_CALLS,
                f"VerticalPodAutoscaler {fleet.key.namespace}/{name_of(vpa)}",
                "spec.updatePolicy.updateMode",
                f"{mode} evicts pods to change their size, and waits where the disruption budget refuses.",
                "Set it to Initial or Off.",
            )


def _managers(fleet: FleetObjects) -> Findings:
    for manager in _managers_of_replicas(maps_at(fleet.workload or {}, "metadata", "managedFields")):
        once = manager in _BY_A_PERSON
        text = (
            f"{manager!r} wrote it last, and neither the HPA nor calltide has since."
            if once
            else f"{manager!r} writes it: its next sync sets the number of its own file, below what is busy or needed."
        )
        yield Finding(
            Severity.NOTE if once else Severity.CUTS_CALLS,
            fleet.workload_name,
            "spec.replicas",
            text,
            "Remove `replicas` from the manifest or chart, so that only the HPA and calltide set it.",
        )


def _managers_of_replicas(entries: Sequence[JsonObject]) -> list[str]:
    # KEDA, the HPA, calltide and `kubectl scale` write the subresource. Who writes the object has a file with a number.
    found = {
        text_at(entry, "manager")
        for entry in entries
        if "f:replicas" in map_at(entry, "fieldsV1", "f:spec") and text_at(entry, "subresource") != "scale"
    }
    return sorted(found)


def _in_behavior(fleet: FleetObjects, severity: Severity, field: str, text: str, fix: str) -> Finding:
    return Finding(severity, fleet.scaled_object_name, f"{_HPA_BEHAVIOR}.{field}", text, fix)


def _way(scaled: JsonObject, way: str) -> JsonObject:
    return map_at(scaled, "spec", "advanced", "horizontalPodAutoscalerConfig", "behavior", way)


def _annotation(name: str) -> str:
    return f"metadata.annotations[{name}]"


def _is_zero(quantity: object) -> bool:
    try:
        return quantity is not None and Decimal(str(quantity).removesuffix("m")) == 0
    except InvalidOperation:
        return False
