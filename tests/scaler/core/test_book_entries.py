from scaler.core.book_entries import to_book_entries
from scaler.core.fleets import PodState
from scaler.core.plan_book import HOUR_S, PlanBook, recorded
from scaler.core.planner import plan_fleet
from tests.scaler.core.made_up import ACME, NOW_S, STEP_S, forecast, inputs, observation, pod, policy


def entry_of(one, book: PlanBook | None = None):
    plan = plan_fleet(one)
    (entry,) = to_book_entries([plan], {ACME: one.observation}, recorded(book or PlanBook(), [plan]))
    return entry


def test_an_entry_carries_todays_numbers_and_the_path():
    fleet = observation(3, pod("a"), pod("b", PodState.FAILED), pod("c", PodState.DRAINED))
    entry = entry_of(inputs(channels=200, observation=fleet, forecast=forecast([80.0, 800.0, 80.0])))
    assert (entry.namespace, entry.name, entry.policy, entry.tenants) == ("default", "acme", "standard", ("acme",))
    assert (entry.need, entry.answer, entry.alone, entry.replicas, entry.active) == (10, 11, 12, 3, True)
    assert (entry.path_start_s, entry.path_step_s, entry.path) == (NOW_S, STEP_S, (10, 10, 1))


def test_without_a_forecast_the_last_good_path_is_carried():
    book = recorded(PlanBook(), [plan_fleet(inputs(forecast=forecast([80.0, 800.0])))])
    entry = entry_of(inputs(now_s=NOW_S + 15.0), book)
    assert entry.path == (10, 10)


def test_a_good_path_that_has_ended_is_carried_no_more():
    book = recorded(PlanBook(), [plan_fleet(inputs(forecast=forecast([80.0, 800.0])))])
    entry = entry_of(inputs(now_s=NOW_S + 2.0 * STEP_S), book)
    assert set(entry.path) == {1}


def test_the_week_is_that_of_the_hours_that_have_ended():
    hour = NOW_S // HOUR_S
    book = recorded(PlanBook(), [plan_fleet(inputs(now_s=float(hour * HOUR_S - 60), policy=policy(minPods=6)))])
    entry = entry_of(inputs(now_s=float(hour * HOUR_S)), book)
    assert len(entry.week) == 168
    assert entry.week[(hour - 1) % 168] == 6
    assert entry.week[hour % 168] == -1


def test_what_is_only_observed_is_told_its_own_count_now_and_later():
    watched = inputs(channels=800, policy=policy(mode="observe"), observation=observation(20, exact=False))
    entry = entry_of(watched)
    assert (entry.need, entry.answer, entry.alone) == (20, 20, 20)
    assert (entry.path, entry.week, entry.exact_tolerance) == ((), (), True)


def test_a_plan_whose_fleet_is_gone_makes_no_entry():
    assert to_book_entries([plan_fleet(inputs())], {}, PlanBook()) == ()
