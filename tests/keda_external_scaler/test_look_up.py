"""The number at any time: fresh, alone along the plan, alone along last week, and held."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keda_external_scaler.band import band_safe
from keda_external_scaler.book import HOURS_OF_A_WEEK, BookEntry
from keda_external_scaler.look_up import answer_at
from tests.servers.keda import ACME, BORN_S, book_of

STALE_AFTER_S = 30.0


def told(entry: BookEntry, after_s: float, *, speed: float = 1.0) -> int:
    return answer_at(entry, book_of(entry, speed=speed), BORN_S + after_s, STALE_AFTER_S).value


def week_with(**hours: int) -> tuple[int, ...]:
    """A week in which only the given hours from the book's birth on are known."""
    week = [-1] * HOURS_OF_A_WEEK
    for name, need in hours.items():
        week[(int(BORN_S) // 3600 + int(name.removeprefix("h"))) % HOURS_OF_A_WEEK] = need
    return tuple(week)


def test_a_fresh_book_tells_its_answer_up_to_the_bound():
    answer = answer_at(ACME, book_of(ACME), BORN_S + STALE_AFTER_S, STALE_AFTER_S)
    assert (answer.value, answer.alone, answer.stale_s) == (11, False, STALE_AFTER_S)


def test_an_old_book_counts_the_pods_that_nobody_can_recall():
    answer = answer_at(ACME, book_of(ACME), BORN_S + STALE_AFTER_S + 1, STALE_AFTER_S)
    assert (answer.value, answer.alone, answer.stale_s) == (13, True, 31.0)


@pytest.mark.parametrize(("minutes", "value"), [(9, 13), (10, 12 + 3), (15, 15 + 3), (20, 15 + 3), (29, 15 + 3)])
def test_alone_the_number_rises_with_the_plan_and_never_falls_with_it(minutes, value):
    assert told(ACME, minutes * 60) == value


def test_after_the_path_the_same_hour_of_last_week_tells():
    entry = replace(ACME, week=week_with(h0=9, h1=14, h2=20, h3=5))
    assert told(entry, 29 * 60) == 18
    assert told(entry, 1 * 3600) == 18
    assert told(entry, 2 * 3600) == 23
    assert told(entry, 3 * 3600) == 23


def test_hours_of_last_week_that_nobody_knows_hold_the_number():
    assert told(replace(ACME, week=week_with()), 5 * 3600) == 18


def test_after_a_path_without_a_week_the_number_holds():
    assert told(ACME, 400 * 3600) == 18


def test_a_silence_of_more_than_a_week_keeps_the_highest_hour_of_it():
    assert told(replace(ACME, week=week_with(h100=40)), 400 * 3600) == 43


def test_a_fleet_without_path_and_week_keeps_its_number():
    assert told(replace(ACME, path=()), 48 * 3600) == ACME.alone


def test_hours_before_the_book_are_not_told_when_the_path_ended_earlier():
    ended = replace(ACME, path_start_s=int(BORN_S) - 7200, path=(90,) * 12, week=week_with(h0=8))
    assert told(ended, 60) == 13


def test_a_path_that_begins_later_is_silent_until_then():
    later = replace(ACME, path_start_s=int(BORN_S) + 600)
    assert told(later, 500) == 13
    assert told(later, 1500) == 18


def test_a_demo_of_sixty_times_reaches_the_plans_hour_in_a_minute():
    assert told(ACME, 40, speed=60.0) == 18


def test_a_book_from_the_future_is_answered_alone():
    ahead = answer_at(ACME, book_of(ACME), BORN_S - STALE_AFTER_S - 1, STALE_AFTER_S)
    assert (ahead.value, ahead.alone, ahead.stale_s) == (13, True, 0.0)


def test_alone_never_asks_for_less_than_the_live_answer():
    assert told(replace(ACME, answer=20), 60) == 20


def test_where_the_hpa_has_a_tolerance_the_number_alone_steps_over_it():
    assert told(replace(ACME, exact_tolerance=False), 15 * 60) == band_safe(18) > 18


pods = st.integers(0, 200)
entries = st.builds(
    lambda path, week, **numbers: replace(ACME, path=tuple(path), week=tuple(week), **numbers),
    path=st.lists(pods, max_size=40),
    week=st.one_of(st.just([]), st.lists(st.integers(-1, 200), min_size=168, max_size=168)),
    need=pods,
    answer=pods,
    alone=pods,
    exact_tolerance=st.booleans(),
    path_start_s=st.integers(int(BORN_S) - 9000, int(BORN_S) + 9000),
)


@settings(derandomize=True, max_examples=300, deadline=None)
@given(entry=entries, ages=st.lists(st.floats(30.5, 900_000), min_size=2, max_size=6))
def test_alone_nothing_is_ever_lowered(entry, ages):
    values = [told(entry, age) for age in sorted(ages)]
    assert values == sorted(values)
    assert values[0] >= max(entry.alone, entry.answer)


@settings(derandomize=True, max_examples=200, deadline=None)
@given(entry=entries)
def test_alone_every_slot_of_the_plan_that_has_come_is_covered_beside_the_pods_out_of_service(entry):
    for slot, need in enumerate(entry.path):
        age_s = entry.path_start_s + slot * entry.path_step_s - BORN_S
        if age_s > STALE_AFTER_S:
            assert told(entry, age_s) - max(0, entry.alone - entry.need) >= need
