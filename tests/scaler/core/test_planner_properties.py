"""What holds for every fleet, policy and load."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from forecasting.forecast import Trust
from forecasting.load import Measure
from scaler.core.capacity import pods_for_channels
from scaler.core.fleets import FleetKey, PodState
from scaler.core.inputs import LastPlan, Measurement, PlanInputs
from scaler.core.lead import Lead
from scaler.core.plan import Part, Plan
from scaler.core.planner import plan_fleet, plan_fleets
from scaler.policy.model import Mode
from tests.scaler.core.made_up import NOW_S, STEP_S, forecast, inputs, observation, pod, policy

proves = settings(derandomize=True, deadline=None, max_examples=100)

loads = st.floats(0, 20_000)
pods = st.lists(
    st.tuples(st.integers(0, 12), st.sampled_from(list(PodState)), st.booleans(), st.booleans()), max_size=12
)


@st.composite
def policies(draw: Any, *, cuts: bool = True, mode: Mode | None = None) -> Any:
    minimum = draw(st.integers(1, 30))
    capacity: dict[str, Any] = {"channelsPerPod": draw(st.integers(10, 200))}
    if draw(st.booleans()):
        capacity["gradeOfService"] = {"blocking": draw(st.sampled_from([0.001, 0.01]))}
    opens = draw(st.sampled_from(["* * * * *", "0 9 * * 1-5", "30 2 * * *"]))
    window = {"name": "window", "cron": opens, "for": "1h", "minPods": draw(st.integers(1, 60))}
    return policy(
        mode=mode or draw(st.sampled_from(list(Mode))),
        capacity=capacity,
        minPods=minimum,
        maxPods=draw(st.integers(minimum, 500)),
        reactive={"headroom": draw(st.floats(0, 2)), "headroomPods": draw(st.integers(0, 5))},
        schedule=[window] if draw(st.booleans()) else [],
        guardrails={"maxStep": draw(st.none() | st.integers(1, 20))} if cuts else {},
    )


@st.composite
def observations(draw: Any) -> Any:
    seen = tuple(
        pod(f"uid-{uid}", state, replacing=replacing, current_revision=current)
        for uid, state, replacing, current in draw(pods)
    )
    spec = draw(st.integers(0, 60))
    return observation(
        spec,
        *seen,
        status=draw(st.integers(0, 60)),
        minimum=draw(st.none() | st.integers(0, 40)),
        maximum=draw(st.none() | st.integers(1, 120)),
        exact=draw(st.booleans()),
        key=FleetKey("default", draw(st.sampled_from("abcdefgh"))),
    )


@st.composite
def forecasts(draw: Any) -> Any:
    path = draw(st.lists(loads, min_size=1, max_size=12))
    start_s = NOW_S + STEP_S * draw(st.integers(-6, 2))
    return forecast(path, spread=draw(st.floats(0, 500)), trust=draw(st.sampled_from(list(Trust))), start_s=start_s)


@st.composite
def all_inputs(draw: Any, *, cuts: bool = True, mode: Mode | None = None) -> PlanInputs:
    last = st.builds(LastPlan, st.integers(0, 100), st.integers(0, 120), st.floats(NOW_S - 100, NOW_S))
    return inputs(
        channels=None,
        policy=draw(policies(cuts=cuts, mode=mode)),
        observation=draw(observations()),
        lead=Lead(draw(st.floats(1, 1500)), True, "made up"),
        measured=draw(st.just({}) | st.builds(lambda now: {Measure.CHANNELS: Measurement(now, 1.0)}, loads)),
        forecast=draw(st.none() | forecasts()),
        last=draw(st.none() | last),
        book_need=draw(st.none() | st.integers(0, 100)),
        launch_grant=draw(st.none() | st.integers(0, 10)) if cuts else None,
    )


def measured_pods(one: PlanInputs) -> int:
    now = one.fresh_loads.get(Measure.CHANNELS, 0.0)
    return int(pods_for_channels(one.policy.capacity, now))


@given(all_inputs())
@proves
def test_the_explanation_adds_up_to_need_and_answer(one: PlanInputs):
    plan = plan_fleet(one)
    steps = plan.explanation.contributions
    assert sum(step.pods for step in steps) == plan.answer
    assert sum(step.pods for step in steps[: plan.explanation.need_after + 1]) == plan.need
    assert all(step.sentence for step in steps)
    assert plan.explanation.binding in Part


@given(all_inputs())
@proves
def test_the_need_lies_between_the_reactive_floor_and_the_maximum(one: PlanInputs):
    # The maximum is above the floor: it is what somebody wrote down, and the HPA would clamp to it anyway.
    plan = plan_fleet(one)
    assert plan.need <= one.maximum
    assert plan.need >= min(one.maximum, max(one.minimum, measured_pods(one)))
    assert plan.path.max() <= one.maximum
    most = one.observation.maximum_replicas
    band = sum(step.pods for step in plan.explanation.contributions if step.part is Part.BAND)
    if most is not None and one.policy.mode is not Mode.OBSERVE:
        assert plan.answer - band <= most
        assert plan.alone <= most


@given(all_inputs())
@proves
def test_the_forecasts_limits_never_reach_what_would_be_without_a_forecast(one: PlanInputs):
    blind = replace(one, forecast=None, book_need=None, policy=one.policy.model_copy(update={"mode": Mode.ASSIST}))
    floor = plan_fleet(blind).need
    plan = plan_fleet(one)
    if plan.explanation.effective_mode is not Mode.PRIMARY:
        assert plan.need >= floor


@given(all_inputs(mode=Mode.ASSIST), loads, st.floats(0, 5000))
@proves
def test_more_calls_never_need_fewer_pods(one: PlanInputs, now: float, more: float):
    less = replace(one, measured={Measure.CHANNELS: Measurement(now, 1.0)})
    greater = replace(one, measured={Measure.CHANNELS: Measurement(now + more, 1.0)})
    assert plan_fleet(less).need <= plan_fleet(greater).need


@given(all_inputs(), st.floats(1, 3))
@proves
def test_a_higher_forecast_never_needs_fewer_pods(one: PlanInputs, factor: float):
    if one.forecast is None or one.policy.capacity.grade_of_service is not None:
        return
    path = one.forecast.paths.get(Measure.CHANNELS)
    if path is None:
        return
    higher = {Measure.CHANNELS: replace(path, upper=path.upper * factor)}
    assert plan_fleet(one).need <= plan_fleet(replace(one, forecast=replace(one.forecast, paths=higher))).need


@given(all_inputs(mode=Mode.ASSIST))
@proves
def test_missing_data_never_lower_the_answer(one: PlanInputs):
    before = plan_fleet(one)
    steady = replace(one, now_s=one.now_s + 15, last=LastPlan.of(before), measured={}, forecast=None, book_need=None)
    after = plan_fleet(steady)
    assert after.need >= before.need
    assert LastPlan.of(after).answer >= LastPlan.of(before).answer


@given(all_inputs(mode=Mode.PRIMARY))
@proves
def test_primary_below_trusted_equals_assist(one: PlanInputs):
    if one.forecast is not None and one.forecast.trust is Trust.TRUSTED:
        one = replace(one, forecast=replace(one.forecast, trust=Trust.LEARNING))
    as_assist = replace(one, policy=one.policy.model_copy(update={"mode": Mode.ASSIST}))
    primary, assist = plan_fleet(one), plan_fleet(as_assist)
    assert primary.explanation.contributions == assist.explanation.contributions
    assert (primary.alone, primary.path.tolist()) == (assist.alone, assist.path.tolist())


@given(all_inputs(cuts=False, mode=Mode.ASSIST))
@proves
def test_the_path_covers_the_need_ahead(one: PlanInputs):
    plan = plan_fleet(replace(one, measured={Measure.CHANNELS: Measurement(0.0, 1.0)}, book_need=None, last=None))
    slot = plan.grid.index_of(one.now_s)
    reactive = one.policy.reactive.headroom_pods
    if 0 <= slot < plan.grid.slots and plan.need > reactive:
        assert plan.path[slot] >= plan.need


@given(all_inputs())
@proves
def test_alone_is_never_less_than_the_need_within_the_maximum(one: PlanInputs):
    plan = plan_fleet(one)
    if one.policy.mode is not Mode.OBSERVE:
        most = one.observation.maximum_replicas
        assert plan.alone >= (plan.need if most is None else min(plan.need, most))


@given(st.lists(all_inputs(), max_size=6, unique_by=lambda one: one.observation.key), st.integers(0, 30))
@settings(proves, max_examples=40)
def test_a_cluster_never_launches_more_for_forecasts_than_its_budget(fleets: list[PlanInputs], budget: int):
    plans = plan_fleets(fleets, budget).plans
    without = plan_fleets([replace(one, forecast=None, book_need=None) for one in fleets], None).plans
    launched = sum(_launched(one, plans[key], without[key]) for one in fleets for key in [one.observation.key])
    assert launched <= budget


def _launched(one: PlanInputs, plan: Plan, without: Plan) -> int:
    """Pods that only the forecast asks for, beyond what stands or was asked for already."""
    if one.policy.mode is Mode.OBSERVE:
        return 0
    asked = one.last.need if one.last else 0
    standing = max(one.observation.spec_replicas, asked, without.need)
    return max(0, plan.need - standing)
