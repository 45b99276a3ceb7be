"""Why a pod may go: written down with its release, on the pod and in the audit log.

A release without evidence cannot be built. Whoever asks later "why did this pod go at 18:04?" reads it here; and
whoever leads after a crash compares it with the pod as it is now before deleting anything.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from scaler.retirement.errors import RetirementError
from scaler.retirement.readings import Boot, GatePosition, PodReading, Reading
from scaler.retirement.states import Cause, Purpose


@dataclass(frozen=True, slots=True)
class DrainRecord:
    """Why and since when a pod is leaving; it stands in the annotation beside the state. Wall time, epoch seconds."""

    purpose: Purpose
    cause: Cause
    began_at_s: float
    leader: str
    term: int


@dataclass(frozen=True, slots=True)
class ProvedEmpty:
    """A pod with no call, behind a gate that lets none in.

    `closed_at_s` is when the gates were read back shut, `zeros_at_s` when the readings were asked that found nothing,
    rising: on the leader's clock while it gathers them, as wall time once `dated`. `front_gates` are the proxies that
    acknowledged.

    Raises:
        RetirementError: no reading found it empty, or one is older than the shut gate.
    """

    boot: Boot
    closed_at_s: float
    zeros_at_s: tuple[float, ...]
    front_gates: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.zeros_at_s:
            raise RetirementError("zeros_at_s: a proof needs at least one reading that found the pod empty")

    def dated(self, wall_minus_clock_s: float) -> ProvedEmpty:
        """The same with times that mean something to people and to the next leader."""
        zeros_at_s = tuple(at_s + wall_minus_clock_s for at_s in self.zeros_at_s)
        return replace(self, closed_at_s=self.closed_at_s + wall_minus_clock_s, zeros_at_s=zeros_at_s)

    def still_holds(self, reading: PodReading, *, pod_gate: bool) -> bool | None:
        """Whether the pod is what was proved of it; None when the reading does not tell.

        A shut gate and no channel in the same boot stay so until the gate is opened or the PBX restarts, so an old
        proof and one reading of now are as good as a new proof.
        """
        if not isinstance(reading, Reading):
            return None
        shut = reading.gate is GatePosition.CLOSED or not pod_gate
        return reading.boot == self.boot and shut and is_empty(reading)


@dataclass(frozen=True, slots=True)
class OutOfService:
    """An administrator marked the pod's node with the out-of-service taint: Kubernetes takes its pods for dead."""

    node: str


@dataclass(frozen=True, slots=True)
class DeadNode:
    """The pod's node is gone: its lease is stale and the PBX is silent, by every way that there is to ask.

    How long each has been so (seconds), counted only while the API server answered without a break.
    """

    node: str
    lease_stale_for_s: float
    silent_for_s: float


Ground = ProvedEmpty | OutOfService | DeadNode


@dataclass(frozen=True, slots=True)
class ReleaseEvidence:
    """One release: of whom, on what ground, what for, when (wall time, epoch seconds) and by whose word."""

    uid: str
    pod: str
    ground: Ground
    purpose: Purpose
    cause: Cause
    released_at_s: float
    leader: str
    term: int


def is_empty(reading: Reading, *, pending_counts: bool = True) -> bool:
    """No channel, no work that outlives one, and nothing that a pod holds without channels."""
    unfinished = (reading.pending or reading.held) if pending_counts else ()
    return reading.channels == 0 and not unfinished
