"""What is known of a fleet's retirement after its last round, for page, API, metrics and the next round."""

from __future__ import annotations

from dataclasses import dataclass

from scaler.core.fleets import FleetKey
from scaler.policy.model import RetirementMode
from scaler.retirement.machine import Decision
from scaler.retirement.observed import ObservedFleet


@dataclass(frozen=True, slots=True)
class FleetRound:
    """One round: what was observed and decided at `at_s` (epoch seconds), and which writes did not go through."""

    key: FleetKey
    mode: RetirementMode
    at_s: float
    observed: ObservedFleet
    decision: Decision
    failures: tuple[str, ...] = ()
