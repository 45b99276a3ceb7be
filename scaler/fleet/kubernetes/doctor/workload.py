"""What is wrong with the workload and its pod template: rollouts, grace, hooks, tolerations, what moves pods."""

from __future__ import annotations

from scaler.fleet.kubernetes.annotations import IS_PROTECTED, PROTECTED
from scaler.fleet.kubernetes.api import JsonObject
from scaler.fleet.kubernetes.doctor.findings import Finding, Findings, FleetObjects, Severity
from scaler.fleet.kubernetes.fields import annotation_of, integer_at, label_of, map_at, maps_at, text_at, value_at

SAFE_TO_EVICT = "cluster-autoscaler.kubernetes.io/safe-to-evict"
DO_NOT_DISRUPT = "karpenter.sh/do-not-disrupt"
UNMOVED = {SAFE_TO_EVICT: "false", DO_NOT_DISRUPT: "true"}
"""Annotations by which the autoscalers of nodes leave a pod where it is."""
DEFAULT_GRACE_S = 30
_NODE_TROUBLE = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
_TEMPLATE = "spec.template"


def workload(fleet: FleetObjects, *, longest_call_s: int) -> Findings:
    """Everything on the Deployment or StatefulSet itself. A call may last `longest_call_s`."""
    if fleet.workload is None:
        text = "it does not exist, so there is nothing to size."
        yield Finding(Severity.MISSES_PEAKS, fleet.workload_name, "", text, "Create it, or mend the scaleTargetRef.")
        return
    if fleet.kind == "StatefulSet":
        yield from _stateful_set(fleet)
    else:
        yield from _deployment(fleet)
    yield from _protection(fleet)
    yield from _end_of_a_pod(fleet, longest_call_s)
    yield from _tolerations(fleet)
    yield from _probes(fleet)


def _deployment(fleet: FleetObjects) -> Findings:
    spec = map_at(fleet.workload or {}, "spec")
    if text_at(spec, "strategy", "type") == "Recreate":
        text = "a rollout ends all pods before it makes new ones."
        yield _found(fleet, Severity.CUTS_CALLS, "spec.strategy.type", text, "Use RollingUpdate.")
    else:
        unavailable = value_at(spec, "strategy", "rollingUpdate", "maxUnavailable")
        if unavailable not in (0, "0", "0%"):
            shown = "25%" if unavailable is None else str(unavailable)
            text = f"{shown} lets a rollout end pods before their successors stand."
            field = "spec.strategy.rollingUpdate.maxUnavailable"
            yield _found(fleet, Severity.CUTS_CALLS, field, text, "Set it to 0.")
        surge = value_at(spec, "strategy", "rollingUpdate", "maxSurge")
        text = (
            f"{'25%' if surge is None else surge}, but a rollout may have twice the pods stand, since old ones stay "
            "until their calls have ended."
        )
        field = "spec.strategy.rollingUpdate.maxSurge"
        yield _found(fleet, Severity.NOTE, field, text, "Have room for twice the pods, or roll out in the valley.")
    if value_at(spec, "paused") is True:
        text = "a paused Deployment rolls nothing out. It scales all the same."
        yield _found(
            fleet, Severity.NOTE, "spec.paused", text, "kubectl rollout resume, if nobody paused it on purpose."
        )


def _stateful_set(fleet: FleetObjects) -> Findings:
    spec = map_at(fleet.workload or {}, "spec")
    if text_at(spec, "updateStrategy", "type") != "OnDelete":
        text = "the controller ends pods of the old revision by itself, in its own order."
        fix = "Set it to OnDelete: calltide deletes each old pod once it is empty."
        yield _found(fleet, Severity.CUTS_CALLS, "spec.updateStrategy.type", text, fix)
    if text_at(spec, "podManagementPolicy") != "Parallel":
        text = "pods start one after the other, each only when the one before is Ready."
        fix = "Set it to Parallel. It cannot be changed: delete with --cascade=orphan and create the StatefulSet anew."
        yield _found(fleet, Severity.MISSES_PEAKS, "spec.podManagementPolicy", text, fix)


def _protection(fleet: FleetObjects) -> Findings:
    template = fleet.template
    if label_of(template, PROTECTED) != IS_PROTECTED:
        text = "new pods carry calls and are not protected."
        field = f"{_TEMPLATE}.metadata.labels[{PROTECTED}]"
        yield _found(fleet, Severity.CUTS_CALLS, field, text, f"calltide adopt {fleet.key}")
    for annotation, value in UNMOVED.items():
        written = annotation_of(template, annotation)
        if written != value:
            has = f"is {written!r:.40}" if written else "is missing"
            text = f"it {has}: an autoscaler of nodes takes the node for one that may be emptied."
            field = f"{_TEMPLATE}.metadata.annotations[{annotation}]"
            yield _found(fleet, Severity.NOTE, field, text, f'Set it to the text "{value}".')


def _end_of_a_pod(fleet: FleetObjects, longest_call_s: int) -> Findings:
    spec = map_at(fleet.template, "spec")
    grace_s = integer_at(spec, "terminationGracePeriodSeconds", default=DEFAULT_GRACE_S)
    if grace_s < longest_call_s:
        text = f"{grace_s} s is shorter than a call may last ({longest_call_s} s): what ends a pod cuts its calls."
        field = f"{_TEMPLATE}.spec.terminationGracePeriodSeconds"
        yield _found(fleet, Severity.CUTS_CALLS, field, text, f"Set it to at least {longest_call_s}.")
    if not any(map_at(container, "lifecycle", "preStop") for container in maps_at(spec, "containers")):
        text = "Asterisk hangs up on SIGTERM, which comes at once without a hook that waits for the last call."
        field = f"{_TEMPLATE}.spec.containers[].lifecycle.preStop"
        fix = "Add a preStop that waits until there is no channel; deploy/fleet/deployment.yaml has one."
        yield _found(fleet, Severity.CUTS_CALLS, field, text, fix)


def _tolerations(fleet: FleetObjects) -> Findings:
    tolerations = maps_at(fleet.template, "spec", "tolerations")
    for taint in _NODE_TROUBLE:
        if not any(_is_for_good(one, taint) for one in tolerations):
            text = f"pods are deleted minutes after their node is {taint.rpartition('/')[2]}, be it the network alone."
            field = f"{_TEMPLATE}.spec.tolerations"
            fix = f"Add {{key: {taint}, operator: Exists, effect: NoExecute}}, without tolerationSeconds."
            yield _found(fleet, Severity.CUTS_CALLS, field, text, fix)


def _is_for_good(toleration: JsonObject, taint: str) -> bool:
    keyed = text_at(toleration, "key") in ("", taint) and text_at(toleration, "operator") == "Exists"
    effect = text_at(toleration, "effect") in ("", "NoExecute")
    return keyed and effect and toleration.get("tolerationSeconds") is None


def _probes(fleet: FleetObjects) -> Findings:
    for container in maps_at(fleet.template, "spec", "containers"):
        probe = map_at(container, "livenessProbe")
        if probe:
            text = "when it fails, the kubelet restarts the PBX with all its calls."
            field = f"{_TEMPLATE}.spec.containers[{text_at(container, 'name')}].livenessProbe"
            fix = "Let it ask the PBX alone, never a database or another service, and fail only after minutes."
            yield _found(fleet, Severity.NOTE, field, text, fix)
        if _signs_in(map_at(container, "readinessProbe")):
            text = "it signs in: a password that is changed takes every pod out of the fleet at the same time."
            field = f"{_TEMPLATE}.spec.containers[{text_at(container, 'name')}].readinessProbe.httpGet.httpHeaders"
            fix = "Ask what needs no password: tcpSocket on the port of SIP over TCP or of HTTP."
            yield _found(fleet, Severity.MISSES_PEAKS, field, text, fix)


def _signs_in(probe: JsonObject) -> bool:
    headers = maps_at(probe, "httpGet", "httpHeaders")
    return any(text_at(header, "name").lower() == "authorization" for header in headers)


def _found(fleet: FleetObjects, severity: Severity, field: str, text: str, fix: str) -> Finding:
    return Finding(severity, fleet.workload_name, field, text, fix)
