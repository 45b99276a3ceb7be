from dataclasses import replace

import numpy as np

from scaler.core.fleets import FleetKey
from scaler.core.inputs import LastPlan
from scaler.core.plan_book import HOUR_S, UNKNOWN, PlanBook, recorded
from scaler.core.planner import plan_fleet
from tests.scaler.core.made_up import ACME, NOW_S, STEP_S, forecast, inputs, policy

HOUR = NOW_S // HOUR_S * HOUR_S
WEEK_S = 168 * HOUR_S


def plan_at(at_s: float, pods: int, **more: object):
    return plan_fleet(inputs(now_s=float(at_s), policy=policy(minPods=pods), **more))


def book_of(*plans) -> PlanBook:
    book = PlanBook()
    for plan in plans:
        book = recorded(book, [plan])
    return book


def test_inside_the_horizon_the_slot_of_the_last_good_plan_answers():
    book = book_of(plan_fleet(inputs(forecast=forecast([80.0, 160.0, 240.0, 800.0]))))
    needs = [book.need_at(ACME, NOW_S + STEP_S * slot) for slot in range(5)]
    assert needs == [2, 3, 10, 10, None]


def test_a_plan_without_a_forecast_does_not_overwrite_the_good_one():
    book = book_of(plan_fleet(inputs(forecast=forecast([80.0, 800.0]))), plan_fleet(inputs(now_s=NOW_S + 15.0)))
    assert book.need_at(ACME, NOW_S + STEP_S) == 10


def test_after_the_horizon_the_same_hour_of_the_week_before_answers_with_its_highest_need():
    book = book_of(plan_at(HOUR, 3), plan_at(HOUR + 60, 9), plan_at(HOUR + 120, 4), plan_at(HOUR + HOUR_S, 5))
    assert book.need_at(ACME, HOUR + WEEK_S) == 9
    assert book.need_at(ACME, HOUR + WEEK_S + HOUR_S - 1) == 9
    assert book.need_at(ACME, HOUR + WEEK_S + HOUR_S) == 5
    assert book.need_at(ACME, HOUR + WEEK_S + 2 * HOUR_S) is None


def test_the_hour_of_a_week_ago_answers_until_this_hour_is_over():
    book = book_of(plan_at(HOUR, 9), plan_at(HOUR + WEEK_S, 2))
    assert book.need_at(ACME, HOUR + WEEK_S + 60) == 9
    assert book.need_at(ACME, HOUR + 2 * WEEK_S) == 2


def test_what_is_older_than_a_week_is_forgotten():
    book = book_of(plan_at(HOUR, 9), plan_at(HOUR + HOUR_S, 3))
    assert book.need_at(ACME, HOUR + 2 * WEEK_S) is None
    late = recorded(book, [plan_at(HOUR + WEEK_S + 5 * HOUR_S, 2)])
    week = late.pages[ACME].week_at((HOUR + WEEK_S + 5 * HOUR_S) // HOUR_S)
    assert set(week.tolist()) == {UNKNOWN}


def test_an_unknown_fleet_has_no_need():
    assert PlanBook().need_at(ACME, NOW_S) is None
    assert PlanBook().last_plan(ACME) is None


def test_a_held_need_is_not_recorded_again():
    held = plan_fleet(inputs(channels=None, now_s=float(HOUR), last=LastPlan(12, 12, HOUR - 15.0)))
    book = book_of(held, plan_at(HOUR + HOUR_S, 1))
    assert book.need_at(ACME, HOUR + WEEK_S) is None


def test_what_was_asked_for_last_survives_for_the_plan_after_a_restart():
    book = book_of(plan_at(HOUR, 7))
    assert book.last_plan(ACME) == LastPlan(7, 7, float(HOUR))


def test_a_fleet_without_a_plan_for_more_than_a_week_is_forgotten():
    other = replace(plan_at(HOUR, 3), fleet=FleetKey("default", "gone"))
    book = recorded(book_of(other), [plan_at(HOUR + WEEK_S + 1, 2)])
    assert set(book.pages) == {ACME}
    assert set(recorded(book, []).pages) == {ACME}


def test_a_clock_that_goes_back_loses_nothing():
    book = book_of(plan_at(HOUR, 9), plan_at(HOUR - HOUR_S, 3), plan_at(HOUR + HOUR_S, 1))
    assert book.need_at(ACME, HOUR + WEEK_S) == 9


def test_every_hour_of_a_whole_week_comes_back():
    rng = np.random.default_rng(3)
    needs = rng.integers(1, 90, 168).tolist()
    book = book_of(*(plan_at(HOUR + HOUR_S * hour, need) for hour, need in enumerate(needs)))
    end = HOUR + WEEK_S
    assert [book.need_at(ACME, end + HOUR_S * hour) for hour in range(168)] == needs
