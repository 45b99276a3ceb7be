"""The rules of need and answer, each as a sentence."""

from dataclasses import replace

import numpy as np
import pytest

from forecasting.forecast import Trust
from forecasting.load import Measure
from scaler.core.fleets import FleetKey, PodState
from scaler.core.inputs import LastPlan, Measurement
from scaler.core.lead import Lead
from scaler.core.plan import Part
from scaler.core.planner import plan_fleet, plan_fleets
from scaler.errors import CalltideError
from scaler.policy.model import Mode
from tests.scaler.core.made_up import NOW_S, STEP_S, forecast, inputs, observation, pod, policy

NO_HEADROOM = {"headroom": 0.0}
ALWAYS_OPEN = {"name": "campaign", "cron": "* * * * *", "for": "1h", "minPods": 6, "owner": "sales"}


def parts(plan) -> dict[Part, int]:
    return {step.part: step.pods for step in plan.explanation.contributions}


def quiet(slots: int = 24, load: float = 0.0) -> list[float]:
    return [load] * slots


def test_what_is_measured_now_is_the_floor_and_headroom_comes_on_top():
    plan = plan_fleet(inputs(channels=310, policy=policy(reactive={"headroom": 0.2, "headroomPods": 1})))
    assert parts(plan) == {Part.MEASURED: 4, Part.HEADROOM: 2}
    assert (plan.need, plan.answer, plan.explanation.binding) == (6, 6, Part.HEADROOM)


def test_the_larger_of_channels_and_call_rate_sizes_the_fleet():
    both = policy(
        history={"channels": "c", "callRate": "r"},
        capacity={"channelsPerPod": 100, "callSetupsPerSecondPerPod": 10},
        reactive=NO_HEADROOM,
    )
    now = {Measure.CHANNELS: Measurement(80, 1), Measure.CALL_RATE: Measurement(33, 1)}
    plan = plan_fleet(inputs(policy=both, measured=now))
    assert plan.need == 5
    assert "33 call set-ups a second now need 5 pods at 8 call set-ups a second a pod" in plan.explanation.summary


def test_a_ramp_raises_the_need_exactly_one_lead_before_it():
    ramp = forecast(quiet(10) + quiet(14, 800))
    ramp_s = NOW_S + 10 * STEP_S
    lead = Lead(437.0, True, "made up")
    assert plan_fleet(inputs(now_s=ramp_s - 437.001, forecast=ramp, lead=lead)).need == 1
    assert plan_fleet(inputs(now_s=ramp_s - 437.0, forecast=ramp, lead=lead)).need == 10


def test_the_forecasts_pods_are_kept_until_the_peaks_last_slot_is_over():
    peak = forecast(quiet(10) + quiet(2, 800) + quiet(12))
    over_s = NOW_S + 12 * STEP_S
    assert plan_fleet(inputs(now_s=over_s - 0.001, forecast=peak)).need == 10
    assert plan_fleet(inputs(now_s=over_s, forecast=peak)).need == 1


def test_the_path_of_a_slot_covers_every_instant_in_it():
    rng = np.random.default_rng(7)
    ahead = forecast(rng.uniform(0, 3000, 30))
    lead = Lead(730.0, True, "made up")
    path = plan_fleet(inputs(forecast=ahead, lead=lead)).path
    for slot in range(20):
        for offset_s in (0, 1, 150, 169, 170, 299.9):
            now_s = NOW_S + slot * STEP_S + offset_s
            assert plan_fleet(inputs(now_s=now_s, forecast=ahead, lead=lead)).need <= path[slot]


def test_a_cold_forecast_sizes_nothing():
    plan = plan_fleet(inputs(channels=70, forecast=forecast(quiet(load=8000), trust=Trust.COLD)))
    assert plan.need == 2
    assert not plan.sized_ahead
    assert set(plan.path.tolist()) == {1}


def test_in_assist_the_forecast_only_adds():
    low = plan_fleet(inputs(channels=320, forecast=forecast(quiet())))
    without = plan_fleet(inputs(channels=320))
    assert (low.need, without.need) == (5, 5)


def test_in_primary_a_trusted_forecast_replaces_the_headroom_but_not_what_is_measured():
    primary = policy(mode="primary")
    plan = plan_fleet(inputs(channels=320, policy=primary, forecast=forecast(quiet())))
    assert plan.need == 4
    assert plan.explanation.effective_mode is Mode.PRIMARY


@pytest.mark.parametrize("trust", [Trust.LEARNING, Trust.DEGRADED, Trust.COLD])
def test_primary_below_trusted_equals_assist(trust):
    ahead = forecast(quiet(load=100), trust=trust)
    as_primary = plan_fleet(inputs(channels=320, policy=policy(mode="primary"), forecast=ahead))
    as_assist = plan_fleet(inputs(channels=320, policy=policy(mode="assist"), forecast=ahead))
    assert as_primary.explanation.contributions == as_assist.explanation.contributions
    assert as_primary.explanation.effective_mode is Mode.ASSIST
    assert any("treated as in assist" in warning for warning in as_primary.explanation.warnings)


def test_primary_acts_as_assist_when_the_forecast_does_not_reach_this_hour():
    old = forecast(quiet(2), start_s=NOW_S - 10 * STEP_S)
    plan = plan_fleet(inputs(channels=320, policy=policy(mode="primary"), forecast=old))
    assert plan.need == 5
    assert any("does not reach this hour" in warning for warning in plan.explanation.warnings)


def test_observe_answers_what_stands_and_still_shows_the_need():
    watched = policy(mode="observe")
    plan = plan_fleet(inputs(channels=800, spec=3, policy=watched, observation=observation(3, exact=False)))
    assert (plan.need, plan.answer, plan.alone) == (12, 3, 3)
    assert parts(plan)[Part.OBSERVE] == -9


def test_a_scheduled_minimum_stands_when_its_window_opens():
    opens_s = NOW_S - NOW_S % 3600 + 7200
    hour = (opens_s // 3600) % 24
    scheduled = policy(schedule=[{**ALWAYS_OPEN, "cron": f"0 {hour} * * *"}])
    assert plan_fleet(inputs(now_s=opens_s - 300.001, policy=scheduled)).need == 1
    plan = plan_fleet(inputs(now_s=opens_s - 300.0, policy=scheduled))
    assert (plan.need, plan.explanation.binding) == (6, Part.SCHEDULE)
    assert "'campaign'" in plan.explanation.summary
    assert "ask sales" in plan.explanation.summary


def test_the_higher_minimum_counts():
    assert plan_fleet(inputs(policy=policy(minPods=4), observation=observation(3, minimum=2))).need == 4
    assert plan_fleet(inputs(policy=policy(minPods=2), observation=observation(3, minimum=4))).need == 4


def test_the_lower_maximum_caps_everything_even_what_is_measured():
    assert plan_fleet(inputs(channels=4000, policy=policy(maxPods=20))).need == 20
    plan = plan_fleet(inputs(channels=4000, observation=observation(3, maximum=10)))
    assert (plan.need, plan.answer, plan.explanation.cut_by) == (10, 10, (Part.MAXIMUM,))
    assert any("maxReplicaCount 10" in warning for warning in plan.explanation.warnings)
    assert plan.explanation.binding is Part.MEASURED


def test_pods_beyond_the_maximum_that_the_path_would_fill_are_told():
    plan = plan_fleet(inputs(policy=policy(maxPods=8), forecast=forecast([*quiet(10), 800, *quiet(10)])))
    assert (int(plan.path.max()), int(plan.unmet.max())) == (8, 2)


def test_a_missing_measurement_holds_the_last_need_and_answer():
    last = LastPlan(7, 8, NOW_S - 15.0)
    plan = plan_fleet(inputs(channels=None, spec=8, last=last))
    assert (plan.need, plan.answer, plan.explanation.binding) == (7, 8, Part.HOLD)
    assert "cannot be read" in plan.explanation.summary


def test_a_measurement_that_is_too_old_is_missing():
    old = {Measure.CHANNELS: Measurement(800.0, 121.0)}
    plan = plan_fleet(inputs(measured=old, last=LastPlan(7, 7, NOW_S - 15.0)))
    assert plan.need == 7
    assert "2m1s old" in plan.explanation.summary


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1.0])
def test_a_measurement_that_is_no_load_is_missing(value):
    measured = {Measure.CHANNELS: Measurement(value, 1.0)}
    assert plan_fleet(inputs(measured=measured, last=LastPlan(7, 7, NOW_S - 15.0))).need == 7


def test_without_a_plan_before_the_number_that_is_set_is_held():
    failed = observation(4, pod("a", PodState.FAILED), *(pod(f"b{n}") for n in range(3)))
    plan = plan_fleet(inputs(channels=None, observation=failed))
    assert plan.answer == 4


def test_after_a_silence_the_pods_that_answers_alone_have_asked_for_are_held_too():
    told_before = LastPlan(5, 5, NOW_S - 31.0)
    plan = plan_fleet(inputs(channels=None, spec=10, last=told_before))
    assert (plan.need, plan.answer) == (10, 10)
    assert "31s old" in plan.explanation.summary
    just_before = LastPlan(5, 5, NOW_S - 30.0)
    assert plan_fleet(inputs(channels=None, spec=10, last=just_before)).answer == 5


def test_after_a_silence_what_was_needed_last_is_held_although_fewer_are_set():
    plan = plan_fleet(inputs(channels=None, spec=4, last=LastPlan(9, 9, NOW_S - 3600.0)))
    assert (plan.need, plan.answer) == (9, 9)


def test_holding_does_not_count_failed_pods_again_and_again():
    fleet = observation(8, pod("a", PodState.FAILED), *(pod(f"b{n}") for n in range(7)))
    last = LastPlan(7, 8, NOW_S - 15.0)
    for _ in range(5):
        last = LastPlan.of(plan_fleet(inputs(channels=None, observation=fleet, last=last)))
    assert last.answer == 8


def test_one_missing_measure_of_two_holds_and_the_other_may_still_add():
    both = policy(
        history={"channels": "c", "callRate": "r"},
        capacity={"channelsPerPod": 100, "callSetupsPerSecondPerPod": 10},
    )
    measured = {Measure.CHANNELS: Measurement(800, 1)}
    assert plan_fleet(inputs(policy=both, measured=measured, last=LastPlan(7, 7, NOW_S - 15.0))).need == 12
    assert plan_fleet(inputs(policy=both, measured=measured, last=LastPlan(20, 20, NOW_S - 15.0))).need == 20


def test_while_data_are_missing_the_forecast_may_still_add():
    plan = plan_fleet(inputs(channels=None, last=LastPlan(7, 7, NOW_S - 15.0), forecast=forecast(quiet(load=800))))
    assert (plan.need, plan.explanation.binding) == (10, Part.FORECAST)


def test_without_a_forecast_the_plan_book_answers_and_the_reactive_need_stays_below_it():
    plan = plan_fleet(inputs(channels=80, book_need=9))
    assert (plan.need, plan.explanation.binding) == (9, Part.PLAN_BOOK)
    assert plan_fleet(inputs(channels=800, book_need=9)).need == 12


def test_with_a_forecast_the_plan_book_is_not_asked():
    assert plan_fleet(inputs(channels=80, book_need=9, forecast=forecast(quiet(load=100)))).need == 2


def test_the_forecast_rises_by_no_more_than_max_step_while_the_floor_rises_freely():
    careful = policy(guardrails={"maxStep": 2}, reactive=NO_HEADROOM)
    ahead, last = forecast(quiet(load=1600)), LastPlan(5, 5, NOW_S - 15.0)
    plan = plan_fleet(inputs(channels=80, policy=careful, forecast=ahead, last=last))
    assert (plan.need, plan.explanation.cut_by) == (7, (Part.MAX_STEP,))
    assert plan_fleet(inputs(channels=1200, policy=careful, forecast=ahead, last=last)).need == 15


def test_a_plan_that_comes_late_may_rise_by_the_steps_that_it_missed():
    careful = policy(guardrails={"maxStep": 2})
    ahead, last = forecast(quiet(load=1600)), LastPlan(5, 5, NOW_S - 60.0)
    assert plan_fleet(inputs(policy=careful, forecast=ahead, last=last)).need == 13


def test_the_schedule_is_not_cut_by_the_forecasts_limits():
    careful = policy(guardrails={"maxStep": 1}, schedule=[{**ALWAYS_OPEN, "minPods": 12}])
    last = LastPlan(2, 2, NOW_S - 15.0)
    plan = plan_fleet(inputs(policy=careful, forecast=forecast(quiet(load=1600)), last=last, launch_grant=0))
    assert (plan.need, plan.explanation.binding) == (12, Part.SCHEDULE)


def test_the_launch_budget_cuts_the_forecast_to_what_stands_and_what_is_granted():
    plan = plan_fleet(inputs(channels=80, spec=4, forecast=forecast(quiet(load=1600)), launch_grant=3))
    assert (plan.need, plan.explanation.cut_by) == (7, (Part.LAUNCH_BUDGET,))


def test_the_budget_of_a_cluster_goes_by_priority_and_never_to_those_who_only_observe():
    def fleet(name: str, **fields):
        return inputs(
            policy=policy(**fields),
            observation=observation(2, key=FleetKey("default", name)),
            forecast=forecast(quiet(load=800)),
        )

    fleets = [fleet("office"), fleet("hospital", guardrails={"priority": 5}), fleet("a-watched", mode="observe")]
    plans = {key.name: plan for key, plan in plan_fleets(fleets, 10).plans.items()}
    assert (plans["hospital"].need, plans["office"].need) == (10, 4)
    assert plans["a-watched"].need == 10
    unlimited = plan_fleets(fleets, None).plans
    assert {plan.need for plan in unlimited.values()} == {10}


def test_what_was_granted_before_needs_no_second_grant():
    ahead = forecast(quiet(load=1600))
    plan = plan_fleet(inputs(spec=4, forecast=ahead, last=LastPlan(9, 9, NOW_S - 15.0), launch_grant=2))
    assert plan.need == 11


def test_pods_that_stand_already_need_no_grant():
    ahead = forecast(quiet(load=1600))
    assert plan_fleet(inputs(spec=6, forecast=ahead, last=LastPlan(2, 2, NOW_S - 15.0), launch_grant=1)).need == 7


def test_a_fleet_with_a_fault_disturbs_no_other():
    broken = inputs(observation=observation(3, key=FleetKey("default", "broken"), fault="no such policy: add it"))
    done = plan_fleets([broken, inputs()], None)
    assert list(done.plans) == [inputs().observation.key]
    assert done.faults == {broken.observation.key: "default/broken: no such policy: add it"}
    with pytest.raises(CalltideError, match="no such policy"):
        plan_fleet(broken)


def test_failed_and_leaving_pods_come_on_top_of_the_need_and_draining_ones_only_alone():
    fleet = observation(
        5, pod("a"), pod("b"), pod("c", PodState.FAILED), pod("d", PodState.DRAINING), pod("e", PodState.DRAINED)
    )
    plan = plan_fleet(inputs(channels=80, observation=fleet, policy=policy(reactive=NO_HEADROOM, minPods=3)))
    assert (plan.need, plan.answer, plan.alone) == (3, 4, 6)
    assert "1 pod failed" in plan.explanation.summary


def test_neither_answer_nor_alone_goes_above_the_scaled_objects_maximum():
    fleet = observation(5, pod("c", PodState.FAILED), *(pod(f"d{n}", PodState.DRAINING) for n in range(4)), maximum=5)
    plan = plan_fleet(inputs(channels=380, observation=fleet))
    assert (plan.need, plan.answer, plan.alone) == (5, 5, 5)


def test_a_cluster_with_tolerance_is_told_what_makes_it_move():
    plan = plan_fleet(inputs(policy=policy(minPods=21), observation=observation(20, exact=False)))
    assert (plan.need, plan.answer, plan.alone) == (21, 23, 21)
    assert parts(plan)[Part.BAND] == 2
    assert LastPlan.of(plan).answer == 21, "the extra must not be held as if it were needed"


def test_a_cluster_with_tolerance_whose_target_is_met_is_told_the_need_while_pods_start():
    plan = plan_fleet(inputs(policy=policy(minPods=20), observation=observation(20, status=19, exact=False)))
    assert plan.answer == 20


def test_with_a_grade_of_service_the_median_sizes_the_fleet_with_the_forecasts_variance():
    by_blocking = policy(capacity={"channelsPerPod": 10, "gradeOfService": {"blocking": 0.01}}, reactive=NO_HEADROOM)
    sharp = plan_fleet(inputs(policy=by_blocking, forecast=forecast(quiet(load=200), quantile=0.99)))
    # Two quantiles of 12.816 each up to the ninetieth: a deviation of 20, a variance of 400, a peakedness of 2.
    wide = plan_fleet(inputs(policy=by_blocking, forecast=forecast(quiet(load=200), spread=12.816)))
    assert (sharp.need, wide.need) == (23, 24), "221 and 234 channels"
    assert "200 channels (median, peakedness 2)" in wide.explanation.summary


def test_ages_trust_and_lead_are_told():
    explanation = plan_fleet(
        inputs(now_s=NOW_S + 40.0, forecast=forecast(quiet(), trust=Trust.LEARNING, issued_at_s=NOW_S))
    ).explanation
    assert (explanation.issue_age_s, explanation.data_age_s, explanation.lead_s) == (40.0, 40.0, 300.0)
    assert (explanation.trust, explanation.trust_reason) == (Trust.LEARNING, "learning for the test")


def test_failed_pods_beyond_the_budget_a_pause_and_a_minimum_above_the_maximum_are_warned_of():
    fleet = observation(5, *(pod(f"f{n}", PodState.FAILED) for n in range(4)), pod("ok"), paused=True, minimum=9)
    warnings = " ".join(plan_fleet(inputs(observation=fleet, policy=policy(maxPods=6))).explanation.warnings)
    assert "3 pods more failed" in warnings
    assert "paused" in warnings
    assert "minimum of 9 pods is above the maximum of 6" in warnings


def test_the_explanation_names_the_load_the_time_and_the_capacity():
    plan = plan_fleet(
        inputs(
            channels=312,
            now_s=NOW_S + 2.5 * STEP_S,
            policy=policy(capacity={"channelsPerPod": 162}, calendar={"timeZone": "Europe/Berlin"}),
            forecast=forecast([*quiet(3), 1010.0, *quiet(3)]),
        )
    )
    told = {step.part: step.sentence for step in plan.explanation.contributions}
    assert told[Part.MEASURED] == "312 channels now need 3 pods at 130 channels a pod (80 % of 162)."
    assert told[Part.FORECAST] == (
        "The forecast sees 1,010 channels (95 % quantile) at Mon 16:30 Europe/Berlin, the most within the lead of "
        "5m: 8 pods at 130 channels a pod (80 % of 162)."
    )
    assert plan.explanation.summary == f"acme needs 8 pods. {told[Part.FORECAST]}"


def test_a_frozen_fleet_is_told_no_less_than_before_and_the_explanation_says_who_froze_it() -> None:
    frozen = replace(observation(5), frozen="trunk migration (ops)")
    plan = plan_fleet(inputs(channels=0.0, observation=frozen, last=LastPlan(5, 5, NOW_S - 15.0)))
    assert (plan.answer, plan.alone) == (5, 5)
    assert plan.need < 5
    assert any("trunk migration (ops)" in step.sentence for step in plan.explanation.contributions)


def test_a_frozen_fleet_still_follows_a_rise() -> None:
    frozen = replace(observation(5), frozen="why not")
    told_before = LastPlan(5, 5, NOW_S - 15.0)
    thawed = plan_fleet(inputs(channels=2000.0, last=told_before))
    assert plan_fleet(inputs(channels=2000.0, observation=frozen, last=told_before)).answer == thawed.answer > 5
