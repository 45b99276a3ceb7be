import math

import pytest

from scaler.core.lead import HPA_SYNC_PERIOD_S, KEDA_POLLING_INTERVAL_S, fleet_lead
from scaler.policy.model import LeadSpec

SPEC = LeadSpec(default=200, quantile=0.9, routing_delay=7, minimum_samples=3)


def test_the_default_stands_for_the_whole_lead_until_enough_starts_are_measured():
    lead = fleet_lead(SPEC, [30.0, 40.0])
    assert (lead.seconds, lead.measured) == (200, False)
    assert "2 of 3 pod starts" in lead.sentence


def test_a_measured_lead_is_the_wait_for_keda_and_hpa_a_slow_start_and_the_routing_delay():
    lead = fleet_lead(SPEC, [30.0, 50.0, 40.0])
    assert lead.measured
    assert lead.seconds == KEDA_POLLING_INTERVAL_S + HPA_SYNC_PERIOD_S + 50 + 7


def test_the_quantile_is_a_start_that_was_seen_and_the_longer_of_two():
    starts = [float(seconds) for seconds in range(10, 30)]
    assert fleet_lead(SPEC, starts).seconds == 30 + 15 + 28 + 7


def test_keda_may_be_told_to_ask_more_often():
    assert fleet_lead(SPEC, [30.0] * 3, polling_interval_s=5).seconds == 5 + 15 + 30 + 7


@pytest.mark.parametrize("nonsense", [math.nan, math.inf, -3.0, 0.0])
def test_a_clock_that_went_back_gives_no_sample(nonsense):
    assert not fleet_lead(SPEC, [30.0, 40.0, nonsense]).measured
