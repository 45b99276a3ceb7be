"""The expected time to empty: by simulation, and its order whatever the channels."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler.retirement.emptying import DEFAULT_HOLDING_TIMES, LONGEST_S, HoldingTimes, fitted, time_to_empty_s
from scaler.retirement.errors import RetirementError

AGES = st.lists(st.floats(0.0, 10 * 86400.0), min_size=1, max_size=30)
LAWS = st.builds(HoldingTimes, st.floats(0.0, 9.0), st.floats(0.1, 3.0))


def test_a_pod_without_channels_is_empty_now():
    assert time_to_empty_s([], DEFAULT_HOLDING_TIMES) == 0.0


@given(AGES, st.floats(0.0, 10 * 86400.0), LAWS, st.floats(0.01, 0.99))
def test_one_more_channel_never_shortens_the_wait(ages, more, law, quantile):
    assert time_to_empty_s([*ages, more], law, quantile) >= time_to_empty_s(ages, law, quantile)


@given(AGES, LAWS, st.floats(0.01, 0.9))
def test_more_confidence_takes_longer_and_every_answer_is_a_time(ages, law, quantile):
    sooner, later = time_to_empty_s(ages, law, quantile), time_to_empty_s(ages, law, quantile + 0.09)
    assert 0.0 < sooner <= later <= LONGEST_S


@given(st.lists(st.floats(0.0, 86400.0), min_size=1, max_size=10), LAWS)
def test_the_order_of_the_channels_is_of_no_account(ages, law):
    assert time_to_empty_s(ages, law) == pytest.approx(time_to_empty_s(ages[::-1], law), rel=0.01)


@pytest.mark.parametrize(("ages", "quantile"), [([5.0] * 20, 0.9), ([30.0, 600.0, 3600.0], 0.9), ([0.0], 0.5)])
def test_as_many_pods_are_empty_by_then_as_it_says(ages, quantile):
    law, rng = DEFAULT_HOLDING_TIMES, np.random.default_rng(11)
    last = np.zeros(4000)
    for age in ages:
        drawn = rng.lognormal(law.log_mean, law.log_sd, 3_000_000)
        last = np.maximum(last, rng.choice(drawn[drawn > age] - age, last.size))
    expected = time_to_empty_s(ages, law, quantile)
    assert np.mean(last <= expected) == pytest.approx(quantile, abs=0.03)


def test_a_call_that_outlived_its_law_by_far_is_still_expected_to_last():
    steady = HoldingTimes(math.log(30.0), 0.1)
    assert 60.0 < time_to_empty_s([86400.0], steady) < LONGEST_S


def test_a_tenants_own_calls_count_more_the_more_there_are():
    drawn = np.random.default_rng(3).lognormal(6.0, 0.5, 5000)
    few, many = fitted(list(drawn[:10])), fitted(list(drawn))
    assert fitted([]) == DEFAULT_HOLDING_TIMES
    # Ten calls weigh a fifth of the default's fifty.
    assert DEFAULT_HOLDING_TIMES.log_mean < few.log_mean < DEFAULT_HOLDING_TIMES.log_mean + 0.5
    assert few.log_mean < many.log_mean
    assert (many.log_mean, many.log_sd) == pytest.approx((6.0, 0.5), abs=0.1)


@pytest.mark.parametrize(
    ("call", "field"),
    [
        (lambda: time_to_empty_s([1.0], DEFAULT_HOLDING_TIMES, 1.0), "quantile"),
        (lambda: time_to_empty_s([-1.0], DEFAULT_HOLDING_TIMES), "ages_s"),
        (lambda: time_to_empty_s([math.nan], DEFAULT_HOLDING_TIMES), "ages_s"),
        (lambda: fitted([60.0, math.inf]), "durations_s"),
        (lambda: HoldingTimes(5.0, 0.0), "log_sd"),
    ],
)
def test_what_is_no_duration_is_refused_with_its_name(call, field):
    with pytest.raises(RetirementError, match=field):
        call()
