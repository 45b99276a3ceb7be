"""The quantiles mean what they say."""

import numpy as np
import pytest

from forecasting.calendar import CivilCalendar
from forecasting.load import fleet_sums
from forecasting.models import default_forecaster
from forecasting.models.count_law import count_quantiles, shrunk_dispersion
from forecasting.models.scale import ZERO, poisson_rate, to_counts, to_root
from forecasting.models.seasonal_naive import SeasonalNaive
from tests.forecasting.histories import counts, days_before, matrix, office, office_rates

TENANTS = 40


@pytest.mark.parametrize("busy", [100.0, 8.0, 1.0])
def test_load_of_a_known_law_lies_below_each_quantile_as_often_as_it_says(busy):
    grid = days_before("2026-06-03", 42)
    both = days_before("2026-06-05", 44)
    values = counts(office_rates(both, busy=busy, quiet=busy / 20), TENANTS)
    history = matrix(grid, values[:, : grid.slots])
    forecast = default_forecaster().forecast(history, [CivilCalendar()] * TENANTS, grid.after(48))
    seen = values[:, grid.slots :, None]
    # Of small counts many lie on the quantile itself: it must fit between "below" and "at or below".
    below, reached = (seen < forecast.values).mean(axis=(0, 1)), (seen <= forecast.values).mean(axis=(0, 1))
    for index, quantile in enumerate(forecast.quantiles):
        assert reached[index] > quantile - 0.03
        assert below[index] < quantile + 0.04


@pytest.mark.parametrize("busy", [100.0, 8.0])
def test_the_baseline_is_calibrated_too_so_that_beating_it_means_something(busy):
    grid = days_before("2026-06-03", 42)
    values = counts(office_rates(days_before("2026-06-05", 44), busy=busy, quiet=busy / 4), TENANTS)
    history = matrix(grid, values[:, : grid.slots])
    forecast = SeasonalNaive().forecast(history, [CivilCalendar()] * TENANTS, grid.after(48))
    reached = (values[:, grid.slots :, None] <= forecast.values).mean(axis=(0, 1))
    np.testing.assert_allclose(reached[2:], forecast.quantiles[2:], atol=0.03)


def test_the_upper_quantile_of_a_known_law_is_near_the_laws_own():
    grid = days_before("2026-06-03", 42)
    history = matrix(grid, counts(np.full(grid.slots, 100.0), TENANTS))
    forecast = default_forecaster().forecast(history, [CivilCalendar()] * TENANTS, grid.after(24))
    # 117 is the 95 % quantile of a Poisson variable with mean 100; not knowing the mean exactly costs a little.
    assert forecast.values[..., 3].mean() == pytest.approx(117, abs=4)


def test_a_fleets_own_quantile_is_far_below_the_sum_of_its_tenants_quantiles():
    grid = days_before("2026-06-03", 42)
    tenants = office(grid, series=TENANTS)
    fleet = fleet_sums(tenants, {"fleet": tenants.series})
    ahead = grid.after(24)
    of_tenants = default_forecaster().forecast(tenants, [CivilCalendar()] * TENANTS, ahead)
    of_fleet = default_forecaster().forecast(fleet, [CivilCalendar()], ahead)
    busy = slice(9, 17)
    sum_of_quantiles = of_tenants.values[:, busy, 3].sum(axis=0).mean()
    own_quantile = of_fleet.path("fleet", 0.95)[busy].mean()
    median = of_fleet.path("fleet", 0.5)[busy].mean()
    assert median == pytest.approx(TENANTS * 100, rel=0.05)
    assert median < own_quantile < 0.93 * sum_of_quantiles


def test_a_calm_and_a_wild_tenant_each_get_quantiles_of_their_own_width():
    grid, both = days_before("2026-06-03", 42), days_before("2026-06-05", 44)
    rng = np.random.default_rng(8)
    calm = counts(np.full(both.slots, 100.0), TENANTS)
    wild = rng.poisson(100 * rng.gamma(4, 1 / 4, (TENANTS, both.slots))).astype(np.float32)
    values = np.concatenate([calm, wild])
    forecast = default_forecaster().forecast(
        matrix(grid, values[:, : grid.slots]), [CivilCalendar()] * 2 * TENANTS, grid.after(48)
    )
    covered = (values[:, grid.slots :] <= forecast.values[..., 3]).mean(axis=1)
    assert 0.93 < covered[:TENANTS].mean() < 0.98
    assert 0.93 < covered[TENANTS:].mean() < 0.98
    assert forecast.values[TENANTS:, :, 3].mean() > 1.5 * forecast.values[:TENANTS, :, 3].mean()


def test_uncertainty_grows_with_the_horizon_where_recent_load_says_something():
    grid = days_before("2026-06-03", 42)
    rng = np.random.default_rng(2)
    drift = np.zeros((20, grid.slots))
    for slot in range(1, grid.slots):
        drift[:, slot] = 0.9 * drift[:, slot - 1] + rng.normal(0, 0.1, 20)
    values = rng.poisson(200 * np.exp(drift)).astype(np.float32)
    forecast = default_forecaster().forecast(matrix(grid, values), [CivilCalendar()] * 20, grid.after(24))
    width = (forecast.values[..., 3] - forecast.values[..., 0]).mean(axis=0)
    assert width[0] < 0.8 * width[12:].mean()


def test_the_count_law_without_dispersion_is_poissons():
    # Smallest counts whose distribution function reaches the quantile, from Poisson's law by hand.
    rates = np.array([[0.0, 0.1, 1.0, 5.0]], dtype=np.float32)
    found = count_quantiles(rates, np.zeros(1, np.float32), (0.5, 0.95, 0.99))
    np.testing.assert_array_equal(found[0], [[0, 0, 0], [0, 1, 1], [1, 3, 4], [5, 9, 11]])


def test_more_dispersion_means_a_higher_upper_quantile():
    rates = np.full((3, 1), 4.0, dtype=np.float32)
    found = count_quantiles(rates, np.array([0.0, 0.3, 2.0], np.float32), (0.5, 0.99))
    assert found[0, 0, 1] < found[1, 0, 1] < found[2, 0, 1] < 60


def test_a_tenants_dispersion_leans_on_all_until_it_has_its_own():
    excess, squares = np.array([0.0, 50.0, 9000.0], np.float32), np.array([0.0, 100.0, 9000.0], np.float32)
    new, young, old = shrunk_dispersion(excess, squares)
    pooled = excess.sum() / squares.sum()
    assert new == pytest.approx(pooled)
    assert 0.5 < young < pooled
    assert old == pytest.approx(1.0, rel=0.01)


def test_the_root_scale_goes_there_and_back():
    load = np.array([0.0, 0.4, 1.0, 77.0, 1e9], np.float32)
    np.testing.assert_allclose(to_counts(to_root(load, 1.0)), load, rtol=1e-5, atol=1e-5)
    assert to_counts(np.array([ZERO - 1.0], np.float32)).item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("rate", [0.05, 0.7, 3.0, 12.0, 80.0, 900.0])
def test_the_mean_of_roots_gives_the_rate_back(rate: float):
    draws = np.random.default_rng(4).poisson(rate, 200_000).astype(np.float32)
    mean_root = to_root(draws, 1.0).mean(keepdims=True)
    assert poisson_rate(mean_root).item() == pytest.approx(rate, rel=0.03)
