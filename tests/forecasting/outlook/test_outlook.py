"""The weeks ahead: growth is told where there is some, and a level that stays is left as it is."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecasting.calendar import CivilCalendar
from forecasting.errors import ForecastInputError
from forecasting.forecast import Trust
from forecasting.grid import SlotGrid
from forecasting.load import Measure
from forecasting.outlook.weekly import weekly_outlook
from tests.forecasting.histories import DAY_S, HOUR_S, days_before, matrix, office_rates
from tests.forecasting.wild_histories import CALENDARS, ROWS, values_of

WEEK = 168
NOISE = 0.03


def _growing(weeks, rate, seed, noise=NOISE):
    """Office hours whose level grows by `rate` a week and wanders by `noise`."""
    grid = days_before("2026-06-08", 7 * weeks)
    rng = np.random.default_rng(seed)
    level = (1 + rate) ** np.arange(weeks) * np.exp(rng.normal(0, noise, weeks))
    calls = rng.poisson(office_rates(grid) * np.repeat(level, WEEK))
    return matrix(grid, calls.astype(np.float32)[None])


def _outlook(history, weeks=13, **more):
    return weekly_outlook(history, [CivilCalendar()] * len(history.series), weeks, **more)


@given(
    rows=st.lists(st.sampled_from(ROWS), min_size=0, max_size=4),
    first=st.integers(0, len(CALENDARS) - 1),
    days=st.one_of(st.integers(0, 60), st.integers(60, 500)),
    step_s=st.sampled_from([HOUR_S, 1800, 5 * HOUR_S, DAY_S]),
    weeks=st.integers(1, 30),
    measure=st.sampled_from(Measure),
    seed=st.integers(0, 2**32 - 1),
)
@settings(max_examples=80, deadline=None, derandomize=True)
def test_any_history_gives_lines_in_order_or_is_cold(rows, first, days, step_s, weeks, measure, seed):
    rng = np.random.default_rng(seed)
    grid = SlotGrid(1_750_000_000 // step_s * step_s, step_s, days * DAY_S // step_s)
    history = matrix(grid, values_of(rows, grid.slots, rng), measure)
    calendars = [CALENDARS[(first + row) % len(CALENDARS)] for row in range(len(rows))]

    outlook = weekly_outlook(history, calendars, weeks)

    warm = [trust is not Trust.COLD for trust in outlook.trust]
    assert all(outlook.trust_reasons)
    assert np.isfinite(outlook.growth).all()
    for lines in (outlook.mean, outlook.busy_hour):
        assert lines.shape == (len(rows), weeks, 5)
        assert np.isnan(lines[np.logical_not(warm)]).all()
        assert np.isfinite(lines[warm]).all()
        assert (lines[warm] >= 0).all()
        assert (np.diff(lines[warm], axis=2) >= 0).all()
    assert (outlook.busy_hour[warm] >= outlook.mean[warm]).all()


def test_steady_growth_is_carried_on():
    gained, growth = [], []
    for seed in range(4):
        history = _growing(48, 0.01, seed)
        known = matrix(
            SlotGrid(history.grid.start_s, HOUR_S, 40 * WEEK), np.ascontiguousarray(history.values[:, : 40 * WEEK])
        )
        outlook = _outlook(known, 8)
        came = history.values[0].reshape(48, WEEK).mean(axis=1)
        growth.append(float(outlook.growth[0]))
        gained.append(abs(outlook.mean[0, 7, 0] - came[47]) / abs(came[36:40].mean() - came[47]))
        assert outlook.busy_hour[0, 7, 0] > outlook.busy_hour[0, 0, 0]
    assert min(growth) > 0
    assert 0.003 < np.mean(growth) < 0.015
    assert np.mean(gained) < 0.75


@pytest.mark.parametrize("seed", range(4))
def test_growth_that_has_ended_is_not_carried_on(seed):
    history = _growing(40, 0.0, seed)
    history.values[:] *= 1.02 ** np.minimum(np.repeat(np.arange(40), WEEK), 20)
    assert _outlook(history).growth[0] == 0


def test_growth_fades_faster_before_a_year_has_borne_it_out():
    def kept(weeks):
        grid = days_before("2026-06-08", 7 * weeks)
        calls = office_rates(grid) * 1.01 ** np.repeat(np.arange(weeks), WEEK)
        roots = np.sqrt(_outlook(matrix(grid, calls.astype(np.float32)[None])).mean[0, :, 0] + 0.375)
        return float(np.mean(np.diff(roots)[1:] / np.diff(roots)[:-1]))

    assert kept(40) == pytest.approx(0.95, abs=0.002)
    assert kept(60) == pytest.approx(0.98, abs=0.002)


def test_a_level_that_only_strays_has_no_trend():
    outlooks = [_outlook(_growing(40, 0.0, seed)) for seed in range(6)]
    assert [float(outlook.growth[0]) for outlook in outlooks] == [0.0] * 6
    for outlook in outlooks:
        assert np.ptp(outlook.mean[0, :, 0]) == 0
        np.testing.assert_allclose(outlook.mean[0, 0, 0], outlook.past.mean[0].mean(), rtol=0.06)


@pytest.mark.parametrize("factor", [0.5, 0.8, 1.2, 2.0])
@pytest.mark.parametrize("weeks_since", [4, 8, 16])
def test_a_step_is_no_trend(factor, weeks_since):
    history = _growing(36, 0.0, 3)
    history.values[0, -weeks_since * WEEK :] *= factor
    outlook = _outlook(history)
    assert outlook.growth[0] == 0
    newest = history.values[0, -3 * WEEK :].mean()
    np.testing.assert_allclose(outlook.mean[0, :, 0], newest, rtol=0.08)


@pytest.mark.parametrize("factor", [0.1, 0.7, 1.5, 4.0])
@pytest.mark.parametrize("week", [-1, -2, -6])
def test_a_strange_week_moves_nothing_unless_the_next_one_confirms_it(week, factor):
    usual = _outlook(_growing(30, 0.0, 5))
    history = _growing(30, 0.0, 5)
    history.values[0].reshape(30, WEEK)[week] *= factor
    outlook = _outlook(history)
    np.testing.assert_allclose(outlook.mean[0, :, 0], usual.mean[0, :, 0], rtol=0.05)


def test_a_short_history_is_cold_and_has_no_lines():
    outlook = _outlook(_growing(7, 0.05, 1))
    assert outlook.trust == (Trust.COLD,)
    assert outlook.trust_reasons == ("7 weeks were measured, and an outlook needs 8",)
    assert np.isnan(outlook.mean).all()
    assert _outlook(_growing(8, 0.05, 1)).trust == (Trust.LEARNING,)
    assert _outlook(_growing(53, 0.0, 1)).trust == (Trust.TRUSTED,)


def test_a_young_tenant_that_grows_fast_is_not_drawn_far_beyond_what_was_seen():
    history = _growing(9, 0.15, 2)
    outlook = _outlook(history)
    assert outlook.mean[0, -1, 0] <= history.values[0, -WEEK:].mean() * 1.1


def test_who_has_been_silent_for_a_month_is_cold():
    history = _growing(30, 0.0, 1)
    history.values[0, -4 * WEEK :] = np.nan
    outlook = _outlook(history)
    assert outlook.trust == (Trust.COLD,)
    assert "none of the newest 4 weeks" in outlook.trust_reasons[0]


def _wandering(weeks, seed=1):
    grid = days_before("2026-06-08", 7 * weeks)
    level = np.exp(np.cumsum(np.random.default_rng(seed).normal(0, 0.04, weeks)))
    return matrix(grid, (office_rates(grid) * np.repeat(level, WEEK)).astype(np.float32)[None])


def test_the_lines_of_a_level_that_wanders_widen_with_the_weeks_ahead():
    lines = _outlook(_wandering(40), 26).mean[0]
    width = lines[:, 4] - lines[:, 0]
    assert (np.diff(width) >= 0).all()
    assert width[12] > 1.5 * width[0]
    assert width[25] > 1.2 * width[12]


def test_weeks_that_were_not_seen_widen_the_lines_and_leave_the_level():
    history = _wandering(40)
    history.values[0, -3 * WEEK :] = np.nan
    before = matrix(SlotGrid(history.grid.start_s, HOUR_S, 37 * WEEK), history.values[:, : 37 * WEEK].copy())
    outlook, known = _outlook(history), _outlook(before, 16)
    assert outlook.first_day == known.first_day + 21
    np.testing.assert_allclose(outlook.mean[0], known.mean[0, 3:], rtol=1e-3)


def test_a_week_is_told_alike_however_many_are_asked_for():
    history = _growing(40, 0.01, 1)
    np.testing.assert_array_equal(_outlook(history, 2).mean, _outlook(history, 20).mean[:, :2])


def test_the_first_week_ahead_begins_after_the_week_that_runs():
    grid = days_before("2026-06-11", 80)
    history = matrix(grid, office_rates(grid).astype(np.float32)[None])
    outlook = _outlook(history)
    assert np.datetime64(outlook.first_day, "D") == np.datetime64("2026-06-15")


def test_a_call_rate_is_looked_at_like_the_counts_it_comes_from():
    events = _growing(30, 0.0, 4)
    rate = matrix(events.grid, events.values / np.float32(HOUR_S), Measure.CALL_RATE)
    np.testing.assert_allclose(_outlook(rate).mean * HOUR_S, _outlook(events).mean, rtol=1e-3)


def test_any_quantiles_may_be_asked_for():
    outlook = _outlook(_growing(30, 0.0, 4), quantiles=(0.05, 0.5, 0.8))
    assert outlook.mean.shape == (1, 13, 3)
    assert (np.diff(outlook.mean[0], axis=1) > 0).all()


def test_what_does_not_fit_is_refused():
    history = _growing(10, 0.0, 1)
    with pytest.raises(ForecastInputError, match="an outlook of 0 weeks"):
        _outlook(history, 0)
    with pytest.raises(ForecastInputError, match="must rise strictly"):
        _outlook(history, quantiles=(0.9, 0.5))
    with pytest.raises(ForecastInputError, match="0 calendars for 1 series"):
        weekly_outlook(history, [])
