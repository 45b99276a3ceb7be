"""What retirement looks at: pods with their readings, nodes, the target, the need, and what holds everything.

All of it was read live and together: a decision on a cache's word would be one on the past. The versions that were
read go into the writes that follow, so that whatever changed meanwhile makes them fail instead of doing harm.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from scaler.core.fleets import FleetKey
from scaler.retirement.evidence import DrainRecord, ReleaseEvidence
from scaler.retirement.outlook import Outlook
from scaler.retirement.readings import FrontGate, PodReading, Unproved
from scaler.retirement.states import RetirementState, Wish


class Workload(StrEnum):
    """What makes a fleet's pods. It decides which pods may go."""

    DEPLOYMENT = "deployment"
    STATEFUL_SET = "stateful-set"


@dataclass(frozen=True, slots=True)
class ObservedPod:
    """One pod as the API server has it and as it answers itself.

    `version` is its resourceVersion, read at `version_read_s` (the leader's clock) and so before a reading that shall
    count; `state`, `drain` and `evidence` are what its annotation says; `time_to_empty_s`
    how long its calls are expected to last; `pinned` says why its tenant is never drained, empty when it may be.
    """

    uid: str
    name: str
    version: str
    version_read_s: float
    state: RetirementState
    protected: bool
    ready: bool
    reading: PodReading
    started: bool = True
    was_ready: bool = True
    terminating: bool = False
    terminal: bool = False
    drain: DrainRecord | None = None
    evidence: ReleaseEvidence | None = None
    front: tuple[FrontGate, ...] = ()
    node: str | None = None
    zone: str | None = None
    ordinal: int | None = None
    current_revision: bool = True
    wish: Wish | None = None
    pinned: str = ""
    time_to_empty_s: float = 0.0
    created_s: float = 0.0

    @property
    def stands(self) -> bool:
        """Whether a controller still counts it."""
        return not (self.terminating or self.terminal)


@dataclass(frozen=True, slots=True)
class ObservedNode:
    """A node that pods of the fleet are on. Seconds are lengths, counted while the API server answered unbroken."""

    name: str
    cordoned: bool = False
    out_of_service: bool = False
    lease_stale_for_s: float = 0.0
    silent_for_s: float = 0.0
    """Since when no PBX on it has answered a probe or a SIP OPTIONS at its own address."""

    @property
    def is_troubled(self) -> bool:
        """Whether it may be dead."""
        return self.lease_stale_for_s > 0 or self.out_of_service


@dataclass(frozen=True, slots=True)
class Standstill:
    """Why nothing may leave now, in a sentence. `stops_deletes` also keeps what was released already."""

    reason: str
    sentence: str
    stops_deletes: bool = False


@dataclass(frozen=True, slots=True)
class WayUp:
    """Whether a new pod could come: the faults found, none when it works.

    `unmade_s` is for how long the workload has had fewer pods than its target: its controller makes none, or none is
    admitted, as when a quota is used up. It is a fault while those pods are needed.
    """

    faults: tuple[str, ...] = ()
    unmade_s: float = 0.0


@dataclass(frozen=True, slots=True)
class ObservedFleet:
    """One fleet at one moment. `scale_version` is the resourceVersion of `/scale`.

    `need` is Unproved when neither load nor plan is known; `told` is the largest number that KEDA may still read;
    `standstills` are freezes, inhibit windows and falls of load common to many tenants, as whoever knows them says;
    `cluster_nodes` counts all nodes, for the share of them that may be declared dead. `wall_s` is epoch seconds.
    """

    key: FleetKey
    workload: Workload
    spec_replicas: int
    scale_version: str
    pods: tuple[ObservedPod, ...]
    need: Outlook | Unproved
    told: int
    way_up: WayUp | Unproved
    wall_s: float
    leader: str
    term: int
    standstills: tuple[Standstill, ...] = ()
    nodes: tuple[ObservedNode, ...] = ()
    cluster_nodes: int = 1

    def should_answer(self, pod: ObservedPod) -> bool:
        """Whether a pod stands and is Ready, or was, and nothing is known of its node that would silence it.

        What silences pods may take their readiness too, as when their probe signs in.
        """
        explained = any(node.name == pod.node and node.is_troubled for node in self.nodes)
        return pod.stands and (pod.ready or (pod.was_ready and not explained))

    def is_unproved(self, pod: ObservedPod) -> bool:
        """Whether it should say how many channels it carries, and does not."""
        return self.should_answer(pod) and isinstance(pod.reading, Unproved)
