"""What retirement asks of a cluster: one look at a fleet, and the writes of a decision, each over what it looked at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from scaler.core.fleets import FleetKey
from scaler.fleet.pbx.protocol import PodTarget
from scaler.retirement.actions import LowerScale, PodWrite
from scaler.retirement.audit import Outcome
from scaler.retirement.observed import ObservedNode, ObservedPod, Standstill, WayUp, Workload
from scaler.retirement.readings import Unproved


@dataclass(frozen=True, slots=True)
class FleetLook:
    """A fleet as the cluster has it, read at `looked_at_s` (the leader's clock): no pod has been asked yet.

    `pods` are without readings and front gates; `targets` says by UID where to ask those that have an address.
    `workload_name` is `Kind/name`. `standstills` are those that stand on the cluster's own objects (freezes).
    `scale_version` is the workload's resourceVersion, which is that of its `/scale`.
    """

    key: FleetKey
    looked_at_s: float
    workload: Workload
    workload_name: str
    spec_replicas: int
    scale_version: str
    pods: tuple[ObservedPod, ...]
    targets: Mapping[str, PodTarget]
    way_up: WayUp | Unproved
    nodes: tuple[ObservedNode, ...] = ()
    cluster_nodes: int = 1
    standstills: tuple[Standstill, ...] = ()


class RetirementSide(Protocol):
    """The cluster, for the leader alone. Whoever calls asks whether it still leads before each write."""

    def look(self, now_s: float) -> Mapping[FleetKey, FleetLook]:
        """All fleets, from the memory of the watches. Never waits. `now_s` is the leader's clock."""
        ...

    async def write(self, look: FleetLook, action: PodWrite | LowerScale, within_s: float) -> Outcome:
        """Carry out one write over the version that the action names, once, and say what became of it. Never raises."""
        ...

    async def stop(self) -> None:
        """Write nothing more, and give back connections."""
        ...

    async def tell(self, look: FleetLook, uid: str, reason: str, sentence: str, *, warning: bool) -> None:
        """A Kubernetes Event on the pod (uid empty: on the workload). Failing to tell is logged and nothing else."""
        ...
