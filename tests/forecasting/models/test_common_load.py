"""What tenants have in common shows in all of them together sooner than in each; what only some do moves no other."""

from dataclasses import replace

import numpy as np
import pytest

from forecasting.backtest import backtest
from forecasting.calendar import CivilCalendar
from forecasting.models import common_load, default_forecaster
from forecasting.models.chunks import chunks_of
from forecasting.models.common_load import CommonLoads
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
    assert together.pinball[0.95] < alone.pinball[0.95]
    assert together.coverage[0.95] > 0.93


def test_a_third_that_has_doubled_does_not_draw_up_the_others():
    usual = _in_changing_weather(0.15)
    grown = usual.values.copy()
    grown[: SERIES // 3, -4 * 48 :] *= 2
    model = default_forecaster().trained(usual, UTC)
    others, horizon = slice(SERIES // 3, None), GRID.after(4)
    before, beside = (
        model.forecast(matrix(GRID, values), UTC, horizon).values[others, :, 0].sum()
        for values in (usual.values, grown)
    )
    assert beside == pytest.approx(before, rel=0.01)


def test_who_comes_goes_or_is_missed_moves_nothing():
    values = counts(np.full(GRID.slots, 30.0), SERIES)
    values[:6, : GRID.slots // 2] = np.nan
    values[6:12, GRID.slots // 2 :] = np.nan
    values[12:, 100:110] = np.nan
    values[:, 500] = np.nan
    (load,) = _common(matrix(GRID, values), UTC).loads.values()
    assert np.flatnonzero(np.isnan(load)).tolist() == [500]
    np.testing.assert_allclose(np.nan_to_num(load, nan=30.0), 30.0, rtol=0.25)
    halves = load[: GRID.slots // 2], load[GRID.slots // 2 :]
    assert np.nanmean(halves[0]) == pytest.approx(float(np.nanmean(halves[1])), rel=0.01)


def test_few_and_tenants_of_another_clock_have_nothing_in_common():
    history = _in_changing_weather()
    singapore = [replace(UTC[0], time_zone="Asia/Singapore")] * 8
    assert len(_common(history, singapore + UTC[8:]).loads) == 1
    few = [replace(UTC[0], country=code) for code in ("DE", "FR") for _ in range(12)]
    assert _common(history, few).loads == {}
