"""What is wrong with how new calls are kept from a pod that drains.

Two things say it: the fleet's policy, which names the gates, and the Services whose selectors have the label that a
gate of type `service` sets. A Service whose selector lacks the label goes on leading calls to such a pod.
"""

from __future__ import annotations

from collections.abc import Iterator

from scaler.fleet.kubernetes.api import JsonObject
from scaler.fleet.kubernetes.doctor.findings import Finding, Findings, FleetObjects, Severity
from scaler.fleet.kubernetes.fields import map_at, name_of, selects, text_at, value_at

GATE_LABEL = "calltide.io/gate"
"""The label where the configuration names no other."""


def gates(fleet: FleetObjects, *, label: str) -> Findings:
    """Everything about pod gate and front gates. `label` is that of the gates of type `service`."""
    yield from _policy(fleet)
    if fleet.workload is not None:
        yield from _services(fleet, fleet.workload, label)


def _policy(fleet: FleetObjects) -> Findings:
    spec = fleet.retirement
    if spec is None:
        return
    about = f"policy of {fleet.key}"
    if spec.pod_gate == "none":
        text = f"a call that comes late reaches a pod that is about to end. Accepted, since: {spec.accepted_risk}"
        fix = "Put deploy/asterisk/calltide-gate.conf into the dialplan and write podGate: asterisk."
        yield Finding(Severity.CUTS_CALLS, about, "spec.retirement.podGate", text, fix)
    if not spec.front_gates:
        text = "nothing in front of the pods is told that one drains: each new call that it gets is refused by itself."
        fix = "Name the proxies or Services by which calls come: docs/retirement.md, front gates."
        yield Finding(Severity.MISSES_PEAKS, about, "spec.retirement.frontGates", text, fix)


def _services(fleet: FleetObjects, workload: JsonObject, label: str) -> Findings:
    leading = list(_leading_to(fleet, label))
    gated = [service for service in leading if label in map_at(service, "spec", "selector")]
    field = f"spec.selector.matchLabels[{label}]"
    if value_at(workload, "spec", "selector", "matchLabels", label) is not None:
        text = "a pod whose gate is shut is nobody's any more: another is made for it, and nothing waits for its calls."
        fix = "Take it out of the selector. That cannot be changed: delete with --cascade=orphan and create it anew."
        yield Finding(Severity.CUTS_CALLS, fleet.workload_name, field, text, fix)
    for service in gated:
        yield from _template(fleet, service, label)
    for service in leading:
        if gated and service not in gated:
            text = f"it leads calls to pods whatever their {label} says, and these refuse them once they drain."
            fix = "Add the label to its selector as the others have it, if new calls come by it."
            yield Finding(Severity.NOTE, _named(service), "spec.selector", text, fix)


def _template(fleet: FleetObjects, service: JsonObject, label: str) -> Findings:
    wanted = text_at(service, "spec", "selector", label)
    if text_at(fleet.template, "metadata", "labels", label) != wanted:
        text = (
            f"{_named(service)} leads to pods with {label}={wanted} only, and new pods do not have it: no call comes."
        )
        field = f"spec.template.metadata.labels[{label}]"
        fix = f'Set it to "{wanted}".'
        yield Finding(Severity.MISSES_PEAKS, fleet.workload_name, field, text, fix)


def _leading_to(fleet: FleetObjects, label: str) -> Iterator[JsonObject]:
    """The Services whose selector means the fleet's pods, the label of the gate apart."""
    labels = map_at(fleet.template, "metadata", "labels")
    for service in fleet.services:
        others = {key: value for key, value in map_at(service, "spec", "selector").items() if key != label}
        # Without a selector somebody else writes its endpoints.
        if others and selects({"matchLabels": others}, labels):
            yield service


def _named(service: JsonObject) -> str:
    return f"Service {text_at(service, 'metadata', 'namespace')}/{name_of(service)}"
