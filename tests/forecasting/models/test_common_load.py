"""What tenants have in common shows in all of them together sooner than in each; what only some do moves no other."""

from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from forecasting.backtest import backtest
from forecasting.calendar import CivilCalendar
from forecasting.forecast import QUANTILES
from forecasting.models import common_load, default_forecaster
from forecasting.models.chunks import chunks_of
from forecasting.models.common_load import CommonLoads
from forecasting.models.features import COMMON, FEATURES
from tests.forecasting.histories import DAY_S, counts, days_before, matrix, office_rates

SERIES = 24
UTC = [CivilCalendar()] * SERIES
GRID = days_before("2026-06-08", 42, step_s=1800)


def _weather(strength=0.4):
    """A factor that all tenants have in common and that changes within hours. Shape (slots,)."""
    rng = np.random.default_rng(3)
    memory = np.exp(-1 / 12)
    drawn = rng.normal(size=GRID.slots) * np.sqrt(1 - memory**2)
    state = np.zeros(GRID.slots)
    for slot in range(1, GRID.slots):
        state[slot] = memory * state[slot - 1] + drawn[slot]
    return np.exp(strength * state)


def _common(history, calendars):
    return CommonLoads.of(history, list(chunks_of(calendars, history.grid)), ())


def _in_changing_weather(strength=0.4):
    return matrix(GRID, counts(office_rates(GRID, busy=20, quiet=10) * _weather(strength), SERIES))


def test_the_next_minutes_of_each_are_told_by_the_last_minutes_of_all(monkeypatch):
    history = _in_changing_weather()

    def scores():
        return backtest(history, UTC, [default_forecaster()], window_s=5 * DAY_S, refit_s=5 * DAY_S).default.pooled

    together = scores()
    monkeypatch.setattr(common_load, "_FEWEST", SERIES + 1)
    alone = scores()
    assert together.first_slot_wape < 0.97 * alone.first_slot_wape
    assert together.pinball[0.95] < 1.01 * alone.pinball[0.95]
    assert together.coverage[0.95] > 0.93


def _others(values, model, kept):
    """What the next half hour of some series is forecast at: the sum of each line."""
    return model.forecast(matrix(GRID, values), UTC, GRID.after(1)).values[kept].sum(axis=(0, 1))


@pytest.mark.parametrize("days", [4, 5])
def test_a_third_that_has_doubled_for_good_does_not_draw_up_the_others(days):
    usual = _in_changing_weather(0.15)
    grown = usual.values.copy()
    grown[: SERIES // 3, -days * 48 :] *= 2
    model, others = default_forecaster().trained(usual, UTC), slice(SERIES // 3, None)
    assert _others(grown, model, others)[0] == pytest.approx(_others(usual.values, model, others)[0], rel=0.01)


def _alone(correction):
    return replace(correction, coefficients=correction.alone)


@pytest.mark.parametrize(("down", "slots"), [(5, 2), (7, 4), (12, 1)])
def test_the_failed_trunk_of_some_lowers_no_line_that_others_are_sized_by(down, slots):
    usual = _in_changing_weather()
    failed = usual.values.copy()
    failed[:down, -slots:] = 0
    model, others = default_forecaster().trained(usual, UTC), slice(down, None)
    beside = _others(failed, model, others)
    # As if nobody had anything in common with anybody.
    alone = replace(model, learnt=replace(model.learnt, correction=_alone(model.learnt.correction)))
    whole = _others(usual.values, alone, others)
    upper = [QUANTILES.index(quantile) for quantile in (0.9, 0.95, 0.99)]
    # Two parts in a hundred of the root, four of the load: what is granted to noise.
    assert (beside[upper] >= 0.96 * whole[upper]).all()
    assert (np.diff(beside) >= 0).all()


def test_tenants_who_share_nothing_are_not_sized_by_the_noise_of_each_other():
    history = _in_changing_weather(strength=0.0)
    model = default_forecaster().trained(history, UTC)
    alone = replace(model, learnt=replace(model.learnt, correction=_alone(model.learnt.correction)))
    day = GRID.after(DAY_S // GRID.step_s)
    lines = [one.forecast(history, UTC, day).values.sum(axis=(0, 1)) for one in (model, alone)]
    # Not at the higher of two noisy roots.
    np.testing.assert_allclose(lines[0], lines[1], rtol=0.004)


def test_a_slot_that_few_have_told_says_nothing_of_all():
    usual = _in_changing_weather()
    told = usual.values.copy()
    told[1:, -2:] = np.nan
    told[0, -2:] *= 2
    (load,) = _common(matrix(GRID, told), UTC).loads.values()
    assert np.isnan(load[-2:]).all()
    assert not np.isnan(load[:-2]).any()


def test_the_closure_of_some_is_not_the_load_of_all():
    values = counts(np.full(GRID.slots, 30.0), SERIES)
    closed = date(2026, 6, 5)
    at = slice(-3 * 48, -2 * 48)
    values[:8, at] = 0
    calendars = [CivilCalendar(closures=(closed,))] * 8 + UTC[8:]
    (load,) = _common(matrix(GRID, values), calendars).loads.values()
    assert load[at].mean() == pytest.approx(30.0, rel=0.03)


def test_however_the_series_are_cut_the_sample_is_the_same(monkeypatch):
    rng = np.random.default_rng(2)
    values = rng.poisson(20 * rng.lognormal(0, 1, size=(300, 1)), size=(300, GRID.slots)).astype(np.float32)
    history, calendars = matrix(GRID, values), [CivilCalendar()] * 300
    (whole,) = _common(history, calendars).loads.values()
    monkeypatch.setattr("forecasting.models.chunks.CELLS", 7 * 2400)
    (cut,) = _common(history, calendars).loads.values()
    np.testing.assert_allclose(cut, whole, rtol=1e-5)


def test_the_few_of_another_clock_are_forecast_as_if_they_were_alone():
    """Coefficients for those who have something in common leave to it what the few have to tell by themselves."""
    history = _in_changing_weather()
    learnt = default_forecaster().trained(history, UTC).learnt.correction
    hour = FEATURES.index("mean 3600 s")
    near = 1
    assert learnt.coefficients[near, -len(COMMON) :].sum() > 0.4
    assert not learnt.alone[:, -len(COMMON) :].any()
    assert learnt.alone[near, hour] > learnt.coefficients[near, hour] + 0.1


def test_who_comes_goes_or_is_missed_moves_nothing():
    values = counts(office_rates(GRID, busy=60, quiet=20), SERIES)
    values[:3, : GRID.slots // 2] = np.nan
    values[3:6, GRID.slots // 2 :] = np.nan
    values[20:, 100:110] = np.nan
    values[:, 500] = np.nan
    # Two came this morning, in the busiest hours.
    values[22:, : -12 - 14] = np.nan
    (load,) = _common(matrix(GRID, values), UTC).loads.values()
    assert np.flatnonzero(np.isnan(load)).tolist() == [500]
    office = load / office_rates(GRID, busy=60, quiet=20)
    np.testing.assert_allclose(np.nan_to_num(office, nan=1.0), np.nanmean(office), rtol=0.3)
    parts = [np.nanmean(office[part]) for part in (slice(GRID.slots // 2), slice(GRID.slots // 2, None))]
    assert parts[0] == pytest.approx(float(parts[1]), rel=0.02)


def test_few_and_tenants_of_another_clock_have_nothing_in_common():
    history = _in_changing_weather()
    singapore = [replace(UTC[0], time_zone="Asia/Singapore")] * 8
    assert len(_common(history, singapore + UTC[8:]).loads) == 1
    few = [replace(UTC[0], country=code) for code in ("DE", "FR") for _ in range(12)]
    assert _common(history, few).loads == {}
