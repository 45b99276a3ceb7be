"""The need that retirement goes by: it never comes from missing data, and forgets nothing that was needed just now."""

from __future__ import annotations

import pytest

from scaler.core.plan import Part
from scaler.retirement.outlook import Outlook
from scaler.retirement.readings import Unproved
from scaler.service.retiring.outlook import NeedSeen, outlook_of
from tests.scaler.service.retiring.made_up_platform import EPOCH_S, plan

CLOCK_S = 5000.0
HOUR_S = 3600.0


def of(made, seen=(), look_ahead_s=HOUR_S, now_s=EPOCH_S) -> Outlook:
    outlook = outlook_of(made, seen, look_ahead_s, now_s, CLOCK_S)
    assert isinstance(outlook, Outlook), outlook
    return outlook


@pytest.mark.parametrize("stand_in", [Part.HOLD, Part.PLAN_BOOK, Part.OBSERVE])
def test_a_number_that_stands_in_for_missing_data_lets_nothing_go(stand_in: Part) -> None:
    assert isinstance(outlook_of(plan(1, part=stand_in), (), 60.0, EPOCH_S, CLOCK_S), Unproved)


def test_a_plan_that_nobody_renewed_lets_nothing_go() -> None:
    outlook = outlook_of(plan(1), (), 60.0, EPOCH_S + 61, CLOCK_S)
    assert isinstance(outlook, Unproved)
    assert "the last plan is" in outlook.sentence


def test_what_the_plan_expects_comes_at_its_time_on_the_leaders_clock() -> None:
    outlook = of(plan(2, path=[2, 2, 5, 1]))
    assert outlook.now_pods == 2
    into_slot_s = EPOCH_S % 300
    assert outlook.lasts_s(2, CLOCK_S) == pytest.approx(2 * HOUR_S - into_slot_s)
    assert outlook.most(CLOCK_S, 3 * HOUR_S) == 5
    assert outlook.lasts_s(5, CLOCK_S) == pytest.approx(4 * HOUR_S - into_slot_s), "what comes after is not known"


def test_a_need_of_five_minutes_ago_still_counts_and_an_older_one_does_not() -> None:
    lately = [NeedSeen(EPOCH_S - 290, 4)]
    assert of(plan(2), lately).lasts_s(3, CLOCK_S) == 0
    assert of(plan(2), lately).now_pods == 2, "nothing is recalled for what is over"
    assert of(plan(2), [NeedSeen(EPOCH_S - 310, 4)]).lasts_s(3, CLOCK_S) > 0


def test_without_a_forecast_the_past_of_the_look_ahead_decides() -> None:
    seen = [NeedSeen(EPOCH_S - HOUR_S, 3), NeedSeen(EPOCH_S - HOUR_S / 2, 6), NeedSeen(EPOCH_S, 2)]
    assert of(plan(2, ahead=False), seen).lasts_s(5, CLOCK_S) == 0
    assert of(plan(2, ahead=False), seen).lasts_s(6, CLOCK_S) >= HOUR_S


def test_without_a_forecast_and_with_too_little_past_nothing_goes() -> None:
    outlook = outlook_of(plan(1, ahead=False), [NeedSeen(EPOCH_S - 600, 1)], HOUR_S, EPOCH_S, CLOCK_S)
    assert isinstance(outlook, Unproved)
    assert "600 s of 3600 s" in outlook.sentence


def test_what_is_scheduled_is_known_without_a_forecast() -> None:
    seen = [NeedSeen(EPOCH_S - HOUR_S, 1)]
    assert of(plan(1, ahead=False, path=[1, 4]), seen).most(CLOCK_S, 2 * HOUR_S) == 4
