"""Whatever the history looks like, a forecast keeps its promises or says that it is cold."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecasting.calendar import CivilCalendar
from forecasting.errors import ForecastInputError
from forecasting.forecast import Forecaster
from forecasting.grid import SlotGrid
from forecasting.load import Measure
from forecasting.models import MODELS, default_forecaster
from tests.forecasting.histories import DAY_S, HOUR_S, counts, days_before, matrix, office, office_rates
from tests.forecasting.wild_histories import CALENDARS, ROWS, check_promises, values_of

MODEL = pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)


@given(
    rows=st.lists(st.sampled_from(ROWS), min_size=0, max_size=4),
    first=st.integers(0, len(CALENDARS) - 1),
    slots=st.one_of(st.integers(0, 60), st.integers(60, 40 * 24)),
    step_s=st.sampled_from([HOUR_S, 1800, 5 * HOUR_S, 7 * 60, DAY_S]),
    ahead=st.integers(0, 60),
    later=st.integers(0, 30),
    measure=st.sampled_from(Measure),
    name=st.sampled_from(sorted(MODELS)),
    seed=st.integers(0, 2**32 - 1),
)
@settings(max_examples=120, deadline=None, derandomize=True)
def test_any_history_gives_paths_in_order_or_is_cold(rows, first, slots, step_s, ahead, later, measure, name, seed):
    rng = np.random.default_rng(seed)
    grid = SlotGrid(1_750_000_000 // step_s * step_s, step_s, slots)
    history = matrix(grid, values_of(rows, slots, rng), measure)
    calendars = [CALENDARS[(first + row) % len(CALENDARS)] for row in range(len(rows))]

    forecast = MODELS[name].forecast(history, calendars, SlotGrid(grid.end_s + later * step_s, step_s, ahead))

    assert forecast.values.shape == (len(rows), ahead, 5)
    check_promises(forecast)


@MODEL
def test_a_constant_load_is_forecast_as_that_constant(model: Forecaster):
    grid = days_before("2026-06-01", 35)
    forecast = model.forecast(
        matrix(grid, np.full((1, grid.slots), 250.0, np.float32)), [CivilCalendar()], grid.after(24)
    )
    np.testing.assert_allclose(forecast.values[0, :, 0], 250, rtol=0.01)
    assert forecast.values.max() < 275


@MODEL
def test_no_load_at_all_is_forecast_as_nearly_none(model: Forecaster):
    grid = days_before("2026-06-01", 35)
    forecast = model.forecast(matrix(grid, np.zeros((1, grid.slots), np.float32)), [CivilCalendar()], grid.after(24))
    assert forecast.values[..., 0].max() < 0.01
    assert forecast.values.max() < 1


def test_the_upper_quantiles_of_a_sparse_tenant_stay_small():
    grid = days_before("2026-06-01", 42)
    history = matrix(grid, counts(np.full(grid.slots, 0.05), 3))
    forecast = default_forecaster().forecast(history, [CivilCalendar()] * 3, grid.after(48))
    assert forecast.values[..., 4].max() <= 3


@MODEL
def test_a_call_rate_is_forecast_like_the_counts_it_comes_from(model: Forecaster):
    grid = days_before("2026-06-01", 28)
    events = office(grid)
    rate = matrix(grid, events.values / np.float32(HOUR_S), Measure.CALL_RATE)
    of_events, of_rate = (model.forecast(load, [CivilCalendar()], grid.after(24)) for load in (events, rate))
    np.testing.assert_allclose(of_rate.values * HOUR_S, of_events.values, rtol=1e-3, atol=1e-3)


@MODEL
def test_the_order_of_tenants_and_the_company_of_other_zones_do_not_mix_their_rows_up(model: Forecaster):
    grid = days_before("2026-06-01", 28)
    zones = ["America/New_York", "Asia/Kathmandu", "UTC", "America/New_York", "Europe/Berlin"]
    calendars = [CivilCalendar(zone) for zone in zones]
    sizes = np.array([[50.0], [5.0], [300.0], [1.0], [20.0]])
    rates = np.array([office_rates(grid, zone) for zone in zones]) * sizes / 100
    values = np.random.default_rng(5).poisson(rates).astype(np.float32)
    order = [3, 1, 4, 0, 2]

    straight = model.forecast(matrix(grid, values), calendars, grid.after(24))
    shuffled = model.forecast(matrix(grid, values[order]), [calendars[row] for row in order], grid.after(24))

    np.testing.assert_allclose(shuffled.values, straight.values[order], rtol=1e-3, atol=1e-3)
    busiest_hours = np.sort(straight.values[..., 0], axis=1)[:, -8:].mean(axis=1)
    np.testing.assert_allclose(busiest_hours, sizes[:, 0], rtol=0.3, atol=1)


@MODEL
@pytest.mark.parametrize("quantiles", [(0.5,), (0.001, 0.5, 0.9995), (0.42, 0.43, 0.97)])
def test_any_quantiles_may_be_asked_for(model: Forecaster, quantiles: tuple[float, ...]):
    grid = days_before("2026-06-01", 28)
    forecast = model.forecast(office(grid), [CivilCalendar()], grid.after(24), quantiles)
    assert forecast.quantiles == quantiles
    assert forecast.values.shape == (1, 24, len(quantiles))


@MODEL
def test_inputs_that_do_not_fit_are_refused_with_what_does_not(model: Forecaster):
    grid = days_before("2026-06-01", 28)
    history = office(grid)
    with pytest.raises(ForecastInputError, match="2 calendars for 1 series"):
        model.forecast(history, [CivilCalendar()] * 2, grid.after(24))
    with pytest.raises(ForecastInputError, match="before the history ends"):
        model.forecast(history, [CivilCalendar()], SlotGrid(grid.end_s - HOUR_S, HOUR_S, 24))
    with pytest.raises(ForecastInputError, match="a step of 1800 s"):
        model.forecast(history, [CivilCalendar()], SlotGrid(grid.end_s, 1800, 24))
    with pytest.raises(ForecastInputError, match="'Mars/Olympus' is not an IANA name"):
        model.forecast(history, [CivilCalendar("Mars/Olympus")], grid.after(24))
    with pytest.raises(ForecastInputError, match="'NY'"):
        model.forecast(history, [CivilCalendar("UTC", "US", "Atlantis")], grid.after(24))


def test_a_trained_model_refuses_other_series_than_its_own():
    grid = days_before("2026-06-01", 28)
    trained = default_forecaster().trained(office(grid, series=2), [CivilCalendar()] * 2)
    with pytest.raises(ForecastInputError, match="not those that the model was trained on"):
        trained.forecast(office(grid, series=1), [CivilCalendar()], grid.after(24))
