"""A decision carried out: written down, then done, and each write preceded by the question whether this replica leads.

Nothing is tried twice here. What did not go through is decided anew in the next round, from what stands then.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias

import structlog

from scaler.errors import CalltideError, StateError
from scaler.fleet.pbx.protocol import MediaServer
from scaler.fleet.proxies.protocol import FrontGates
from scaler.fleet.retiring import FleetLook, RetirementSide
from scaler.retirement.actions import (
    DeletePod,
    GateWrite,
    LowerScale,
    MovePod,
    PodWrite,
    ReleasePod,
    SetFrontGate,
    SetPodGate,
)
from scaler.retirement.audit import Outcome, audit_record
from scaler.retirement.limits import RetirementLimits
from scaler.retirement.machine import Decision
from scaler.retirement.observed import ObservedFleet
from scaler.service.retiring.audit_log import AuditLog

_log = structlog.get_logger("retirement")

WRITE_WITHIN_S = 4.0
"""A write that was given up may still arrive, and has to do so long before a quiet window is over."""

ClusterWrite: TypeAlias = PodWrite | LowerScale


@dataclass(frozen=True, slots=True)
class Hands:
    """What a decision is carried out with.

    `leads` says whether the term of the round is still this replica's; `age_s` how long ago the decision was made.
    """

    side: RetirementSide
    server: MediaServer
    gates: Mapping[str, FrontGates]
    group_of_proxy: Mapping[str, str]
    audit: AuditLog
    leads: Callable[[], bool]
    age_s: Callable[[], float]


async def carry_out(
    decision: Decision, observed: ObservedFleet, look: FleetLook, limits: RetirementLimits, hands: Hands
) -> tuple[str, ...]:
    """Do what was decided, as long as this replica leads; in sentences, what did not go through."""
    failures: list[str] = []
    for action in decision.actions:
        if isinstance(action, MovePod | ReleasePod | DeletePod | LowerScale):
            failures += await _write(action, observed, look, limits.fresh_s, hands)
    gates = [action for action in decision.actions if isinstance(action, SetPodGate | SetFrontGate)]
    told = await asyncio.gather(*(_set_gate(action, look, limits.gate_deadline_s, hands) for action in gates))
    return (*failures, *filter(None, told))


async def _write(
    action: ClusterWrite, observed: ObservedFleet, look: FleetLook, fresh_s: float, hands: Hands
) -> list[str]:
    record = audit_record(action, observed, Outcome.SENT)
    try:
        if record is not None:
            await asyncio.to_thread(hands.audit.add, record)
    except StateError as error:
        # A recall may go on without its line; what ends a pod may not.
        if not isinstance(action, MovePod):
            return [str(error)]
    if not hands.leads():
        return ["this replica leads no more"]
    if hands.age_s() > fresh_s:
        # A PBX that restarted since it was asked does not show in the pod's version.
        return [f"{action.sentence.rstrip('.')}: put off, since other writes took too long."]
    outcome = await hands.side.write(look, action, WRITE_WITHIN_S)
    _log.info("write", fleet=str(look.key), what=action.sentence, outcome=outcome.value)
    if record is not None:
        try:
            await asyncio.to_thread(hands.audit.add, replace(record, outcome=outcome))
        except StateError as error:
            _log.error("the audit log lacks an outcome", reason=str(error))
    if outcome is Outcome.DONE:
        await hands.side.tell(look, getattr(action, "uid", ""), _REASONS[type(action)], action.sentence, warning=False)
        return []
    return [f"{action.sentence.rstrip('.')}: {_FAILED[outcome]}."]


async def _set_gate(action: GateWrite, look: FleetLook, within_s: float, hands: Hands) -> str | None:
    target = look.targets.get(action.uid)
    if target is None:
        return None
    if not hands.leads():
        return "this replica leads no more"
    try:
        await asyncio.wait_for(_gate_call(action, look, hands), within_s)
    except TimeoutError:
        return f"the gate of {target.name} was not set within {within_s:g} s"
    except CalltideError as error:
        return f"the gate of {target.name} was not set: {error}"
    return None


def _gate_call(action: GateWrite, look: FleetLook, hands: Hands) -> Awaitable[None]:
    target = look.targets[action.uid]
    if isinstance(action, SetPodGate):
        return hands.server.set_gate(target, action.boot, action.position)
    return hands.gates[hands.group_of_proxy[action.proxy]].steer(action.proxy, target, action.steering)


_REASONS: dict[type[ClusterWrite], str] = {
    MovePod: "RetirementState",
    ReleasePod: "Released",
    DeletePod: "Retired",
    LowerScale: "TargetLowered",
}
_FAILED = {
    Outcome.SENT: "sent, and not heard of again",
    Outcome.CONFLICT: "something else had changed, so nothing was written",
    Outcome.UNKNOWN: "no answer in time; the next look tells",
    Outcome.REFUSED: "the cluster refused",
}
