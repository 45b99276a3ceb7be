"""The audit log: one line of JSON per edge, so that a question about a pod can be answered after the pod is gone.

A line is written before the write that it tells of is sent, and again with the outcome. `calltide evidence POD` reads
the lines of one pod in the order of their times.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from typing import Any

from scaler.retirement.actions import Action, DeletePod, LowerScale, MovePod, ReleasePod
from scaler.retirement.errors import RetirementError
from scaler.retirement.evidence import DeadNode, Ground, OutOfService, ProvedEmpty, ReleaseEvidence
from scaler.retirement.observed import ObservedFleet
from scaler.retirement.readings import Boot
from scaler.retirement.states import Cause, Purpose

ELSEWHERE = "Each replica keeps what it wrote while it led: ask the others too."
"""What to say where nothing is known of a pod."""


class Outcome(StrEnum):
    """What became of a write."""

    SENT = "sent"
    DONE = "done"
    CONFLICT = "conflict"
    """Something else had changed; nothing was written."""
    UNKNOWN = "unknown"
    """No answer came: it may have been done."""
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """One write of retirement. `at_s` is wall time, epoch seconds; `uid` and `pod` are empty for the target."""

    at_s: float
    fleet: str
    uid: str
    pod: str
    edge: str
    outcome: Outcome
    leader: str
    term: int
    sentence: str
    evidence: ReleaseEvidence | None = None


def audit_record(action: Action, observed: ObservedFleet, outcome: Outcome) -> AuditRecord | None:
    """What the log says of a write; None for gates, whose writes are repeated and prove nothing."""
    about: tuple[str, str, str, str, ReleaseEvidence | None]
    match action:
        case MovePod():
            about = (action.uid, action.pod, f"{action.before} → {action.to}", action.sentence, None)
        case ReleasePod():
            about = (action.uid, action.pod, "drained → released", action.sentence, action.evidence)
        case DeletePod():
            about = (action.uid, action.pod, "released → gone", action.sentence, None)
        case LowerScale():
            about = ("", "", f"target {action.replicas} → {action.to}", action.sentence, None)
        case _:
            return None
    uid, pod, edge, sentence, evidence = about
    return AuditRecord(
        observed.wall_s, str(observed.key), uid, pod, edge, outcome, observed.leader, observed.term, sentence, evidence
    )


def to_line(record: AuditRecord) -> str:
    """The record as one line of JSON, without the line's end."""
    return json.dumps(asdict(record) | {"evidence": to_plain(record.evidence)}, ensure_ascii=False)


def from_line(line: str) -> AuditRecord:
    """The record of a line.

    Raises:
        RetirementError: the line is not one of this log.
    """
    try:
        plain = json.loads(line)
        names = {field.name for field in fields(AuditRecord)} - {"evidence", "outcome"}
        values = {name: plain[name] for name in names}
        return AuditRecord(**values, outcome=Outcome(plain["outcome"]), evidence=from_plain(plain["evidence"]))
    except (ValueError, KeyError, TypeError) as error:
        raise RetirementError(
            f"{line[:80]!r} is no line of the audit log ({error}); remove it or restore the file"
        ) from error


def of_pod(lines: Iterable[str], pod: str) -> list[AuditRecord]:
    """All that the log says of a pod, by its name or its UID, in the order of time."""
    # Most lines are of other pods, and a log may go back for years: only those are read that have the word at all.
    found = [record for record in map(from_line, (line for line in lines if pod in line)) if pod in _named(record)]
    return sorted(found, key=lambda record: record.at_s)


def in_namespace(records: Iterable[AuditRecord], namespace: str) -> list[AuditRecord]:
    """The records of fleets in this namespace; without one all of them."""
    return [record for record in records if not namespace or record.fleet.startswith(f"{namespace}/")]


def _named(record: AuditRecord) -> tuple[str, str]:
    return record.pod, record.uid


def to_plain(evidence: ReleaseEvidence | None) -> dict[str, object] | None:
    """Evidence as plain values, for the log and for the pod's annotation."""
    if evidence is None:
        return None
    ground = {"kind": _KINDS[type(evidence.ground)]} | asdict(evidence.ground)
    return asdict(evidence) | {"ground": ground}


def from_plain(plain: dict[str, Any] | None) -> ReleaseEvidence | None:
    """Evidence from plain values.

    Raises:
        KeyError, TypeError, ValueError: they are not what `to_plain` made.
    """
    if plain is None:
        return None
    values = dict(plain)
    purpose, cause = Purpose(values.pop("purpose")), Cause(values.pop("cause"))
    return ReleaseEvidence(ground=_ground(values.pop("ground")), purpose=purpose, cause=cause, **values)


def _ground(plain: object) -> Ground:
    if not isinstance(plain, dict):
        raise TypeError("its ground is no object")
    values = dict(plain)
    name = values.pop("kind")
    if name == _KINDS[ProvedEmpty]:
        times, proxies = tuple(values["zeros_at_s"]), tuple(values["front_gates"])
        return ProvedEmpty(Boot(**values["boot"]), values["closed_at_s"], times, proxies)
    if name == _KINDS[OutOfService]:
        return OutOfService(**values)
    if name == _KINDS[DeadNode]:
        return DeadNode(**values)
    raise ValueError(f"a ground of kind {name!r} is not known")


_KINDS: dict[type[Ground], str] = {
    ProvedEmpty: "proved-empty",
    OutOfService: "node-out-of-service",
    DeadNode: "dead-node",
}
