"""Calls in progress follow arrivals with the lag of the holding time, and known calls by their age."""

import numpy as np
import pytest

from forecasting.holding_times import holding_law
from forecasting.occupancy_law import occupancy_quantiles
from forecasting.offered_load import from_arrivals, from_live_calls

STEP_S = 60
ONE = np.zeros(1, np.int64)


def exponential_law(mean_s, calls=50_000):
    lasted_s = -mean_s * np.log1p(-(np.arange(calls) + 0.5) / calls)
    return holding_law(np.zeros(calls, np.int64), lasted_s, np.ones(calls, bool), np.ones(calls), 1)


def test_a_constant_rate_fills_up_to_rate_times_holding_time_with_the_lag_of_the_law():
    load = from_arrivals(np.full((1, 120), 0.1), np.zeros((1, 120)), exponential_law(300.0), STEP_S)
    middles_s = (np.arange(120) + 0.5) * STEP_S
    assert load.mean[0] == pytest.approx(30.0 * -np.expm1(-middles_s / 300.0), rel=0.02, abs=0.01)
    assert load.variance == pytest.approx(load.mean)


def test_the_peak_of_the_load_comes_after_that_of_the_arrivals():
    rates = np.exp(-(((np.arange(240) - 60) / 20.0) ** 2))[None, :]
    load = from_arrivals(rates, np.zeros_like(rates), exponential_law(900.0), STEP_S)
    assert 65 < int(np.argmax(load.mean)) < 80


def test_doubt_about_the_rate_widens_and_does_not_shift():
    rates = np.full((1, 60), 0.5)
    sure, unsure = (from_arrivals(rates, doubt * rates, exponential_law(300.0), STEP_S) for doubt in (0.0, 0.2))
    assert unsure.mean == pytest.approx(sure.mean)
    assert unsure.variance == pytest.approx(sure.mean + (0.2 * sure.mean) ** 2)


def test_live_calls_without_memory_fade_alike_whatever_their_age():
    law = exponential_law(300.0)
    young, old = (from_live_calls(ONE, np.array([age_s]), law, 10, STEP_S) for age_s in (1.0, 900.0))
    assert young.mean == pytest.approx(old.mean, abs=0.01)
    assert old.mean[0, 0] == pytest.approx(5 * -np.expm1(-0.2), abs=0.01)
    assert old.variance == pytest.approx(old.mean * (1 - old.mean))


def test_a_call_that_has_nearly_lasted_its_time_ends_soon():
    lasted_s = np.random.default_rng(1).normal(600.0, 20.0, 5000)
    law = holding_law(np.zeros(5000, np.int64), lasted_s, np.ones(5000, bool), np.ones(5000), 1)
    fresh, due = (from_live_calls(ONE, np.array([age_s]), law, 5, STEP_S).mean[0] for age_s in (10.0, 590.0))
    assert fresh[4] > 0.99
    assert due[2] < 0.01


def test_a_call_older_than_any_before_still_counts_and_stays_finite():
    load = from_live_calls(ONE, np.array([1e7]), exponential_law(300.0), 5, STEP_S)
    assert ((load.mean > 0) & (load.mean <= 1)).all()


@pytest.mark.parametrize(
    ("mean", "ratio"), [(0.4, 1.0), (3.0, 1.0), (12.0, 2.0), (12.0, 0.5), (80.0, 1.5), (200.0, 1.0)]
)
def test_quantiles_are_those_of_counts_with_that_mean_and_variance(mean, ratio):
    random = np.random.default_rng(5)
    if ratio > 1:
        drawn = random.negative_binomial(mean / (ratio - 1), 1 / ratio, 200_000)
    elif ratio < 1:
        drawn = random.binomial(round(mean / (1 - ratio)), 1 - ratio, 200_000)
    else:
        drawn = random.poisson(mean, 200_000)
    levels = (0.5, 0.9, 0.95, 0.99)
    law = occupancy_quantiles(np.array([[mean]]), np.array([[mean * ratio]]), levels)[0, 0]
    assert law == pytest.approx(np.quantile(drawn, levels), abs=1.0)


def test_quantiles_rise_with_level_mean_and_variance_and_are_finite_everywhere():
    mean = np.geomspace(1e-9, 1e6, 300)[:, None] * np.ones(4)
    values = occupancy_quantiles(mean, mean * np.array([0.0, 1.0, 3.0, 1e4]), (0.5, 0.9, 0.95, 0.99))
    assert np.isfinite(values).all()
    assert (values >= 0).all()
    assert (np.diff(values, axis=2) >= 0).all()
    # Below a call, more spread is more nothing as well.
    assert (values[mean[:, 0] > 1][:, 2, 3] >= values[mean[:, 0] > 1][:, 1, 3]).all()


def test_nothing_is_forecast_from_nothing():
    assert occupancy_quantiles(np.zeros((1, 1)), np.zeros((1, 1)), (0.5, 0.99)).max() == 0
