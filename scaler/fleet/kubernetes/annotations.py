"""What stands on pods and workloads about retirement: read from people's and our own annotations, and written.

A person may edit any of it. What cannot be understood must neither let a pod go nor take it for released: a state that
means nothing pins the pod where it is, a drain without its record can be recalled, evidence that cannot be read proves
nothing.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from scaler.retirement.audit import from_plain, to_plain
from scaler.retirement.errors import RetirementError
from scaler.retirement.evidence import DrainRecord, ReleaseEvidence
from scaler.retirement.states import Cause, Purpose, RetirementState, Wish

STATE = "calltide.io/state"
DRAIN = "calltide.io/drain"
EVIDENCE = "calltide.io/evidence"
WISH = "calltide.io/wish"
FREEZE = "calltide.io/freeze"
CONTAINER = "calltide.io/container"
"""Names the container of the media server, where a pod has several and it is not the first."""

PROTECTED = "calltide.io/protected"
"""Label of a pod that only calltide may end."""
IS_PROTECTED, IS_RELEASED = "true", "released"
"""Its values: nobody may delete the pod, or calltide alone."""
ENABLED = "calltide.io/retirement"
"""Label of a namespace in which the admission policies hold, with the value `enabled`."""

_WRITTEN = {
    RetirementState.ACTIVE: None,
    RetirementState.DRAINING: "draining",
    RetirementState.DRAINED: "drained",
    RetirementState.RELEASED: "released",
}
_READ = {text: state for state, text in _WRITTEN.items() if text is not None} | {"active": RetirementState.ACTIVE}


@dataclass(frozen=True, slots=True)
class Told:
    """What a pod's annotations say. `pinned` says why the pod is not to be touched, empty when it may be."""

    state: RetirementState
    drain: DrainRecord | None
    evidence: ReleaseEvidence | None
    wish: Wish | None
    pinned: str = ""


def told(state: str | None, drain: str | None, evidence: str | None, wish: str | None) -> Told:
    """Read the annotations of one pod; None where one is missing."""
    found = RetirementState.ACTIVE if not state else _READ.get(state.strip().lower())
    if found is None:
        pinned = f"its annotation {STATE} says {state!r:.60}, which means nothing; remove it, or recall the pod"
        return Told(RetirementState.ACTIVE, None, None, _wish(wish), pinned)
    if found is RetirementState.ACTIVE:
        return Told(found, None, None, _wish(wish))
    return Told(found, _drain(drain), _evidence(evidence), _wish(wish))


def written_state(state: RetirementState) -> str | None:
    """The annotation's value; None where it is to be removed."""
    return _WRITTEN[state]


def written_drain(drain: DrainRecord | None) -> str | None:
    """The drain's record as the annotation has it."""
    if drain is None:
        return None
    plain = asdict(drain) | {"beganAt": datetime.fromtimestamp(drain.began_at_s, UTC).isoformat()}
    del plain["began_at_s"]
    return json.dumps(plain)


def written_evidence(evidence: ReleaseEvidence) -> str:
    """The evidence as the annotation has it."""
    return json.dumps(to_plain(evidence))


def frozen_by(annotation: str | None, now_s: float) -> str | None:
    """Why a freeze holds at `now_s` (epoch seconds), None when it has ended or there is none.

    `REASON`, or `until=2026-12-01T08:00:00Z REASON`. An end that cannot be read is no end: the freeze goes on.
    """
    if annotation is None:
        return None
    first, _, rest = annotation.strip().partition(" ")
    key, equals, value = first.partition("=")
    if key != "until" or not equals:
        return annotation.strip() or "no reason given"
    reason = rest.strip() or "no reason given"
    try:
        until = datetime.fromisoformat(value)
    except ValueError:
        return f"{reason} (its end {value!r:.40} cannot be read)"
    if until.tzinfo is None:
        return f"{reason} (its end {value!r:.40} has no time zone)"
    return f"{reason}, until {value}" if now_s < until.timestamp() else None


def _drain(text: str | None) -> DrainRecord:
    try:
        plain: Any = json.loads(text or "")
        return DrainRecord(
            Purpose(plain["purpose"]),
            Cause(plain["cause"]),
            datetime.fromisoformat(plain["beganAt"]).timestamp(),
            str(plain["leader"]),
            int(plain["term"]),
        )
    except (ValueError, KeyError, TypeError, OverflowError, OSError):
        # It drains since nobody knows when, and can be recalled.
        return DrainRecord(Purpose.SHRINK, Cause.ASKED, 0.0, "", 0)


def _evidence(text: str | None) -> ReleaseEvidence | None:
    if text is None:
        return None
    try:
        return from_plain(json.loads(text))
    except (ValueError, KeyError, TypeError, AttributeError, RetirementError):
        return None


def _wish(text: str | None) -> Wish | None:
    try:
        return None if text is None else Wish(text.strip().lower())
    except ValueError:
        return None
