"""A fleet that a policy names itself, since no ScaledObject of ours points to it.

The Kubernetes watches look for its workload, the simulated fleet plays it: both need the same three facts.
"""

from __future__ import annotations

from dataclasses import dataclass

from scaler.core.fleets import FleetKey


@dataclass(frozen=True, slots=True)
class FleetListing:
    """Who the fleet is, which policy sizes it and whose calls it serves."""

    key: FleetKey
    policy: str
    tenants: tuple[str, ...]
