from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from scaler.core.ahead import forecast_ahead, window_maximum
from scaler.core.fleet_forecast import fleet_forecasts
from scaler.core.lead import Lead
from tests.scaler.core.made_up import STEP_S, inputs, policy, quantile_forecast, window_levels

LEAD = Lead(7.0 * STEP_S, True, "made up")


def forecast_that_knows_windows(counts_for=5.0):
    """Medians of 100, 95 % lines of 160 and 99 % lines of 180 for two hours."""
    told = replace(quantile_forecast([100] * 24, spread=20), window_levels=window_levels(counts_for))
    return fleet_forecasts([told], {"acme": 0.95})["acme"]


def test_the_largest_load_of_the_lead_is_what_the_quantile_is_of():
    ahead = forecast_ahead(inputs(forecast=forecast_that_knows_windows(), lead=LEAD))
    # 160 would be 2 pods of 80; a window that counts for five slots asks for their 99 % line.
    assert ahead.pods == 3
    assert ahead.path.tolist() == [3] * 24
    assert ahead.sentence == (
        "The forecast sees 180 channels now, the 95 % quantile of the largest load within the lead of 35m: 3 pods at "
        "80 channels a pod (80 % of 100)."
    )


def test_a_short_lead_is_no_more_than_the_slots_that_it_touches():
    short = forecast_ahead(inputs(forecast=forecast_that_knows_windows(), lead=Lead(30.0, True, "made up")))
    long = forecast_ahead(inputs(forecast=forecast_that_knows_windows(), lead=LEAD))
    plain = forecast_ahead(inputs(forecast=forecast_that_knows_windows(1.0), lead=LEAD))
    told = [ahead.sentence.split(" now,")[0] for ahead in (plain, short, long)]
    assert told == [f"The forecast sees {channels} channels" for channels in (160, 162, 180)]


def test_a_grade_of_service_counts_its_safety_once():
    spec = policy(capacity={"channelsPerPod": 100, "gradeOfService": {"blocking": 0.001}})
    one, five = (
        forecast_ahead(inputs(forecast=forecast_that_knows_windows(counts), lead=LEAD, policy=spec))
        for counts in (1.0, 5.0)
    )
    assert five.sentence == one.sentence
    assert five.path.tolist() == one.path.tolist()
    assert "median" in five.sentence


@given(st.lists(st.integers(0, 1000), max_size=40), st.integers(1, 50))
@settings(derandomize=True, deadline=None)
def test_a_window_holds_the_largest_of_each_value_and_those_after_it(values, width):
    expected = [max(values[slot : slot + width]) for slot in range(len(values))]
    assert window_maximum(np.array(values, dtype=np.int64), width).tolist() == expected
