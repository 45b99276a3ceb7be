"""What a week of the past carried: of what was seen and ordinary, and never less for what was not seen."""

import numpy as np
import pytest

from forecasting.calendar import CivilCalendar
from forecasting.errors import ForecastInputError
from forecasting.models.common_fall import CommonFall
from forecasting.outlook.weekly_levels import weekly_levels
from tests.forecasting.histories import HOUR_S, at_local, days_before, matrix, office_rates

WEEK = 168
OPEN_MEAN = (40 * 100 + 128 * 4) / 168
"""Of the office: forty busy hours a week."""


def _office(weeks, zone="UTC", step_s=HOUR_S):
    # Ends on a Monday.
    grid = days_before("2026-06-08", 7 * weeks, zone=zone, step_s=step_s)
    return matrix(grid, office_rates(grid, zone).astype(np.float32)[None])


def test_a_whole_week_is_its_mean_and_its_busiest_hour():
    history = _office(10)
    history.values[0, 3 * WEEK + 33] = 160
    levels = weekly_levels(history, [CivilCalendar()], ())
    np.testing.assert_allclose(np.delete(levels.mean[0], 3), OPEN_MEAN, rtol=1e-5)
    assert levels.busy_hour[0, 3] == pytest.approx(160)
    assert levels.busy_hour[0, 4] == pytest.approx(100)


def test_the_busy_hour_is_the_mean_of_an_hour_not_its_highest_slot():
    history = _office(10, step_s=900)
    at = 5 * 4 * WEEK + 4 * 33
    history.values[0, at : at + 4] = [100, 100, 100, 300]
    levels = weekly_levels(history, [CivilCalendar()], ())
    assert levels.busy_hour[0, 5] == pytest.approx(150)


def test_a_gap_makes_no_week_smaller():
    history = _office(10)
    history.values[0, 4 * WEEK + 24 : 4 * WEEK + 48] = np.nan  # a Tuesday, which is busy
    history.values[0, 6 * WEEK + 96 : 7 * WEEK] = np.nan  # from Friday on: most of the rest is quiet
    levels = weekly_levels(history, [CivilCalendar()], ())
    np.testing.assert_allclose(levels.mean[0], OPEN_MEAN, rtol=5e-3)
    np.testing.assert_allclose(levels.busy_hour[0], 100, rtol=5e-3)


def test_of_a_week_that_was_hardly_seen_nothing_is_told():
    history = _office(10)
    history.values[0, 4 * WEEK + 24 : 5 * WEEK] = np.nan
    levels = weekly_levels(history, [CivilCalendar()], ())
    assert np.isnan([levels.mean[0, 4], levels.busy_hour[0, 4]]).all()
    assert not np.isnan(np.delete(levels.mean[0], 4)).any()


def test_a_week_with_a_holiday_is_as_large_as_its_neighbours():
    history = _office(10)
    # Memorial Day, 25 May 2026, is a Monday: nobody calls.
    history.values[0, 8 * WEEK : 8 * WEEK + 24] = 1
    with_holidays, without = (
        weekly_levels(history, [CivilCalendar("UTC", country)], ()).mean[0] for country in ("US", None)
    )
    assert with_holidays[8] == pytest.approx(OPEN_MEAN, rel=0.01)
    assert without[8] < 0.9 * OPEN_MEAN


def test_an_outage_common_to_many_is_taken_out():
    history = _office(10)
    start = 4 * WEEK + 30
    history.values[0, start : start + 12] = 0
    at_s = history.grid.start_s + start * HOUR_S
    fall = CommonFall(at_s, at_s + 12 * HOUR_S, np.array([0]))
    assert weekly_levels(history, [CivilCalendar()], [fall]).mean[0, 4] == pytest.approx(OPEN_MEAN, rel=0.01)
    assert weekly_levels(history, [CivilCalendar()], []).mean[0, 4] < 0.9 * OPEN_MEAN


def test_hours_that_are_never_seen_are_closed_and_not_zero():
    history = _office(10)
    history.values[:, ~at_local(history.grid, "UTC", lambda at: at.weekday() < 5 and 9 <= at.hour < 17)] = np.nan
    levels = weekly_levels(history, [CivilCalendar()], ())
    np.testing.assert_allclose(levels.mean[0], 100, rtol=1e-5)


def test_weeks_begin_on_the_local_monday_and_outlive_a_change_of_the_clock():
    # Clocks in New York went forward on 8 March 2026.
    history = _office(20, "America/New_York")
    levels = weekly_levels(history, [CivilCalendar("America/New_York")], ())
    # Five months of days before are an hour of a Sunday more.
    assert np.datetime64(levels.first_day, "D") == np.datetime64("2026-01-12")
    assert np.isnan(levels.mean[0, 0])
    np.testing.assert_allclose(levels.mean[0, 1:], OPEN_MEAN, rtol=1e-3)


def test_tenants_of_different_zones_lie_on_the_same_weeks():
    grid = days_before("2026-06-08", 70)
    zones = ("Pacific/Auckland", "America/New_York")
    history = matrix(grid, np.array([office_rates(grid, zone) for zone in zones], dtype=np.float32))
    levels = weekly_levels(history, [CivilCalendar(zone) for zone in zones], ())
    # The grid begins on a Sunday in New York, which belongs to the week before.
    assert np.datetime64(levels.first_day, "D") == np.datetime64("2026-03-23")
    np.testing.assert_allclose(levels.mean[:, 1:-1], OPEN_MEAN, rtol=1e-2)


def test_a_lasting_change_is_taken_out_of_the_past_but_not_of_what_came():
    history = _office(12)
    history.values[0, 6 * WEEK :] *= 2
    at_newest = weekly_levels(history, [CivilCalendar()], ()).mean[0]
    as_it_came = weekly_levels(history, [CivilCalendar()], (), as_it_came=True).mean[0]
    np.testing.assert_allclose(at_newest, 2 * OPEN_MEAN, rtol=0.05)
    np.testing.assert_allclose(as_it_came[:6], OPEN_MEAN, rtol=1e-3)


def test_a_tenant_without_calls_has_levels_of_zero():
    grid = days_before("2026-06-08", 70)
    levels = weekly_levels(matrix(grid, np.zeros((1, grid.slots), np.float32)), [CivilCalendar()], ())
    assert (levels.mean == 0).all()
    assert (levels.busy_hour == 0).all()


def test_each_series_needs_a_calendar():
    with pytest.raises(ForecastInputError, match="2 calendars for 1 series"):
        weekly_levels(_office(2), [CivilCalendar()] * 2, ())
