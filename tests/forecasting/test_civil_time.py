"""The wall clock at each slot, where it skips an hour, repeats one, or stands a quarter aside."""

from datetime import date, timedelta

import numpy as np
import pytest

from forecasting.calendar import CivilCalendar
from forecasting.civil_time import DayType, civil_time, day_types, weekend_of
from forecasting.errors import ForecastInputError
from forecasting.grid import SlotGrid
from forecasting.models.week_layout import week_layout
from tests.forecasting.histories import DAY_S, HOUR_S, instant

BERLIN = "Europe/Berlin"


def _week_of(monday: str) -> SlotGrid:
    start_s = instant(monday, BERLIN)
    end_s = instant((date.fromisoformat(monday) + timedelta(days=7)).isoformat(), BERLIN)
    return SlotGrid.covering(start_s, end_s, HOUR_S)


def _hours_of(day: str) -> list[int]:
    start_s = instant(day, BERLIN)
    clock = civil_time(BERLIN, SlotGrid(start_s, HOUR_S, 25))
    return clock.slot_of_day[clock.local_day == clock.local_day[0]].tolist()


def test_spring_skips_an_hour_and_autumn_repeats_one():
    assert _hours_of("2026-03-29") == [0, 1, *range(3, 24)]
    assert _hours_of("2026-10-25") == [0, 1, 2, 2, *range(3, 24)]


def test_an_ordinary_week_begins_on_its_monday():
    clock = civil_time("Asia/Tokyo", SlotGrid(instant("2026-06-01", "Asia/Tokyo"), HOUR_S, 7 * 24))
    assert clock.weekday.tolist() == [day for day in range(7) for _ in range(24)]


def test_a_zone_of_three_quarters_of_an_hour_still_has_every_slot_of_day_once():
    clock = civil_time("Asia/Kathmandu", SlotGrid(instant("2026-06-01"), 1800, 48))
    assert sorted(clock.slot_of_day.tolist()) == list(range(48))


def test_a_step_that_does_not_divide_the_day_has_room_for_its_last_slot():
    clock = civil_time("UTC", SlotGrid(0, 7 * 60, 1000))
    assert clock.slot_of_day.max() < clock.slots_per_day == 206


def test_unknown_zones_countries_and_steps_are_refused_with_the_remedy():
    with pytest.raises(ForecastInputError, match="write it like 'Europe/Berlin'"):
        civil_time("Berlin", SlotGrid(0, 60, 1))
    with pytest.raises(ForecastInputError, match="longer than a day"):
        civil_time("UTC", SlotGrid(0, 2 * DAY_S, 1))
    with pytest.raises(ForecastInputError, match="ISO codes"):
        day_types(CivilCalendar(country="XX"), 0, 10)


def test_each_day_has_its_kind_and_a_closure_outweighs_a_holiday():
    first = (date(2026, 12, 21) - date(1970, 1, 1)).days
    calendar = CivilCalendar("UTC", "DE", closures=(date(2026, 12, 25),), events=(date(2026, 12, 22),))
    kinds = day_types(calendar, first, 7).tolist()
    ordinary, event, holiday, closure = DayType.ORDINARY, DayType.EVENT, DayType.HOLIDAY, DayType.CLOSURE
    assert kinds == [ordinary, event, ordinary, ordinary, closure, holiday, ordinary]


def test_the_weekend_is_that_of_the_country():
    assert weekend_of(None) == weekend_of("US") == (5, 6)
    assert weekend_of("IL") == (4, 5)


def test_values_lie_at_their_weekday_and_time_and_a_doubled_hour_is_averaged():
    grid = _week_of("2026-10-19")
    values = np.arange(grid.slots, dtype=np.float32)[None, :]
    weekly = week_layout(BERLIN, grid).weekly(values)[0, 0].reshape(7, 24)
    doubled = instant("2026-10-25T02:00", BERLIN)
    first_pass = (doubled - grid.start_s) // HOUR_S
    assert weekly[6, 2] == first_pass + 0.5
    assert weekly[6, 3] == first_pass + 2
    assert weekly[0, 0] == 0


def test_the_skipped_hour_is_a_gap():
    grid = _week_of("2026-03-23")
    weekly = week_layout(BERLIN, grid).weekly(np.ones((1, grid.slots), np.float32))[0, 0].reshape(7, 24)
    assert np.argwhere(np.isnan(weekly)).tolist() == [[6, 2]]
