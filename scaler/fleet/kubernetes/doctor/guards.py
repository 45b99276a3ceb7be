"""What is wrong with what refuses deletes and evictions.

Those are the admission policies, the namespace's label, the disruption budget, and the label on the pods that stand.
"""

from __future__ import annotations

from scaler.fleet.kubernetes.annotations import ENABLED, IS_PROTECTED, IS_RELEASED, PROTECTED
from scaler.fleet.kubernetes.api import JsonObject
from scaler.fleet.kubernetes.doctor.findings import Finding, Findings, FleetObjects, Severity
from scaler.fleet.kubernetes.fields import (
    integer_at,
    label_of,
    map_at,
    maps_at,
    name_of,
    selects,
    text_at,
    value_at,
)

POLICIES = (
    "calltide-pods-are-not-deleted",
    "calltide-protection-stays",
    "calltide-pods-end-on-their-nodes",
    "calltide-replicas-do-not-fall",
)
"""The admission policies of deploy/70-admission.yaml."""
IS_ENABLED = "enabled"
_APPLY = "kubectl apply -f deploy/70-admission.yaml"


def guards(fleet: FleetObjects) -> Findings:
    """Everything that ought to refuse the end of a pod and does not."""
    yield from _admission(fleet)
    yield from _namespace(fleet)
    yield from _budgets(fleet)
    yield from _pods(fleet)


def missing_admission(fleet: FleetObjects) -> Findings:
    """What keeps the admission policies from refusing anything in a namespace that is labelled."""
    yield from (finding for finding in _admission(fleet) if finding.severity is Severity.CUTS_CALLS)


def budgets_over(fleet: FleetObjects, labels: JsonObject) -> list[JsonObject]:
    """The disruption budgets that select a pod of the fleet with these labels."""
    return [one for one in fleet.budgets if selects(map_at(one, "spec", "selector"), labels)]


def refuses_all(budget: JsonObject, pods: int) -> bool:
    """Whether a budget refuses every eviction of so many pods."""
    spec = map_at(budget, "spec")
    least = value_at(spec, "minAvailable")
    if least is not None:
        return least == "100%" or integer_at(spec, "minAvailable") > pods
    return value_at(spec, "maxUnavailable") in (0, "0", "0%")


def _admission(fleet: FleetObjects) -> Findings:
    if {"policies", "bindings"} & fleet.unread.keys():
        return
    for name in POLICIES:
        policy = next((one for one in fleet.policies if name_of(one) == name), None)
        about = f"ValidatingAdmissionPolicy {name}"
        if policy is None:
            text = "it does not exist, so nobody refuses what it would."
            yield Finding(Severity.CUTS_CALLS, about, "", text, f"Install it: {_APPLY}")
            continue
        if text_at(policy, "spec", "failurePolicy") == "Ignore":
            text = "when it cannot be evaluated, the request passes."
            yield Finding(Severity.CUTS_CALLS, about, "spec.failurePolicy", text, "Set it to Fail.")
        for warning in maps_at(policy, "status", "typeChecking", "expressionWarnings"):
            text = f"the API server warns: {text_at(warning, 'warning')[:200]}"
            field = text_at(warning, "fieldRef")
            yield Finding(Severity.NOTE, about, field, text, f"Install the one of this version: {_APPLY}")
        yield from _binding(fleet, name)


def _binding(fleet: FleetObjects, policy: str) -> Findings:
    bound = [one for one in fleet.bindings if text_at(one, "spec", "policyName") == policy]
    matching = [one for one in bound if _matches(fleet, one)]
    denying = [one for one in matching if "Deny" in _actions(one)]
    if denying:
        return
    about = f"ValidatingAdmissionPolicyBinding {name_of(next(iter(matching or bound), {})) or policy}"
    if matching:
        text, field = "it does not deny: what the policy finds is told and done.", "spec.validationActions"
        fix = "Set it to [Deny]."
    elif bound:
        text, field = f"it does not match the namespace {fleet.key.namespace}.", "spec.matchResources.namespaceSelector"
        fix = f"kubectl label namespace {fleet.key.namespace} {ENABLED}={IS_ENABLED}"
    else:
        text, field, fix = f"nothing binds the policy {policy}, so it is not in force.", "", f"Install it: {_APPLY}"
    yield Finding(Severity.CUTS_CALLS, about, field, text, fix)


def _matches(fleet: FleetObjects, binding: JsonObject) -> bool:
    """Whether a binding holds in the namespace, once that is labelled as it should be."""
    resources = map_at(binding, "spec", "matchResources")
    narrowed = any(map_at(resources, "objectSelector").values()) or any(maps_at(resources, "excludeResourceRules"))
    labels = dict(map_at(fleet.namespace, "metadata", "labels")) | {ENABLED: IS_ENABLED}
    return not narrowed and selects(map_at(resources, "namespaceSelector"), labels)


def _actions(binding: JsonObject) -> list[object]:
    actions = value_at(binding, "spec", "validationActions")
    return actions if isinstance(actions, list) else []


def _namespace(fleet: FleetObjects) -> Findings:
    if "namespace" not in fleet.unread and label_of(fleet.namespace, ENABLED) != IS_ENABLED:
        text = "the admission policies do not hold in it: anybody may delete pods that carry calls."
        fix = f"kubectl label namespace {fleet.key.namespace} {ENABLED}={IS_ENABLED}"
        about = f"Namespace {fleet.key.namespace}"
        yield Finding(Severity.CUTS_CALLS, about, f"metadata.labels[{ENABLED}]", text, fix)


def _budgets(fleet: FleetObjects) -> Findings:
    if "budgets" in fleet.unread or fleet.workload is None:
        return
    for value in (IS_PROTECTED, IS_RELEASED):
        labels = dict(map_at(fleet.template, "metadata", "labels")) | {PROTECTED: value}
        over = budgets_over(fleet, labels)
        names = ", ".join(name_of(one) for one in over)
        about = f"PodDisruptionBudget {fleet.key.namespace}/{names}"
        if not over:
            text = f"none selects the fleet's pods with {PROTECTED}={value}: an eviction ends them."
            fix = "Apply the one of deploy/fleet/namespace.yaml."
            yield Finding(Severity.CUTS_CALLS, about.rstrip("/"), "spec.selector", text, fix)
        elif len(over) > 1:
            text = "a pod under more than one budget cannot be evicted at all: the API server answers with an error."
            fix = "Keep the one of deploy/fleet/namespace.yaml and delete the others."
            yield Finding(Severity.NOTE, about, "spec.selector", text, fix)
        elif not refuses_all(over[0], fleet.standing):
            text = "it lets some pods be evicted, whoever talks through them."
            fix = "Set minAvailable to more pods than there can be, as in deploy/fleet/namespace.yaml."
            yield Finding(Severity.CUTS_CALLS, about, "spec.minAvailable", text, fix)
        else:
            continue
        return


def _pods(fleet: FleetObjects) -> Findings:
    for pod in fleet.pods:
        if label_of(pod, PROTECTED) not in (IS_PROTECTED, IS_RELEASED):
            text = "it is not protected: anybody may end it with its calls."
            fix = f"kubectl label pod -n {fleet.key.namespace} {name_of(pod)} {PROTECTED}={IS_PROTECTED}"
            about = f"Pod {fleet.key.namespace}/{name_of(pod)}"
            yield Finding(Severity.CUTS_CALLS, about, f"metadata.labels[{PROTECTED}]", text, fix)
