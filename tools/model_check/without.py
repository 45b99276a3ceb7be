"""For each closing a world in which its absence shows. The shortest way to a broken promise is printed.

Where one closing lies behind another, so that leaving it out alone changes nothing, the other is left out as well, and
the table says so.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from scaler.retirement.closings import ALL_CLOSINGS, Closing
from scaler.retirement.observed import Workload
from tools.model_check.pods import PodW
from tools.model_check.scenarios import ALL_OUTSIDE, Outside, Scenario
from tools.model_check.world import Model

_POD = PodW()
_ONE = Scenario("one leaves", (_POD, _POD), 2, 1, needs=(1,), changes=0, legs=False, budget=0)
_RISES = replace(_ONE, needs=(1, 2), changes=1)
_OLD = replace(_ONE, name="rollout", pods=(_POD._replace(old=True),), replicas=1)


def _with(scenario: Scenario, *faults: str, budget: int = 0) -> Scenario:
    return replace(scenario, faults=dict.fromkeys(faults, 1), budget=budget or len(faults))


@dataclass(frozen=True)
class Without:
    """One closing left out of one world."""

    closing: Closing | Outside
    scenario: Scenario
    also: tuple[Outside, ...] = ()

    def model(self, *, left_out: bool = True) -> Model:
        """The world without it, or with it all the same."""
        closings, outside = ALL_CLOSINGS, ALL_OUTSIDE - set(self.also)
        if not left_out:
            return Model(self.scenario, closings, outside)
        if isinstance(self.closing, Closing):
            return Model(self.scenario, closings - {self.closing}, outside)
        return Model(self.scenario, closings, outside - {self.closing})


_STATEFUL = replace(
    _ONE,
    pods=tuple(_POD._replace(ordinal=i) for i in range(2)),
    workload=Workload.STATEFUL_SET,
)

WITHOUT = (
    Without(Closing.ZERO_BEHIND_GATE, _ONE),
    Without(Closing.PROOF_OF_THIS_DRAIN, replace(_with(_ONE, "takeover"), pod_gate=False, needs=(1, 2), changes=2)),
    Without(Closing.QUIET_WINDOW, _ONE),
    Without(Closing.SAME_BOOT, _with(_ONE, "restart", "other-leader")),
    Without(Closing.UNPROVED_IS_BUSY, _ONE),
    Without(Closing.FRESH_READING, replace(_with(_ONE, "restart"), unseen_restarts=True)),
    Without(Closing.VERSION_BEFORE_READING, _with(_ONE, "restart")),
    Without(Closing.PENDING_WORK, replace(_ONE, recordings=True)),
    Without(Closing.COMPARE_AND_SWAP, _with(_RISES, "takeover")),
    Without(Closing.ANNOTATION_BEFORE_GATE, _with(_RISES, "takeover")),
    Without(Closing.RELEASED_IS_FINAL, _with(_RISES, "takeover")),
    Without(Closing.PROOF_AT_DELETE, _with(_ONE, "restart", "takeover")),
    Without(Closing.DELETE_PRECONDITIONS, _with(_RISES, "restart", "takeover")),
    Without(Closing.SCALE_TEST, replace(_RISES, needs=(1, 3))),
    Without(Closing.SCALE_ABOVE_ANSWER, _RISES),
    Without(Closing.NEED_WITHOUT_POD, _OLD),
    Without(Closing.WAY_UP, _with(_ONE, "way-up")),
    Without(Closing.BREAKERS, _with(_ONE, "frozen")),
    Without(Closing.TAIL_FIRST, _STATEFUL),
    Without(Closing.FRONT_GATES, replace(_with(_ONE, "unreachable"), pod_gate=False)),
    Without(Closing.LEASE_AND_SILENCE, replace(_with(_ONE, "node"), needs=(2,))),
    Without(Outside.BORN_PROTECTED, replace(_with(_ONE, "foreign"), needs=(2,), replicas=3)),
    Without(Outside.DELETE_ADMISSION, _with(_ONE, "foreign")),
    Without(Outside.RELEASED_ADMISSION, _with(_ONE, "restart", "takeover", "foreign")),
    Without(Outside.DISRUPTION_BUDGET, _with(_ONE, "foreign")),
    Without(Outside.SCALE_ADMISSION, _with(_ONE, "foreign")),
    Without(Outside.HPA_ONLY_RAISES, _ONE, also=(Outside.SCALE_ADMISSION,)),
    Without(Outside.ZERO_TOLERANCE, _ONE),
    Without(Outside.GATE_DEADLINE, _with(_RISES, "takeover")),
    Without(Outside.WRITE_DEADLINE, _with(_ONE, "restart", "takeover"), also=(Outside.RELEASED_ADMISSION,)),
    Without(Outside.POD_GATE, _ONE),
)
