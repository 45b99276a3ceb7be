"""Forecasts from call records know who is up, keep their promises and never look ahead."""

import numpy as np
import pytest

from forecasting.backtest import backtest
from forecasting.calendar import CivilCalendar
from forecasting.errors import ForecastInputError
from forecasting.forecast import Trust
from forecasting.grid import SlotGrid
from forecasting.load import LoadMatrix, Measure
from forecasting.models import default_forecaster
from forecasting.models.from_calls import ConcurrencyFromCalls
from forecasting.sources.events import Calls, concurrency
from forecasting.sources.protocol import SlotStatistic
from tests.forecasting.histories import DAY_S, days_before, office_rates

GRID = days_before("2026-03-20", 36, step_s=300)
UTC = [CivilCalendar("UTC")]


def made(grid=GRID, busy_per_slot=10.0, mean_s=900.0, seed=1):
    """Poisson arrivals by office hours, log-normal holding times."""
    random = np.random.default_rng(seed)
    arrivals = random.poisson(office_rates(grid, busy=busy_per_slot, quiet=1.0))
    starts_s = np.repeat(grid.starts_s, arrivals) + random.uniform(0, grid.step_s, arrivals.sum())
    lasts_s = random.lognormal(np.log(mean_s) - 0.5, 1.0, starts_s.size)
    return Calls(np.zeros(starts_s.size, np.int64), starts_s, starts_s + lasts_s)


def history_of(calls, grid=GRID, statistic=SlotStatistic.MAXIMUM):
    return LoadMatrix(Measure.CHANNELS, ("a",), grid, concurrency(calls, 1, grid, statistic))


def until(history, slots):
    grid = SlotGrid(history.grid.start_s, history.grid.step_s, slots)
    return LoadMatrix(history.measure, history.series, grid, history.values[:, :slots])


@pytest.mark.parametrize("statistic", list(SlotStatistic))
def test_the_calls_beat_their_sum_and_the_95_line_covers_what_it_says(statistic):
    calls = made()
    model = ConcurrencyFromCalls(calls, default_forecaster(), statistic)
    found = backtest(history_of(calls, statistic=statistic), UTC, [model, default_forecaster()], window_s=3 * DAY_S)
    ours, direct = (result.pooled for result in found.models.values())
    assert ours.first_hour_wape < 0.95 * direct.first_hour_wape
    assert ours.wape < 1.02 * direct.wape
    assert ours.pinball[0.95] < 1.02 * direct.pinball[0.95]
    assert 0.93 <= ours.coverage[0.95] <= 0.985


def test_the_peak_of_a_slot_lies_above_its_mean_by_as_much_as_it_did_before():
    calls = made(busy_per_slot=20.0, mean_s=120.0)
    found = backtest(history_of(calls), UTC, [ConcurrencyFromCalls(calls, default_forecaster())], window_s=3 * DAY_S)
    assert found.default.pooled.coverage[0.95] > 0.93
    assert abs(found.default.pooled.bias) < 0.15


def test_what_happens_after_the_origin_changes_nothing_at_it():
    calls, slots = made(), 34 * 288 + 120
    origin_s = GRID.start_s + slots * GRID.step_s
    known = until(history_of(calls), slots)
    other = Calls(
        np.append(calls.series, 0),
        np.append(calls.starts_s, origin_s + 10.0),
        np.append(np.where(calls.ends_s > origin_s, calls.ends_s + 9999.0, calls.ends_s), origin_s + 1e5),
    )
    ahead = known.grid.after(24)
    paths = [ConcurrencyFromCalls(of, default_forecaster()).forecast(known, UTC, ahead).values for of in (calls, other)]
    np.testing.assert_array_equal(*paths)


def test_a_crowd_that_has_just_called_is_there_in_the_next_slot_and_gone_after_its_time():
    calls, slots = made(), 33 * 288 + 36
    origin_s = GRID.start_s + slots * GRID.step_s
    crowd_s = np.full(60, origin_s - 30.0)
    more = Calls(
        np.append(calls.series, np.zeros(60, np.int64)),
        np.append(calls.starts_s, crowd_s),
        np.append(calls.ends_s, crowd_s + 900.0),
    )
    known = until(history_of(more), slots)
    path = ConcurrencyFromCalls(more, default_forecaster()).forecast(known, UTC, known.grid.after(36)).path("a", 0.5)
    assert path[0] > 50
    assert path[-1] < 20


def test_a_horizon_that_begins_later_is_the_tail_of_the_whole_one():
    calls = made()
    history = history_of(calls)
    trained = ConcurrencyFromCalls(calls, default_forecaster()).trained(history, UTC)
    whole = trained.forecast(history, UTC, history.grid.after(24)).values
    later = SlotGrid(history.grid.end_s + 12 * 300, 300, 12)
    np.testing.assert_allclose(trained.forecast(history, UTC, later).values, whole[:, 12:], atol=1e-4)
    assert trained.forecast(history, UTC, history.grid.after(0)).values.shape == (1, 0, 5)


def test_a_tenant_without_a_day_of_history_is_cold_and_one_with_a_day_and_a_bit_has_a_path():
    calls = made()
    model = ConcurrencyFromCalls(calls, default_forecaster())
    for slots, cold in ((200, True), (300, False)):
        grid = SlotGrid(GRID.end_s - slots * 300 - 300, 300, slots)
        outcome = model.forecast(history_of(calls, grid), UTC, grid.after(24))
        assert (outcome.trust[0] is Trust.COLD) is cold
        assert np.isfinite(outcome.values).all() == (not cold)


def test_trust_is_lost_when_the_last_day_lay_far_above_its_line():
    calls, doubled = made(), made(seed=2)
    flood = doubled.starts_s > GRID.end_s - DAY_S
    more = Calls(
        np.append(calls.series, np.repeat(doubled.series[flood], 12)),
        np.append(calls.starts_s, np.repeat(doubled.starts_s[flood], 12)),
        np.append(calls.ends_s, np.repeat(doubled.ends_s[flood], 12)),
    )
    for of, trust in ((calls, Trust.TRUSTED), (more, Trust.DEGRADED)):
        history = history_of(of)
        outcome = ConcurrencyFromCalls(of, default_forecaster()).forecast(history, UTC, history.grid.after(12))
        assert outcome.trust == (trust,), outcome.trust_reasons


def test_what_does_not_fit_is_said():
    calls = made()
    history = history_of(calls)
    rate = LoadMatrix(Measure.CALL_RATE, history.series, history.grid, history.values)
    with pytest.raises(ForecastInputError, match="the history is of call_rate"):
        ConcurrencyFromCalls(calls, default_forecaster()).trained(rate, UTC)
    none = Calls(np.empty(0, np.int64), np.empty(0), np.empty(0))
    with pytest.raises(ForecastInputError, match="no call at all"):
        ConcurrencyFromCalls(none, default_forecaster()).trained(history, UTC)
