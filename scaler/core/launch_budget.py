"""How many pods the forecasts of a whole cluster may launch in one step, and who gets them.

A wrong forecast for one tenant costs little; one that is wrong for all of them at once would empty the node pools.
The budget bounds that. What is measured, scheduled or a minimum is never part of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from scaler.core.fleets import FleetKey


@dataclass(frozen=True, slots=True)
class LaunchRequest:
    """Pods that a fleet's forecast wants beyond what stands or was asked for already."""

    fleet: FleetKey
    priority: int
    pods: int


def share_launches(requests: Iterable[LaunchRequest], budget_pods: int) -> dict[FleetKey, int]:
    """Pods granted to each fleet: by priority, the higher first, then by shortage, the larger first.

    What a fleet is granted counts as asked for in the next step, so that its shortage shrinks and others get theirs.
    """
    left = max(0, budget_pods)
    grants = {}
    for request in sorted(requests, key=lambda request: (-request.priority, -request.pods, request.fleet)):
        grants[request.fleet] = min(left, max(0, request.pods))
        left -= grants[request.fleet]
    return grants
