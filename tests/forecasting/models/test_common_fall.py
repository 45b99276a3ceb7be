"""An outage is recognised, held and not learnt; what is no outage is left alone."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import numpy as np
import pytest

from forecasting.calendar import CivilCalendar
from forecasting.civil_time import civil_time
from forecasting.errors import ForecastInputError
from forecasting.grid import SlotGrid
from forecasting.load import BoolArray, LoadMatrix, Measure, fleet_sums
from forecasting.models import default_forecaster
from forecasting.models.common_fall import (
    common_falls,
    falling_now,
    falls_of_sums,
    masked,
)
from tests.forecasting.histories import DAY_S, HOUR_S, Floats, days_before, instant, matrix

TENANTS = 40
STEP_S = 900
PLAIN = CivilCalendar()


def _rates(grid: SlotGrid, mean_size: float = 1.0) -> Floats:
    """Tenants of different sizes with one weekly shape, shape (tenants, slots)."""
    clock = civil_time("UTC", grid)
    hour = clock.slot_of_day * grid.step_s / HOUR_S
    shape = 5 + 45 * np.exp(-(((hour - 13) / 4) ** 2)) * np.where(clock.weekday < 5, 1, 0.35)
    return mean_size * np.random.default_rng(7).lognormal(0, 0.8, TENANTS)[:, None] * shape


def _history(end: str = "2026-06-05", days: int = 42, *, step_s: int = STEP_S, mean_size: float = 1.0) -> LoadMatrix:
    grid = days_before(end, days, step_s=step_s)
    return matrix(grid, np.random.default_rng(1).poisson(_rates(grid, mean_size)).astype(np.float32))


def _slots(grid: SlotGrid, start: str, hours: float) -> slice:
    first = grid.index_of(instant(start))
    return slice(first, first + max(1, round(hours * HOUR_S / grid.step_s)))


def _with_outage(
    history: LoadMatrix, start: str, hours: float, left: float, rows: slice = slice(None), redial: float = 1.0
) -> LoadMatrix:
    """Calls survive with the chance that is left; for an hour after, there are more by the factor of redialling."""
    values, slots = history.values.copy(), _slots(history.grid, start, hours)
    values[rows, slots] = np.random.default_rng(2).binomial(values[rows, slots].astype(np.int64), left)
    after = slice(slots.stop, slots.stop + HOUR_S // history.grid.step_s)
    values[rows, after] = np.floor(values[rows, after] * redial)
    return matrix(history.grid, values)


def _without_falls(history: LoadMatrix, calendars: Sequence[CivilCalendar]) -> tuple[LoadMatrix, BoolArray]:
    """The history with its falls taken out, and who is in one at its end."""
    falls = common_falls(history, calendars)
    return masked(history, falls), falling_now(history, falls)


def _mask(history: LoadMatrix, calendar: CivilCalendar = PLAIN):
    """Which values were taken out, shape (tenants, slots)."""
    without, _ = _without_falls(history, [calendar] * len(history.series))
    return np.isnan(without.values) & ~np.isnan(history.values)


# What an outage must not do


@pytest.fixture(scope="module")
def whole() -> LoadMatrix:
    return _history(step_s=1800, days=35)


def _next_week(history: LoadMatrix):
    horizon = history.grid.after(8 * DAY_S // history.grid.step_s)
    return default_forecaster().forecast(history, [PLAIN] * TENANTS, horizon)


@pytest.fixture(scope="module")
def undisturbed(whole):
    return _next_week(whole)


OUTAGES = {
    "30 minutes": ("2026-06-01T10:00", 0.5, 0.1),
    "2 hours": ("2026-06-02T12:00", 2, 0.0),
    "8 hours": ("2026-06-03T09:00", 8, 0.1),
}


@pytest.fixture(scope="module")
def recovered(whole):
    history = whole
    for start, hours, left in OUTAGES.values():
        history = _with_outage(history, start, hours, left, redial=1.4)
    return _next_week(_without_falls(history, [PLAIN] * TENANTS)[0])


@pytest.mark.parametrize("outage", OUTAGES)
@pytest.mark.parametrize("quantile", [0, 3], ids=["median", "95 %"])
def test_the_week_after_an_outage_is_forecast_as_if_there_had_been_none(undisturbed, recovered, outage, quantile):
    start, hours, _ = OUTAGES[outage]
    ahead = _slots(undisturbed.grid, start, hours)
    week = 7 * DAY_S // undisturbed.grid.step_s
    affected = slice(ahead.start + week, ahead.stop + week)
    expected, found = (each.values[:, affected, quantile] for each in (undisturbed, recovered))
    assert found.sum() == pytest.approx(expected.sum(), rel=0.02)
    # A tenant alone has lost a week's evidence for these hours, as with any gap, so it may differ by its noise.
    busy = expected > 5
    assert np.abs(found / expected - 1)[busy].max() < 0.15


@pytest.mark.parametrize("quantile", [0, 3], ids=["median", "95 %"])
def test_tomorrow_is_forecast_as_if_there_had_been_no_outage(undisturbed, recovered, quantile):
    day = slice(0, DAY_S // undisturbed.grid.step_s)
    expected, found = (each.values[:, day, quantile] for each in (undisturbed, recovered))
    assert found.sum() == pytest.approx(expected.sum(), rel=0.02)


def test_while_an_outage_lasts_the_forecast_is_held():
    whole = _history("2026-06-03T15:00", 35, step_s=1800)
    down = _with_outage(whole, "2026-06-03T13:00", 2, 0.0)
    calendars, ahead = [PLAIN] * TENANTS, whole.grid.after(8)
    trained = default_forecaster().trained(whole, calendars)
    kept, falling = _without_falls(down, calendars)
    undisturbed, held = (trained.forecast(each, calendars, ahead).values[:, :, 0].sum() for each in (whole, kept))
    assert falling.all()
    assert held == pytest.approx(undisturbed, rel=0.01)


# What is recognised


@pytest.mark.parametrize("left", [0.0, 0.1])
@pytest.mark.parametrize("hours", [0.5, 2, 8])
@pytest.mark.parametrize("start", ["2026-05-27T10:00", "2026-05-29T18:30", "2026-05-30T12:00"])
def test_an_outage_is_taken_out_whole_and_little_else(start, hours, left):
    history = _with_outage(_history(), start, hours, left)
    mask, slots = _mask(history), _slots(history.grid, start, hours)
    assert mask[:, slots].mean() > 0.98
    # Half an hour of climbing back and two of redialling at most.
    beside = np.ones(history.grid.slots, dtype=np.bool_)
    beside[slots.start - 2 : slots.stop + 10] = False
    assert not mask[:, beside].any()
    assert mask.sum() <= TENANTS * (slots.stop - slots.start + 3)


def test_one_slot_of_it_is_enough_to_hold():
    history = _with_outage(_history("2026-06-03T13:15"), "2026-06-03T13:00", 0.25, 0.0)
    _, falling = _without_falls(history, [PLAIN] * TENANTS)
    assert falling.all()
    assert not _without_falls(_history("2026-06-03T13:15"), [PLAIN] * TENANTS)[1].any()


@pytest.mark.parametrize("share", [0.3, 0.5])
def test_climbing_back_and_redialling_teach_nothing_for_a_while(share):
    history = _with_outage(_history(), "2026-06-02T12:00", 2, 0.0, redial=1.6)
    climbing = _slots(history.grid, "2026-06-02T14:00", 0.25)
    history.values[:, climbing] = np.floor(history.values[:, climbing] * share)
    mask = _mask(history)
    assert mask[:, _slots(history.grid, "2026-06-02T14:00", 1)].mean() > 0.98
    assert not mask[:, _slots(history.grid, "2026-06-02T16:45", 4)].any()


def test_a_fleet_that_comes_back_is_still_falling_until_it_is_back():
    history = _with_outage(_history("2026-06-02T14:15"), "2026-06-02T12:00", 2, 0.0)
    history.values[:, -1] = np.floor(history.values[:, -1] * 0.5)
    assert _without_falls(history, [PLAIN] * TENANTS)[1].all()


def test_tenants_of_few_calls_are_recognised_together():
    history = _with_outage(_history(mean_size=0.01, step_s=300), "2026-06-02T10:00", 8, 0.0)
    mask, slots = _mask(history), _slots(history.grid, "2026-06-02T10:00", 8)
    assert history.values.mean() < 0.3
    assert mask[:, slots].mean() > 0.9
    assert mask.sum() < 1.4 * TENANTS * (slots.stop - slots.start)


def test_those_who_did_not_fall_keep_what_was_seen():
    history = _with_outage(_history(), "2026-06-02T10:00", 3, 0.0, rows=slice(0, 16))
    mask, slots = _mask(history), _slots(history.grid, "2026-06-02T10:00", 3)
    assert mask[:16, slots].mean() > 0.98
    assert mask[16:].mean() < 0.001


def test_call_rates_are_judged_by_the_calls_of_a_slot():
    counted = _with_outage(_history(), "2026-06-02T10:00", 0.5, 0.0)
    rates = LoadMatrix(Measure.CALL_RATE, counted.series, counted.grid, counted.values / np.float32(STEP_S))
    assert _mask(counted).any()
    np.testing.assert_array_equal(_mask(rates), _mask(counted))


def test_thousands_of_tenants_are_judged_by_some_and_all_are_taken_out():
    history = _history(days=28, step_s=1800, mean_size=0.1)
    many = np.tile(history.values, (60, 1))
    history = _with_outage(matrix(history.grid, many), "2026-06-02T10:00", 4, 0.0)
    mask, slots = _mask(history), _slots(history.grid, "2026-06-02T10:00", 4)
    assert mask.shape[0] == 2400
    assert mask[:, slots].mean() > 0.98


def test_what_is_missing_is_no_fall():
    history = _history()
    history.values[:25, _slots(history.grid, "2026-06-02T10:00", 3)] = np.nan
    assert common_falls(history, [PLAIN] * TENANTS) == ()


# What is no outage


@pytest.mark.parametrize("mean_size", [1.0, 0.1, 0.02])
@pytest.mark.parametrize("step_s", [300, 3600])
def test_an_ordinary_history_is_handed_back_as_it_is(mean_size, step_s):
    history = _history(step_s=step_s, mean_size=mean_size)
    without, falling = _without_falls(history, [PLAIN] * TENANTS)
    assert without is history
    assert not falling.any()


@pytest.mark.parametrize(
    "calendar",
    [
        CivilCalendar(country="US"),
        CivilCalendar(closures=(date(2026, 5, 25),)),
        CivilCalendar(events=(date(2026, 5, 25),)),
    ],
    ids=["holiday", "closure", "event"],
)
def test_a_special_day_is_no_outage(calendar):
    history = _with_outage(_history(), "2026-05-25T00:00", 24, 0.1)
    assert not _mask(history, calendar).any()
    assert _mask(history).any()


def test_the_closed_day_of_some_does_not_hide_the_outage_of_the_others():
    history = _with_outage(_history(), "2026-05-25T00:00", 24, 0.0, rows=slice(0, 12))
    history = _with_outage(history, "2026-05-25T11:00", 3, 0.0)
    closed = CivilCalendar(closures=(date(2026, 5, 25),))
    without, _ = _without_falls(history, [closed] * 12 + [PLAIN] * 28)
    slots = _slots(history.grid, "2026-05-25T11:00", 3)
    assert np.isnan(without.values[12:, slots]).mean() > 0.98


@pytest.mark.parametrize("fallen", [1, 2])
def test_one_or_two_tenants_that_fall_are_no_outage(fallen):
    history = _with_outage(_history(), "2026-06-02T10:00", 6, 0.0, rows=slice(0, fallen))
    assert not _mask(history).any()
    # Not even where there are no others.
    few = matrix(history.grid, history.values[:fallen])
    assert not _mask(few).any()


def test_the_failure_of_the_largest_tenant_is_no_outage():
    history = _history()
    history.values[0] = np.random.default_rng(3).poisson(40 * _rates(history.grid)[0])
    assert not _mask(_with_outage(history, "2026-06-02T10:00", 6, 0.0, rows=slice(0, 1))).any()


@pytest.mark.parametrize("hours", [8, 14 * 24], ids=["over a day", "over two weeks"])
def test_a_slow_decline_is_no_outage(hours):
    history = _history()
    last = _slots(history.grid, "2026-06-04T20:00", 0.25).start
    slots = slice(last - hours * HOUR_S // STEP_S, history.grid.slots)
    shares = np.maximum(0.2, 1 - 0.8 * np.arange(slots.stop - slots.start) / (last - slots.start))
    history.values[:, slots] = np.random.default_rng(4).binomial(history.values[:, slots].astype(np.int64), shares)
    assert not _mask(history).any()


@pytest.mark.parametrize("left", [0.7, 0.1, 0.0])
def test_a_level_that_breaks_for_good_is_learnt_after_a_day_of_open_hours(left):
    history = _with_outage(_history("2026-06-05"), "2026-05-28T10:00", 24 * 8, left)
    mask = _mask(history)
    assert not mask[:, _slots(history.grid, "2026-05-30T12:00", 24 * 6)].any()
    assert mask[:, _slots(history.grid, "2026-05-28T10:00", 20)].mean() > 0.98 or left == 0.7


def _mask_of_halved(hours: int, end: str):
    """Taken out of the first 20 hours of a halving that lasts so long, as seen at the end."""
    history = _with_outage(_history("2026-06-05"), "2026-06-01T10:00", hours, 0.4)
    until = history.grid.index_of(instant(end))
    seen = matrix(SlotGrid(history.grid.start_s, STEP_S, until), history.values[:, :until])
    return _mask(seen)[:, _slots(history.grid, "2026-06-01T10:00", 20)]


def test_the_first_day_of_a_new_level_is_an_outage_only_until_it_has_lasted():
    assert _mask_of_halved(24 * 8, "2026-06-01T22:00").mean() > 0.9
    assert not _mask_of_halved(24 * 8, "2026-06-03T10:00").any()
    # Nor is it one again when the earlier weeks have the new level too.
    lasting = _with_outage(_history("2026-06-29", days=66), "2026-06-01T10:00", 24 * 28, 0.4)
    assert not _mask(lasting)[:, _slots(lasting.grid, "2026-06-01T10:00", 20)].any()
    # What has come back was one after all; by night two fifths that are left say too little.
    assert _mask_of_halved(30, "2026-06-04T20:00").mean() > 0.6


def test_an_outage_before_a_new_level_stays_one():
    history = _with_outage(_history("2026-06-05"), "2026-05-27T10:00", 3, 0.0)
    history = _with_outage(history, "2026-06-01T10:00", 24 * 8, 0.4)
    assert _mask(history)[:, _slots(history.grid, "2026-05-27T10:00", 3)].all()


# Nothing is known in advance


def test_what_comes_later_says_nothing_of_what_was_more_than_six_hours_before():
    history = _with_outage(_history(), "2026-05-28T10:00", 8, 0.1, redial=1.5)
    history = _with_outage(history, "2026-06-02T12:00", 30, 0.0)
    whole = _mask(history)
    first = history.grid.index_of(instant("2026-05-28T08:00"))
    for end in range(first, history.grid.slots, 7):
        grid = SlotGrid(history.grid.start_s, STEP_S, end)
        settled = end - 6 * HOUR_S // STEP_S
        part = _mask(matrix(grid, history.values[:, :end]))
        np.testing.assert_array_equal(part[:, :settled], whole[:, :settled])


# Sums and bad input


def test_a_fleet_is_masked_where_members_that_matter_to_it_fell():
    history = _with_outage(_history(), "2026-06-02T10:00", 3, 0.0, rows=slice(0, 20))
    names = history.series
    members = {"fell": names[:10], "stood": names[20:], "mixed": names[15:25], "unknown": ("nobody",)}
    sums = fleet_sums(history, members)
    falls = falls_of_sums(common_falls(history, [PLAIN] * TENANTS), history, members)
    gone = np.isnan(masked(sums, falls).values[:, _slots(history.grid, "2026-06-02T10:00", 3)])
    np.testing.assert_array_equal(gone.mean(axis=1)[[0, 1, 2]] > 0.98, [True, False, True])
    assert not gone[1].any()
    assert not falling_now(sums, falls).any()


def test_a_fleet_does_not_lose_sight_over_a_member_of_no_weight():
    history = _history()
    history.values[30] = np.floor(history.values[30] / 20)
    history = _with_outage(history, "2026-06-02T10:00", 3, 0.0, rows=slice(0, 31))
    largest = [history.series[row] for row in np.argsort(history.values[31:].sum(axis=1))[::-1] + 31]
    members = {"large": (*largest, history.series[30])}
    assert falls_of_sums(common_falls(history, [PLAIN] * TENANTS), history, members) == ()


def test_too_few_calendars_are_refused():
    with pytest.raises(ForecastInputError, match="39 calendars for 40 series"):
        common_falls(_history(days=9), [PLAIN] * 39)


@pytest.mark.parametrize("shape", [(0, 2000), (3, 0), (3, 1), (3, 3000)])
def test_nothing_to_judge_is_no_fall(shape):
    grid = SlotGrid(instant("2026-06-01"), STEP_S, shape[1])
    for value in (np.nan, 0.0, 1e30):
        assert common_falls(matrix(grid, np.full(shape, value, np.float32)), [PLAIN] * shape[0]) == ()
