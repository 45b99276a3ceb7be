from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from scaler.core import answer as core
from scaler.core.answer import PodsApart
from scaler.core.fleets import FleetObservation, PodState
from tests.scaler.core.made_up import NOW_S, observation, pod

SERVING, FAILED, STARTING = PodState.SERVING, PodState.FAILED, PodState.STARTING
DRAINING, DRAINED, RELEASED = PodState.DRAINING, PodState.DRAINED, PodState.RELEASED


LEAD_S = 60.0


def pods_apart(seen: FleetObservation, need: int) -> PodsApart:
    return core.pods_apart(seen, need, lead_s=LEAD_S)


def need_within(seen: FleetObservation, answer: int) -> int:
    return core.need_within(seen, answer, lead_s=LEAD_S)


def pods(state: PodState, count: int, name: str = "", **more: object) -> list:
    return [pod(f"{name or state}-{n}", state, **more) for n in range(count)]


def test_starting_pods_will_serve_and_draining_ones_can_be_recalled():
    apart = pods_apart(observation(4, *pods(SERVING, 1), *pods(STARTING, 1), *pods(DRAINING, 1), *pods(DRAINED, 1)), 4)
    assert (apart.not_serving, apart.recallable) == (0, 2)


def test_a_failed_pod_does_not_serve():
    assert pods_apart(observation(3, *pods(SERVING, 2), *pods(FAILED, 1)), 3).not_serving == 1


def test_a_pod_that_never_becomes_ready_is_replaced_once_it_is_overdue():
    def short_of(age_s: float, *, lead_s: float = LEAD_S, node: str | None = "node-1") -> PodsApart:
        starting = replace(pod("new", STARTING, node=node), created_s=NOW_S - age_s)
        return core.pods_apart(observation(4, *pods(SERVING, 3), starting), 4, lead_s=lead_s)

    late = short_of(601)
    assert (late.not_serving, late.overdue) == (1, 1)
    assert late.sentence == "Inside the target but not serving: 1 pod failed or never became Ready."
    assert short_of(599).not_serving == 0
    # Three leads of slow images are no fault, and a pod that no node takes would have another wait beside it.
    assert (short_of(899, lead_s=300).not_serving, short_of(901, lead_s=300).not_serving) == (0, 1)
    assert short_of(86400, node=None).not_serving == 0


def test_a_pod_that_is_being_replaced_is_not_overdue_on_top():
    leaving = replace(pod("old", STARTING, node="node-1", replacing=True), created_s=NOW_S - 3600)
    apart = pods_apart(observation(3, *pods(SERVING, 2), leaving), 3)
    assert (apart.not_serving, apart.overdue) == (1, 0)


def test_an_image_that_never_starts_costs_a_budget():
    bad = [replace(one, created_s=NOW_S - 3600) for one in pods(STARTING, 50, node="node-1")]
    apart = pods_apart(observation(50, *bad), 50)
    assert (apart.failed, apart.failed_waiting) == (5, 45)


def test_a_bad_image_cannot_double_a_fleet():
    few = pods_apart(observation(5, *pods(FAILED, 5)), 5)
    many = pods_apart(observation(50, *pods(FAILED, 50)), 50)
    assert (few.failed, few.failed_waiting) == (1, 4)
    assert (many.failed, many.failed_waiting) == (5, 45)


def test_a_pod_that_is_being_replaced_does_not_serve_whatever_its_state():
    leaving = [pod("a", DRAINING, replacing=True), pod("b", DRAINED, replacing=True), pod("c", replacing=True)]
    apart = pods_apart(observation(4, *leaving, *pods(SERVING, 1)), 4)
    assert (apart.replacing, apart.recallable, apart.not_serving) == (3, 0, 3)


def test_a_pod_is_counted_once_however_often_it_is_seen():
    twice = [pod("same", FAILED), pod("same", FAILED)]
    assert pods_apart(observation(30, *twice, *pods(SERVING, 28)), 30).failed == 1
    failed_and_replacing = pods_apart(observation(2, pod("a", FAILED, replacing=True), pod("b")), 2)
    assert failed_and_replacing.not_serving == 1


def test_what_has_left_the_target_is_never_counted():
    gone = [
        pod("a", RELEASED, replacing=True),
        pod("b", PodState.TERMINATING, replacing=True),
        pod("c", PodState.TERMINAL),
    ]
    apart = pods_apart(observation(2, *gone, *pods(SERVING, 2)), 2)
    assert (apart.not_serving, apart.recallable) == (0, 0)


def test_old_pods_that_stand_beyond_the_target_are_not_counted():
    old = pods(DRAINING, 4, "old", replacing=True, current_revision=False)
    assert pods_apart(observation(4, *old, *pods(STARTING, 4, "new")), 4).not_serving == 0


def test_an_old_pod_inside_the_target_is_counted_until_its_successor_stands():
    old = pods(SERVING, 3, "old", current_revision=False)
    leaving = pod("z-leaving", DRAINING, replacing=True, current_revision=False)
    assert pods_apart(observation(4, *old, leaving), 4).replacing == 1
    assert pods_apart(observation(4, *old, leaving, pod("new", STARTING)), 4).replacing == 0


proves = settings(derandomize=True, deadline=None, max_examples=100)


def next_round(seen: FleetObservation, need: int, then: PodState) -> FleetObservation:
    """The fleet a lead later: what was starting is now as `then`, and the target is what is answered to that."""
    stood = tuple(replace(one, state=then) if one.state is STARTING else one for one in seen.pods)
    seen = replace(seen, pods=stood)
    target = max(seen.spec_replicas, need + pods_apart(seen, need).not_serving)
    newest_s = max(one.created_s for one in stood) + 60
    new = [replace(one, created_s=newest_s) for one in pods(STARTING, target - len(stood), f"round-{target}")]
    return replace(seen, spec_replicas=target, pods=(*stood, *new))


@proves
@given(need=st.integers(1, 60), share=st.floats(0, 1))
def test_failed_pods_are_all_replaced_a_budget_at_a_time_when_their_successors_serve(need, share):
    failed, budget = round(share * need), max(1, need // 10)
    seen = observation(need, *pods(FAILED, failed, "old"), *pods(SERVING, need - failed, "good"))
    for _ in range(-(-failed // budget) + 1):
        seen = next_round(seen, need, SERVING)
        assert sum(one.state is STARTING for one in seen.pods) <= budget
    assert sum(one.state is SERVING for one in seen.pods) == need
    assert seen.spec_replicas == need + failed


@proves
@given(need=st.integers(1, 60), share=st.floats(0, 1), rounds=st.integers(1, 30))
def test_successors_that_never_serve_cost_a_budget_whatever_time_passes(need, share, rounds):
    failed = round(share * need)
    seen = observation(need, *pods(FAILED, failed, "old"), *pods(SERVING, need - failed, "good"))
    for _ in range(rounds):
        seen = next_round(seen, need, FAILED)
    assert seen.spec_replicas <= need + max(1, need // 10)


@proves
@given(need=st.integers(1, 60), rounds=st.integers(1, 30))
def test_successors_that_serve_for_a_while_and_fail_cost_two_budgets(need, rounds):
    seen = observation(need, *pods(FAILED, need, "old"))
    for _ in range(rounds):
        # What serves fails as soon as the next ones begin to.
        fallen = [replace(one, state=FAILED) if one.state is SERVING else one for one in seen.pods]
        seen = next_round(replace(seen, pods=tuple(fallen)), need, SERVING)
    assert seen.spec_replicas <= need + 2 * max(1, need // 10)


states = st.lists(st.tuples(st.sampled_from(list(PodState)), st.booleans()), min_size=1, max_size=20)


@proves
@given(states=states, answer=st.integers(0, 40))
def test_a_held_need_is_the_highest_that_asks_for_no_more(states, answer):
    made = [pod(f"p-{n}", state, replacing=replacing) for n, (state, replacing) in enumerate(states)]
    seen = observation(len(made), *made)
    held = need_within(seen, answer)
    assert held == 0 or held + pods_apart(seen, held).not_serving <= answer
    assert held + 1 + pods_apart(seen, held + 1).not_serving > answer
    assert 0 <= pods_apart(seen, held).failed <= sum(one.state is FAILED for one in made)
