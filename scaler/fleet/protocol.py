"""What the rest of calltide asks of whatever runs the pods."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from scaler.core.fleets import FleetKey, FleetObservation


@dataclass(frozen=True, slots=True)
class FleetsSeen:
    """All fleets at one instant. `complete` is false while a first list is still awaited or a watch is broken."""

    fleets: Mapping[FleetKey, FleetObservation]
    observed_at_s: float
    complete: bool
    problem: str | None = None


class FleetAdapter(Protocol):
    """The read side of a cluster, or of the simulated fleet. All of it answers from memory."""

    async def start(self) -> None:
        """Begin to watch. Returns at once; a cluster that is away is tried again with back-off."""
        ...

    async def stop(self) -> None:
        """Stop watching and give back connections."""
        ...

    def seen(self) -> FleetsSeen:
        """What is known now, with its age. Never waits."""
        ...

    def pod_leads_s(self) -> Mapping[FleetKey, tuple[float, ...]]:
        """Seconds from creation to Ready of the newest pods of each fleet (at most 200), oldest first."""
        ...
