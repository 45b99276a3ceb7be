from dataclasses import replace

import numpy as np
import pytest

from forecasting.forecast import Trust
from forecasting.load import Measure
from scaler.core.fleet_forecast import fleet_forecasts
from scaler.errors import CalltideError
from tests.scaler.core.made_up import NOW_S, STEP_S, quantile_forecast, window_levels

CHANNELS, CALL_RATE = Measure.CHANNELS, Measure.CALL_RATE


def test_the_policys_quantile_and_the_median_are_taken():
    found = fleet_forecasts([quantile_forecast([100, 200], spread=10)], {"acme": 0.95})["acme"]
    assert found.paths[CHANNELS].median.tolist() == [100, 200]
    assert found.paths[CHANNELS].upper.tolist() == [130, 230]
    assert found.quantile == 0.95


def test_the_deviation_comes_from_the_distance_of_the_ninetieth_percentile():
    found = fleet_forecasts([quantile_forecast([100], spread=10)], {"acme": 0.5})["acme"]
    assert found.paths[CHANNELS].deviation == pytest.approx([20 / 1.2815516])


def test_two_measures_are_planned_where_both_reach():
    channels = quantile_forecast([1, 2, 3, 4])
    rates = quantile_forecast([10, 20, 30, 40], measure=CALL_RATE, start_s=NOW_S + STEP_S)
    found = fleet_forecasts([channels, rates], {"acme": 0.95})["acme"]
    assert (found.grid.start_s, found.grid.slots) == (NOW_S + STEP_S, 3)
    assert found.paths[CHANNELS].upper.tolist() == [2, 3, 4]
    assert found.paths[CALL_RATE].upper.tolist() == [10, 20, 30]


def test_measures_that_share_no_slot_are_refused():
    late = quantile_forecast([1], measure=CALL_RATE, start_s=NOW_S + 10 * STEP_S)
    with pytest.raises(CalltideError, match="share no slots"):
        fleet_forecasts([quantile_forecast([1]), late], {"acme": 0.95})


@pytest.mark.parametrize(("one", "other", "joint"), [
    (Trust.TRUSTED, Trust.TRUSTED, Trust.TRUSTED),
    (Trust.TRUSTED, Trust.LEARNING, Trust.LEARNING),
    (Trust.LEARNING, Trust.DEGRADED, Trust.DEGRADED),
    (Trust.COLD, Trust.COLD, Trust.COLD),
    (Trust.TRUSTED, Trust.COLD, Trust.LEARNING),
])  # fmt: skip
def test_a_fleet_is_trusted_as_little_as_its_least_trusted_measure(one, other, joint):
    both = [quantile_forecast([1], trust=one), quantile_forecast([1], trust=other, measure=CALL_RATE)]
    assert fleet_forecasts(both, {"acme": 0.95})["acme"].trust is joint


def test_a_cold_measure_has_no_path():
    both = [quantile_forecast([1]), quantile_forecast([1], trust=Trust.COLD, measure=CALL_RATE)]
    found = fleet_forecasts(both, {"acme": 0.95})["acme"]
    assert set(found.paths) == {CHANNELS}
    assert "call_rate" in found.trust_reason


def test_a_series_that_no_measure_has_is_left_out():
    assert set(fleet_forecasts([quantile_forecast([1])], {"acme": 0.95, "other": 0.95})) == {"acme"}
    assert fleet_forecasts([], {"acme": 0.95}) == {}


def test_each_series_gets_its_own_row_and_quantile():
    many = quantile_forecast(np.array([5.0]), series=("a", "b"), spread=1)
    found = fleet_forecasts([many], {"a": 0.5, "b": 0.99})
    assert (found["a"].paths[CHANNELS].upper.item(), found["b"].paths[CHANNELS].upper.item()) == (5, 9)


def test_a_window_that_counts_for_five_slots_is_planned_with_a_fifth_of_the_risk():
    told = replace(quantile_forecast([100, 200], spread=10), window_levels=window_levels(counts_for=5))
    path = fleet_forecasts([told], {"acme": 0.95})["acme"].paths[CHANNELS]
    assert path.upper.tolist() == [130, 230]
    assert path.of_windows(0.95, STEP_S).upper == pytest.approx([130, 230])
    assert path.of_windows(0.95, 8 * STEP_S).upper == pytest.approx([140, 240])
    assert path.of_windows(0.95, 8 * STEP_S).median.tolist() == [100, 200]


def test_without_learnt_windows_the_quantile_of_a_slot_stands():
    path = fleet_forecasts([quantile_forecast([100], spread=10)], {"acme": 0.95})["acme"].paths[CHANNELS]
    assert path.of_windows(0.95, 8 * STEP_S) is path
    assert not path.knows_windows


def test_a_fleet_that_was_never_seen_has_no_windows_to_learn_from():
    announced = replace(
        quantile_forecast([100], spread=10),
        window_levels=window_levels(counts_for=5),
        newest_observation_s=np.zeros(1, dtype=np.int64),
    )
    assert not fleet_forecasts([announced], {"acme": 0.95})["acme"].paths[CHANNELS].knows_windows
