"""A lasting change of level is taken out of the past; what soon passes is not."""

from __future__ import annotations

import numpy as np
import pytest

from forecasting.calendar import CivilCalendar
from forecasting.forecast import QUANTILES, Trust
from forecasting.grid import SlotGrid
from forecasting.load import Float32Array, LoadMatrix, Measure
from forecasting.models.chunks import chunks_of
from forecasting.models.level_breaks import LevelBreaks, level_breaks
from forecasting.models.seasonal_profile import SeasonalProfile

STEP_S = 1800
DAY = 86400 // STEP_S
MONDAY_S = 1_767_571_200
WEEKS = 8
SERIES = 4
CALENDAR = CivilCalendar("UTC")
BROKE_DAYS_AGO = 4


def office_weeks(factor_of_day: dict[int, float] | None = None, calendar_days: int = WEEKS * 7) -> LoadMatrix:
    """Poisson counts around office days, times a factor from some days on until the next named day."""
    rng = np.random.default_rng(11)
    slots = calendar_days * DAY
    hour = np.arange(slots) % DAY * 24 / DAY
    rate = (5 + 60 * np.exp(-(((hour - 13) / 4) ** 2))) * np.where(np.arange(slots) // DAY % 7 < 5, 1.0, 0.4)
    for day, factor in sorted((factor_of_day or {}).items()):
        rate[day * DAY :] *= factor
    values = rng.poisson(rate * np.ones((SERIES, 1))).astype(np.float32)
    grid = SlotGrid(MONDAY_S, STEP_S, slots)
    return LoadMatrix(Measure.CHANNELS, tuple(f"tenant {row}" for row in range(SERIES)), grid, values)


def breaks_of(history: LoadMatrix, calendar: CivilCalendar = CALENDAR) -> LevelBreaks:
    (chunk,) = chunks_of([calendar] * len(history.series), history.grid)
    return level_breaks(chunk, history.values, 1.0)


def tomorrow(history: LoadMatrix) -> Float32Array:
    calendars = [CALENDAR] * len(history.series)
    return SeasonalProfile().forecast(history, calendars, history.grid.after(DAY)).values


def test_ordinary_weeks_have_no_break() -> None:
    assert breaks_of(office_weeks()).series.size == 0


@pytest.mark.parametrize("factor", [0.5, 1.6])
def test_a_break_is_found_where_it_was_and_as_large(factor: float) -> None:
    found = breaks_of(office_weeks({WEEKS * 7 - BROKE_DAYS_AGO: factor}))
    assert sorted(found.series.tolist()) == list(range(SERIES))
    assert found.factor == pytest.approx(factor, rel=0.1)
    assert np.abs(found.slot / DAY - (WEEKS * 7 - BROKE_DAYS_AGO)).max() <= 0.25


def test_the_past_is_multiplied_and_the_days_since_are_left() -> None:
    history = office_weeks({WEEKS * 7 - BROKE_DAYS_AGO: 0.5})
    levelled = breaks_of(history).taken_out(history.values)
    # It is seen in blocks of six hours, so the first of them may still belong to the past.
    since = slice((WEEKS * 7 - BROKE_DAYS_AGO) * DAY + DAY // 4, None)
    assert np.array_equal(levelled[:, since], history.values[:, since])
    before = slice(0, (WEEKS * 7 - BROKE_DAYS_AGO - 1) * DAY)
    assert levelled[:, before].sum() == pytest.approx(0.5 * history.values[:, before].sum(), rel=0.1)


@pytest.mark.parametrize("factor", [0.5, 1.6])
def test_the_day_after_a_break_is_forecast_at_the_new_level(factor: float) -> None:
    broken = tomorrow(office_weeks({WEEKS * 7 - BROKE_DAYS_AGO: factor}))
    plain = tomorrow(office_weeks())
    median, upper = QUANTILES.index(0.5), QUANTILES.index(0.95)
    assert broken[..., median].sum() == pytest.approx(factor * plain[..., median].sum(), rel=0.06)
    # The bands are those of the new level too: a halved tenant is not held at the fleet of before.
    assert broken[..., upper].sum() < factor * plain[..., upper].sum() * 1.15


def test_a_day_off_that_no_calendar_knows_is_no_break() -> None:
    day = WEEKS * 7 - 2
    assert breaks_of(office_weeks({day: 0.3, day + 1: 1 / 0.3})).series.size == 0
    # Nor while it lasts: the next morning must not meet half a fleet.
    assert breaks_of(office_weeks({day: 0.3}, calendar_days=day + 1)).series.size == 0


@pytest.mark.parametrize(("hours", "believed"), [(30, False), (36, True)])
def test_less_is_believed_when_it_has_outlasted_the_morning_after(hours: int, believed: bool) -> None:
    history = office_weeks(calendar_days=WEEKS * 7 - 2)
    fallen = history.values.copy()
    until = (WEEKS * 7 - 4) * DAY + hours * 2
    fallen[:, (WEEKS * 7 - 4) * DAY :] = np.round(fallen[:, (WEEKS * 7 - 4) * DAY :] * 0.3)
    grid = SlotGrid(MONDAY_S, STEP_S, until)
    known = LoadMatrix(history.measure, history.series, grid, fallen[:, :until])
    assert (breaks_of(known).series.size == SERIES) == believed


def test_quiet_days_around_a_holiday_are_no_break() -> None:
    monday = WEEKS * 7 - 4
    history = office_weeks({monday - 3: 0.4, monday + 1: 2.5})
    assert breaks_of(history).series.size > 0
    holiday = np.datetime64(MONDAY_S + monday * 86400, "s").astype("datetime64[D]").item()
    off = CivilCalendar("UTC", closures=(holiday,))
    assert breaks_of(history, off).series.size == 0


def test_what_comes_after_a_slot_changes_no_break_before_it() -> None:
    history = office_weeks({WEEKS * 7 - BROKE_DAYS_AGO: 0.5})
    grid = history.grid
    until = grid.slots - DAY
    known = LoadMatrix(
        history.measure, history.series, SlotGrid(grid.start_s, STEP_S, until), history.values[:, :until]
    )
    early, late = breaks_of(known), breaks_of(history)
    assert early.series.size == SERIES
    assert (early.slot == late.slot).all()
    assert (early.factor == late.factor).all()


def test_a_hole_in_the_data_is_no_break() -> None:
    history = office_weeks()
    values = history.values.copy()
    values[:, -3 * DAY :] = np.nan
    assert breaks_of(LoadMatrix(history.measure, history.series, history.grid, values)).series.size == 0


@pytest.mark.parametrize("factor", [0.5, 1.6])
def test_a_resized_past_is_as_noisy_as_what_has_that_size(factor: float) -> None:
    history = office_weeks({WEEKS * 7 - BROKE_DAYS_AGO: factor})
    learnt_from = breaks_of(history).to_learn_from(history.values, 1.0)
    always = office_weeks({0: factor})
    assert (learnt_from == np.round(learnt_from)).all()
    # Six weeks, each day alone, from ten to four.
    by_day = (SERIES, WEEKS - 2, 7, DAY)
    found, expected = (
        values[:, : (WEEKS - 2) * 7 * DAY].reshape(by_day)[..., 20:32] for values in (learnt_from, always.values)
    )
    assert found.mean() == pytest.approx(expected.mean(), rel=0.1)
    # A count's variance is its mean. Of a count times a factor it would be the factor times that.
    ratio = found.var(axis=(0, 1), ddof=1) / found.mean(axis=(0, 1))
    assert ratio.mean() == pytest.approx(1.0, abs=0.2)


def test_a_grown_past_is_as_closed_at_night_as_it_was() -> None:
    history = office_weeks({WEEKS * 7 - BROKE_DAYS_AGO: 1.6})
    closed = np.arange(history.grid.slots) % DAY < 16
    history.values[:, closed] = 0.0
    found = breaks_of(history)
    assert found.series.size == SERIES
    assert (found.to_learn_from(history.values, 1.0)[:, closed] == 0).all()


def test_coverage_is_what_it_promises_a_week_after_the_tenants_halved() -> None:
    whole = office_weeks({WEEKS * 7 - 10: 0.5})
    slots = whole.grid.slots
    covered = []
    for back in (6, 5, 4, 3, 2, 1):
        until = slots - back * DAY
        grid = SlotGrid(MONDAY_S, STEP_S, until)
        history = LoadMatrix(whole.measure, whole.series, grid, whole.values[:, :until])
        line = tomorrow(history)[..., QUANTILES.index(0.95)]
        covered.append(whole.values[:, until : until + DAY] <= line)
    assert 0.93 < np.mean(covered) < 0.985


@pytest.mark.parametrize("days", [1, 2])
def test_trust_remembers_that_the_break_was_not_foreseen(days: int) -> None:
    history = office_weeks({WEEKS * 7 - days: 3.0})
    calendars = [CALENDAR] * SERIES
    outcome = SeasonalProfile().forecast(history, calendars, history.grid.after(DAY))
    assert set(outcome.trust) == {Trust.DEGRADED}, outcome.trust_reasons
    for reason in outcome.trust_reasons:
        # The hours since a day that missed: of the second day, the band of the level that was known by then holds.
        assert "above the 95 % line" in reason if days == 1 else int(reason.split()[0]) < 24, reason
