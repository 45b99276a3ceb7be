"""What special days teach, and what they teach nothing: holidays and the days around them, events of known size."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from forecasting.calendar import CivilCalendar, SizedEvent
from forecasting.forecast import QuantileForecast
from forecasting.load import LoadMatrix
from forecasting.models import default_forecaster
from tests.forecasting.histories import HOUR_S, at_local, counts, days_before, matrix, office, office_rates

NEW_YORK = "America/New_York"
EVENT = date(2026, 6, 12)


def forecast_of(history: LoadMatrix, *calendars: CivilCalendar, hours: int = 24) -> QuantileForecast:
    return default_forecaster().forecast(history, list(calendars), history.grid.after(hours * 3600 // HOUR_S))


def busy(
    forecast: QuantileForecast, zone: str = "UTC", day: date | None = None, series: int = 0, quantile: float = 0.5
):
    """Mean of the path from nine to five on a local day (any when left out)."""
    hours = at_local(forecast.grid, zone, lambda at: 9 <= at.hour < 17 and day in (None, at.date()))
    return float(forecast.path(f"tenant-{series}", quantile)[hours].mean())


def with_days(text: str, days: int, factors: dict[date, float], zone: str = "UTC", *, series: int = 1, seed: int = 1):
    """An office's history in which some local days were so much busier or quieter."""
    grid = days_before(text, days, zone=zone)
    rates = office_rates(grid, zone)
    for day, factor in factors.items():
        rates = np.where(at_local(grid, zone, lambda at, day=day: at.date() == day), rates * factor, rates)
    return matrix(grid, counts(rates, series, seed))


@pytest.mark.parametrize(("factor", "expected"), [(1.4, 140), (0.5, 50), (3.0, 300)])
def test_a_stated_share_is_laid_on_the_ordinary_day(factor: float, expected: float):
    history = office(days_before("2026-06-12", 42))
    forecast = forecast_of(history, CivilCalendar(sized_events=(SizedEvent(EVENT, factor=factor),)))
    assert busy(forecast) == pytest.approx(expected, rel=0.1)


def test_a_stated_size_leaves_less_doubt_than_none():
    history = office(days_before("2026-06-12", 42), series=2)
    forecast = forecast_of(
        history,
        CivilCalendar(sized_events=(SizedEvent(EVENT, factor=1.1),)),
        CivilCalendar(events=(EVENT,)),
    )
    sized, unsized = (busy(forecast, series=series, quantile=0.95) / busy(forecast, series=series) for series in (0, 1))
    assert 1.1 < sized < unsized - 0.1


def test_an_event_goes_like_the_day_it_names_at_todays_level():
    # Then calls came in the evening, at half of today's level.
    like = date(2026, 5, 1)
    grid = days_before("2026-06-12", 70)
    evening = at_local(grid, "UTC", lambda at: at.date() == like and 17 <= at.hour < 22)
    since = at_local(grid, "UTC", lambda at: at.date() >= date(2026, 5, 8))
    rates = np.where(evening, 40.0, office_rates(grid, quiet=10.0) * np.where(since, 1.0, 0.5))
    history = matrix(grid, counts(rates, 1))
    forecast = forecast_of(history, CivilCalendar(sized_events=(SizedEvent(EVENT, like=like),)))
    hour = forecast.path("tenant-0", 0.5)
    # Eight times its ordinary evening, as the level since then says, and an office day as ever.
    assert 50 < hour[18:21].mean() < 110
    assert hour[10:16].mean() == pytest.approx(100, rel=0.15)
    assert hour[1:7].mean() < 20


def test_each_tenant_goes_as_its_own_day_went():
    like = date(2026, 5, 29)
    quiet = with_days("2026-06-12", 56, {like: 0.3}, series=2)
    loud = with_days("2026-06-12", 56, {like: 2.0}, series=2)
    values = np.concatenate([quiet.values, loud.values])[[0, 2, 1, 3]]
    sized = CivilCalendar(sized_events=(SizedEvent(EVENT, like=like),))
    forecast = forecast_of(matrix(quiet.grid, values), sized, sized, CivilCalendar(), sized)
    assert busy(forecast, series=0) == pytest.approx(30, rel=0.2)
    assert busy(forecast, series=1) == pytest.approx(200, rel=0.15)
    assert busy(forecast, series=2) == pytest.approx(100, rel=0.15)
    assert busy(forecast, series=3) == pytest.approx(200, rel=0.15)


def test_a_day_before_all_history_says_as_little_as_no_size():
    history = with_days("2026-06-12", 42, {date(2026, 5, 14): 1.7, date(2026, 5, 28): 1.7})
    earlier = (date(2026, 5, 14), date(2026, 5, 28))
    unsized = forecast_of(history, CivilCalendar(events=(*earlier, EVENT)))
    unheld = CivilCalendar(events=earlier, sized_events=(SizedEvent(EVENT, like=date(2025, 6, 13)),))
    np.testing.assert_array_equal(forecast_of(history, unheld).values, unsized.values)
    assert busy(unsized) > 112


def test_a_day_that_was_hardly_observed_is_no_example():
    like = date(2026, 5, 29)
    history = with_days("2026-06-12", 42, {like: 3.0})
    history.values[:, at_local(history.grid, "UTC", lambda at: at.date() == like and at.hour < 16)] = np.nan
    forecast = forecast_of(history, CivilCalendar(sized_events=(SizedEvent(EVENT, like=like),)))
    assert busy(forecast) == pytest.approx(100, rel=0.15)


def test_an_event_of_stated_size_teaches_the_ordinary_week_nothing():
    past = date(2026, 6, 5)
    history = with_days("2026-06-12", 42, {past: 6.0})
    forecast = forecast_of(history, CivilCalendar(sized_events=(SizedEvent(past, factor=6.0),)))
    assert busy(forecast) == pytest.approx(100, rel=0.1)


def test_a_closure_that_lies_beyond_the_week_is_still_known_to_be_still():
    history = office(days_before("2026-06-12T12:00", 42))
    forecast = forecast_of(history, CivilCalendar(closures=(date(2026, 6, 15),)), hours=96)
    monday = at_local(forecast.grid, "UTC", lambda at: at.date() == date(2026, 6, 15))
    assert 1 < forecast.path("tenant-0", 0.5)[monday].mean() < 10


def test_columbus_day_goes_as_any_monday():
    # Labor Day was still.
    history = with_days("2025-10-13T00:00", 84, {date(2025, 9, 1): 0.05}, NEW_YORK)
    assert busy(forecast_of(history, CivilCalendar(NEW_YORK, "US")), NEW_YORK) > 65


def test_a_tenant_learns_from_the_bridges_of_others():
    # The Friday after Thanksgiving, by the Friday after Independence Day.
    quiet = dict.fromkeys((date(2024, 7, 4), date(2024, 9, 2), date(2024, 11, 28)), 0.05)
    end, days = "2024-11-29T00:00", 160
    worked = with_days(end, days, quiet, NEW_YORK, series=2)
    free = with_days(end, days, quiet | {date(2024, 7, 5): 0.05}, NEW_YORK, series=2, seed=2)
    for history in (worked, free):
        # The newest tenant has seen no bridge.
        history.values[1, : -60 * 24] = np.nan
    calendars = [CivilCalendar(NEW_YORK, "US")] * 2
    assert busy(forecast_of(worked, *calendars), NEW_YORK, series=1) > 60
    assert busy(forecast_of(free, *calendars), NEW_YORK, series=1) < 35


def test_a_holiday_goes_as_it_went_under_its_name():
    # Memorial Day is as busy as any day, all others are still.
    still = (date(2024, 7, 4), date(2024, 9, 2), date(2024, 11, 28), date(2024, 12, 25), date(2025, 1, 1))
    history = with_days("2025-05-26T00:00", 380, dict.fromkeys(still, 0.05), NEW_YORK)
    known = forecast_of(history, CivilCalendar(NEW_YORK, "US"))
    short = matrix(days_before("2025-05-26T00:00", 350, zone=NEW_YORK), history.values[:, -350 * 24 :])
    unknown = forecast_of(short, CivilCalendar(NEW_YORK, "US"))
    assert busy(known, NEW_YORK) > 1.4 * busy(unknown, NEW_YORK)


def test_holidays_that_went_alike_leave_less_doubt_than_ones_that_did_not():
    days = (date(2024, 12, 25), date(2025, 1, 1), date(2025, 1, 20), date(2025, 2, 17))
    alike = with_days("2025-05-26T00:00", 180, dict.fromkeys(days, 0.4), NEW_YORK)
    differing = with_days("2025-05-26T00:00", 180, dict(zip(days, (0.1, 1.0, 0.1, 1.0), strict=True)), NEW_YORK)
    width = [
        busy(forecast, NEW_YORK, quantile=0.95) / busy(forecast, NEW_YORK)
        for forecast in (forecast_of(history, CivilCalendar(NEW_YORK, "US")) for history in (alike, differing))
    ]
    assert width[0] < 0.85 * width[1]


def test_the_evening_before_a_holiday_is_learnt_from_earlier_ones():
    # Where the week begins on Sunday, and work ends at noon on the eve of a holiday.
    zone = "Asia/Jerusalem"
    grid = days_before("2026-05-21T00:00", 80, zone=zone)
    eves = (date(2026, 4, 1), date(2026, 4, 7), date(2026, 4, 21))
    still = (date(2026, 4, 2), date(2026, 4, 8), date(2026, 4, 22))
    ends = at_local(grid, zone, lambda at: at.date() in eves and at.hour >= 12)
    holiday = at_local(grid, zone, lambda at: at.date() in still)
    working = at_local(grid, zone, lambda at: (at.weekday() + 1) % 7 < 5 and 9 <= at.hour < 19)
    rates = np.where(working & ~ends & ~holiday, 100.0, 3.0)
    history = matrix(grid, counts(rates, 1))
    path = forecast_of(history, CivilCalendar(zone, "IL")).path("tenant-0", 0.5)
    assert path[15:19].mean() < 25
    assert path[9:12].mean() > 45
