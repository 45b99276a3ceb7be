"""A made-up fleet, for tests that change one thing of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from scaler.core.fleets import FleetKey
from scaler.retirement.evidence import DrainRecord, ProvedEmpty, ReleaseEvidence
from scaler.retirement.limits import RetirementLimits
from scaler.retirement.machine import Decision, step
from scaler.retirement.observed import ObservedFleet, ObservedPod, WayUp, Workload
from scaler.retirement.outlook import Outlook, OutlookStep
from scaler.retirement.proof import Memory
from scaler.retirement.readings import Boot, Doubt, GatePosition, Reading, Unproved
from scaler.retirement.states import Cause, Purpose, RetirementState

BOOT, OTHER_BOOT = Boot("2026-11-20T08:00:00", "c-1"), Boot("2026-11-20T09:30:00", "c-2")
LIMITS = RetirementLimits(lead_s=90.0)
WALL_S = 1_790_000_000.0
OPEN, CLOSED = GatePosition.OPEN, GatePosition.CLOSED


def reading(at_s: float, channels: int = 0, gate: GatePosition = OPEN, boot: Boot = BOOT, **more: Any) -> Reading:
    return Reading(at_s, at_s, boot, gate, channels, **more)


def silent(at_s: float) -> Unproved:
    return Unproved(Doubt.TIMED_OUT, at_s)


def pod(name: str, at_s: float = 0.0, **changed: Any) -> ObservedPod:
    """A pod that serves 3 channels, unless said otherwise."""
    plain = ObservedPod(f"uid-{name}", name, "7", 0.0, RetirementState.ACTIVE, True, True, reading(at_s, 3))
    return replace(plain, **changed)


def leaving(
    name: str,
    state: RetirementState,
    at_s: float = 0.0,
    purpose: Purpose = Purpose.SHRINK,
    channels: int = 0,
    **changed: Any,
) -> ObservedPod:
    """A pod behind its shut gate."""
    drain = DrainRecord(purpose, Cause.NOT_NEEDED, WALL_S, "calltide-0", 4)
    values: dict[str, Any] = {"reading": reading(at_s, channels, CLOSED)} | changed
    return pod(name, state=state, drain=drain, **values)


def released(name: str, at_s: float = 0.0, purpose: Purpose = Purpose.SHRINK, **changed: Any) -> ObservedPod:
    """A pod that was released, and is as its evidence says."""
    proof = ProvedEmpty(BOOT, WALL_S, (WALL_S + 40,))
    evidence = ReleaseEvidence(f"uid-{name}", name, proof, purpose, Cause.NOT_NEEDED, WALL_S, "calltide-0", 4)
    values: dict[str, Any] = {"protected": False, "evidence": evidence} | changed
    return leaving(name, RetirementState.RELEASED, at_s, purpose, **values)


def need(*pods: int, every_s: float = 3600.0, from_s: float = 0.0) -> Outlook:
    """So many pods now, then in each further hour."""
    steps = tuple(OutlookStep(from_s + i * every_s, count) for i, count in enumerate(pods))
    return Outlook(steps, from_s + 48 * 3600.0)


def fleet(*pods: ObservedPod, needed: Outlook | Unproved | int = 1, **changed: Any) -> ObservedFleet:
    """A Deployment of these pods whose target is their number."""
    plain = ObservedFleet(
        key=FleetKey("default", "acme"),
        workload=Workload.DEPLOYMENT,
        spec_replicas=len(pods),
        scale_version="70",
        pods=pods,
        need=need(needed) if isinstance(needed, int) else needed,
        told=needed if isinstance(needed, int) else 1,
        way_up=WayUp(),
        wall_s=WALL_S,
        leader="calltide-0",
        term=4,
    )
    return replace(plain, **changed)


def decide(observed: ObservedFleet, now_s: float = 0.0, memory: Memory | None = None, **limits: Any) -> Decision:
    return step(memory or Memory(), observed, replace(LIMITS, **limits), now_s)


def kinds(decision: Decision) -> list[str]:
    """What the decision writes, by name of the write and the pod."""
    return [
        f"{type(action).__name__} {getattr(action, 'uid', '').removeprefix('uid-')}".strip()
        for action in decision.actions
    ]
