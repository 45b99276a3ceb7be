"""Whether a person froze a fleet: an annotation on its workload, or on its namespace for all fleets in it."""

from __future__ import annotations

from scaler.fleet.kubernetes.annotations import frozen_by
from scaler.fleet.kubernetes.memory import ClusterMemory
from scaler.fleet.kubernetes.objects import Workload


def freeze_of(memory: ClusterMemory, workload: Workload, wall_s: float) -> str | None:
    """Why a freeze holds at `wall_s` (epoch seconds), None when none does."""
    own = frozen_by(workload.freeze, wall_s)
    if own is not None:
        return own
    namespace = memory.namespaces.first(workload.name[0])
    return None if namespace is None else frozen_by(namespace.freeze, wall_s)
