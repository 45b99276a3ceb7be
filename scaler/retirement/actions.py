"""What a decision asks for: writes, each with the version that it may replace.

The order within one decision does not matter for any caller's call: each write is safe alone, may be lost, may be done
and its answer lost. What has to come after something waits until that something was read back.
"""

from __future__ import annotations

from dataclasses import dataclass

from scaler.retirement.evidence import DrainRecord, ReleaseEvidence
from scaler.retirement.readings import Boot, GatePosition, Steering
from scaler.retirement.states import RetirementState


@dataclass(frozen=True, slots=True)
class MovePod:
    """Write the pod's state, over `version` only. `drain` is None for a pod that is active again."""

    uid: str
    pod: str
    version: str
    before: RetirementState
    to: RetirementState
    drain: DrainRecord | None
    sentence: str


@dataclass(frozen=True, slots=True)
class ReleasePod:
    """One patch over `version`: state released, deletable by calltide alone, lowest deletion cost, the evidence."""

    uid: str
    pod: str
    version: str
    evidence: ReleaseEvidence
    sentence: str


@dataclass(frozen=True, slots=True)
class SetPodGate:
    """Open or shut the pod's own gate, if the media server is still that of `boot`."""

    uid: str
    boot: Boot
    position: GatePosition


@dataclass(frozen=True, slots=True)
class SetFrontGate:
    """Tell one proxy where to send the pod's new calls."""

    uid: str
    proxy: str
    steering: Steering


@dataclass(frozen=True, slots=True)
class LowerScale:
    """Lower the target from `replicas` to `to`, if `/scale` still has `version` and that number."""

    version: str
    replicas: int
    to: int
    sentence: str


@dataclass(frozen=True, slots=True)
class DeletePod:
    """Delete a released pod with its normal grace, if it is still this UID at this version.

    `force` without grace: only where an administrator said that its node is out of service.
    """

    uid: str
    pod: str
    version: str
    sentence: str
    force: bool = False


PodWrite = MovePod | ReleasePod | DeletePod
GateWrite = SetPodGate | SetFrontGate
Action = PodWrite | GateWrite | LowerScale
