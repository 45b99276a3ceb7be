import pytest

from scaler.core.confirm import moved_share, while_unconfirmed
from scaler.core.fleets import PodState
from scaler.core.plan import Part
from scaler.core.planner import plan_fleet
from tests.scaler.core.made_up import forecast, inputs, observation, pod, policy

QUIET = [0.0] * 24


def test_the_same_plan_has_not_moved():
    assert moved_share(plan_fleet(inputs(channels=320)), plan_fleet(inputs(channels=320))) == 0


@pytest.mark.parametrize(("minimum", "share"), [(15, 0.5), (5, 0.5), (10, 0.0), (30, 2.0)])
def test_a_rise_and_a_fall_of_the_need_move_it_alike(minimum, share):
    old, new = plan_fleet(inputs(policy=policy(minPods=10))), plan_fleet(inputs(policy=policy(minPods=minimum)))
    assert moved_share(old, new) == pytest.approx(share)


def test_a_change_that_shows_only_at_the_peak_moves_it_too():
    peak = forecast([*QUIET, 1600.0])
    old = plan_fleet(inputs(forecast=peak))
    new = plan_fleet(inputs(forecast=peak, policy=policy(capacity={"channelsPerPod": 50})))
    assert old.need == new.need
    assert moved_share(old, new) == 1.0


def test_while_a_change_waits_the_old_number_stands_and_the_difference_is_explained():
    fleet = observation(10, pod("failed", PodState.FAILED), *(pod(f"ok{n}") for n in range(9)))
    old = plan_fleet(inputs(channels=80, observation=fleet, policy=policy(minPods=10)))
    new = plan_fleet(inputs(channels=80, observation=fleet, policy=policy(minPods=3)))
    waiting = while_unconfirmed(old, new)
    assert (waiting.need, waiting.answer, waiting.alone) == (old.need, old.answer, old.alone) == (10, 11, 11)
    steps = {step.part: step.pods for step in waiting.explanation.contributions}
    assert steps[Part.UNCONFIRMED] == 7
    assert "calltide policy confirm default/acme --state DIR" in waiting.explanation.warnings[-1]
    assert waiting.path is old.path
