"""Which promises a decision breaks, judged apart from the rules that made it, as the model check judges its own."""

from __future__ import annotations

from collections.abc import Iterator

from scaler.retirement.actions import LowerScale, ReleasePod, SetPodGate
from scaler.retirement.evidence import ProvedEmpty
from scaler.retirement.machine import Decision
from scaler.retirement.observed import ObservedFleet, ObservedPod, WayUp
from scaler.retirement.proof import Memory
from scaler.retirement.readings import GatePosition, Reading
from scaler.retirement.states import RetirementState
from tools.model_check.promises import Promise


def broken_by(fleet: ObservedFleet, decision: Decision, memory: Memory, need: int) -> Iterator[str]:
    """Each promise that these writes break. `memory` is what was remembered before."""
    by_uid = {pod.uid: pod for pod in fleet.pods}
    lowers = [action for action in decision.actions if isinstance(action, LowerScale)]
    released = [
        action
        for action in decision.actions
        if isinstance(action, ReleasePod)
        and isinstance(action.evidence.ground, ProvedEmpty)
        and by_uid[action.uid].state is not RetirementState.RELEASED
    ]
    turned_away = any(
        isinstance(action, SetPodGate)
        and action.position is GatePosition.CLOSED
        and by_uid[action.uid].state is RetirementState.DRAINING
        and memory.of(action.uid).shut is None
        for action in decision.actions
    )
    if (released or turned_away) and sum(map(_serves, fleet.pods)) < need:
        yield Promise.NEEDED
    if released and isinstance(fleet.way_up, WayUp) and fleet.way_up.faults:
        yield Promise.WAY_UP
    if fleet.standstills and (released or (lowers and any(still.stops_deletes for still in fleet.standstills))):
        yield Promise.FREEZE
    kept = [pod for pod in fleet.pods if pod.started and pod.state is not RetirementState.RELEASED]
    for action in lowers:
        if action.to < max(len(kept), decision.answer or 0, fleet.told, 1):
            yield Promise.TARGET_TOO_LOW
        if any(pod.ordinal is not None and pod.ordinal >= action.to for pod in kept):
            yield Promise.TAIL


def _serves(pod: ObservedPod) -> bool:
    shut = isinstance(pod.reading, Reading) and pod.reading.gate is GatePosition.CLOSED
    return pod.state is RetirementState.ACTIVE and pod.ready and not shut
