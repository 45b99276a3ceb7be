"""What a look at a fleet's objects finds, and the objects that are looked at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from scaler.core.fleets import FleetKey
from scaler.fleet.kubernetes.api import JsonObject
from scaler.fleet.kubernetes.fields import integer_at, map_at, name_of
from scaler.policy.model import RetirementSpec


class Severity(StrEnum):
    """What a finding can come to, the worst first."""

    CUTS_CALLS = "cuts calls"
    MISSES_PEAKS = "misses peaks"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault: `object` is `Kind namespace/name`, `field` spelt as in the object, `fix` what to do."""

    severity: Severity
    object: str
    field: str
    what: str
    fix: str


@dataclass(frozen=True, slots=True)
class FleetObjects:
    """A fleet and all that may end its pods or keep new ones away, as the API server has it.

    `kind` is that of the workload. `pods` are the workload's own that stand; `replica_sets` those that the
    Deployment owns, and the other lists are all of the fleet's namespace or of the cluster. Which of them could not be
    read, and why, is in `unread` by their names here: they are empty then, and say nothing. `policy_maximum` is the
    policy's `maxPods` and `retirement` what it says of that, both None when it is not known.
    """

    key: FleetKey
    kind: str
    workload: JsonObject | None
    scaled_object: JsonObject | None = None
    pods: Sequence[JsonObject] = ()
    replica_sets: Sequence[JsonObject] = ()
    hpas: Sequence[JsonObject] = ()
    vpas: Sequence[JsonObject] = ()
    budgets: Sequence[JsonObject] = ()
    namespace: JsonObject = field(default_factory=dict)
    policies: Sequence[JsonObject] = ()
    bindings: Sequence[JsonObject] = ()
    services: Sequence[JsonObject] = ()
    unread: Mapping[str, str] = field(default_factory=dict)
    policy_maximum: int | None = None
    retirement: RetirementSpec | None = None

    @property
    def standing(self) -> int:
        """Pods that the fleet has or is to have, whichever are more."""
        wanted = 0 if self.workload is None else integer_at(self.workload, "spec", "replicas", default=1)
        return max(wanted, len(self.pods))

    @property
    def template(self) -> JsonObject:
        """The pod template."""
        return map_at(self.workload or {}, "spec", "template")

    @property
    def workload_name(self) -> str:
        """The workload as findings name it."""
        name = self.key.name if self.workload is None else name_of(self.workload)
        return f"{self.kind} {self.key.namespace}/{name}"

    @property
    def scaled_object_name(self) -> str:
        """The ScaledObject as findings name it."""
        return f"ScaledObject {self.key}"

    def is_its_workload(self, reference: JsonObject) -> bool:
        """Whether a scaleTargetRef or targetRef of the namespace means the fleet's workload."""
        kind, name = reference.get("kind") or "Deployment", reference.get("name")
        return self.workload is not None and (kind, name) == (self.kind, name_of(self.workload))


Findings = Iterator[Finding]
