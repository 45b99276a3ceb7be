"""What the audit log of this replica says of a pod, as the API tells it.

Each replica keeps what it wrote while it led, so one that follows now may be the only one that knows.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from scaler.retirement.audit import AuditRecord, to_plain
from scaler.web.models import Answer


class Record(Answer):
    """One write of retirement, as a line of the log has it."""

    at_s: float
    fleet: str
    """`NAMESPACE/NAME`."""
    uid: str
    pod: str
    edge: str
    """What changed, like `drained → released`."""
    outcome: str
    """`sent` before it was done, then what became of it."""
    leader: str
    """The replica that led."""
    term: int
    sentence: str
    evidence: dict[str, Any] | None
    """On what ground the pod was released; null for other writes."""


class Evidence(Answer):
    """All that this replica wrote about a pod, in the order of time."""

    now_s: float
    pod: str
    """Name or UID, as it was asked for."""
    records: list[Record]


def evidence_answer(pod: str, records: list[AuditRecord], now_s: float) -> Evidence:
    """The answer about a pod."""
    return Evidence(now_s=now_s, pod=pod, records=[_told(record) for record in records])


def _told(record: AuditRecord) -> Record:
    plain = {field.name: getattr(record, field.name) for field in fields(record)}
    return Record(**plain | {"outcome": record.outcome.value, "evidence": to_plain(record.evidence)})
