"""The words for what stands in the cluster: fleets and their pods, as they were last seen.

Pure values. Edges (the Kubernetes watches, the simulated fleet) make them; capacity, plan and retirement read them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from scaler.errors import FleetError


@dataclass(frozen=True, slots=True, order=True)
class FleetKey:
    """A fleet's identity: the ScaledObject that points to calltide, or the listed fleet's own name."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"

    @classmethod
    def parse(cls, text: str) -> FleetKey:
        """Read `namespace/name`; a bare name lies in the namespace `default`.

        Raises:
            FleetError: it is neither.
        """
        namespace, slash, name = text.rpartition("/")
        namespace = namespace if slash else "default"
        if not namespace or not name or "/" in namespace:
            raise FleetError(f"{text!r} does not name a fleet; write it like 'default/acme'")
        return cls(namespace, name)


class PodState(StrEnum):
    """Where a pod is in its life, as the design's terms have it."""

    STARTING = "starting"
    """Never yet Ready. One that stays so for too long counts as failed."""
    SERVING = "serving"
    """Ready and not gated."""
    DRAINING = "draining"
    DRAINED = "drained"
    RELEASED = "released"
    FAILED = "failed"
    """Was Ready, is not, and is not terminal."""
    TERMINATING = "terminating"
    TERMINAL = "terminal"


@dataclass(frozen=True, slots=True)
class Pod:
    """One pod. Times are epoch seconds; `ready_s` is when it became Ready last, None when it never did."""

    uid: str
    name: str
    state: PodState
    created_s: float
    ready_s: float | None = None
    node: str | None = None
    replacing: bool = False
    """It is inside the target and on its way out, with a successor to come: it does not serve."""
    current_revision: bool = True


@dataclass(frozen=True, slots=True)
class FleetObservation:
    """A fleet as it was seen at `observed_at_s`.

    `policy`, `tenants` and `pool` are what the trigger or the listed fleet says; `fault` is why the fleet cannot be
    sized (a trigger without a policy, a workload that is not there), with the remedy.
    """

    key: FleetKey
    policy: str
    tenants: tuple[str, ...]
    pool: str | None
    workload: str
    spec_replicas: int
    status_replicas: int
    pods: tuple[Pod, ...]
    observed_at_s: float
    minimum_replicas: int | None = None
    maximum_replicas: int | None = None
    exact_tolerance: bool = True
    """The HPA's tolerance is 0 in both directions, so that it follows any answer exactly."""
    paused: bool = False
    polling_interval_s: int = 30
    """How often KEDA asks. The HPA may act on what KEDA knew, so it is part of the lead."""
    fault: str | None = None
    frozen: str | None = None
    """Why a person froze the fleet: nothing is retired, and what KEDA is told does not fall."""

    def count(self, *states: PodState) -> int:
        """How many pods are in one of these states."""
        return sum(pod.state in states for pod in self.pods)
