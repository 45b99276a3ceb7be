"""Call plans: how many calls, when, through which proxy, for how long."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from tests.rig.voice.plan import CallPlan, LogNormal, PlanError, Segment, rates, shares

MINUTE = Segment("acme", start_s=10.0, length_s=60.0, rate_per_s=2.5, hold=30.0)
LAW = LogNormal(median_s=60.0, sigma=1.0, at_most_s=600.0)


def test_a_segment_places_its_rate_times_its_length() -> None:
    plan = CallPlan((MINUTE, replace(MINUTE, start_s=70.0, rate_per_s=0.1)))

    assert (plan.calls, plan.length_s) == (156, 130.0)


def test_every_call_of_a_plan_goes_through_exactly_one_proxy() -> None:
    dealt = shares(CallPlan((MINUTE,)), ("a", "b", "c"))

    assert [(share.proxy, len(share.holds_s)) for share in dealt] == [("a", 50), ("b", 50), ("c", 50)]
    assert sum(share.rate_per_s for share in dealt) == pytest.approx(2.5)


def test_calls_through_the_proxies_take_turns_in_time() -> None:
    dealt = shares(CallPlan((MINUTE,)), ("a", "b"))
    times = sorted(share.start_s + number / share.rate_per_s for share in dealt for number in range(len(share.holds_s)))

    assert times == pytest.approx([10.0 + number / 2.5 for number in range(150)])


def test_a_proxy_that_would_get_no_call_gets_no_process() -> None:
    assert [share.proxy for share in shares(CallPlan((replace(MINUTE, rate_per_s=1 / 60),)), ("a", "b"))] == ["a"]


def test_lengths_are_spread_the_same_way_every_time_and_another_way_by_another_seed() -> None:
    spread = replace(MINUTE, length_s=400.0, hold=LAW)
    first, again, other = CallPlan((spread,)), CallPlan((spread,)), CallPlan((spread,), seed=1)

    assert first.holds_s(0) == again.holds_s(0) != other.holds_s(0)
    assert max(first.holds_s(0)) <= 600.0
    assert sorted(first.holds_s(0))[500] == pytest.approx(60.0, rel=0.15)


def test_dealing_out_loses_and_doubles_no_length() -> None:
    plan = CallPlan((replace(MINUTE, hold=LAW),))

    dealt = sorted(hold for share in shares(plan, ("a", "b")) for hold in share.holds_s)
    assert dealt == sorted(plan.holds_s(0))


def test_rates_over_time_carry_over_what_is_no_whole_call() -> None:
    plan = rates([0.25, 0.25, 0.0, 0.5], 2.0, fleet="acme", hold=5.0)

    assert [(segment.start_s, segment.calls) for segment in plan.segments] == [(2.0, 1), (6.0, 1)]


@pytest.mark.parametrize(
    ("segment", "said"),
    [
        (replace(MINUTE, rate_per_s=-1.0), "segment 1: rate_per_s is -1.0"),
        (replace(MINUTE, start_s=math.nan), "segment 1: start_s is nan"),
        (replace(MINUTE, hold=-5.0), "segment 1: hold is -5.0"),
        (replace(MINUTE, hold=replace(LAW, at_most_s=math.inf)), "segment 1: hold is inf"),
        (replace(MINUTE, fleet="a b"), "segment 1: fleet 'a b' cannot stand in a SIP address"),
        (replace(MINUTE, fleet=""), "segment 1: fleet '' cannot stand in a SIP address"),
        (replace(MINUTE, abandons=True), "segment 1: only a call that rings can be abandoned: dial 1002, not 1001"),
        (replace(MINUTE, listens=True), "segment 1: only a tone has no silence of its own: dial 1003, not 1001"),
        (replace(MINUTE, rate_per_s=0.001), "the plan places no call"),
    ],
)
def test_a_plan_that_cannot_be_carried_out_says_why(segment: Segment, said: str) -> None:
    with pytest.raises(PlanError, match=said.replace(".", r"\.")):
        CallPlan((segment,))


def test_without_a_proxy_there_is_nowhere_to_call() -> None:
    with pytest.raises(PlanError, match="no proxy"):
        shares(CallPlan((MINUTE,)), ())
