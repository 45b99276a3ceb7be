"""The working day is forecast where people live it: by their clock, their holidays, their closures."""

from datetime import date

import numpy as np
import pytest

from forecasting.calendar import CivilCalendar
from forecasting.forecast import Forecaster
from forecasting.load import LoadMatrix
from forecasting.models import MODELS, default_forecaster
from tests.forecasting.histories import DAY_S, HOUR_S, at_local, counts, days_before, matrix, office, office_rates

NEW_YORK, BERLIN = "America/New_York", "Europe/Berlin"
BOTH = pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)


def _medians(model: Forecaster, history: LoadMatrix, calendar: CivilCalendar, hours: int):
    ahead = history.grid.after(hours * HOUR_S // history.grid.step_s)
    return ahead, model.forecast(history, [calendar] * len(history.series), ahead).path("tenant-0", 0.5)


@BOTH
@pytest.mark.parametrize(
    ("issued", "first_day"),
    [("2026-03-07T12:00", date(2026, 3, 9)), ("2026-10-31T12:00", date(2026, 11, 2))],
    ids=["spring forward", "fall back"],
)
def test_the_nine_o_clock_peak_stays_at_nine_across_a_clock_change(model, issued, first_day):
    history = office(days_before(issued, 42, zone=NEW_YORK), NEW_YORK)
    ahead, median = _medians(model, history, CivilCalendar(NEW_YORK), 72)
    nine = at_local(ahead, NEW_YORK, lambda at: at.date() == first_day and at.hour == 9)
    eight = at_local(ahead, NEW_YORK, lambda at: at.date() == first_day and at.hour == 8)
    assert median[nine].item() == pytest.approx(100, abs=35)
    assert median[eight].item() < 20


@BOTH
def test_a_week_that_holds_a_clock_change_teaches_the_right_hours(model):
    history = office(days_before("2026-03-15T00:00", 42, zone=NEW_YORK), NEW_YORK)
    ahead, median = _medians(model, history, CivilCalendar(NEW_YORK), 48)
    busy = at_local(ahead, NEW_YORK, lambda at: at.weekday() < 5 and 9 <= at.hour < 17)
    assert median[busy].min() > 60
    assert median[~busy].max() < 20


def test_a_holiday_is_no_ordinary_weekday_and_only_in_its_country():
    # German Unity Day, and no German holiday in the eight weeks before it.
    history = office(days_before("2025-10-02T00:00", 56, zone=BERLIN), BERLIN)
    ahead, abroad = _medians(default_forecaster(), history, CivilCalendar(BERLIN), 48)
    _, at_home = _medians(default_forecaster(), history, CivilCalendar(BERLIN, "DE"), 48)
    noon = at_local(ahead, BERLIN, lambda at: at.date() == date(2025, 10, 3) and at.hour == 12)
    assert abroad[noon].item() > 80
    assert at_home[noon].item() < 40


def test_a_tenant_that_worked_through_its_holidays_is_expected_to_do_so_again():
    # Memorial Day and Juneteenth were as busy as any day.
    history = office(days_before("2025-07-03T00:00", 56, zone=NEW_YORK), NEW_YORK)
    ahead, median = _medians(default_forecaster(), history, CivilCalendar(NEW_YORK, "US"), 48)
    noon = at_local(ahead, NEW_YORK, lambda at: at.date() == date(2025, 7, 4) and at.hour == 12)
    assert median[noon].item() > 60


def test_a_holiday_that_may_yet_be_busy_keeps_headroom():
    history = office(days_before("2025-10-02T00:00", 56, zone=BERLIN), BERLIN)
    ahead = history.grid.after(48)
    forecast = default_forecaster().forecast(history, [CivilCalendar(BERLIN, "DE")], ahead)
    noon = at_local(ahead, BERLIN, lambda at: at.date() == date(2025, 10, 3) and at.hour == 12)
    quiet = at_local(ahead, BERLIN, lambda at: at.date() == date(2025, 10, 3) and at.hour == 3)
    assert forecast.path("tenant-0", 0.95)[noon].item() > 2 * forecast.path("tenant-0", 0.5)[noon].item()
    assert forecast.path("tenant-0", 0.95)[quiet].item() < 20


@pytest.mark.parametrize("kind", ["holiday", "event", "closure"])
def test_a_special_day_leaves_no_echo_a_week_later(kind):
    grid = days_before("2025-07-11T00:00", 56, zone=NEW_YORK)
    special = at_local(grid, NEW_YORK, lambda at: at.date() == date(2025, 7, 4))
    rates = np.where(special, 900.0 if kind == "event" else 0.5, office_rates(grid, NEW_YORK))
    days = {"event": {"events": (date(2025, 7, 4),)}, "closure": {"closures": (date(2025, 7, 4),)}}
    calendar = CivilCalendar(NEW_YORK, "US" if kind == "holiday" else None, **days.get(kind, {}))
    ahead, median = _medians(default_forecaster(), matrix(grid, counts(rates, 1)), calendar, 24)
    busy = at_local(ahead, NEW_YORK, lambda at: 9 <= at.hour < 17)
    assert median[busy].mean() == pytest.approx(100, rel=0.1)


def test_a_closed_day_is_forecast_as_still_as_the_last_one():
    grid = days_before("2025-06-19T00:00", 42)
    closed = (date(2025, 6, 4), date(2025, 6, 19))
    rates = np.where(at_local(grid, "UTC", lambda at: at.date() == closed[0]), 1.0, office_rates(grid))
    ahead = grid.after(24)
    calendar = CivilCalendar(closures=closed)
    forecast = default_forecaster().forecast(matrix(grid, counts(rates, 1)), [calendar], ahead)
    assert forecast.path("tenant-0", 0.5).max() < 4
    assert forecast.path("tenant-0", 0.99).max() < 30


def test_the_first_closed_day_is_as_still_as_the_night():
    history = office(days_before("2025-06-19T00:00", 42))
    _, median = _medians(default_forecaster(), history, CivilCalendar(closures=(date(2025, 6, 19),)), 24)
    assert median.max() < 10


@BOTH
def test_a_gap_is_not_learnt_as_zero(model):
    whole = office(days_before("2026-06-01", 42))
    values = whole.values.copy()
    week = values[:, -7 * 24 :]
    week[:, np.random.default_rng(3).random(7 * 24) < 0.5] = np.nan
    ahead, full = _medians(model, whole, CivilCalendar(), 48)
    _, holed = _medians(model, matrix(whole.grid, values), CivilCalendar(), 48)
    busy = at_local(ahead, "UTC", lambda at: at.weekday() < 5 and 9 <= at.hour < 17)
    assert holed[busy].mean() == pytest.approx(full[busy].mean(), rel=0.06)
    assert holed[busy].min() > 60


def test_hours_that_are_never_observed_do_not_pull_the_observed_ones_down():
    grid = days_before("2026-06-01", 42)
    rates = np.full(grid.slots, 200.0)
    values = counts(rates, 1)
    values[:, ~at_local(grid, "UTC", lambda at: at.weekday() < 5 and 7 <= at.hour < 21)] = np.nan
    ahead, median = _medians(default_forecaster(), matrix(grid, values), CivilCalendar(), 24)
    open_hours = at_local(ahead, "UTC", lambda at: 7 <= at.hour < 21)
    np.testing.assert_allclose(median[open_hours], 200, rtol=0.1)


def test_a_level_that_rose_two_days_ago_is_followed():
    grid = days_before("2026-06-05", 42)
    risen = at_local(grid, "UTC", lambda at: at.date() >= date(2026, 6, 3))
    rates = office_rates(grid) * np.where(risen, 1.8, 1.0)
    ahead, median = _medians(default_forecaster(), matrix(grid, counts(rates, 6)), CivilCalendar(), 24)
    busy = at_local(ahead, "UTC", lambda at: 9 <= at.hour < 17)
    assert median[busy].mean() > 125


def test_the_day_after_a_burst_is_not_forecast_as_a_burst():
    grid = days_before("2026-06-04", 42)
    history = office(grid, series=4)
    history.values[:, -DAY_S // HOUR_S - 12 : -DAY_S // HOUR_S - 11] = 5000
    ahead, median = _medians(default_forecaster(), history, CivilCalendar(), 24)
    busy = at_local(ahead, "UTC", lambda at: 9 <= at.hour < 17)
    assert median[busy].mean() == pytest.approx(100, rel=0.35)
