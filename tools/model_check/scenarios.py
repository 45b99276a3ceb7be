"""The small worlds, and what may happen in each. Together they stand for the large one; no single one is all of it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum

from scaler.retirement.limits import RetirementLimits
from scaler.retirement.observed import Workload
from tools.model_check.pods import PodW


class Outside(StrEnum):
    """Closings that lie outside the state machine: in the cluster's objects, the gate's client, the proxy's timers."""

    BORN_PROTECTED = "born-protected"
    """The protection is in the pod template, not added later."""
    DELETE_ADMISSION = "delete-admission"
    """A protected pod cannot be deleted, whoever asks."""
    RELEASED_ADMISSION = "released-admission"
    """A released pod can be deleted, or evicted, by calltide alone."""
    DISRUPTION_BUDGET = "disruption-budget"
    """Nor evicted."""
    SCALE_ADMISSION = "scale-admission"
    """Nobody but calltide lowers the target."""
    HPA_ONLY_RAISES = "hpa-only-raises"
    """`scaleDown.selectPolicy: Disabled`."""
    ZERO_TOLERANCE = "zero-tolerance"
    """`tolerance: 0`: inside a tolerance the HPA sets the target to the pods that stand."""
    GATE_DEADLINE = "gate-deadline"
    """A gate write that was given up is done within the quiet window or never."""
    WRITE_DEADLINE = "write-deadline"
    """A write of the target is done while the decision is fresh or never: it names no pod's version."""
    POD_GATE = "pod-gate"
    """The pod itself refuses new calls, whatever the proxies do."""


ALL_OUTSIDE = frozenset(Outside)

FAULTS = (
    "restart",
    "takeover",
    "unready",
    "foreign",
    "node",
    "way-up",
    "frozen",
    "unreachable",
    "other-leader",
    "time-out",
)
"""Faults are counted, each kind for itself and all together."""


@dataclass(frozen=True)
class Scenario:
    """One small world.

    `calls` live at once at most; `needs` are the values that the need may take (0: not known), at most `changes` times;
    `faults` how often each kind may strike, `budget` how many in all.
    """

    name: str
    pods: tuple[PodW, ...]
    replicas: int
    calls: int
    needs: tuple[int, ...] = (1, 2)
    changes: int = 1
    most_pods: int = 3
    faults: dict[str, int] = field(default_factory=dict)
    budget: int = 2
    workload: Workload = Workload.DEPLOYMENT
    pod_gate: bool = True
    recordings: bool = False
    legs: bool = True
    unseen_restarts: bool = False
    """A PBX restarts inside its container, so that the API server does not see it."""

    @property
    def limits(self) -> RetirementLimits:
        """The production limits, in ticks."""
        return RetirementLimits(
            lead_s=1,
            quiet_window_s=1,
            gate_deadline_s=0.5,
            zero_samples=1,
            fresh_s=0,
            dwell_s=0,
            recall_s=1,
            drain_max_s=1e9,
            node_death_after_s=1,
            dead_nodes_share=1.0,
            mass_unproved_share=1.1,
            pod_gate=self.pod_gate,
        )


_POD = PodW()
_TWO, _THREE = (_POD,) * 2, (_POD,) * 3
_TAILED = tuple(_POD._replace(ordinal=number) for number in range(3))


def _each(*kinds: str, times: int = 1) -> dict[str, int]:
    return dict.fromkeys(kinds, times)


def quick() -> list[Scenario]:
    """What runs at every change."""
    stateful = Workload.STATEFUL_SET
    return [
        Scenario("one leaves", _TWO, 2, 2, most_pods=2, faults=_each("restart", "takeover", "time-out")),
        Scenario("recordings", _TWO, 2, 1, (1,), 0, 2, _each("restart", "takeover"), recordings=True),
        Scenario("unseen restart", _TWO, 2, 2, most_pods=2, faults=_each("restart"), budget=1, unseen_restarts=True),
        Scenario("three pods", _THREE, 3, 2, faults={}, budget=0),
        Scenario("three pods, a leader dies", _THREE, 3, 2, (1,), 0, 3, _each("takeover"), budget=1, legs=False),
        Scenario("three pods, a fault", _THREE, 3, 1, (1, 2), 1, 3, _each("takeover", "restart"), 1, legs=False),
        Scenario("standstills", _TWO, 2, 1, (1, 2, 0), 1, 2, _each("way-up", "frozen", "foreign"), legs=False),
        Scenario("stateful set", _TAILED, 3, 1, (1, 2), 1, 3, _each("restart", "takeover"), 1, stateful, legs=False),
        Scenario("no pod gate", _TWO, 2, 1, faults=_each("unreachable", "takeover"), pod_gate=False),
        Scenario("rollout", (_POD._replace(old=True),), 1, 1, (1,), 0, 2, _each("takeover", "restart"), legs=False),
        Scenario("dead node", _TWO, 2, 1, (2,), 0, 3, _each("node", "takeover"), legs=False),
    ]


def deep() -> list[Scenario]:
    """The same with more of everything; to be run for a night."""
    more = [replace(world, budget=world.budget + 1, changes=world.changes + 1) for world in quick()]
    four = Scenario("four pods", (_POD,) * 4, 4, 3, (1, 2, 3), 1, 4, _each("restart", "takeover", "unready"), budget=1)
    return [*more, four]
