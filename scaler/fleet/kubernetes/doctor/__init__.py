"""What on a fleet's own objects could cut a call, or keep a peak from being met: pure functions over the objects.

    reading of the objects (by_hand.py) ─▶ FleetObjects ─▶ scaling, workload, guards, gates ─▶ findings

Each finding names object, field and remedy. What could not be read is a finding too, never silence.
"""

from __future__ import annotations

from scaler.fleet.kubernetes.doctor.findings import Finding, Findings, FleetObjects, Severity
from scaler.fleet.kubernetes.doctor.gates import GATE_LABEL, gates
from scaler.fleet.kubernetes.doctor.guards import guards
from scaler.fleet.kubernetes.doctor.scaling import scaling
from scaler.fleet.kubernetes.doctor.workload import workload

LONGEST_CALL_S = 3600
"""How long a pod must be able to wait for its last call, where nobody says how long a call may last."""


def examine(
    fleet: FleetObjects, *, longest_call_s: int = LONGEST_CALL_S, gate_label: str = GATE_LABEL
) -> list[Finding]:
    """Every finding, the worst first."""
    found = [
        *guards(fleet),
        *scaling(fleet),
        *workload(fleet, longest_call_s=longest_call_s),
        *gates(fleet, label=gate_label),
        *_unread(fleet),
    ]
    order = list(Severity)
    return sorted(found, key=lambda finding: order.index(finding.severity))


def _unread(fleet: FleetObjects) -> Findings:
    for what, why in fleet.unread.items():
        text = f"could not be read, so nothing is known of them: {why}"
        yield Finding(Severity.NOTE, what, "", text, "Ask as somebody who may read them.")
