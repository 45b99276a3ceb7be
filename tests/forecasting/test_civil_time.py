"""The wall clock at each slot, where it skips an hour, repeats one, or stands a quarter aside."""

from datetime import date, timedelta

import numpy as np
import pytest

from forecasting.calendar import CivilCalendar, SizedEvent
from forecasting.civil_time import EPOCH, DayType, civil_time, day_types, special_days, weekend_of
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


def _kinds(calendar: CivilCalendar, first: str, days: int) -> str:
    """A letter a day: the first of its kind's name, a point for an ordinary day."""
    kinds = day_types(calendar, (date.fromisoformat(first) - EPOCH).days, days)
    return "".join(DayType(kind).name[0] if kind else "." for kind in kinds)


def test_each_day_has_its_kind_and_a_closure_outweighs_a_holiday():
    stated = SizedEvent(date(2026, 12, 23), factor=1.4)
    calendar = CivilCalendar(
        "UTC", "DE", closures=(date(2026, 12, 25),), events=(date(2026, 12, 22),), sized_events=(stated,)
    )
    # Monday to Sunday: an event, one of stated size, Christmas Eve, and the second holiday on a Saturday.
    assert _kinds(calendar, "2026-12-21", 7) == ".ESECHL"
    assert _kinds(CivilCalendar("UTC", "DE"), "2026-12-21", 7) == "...EHHL"


@pytest.mark.parametrize(
    ("country", "first", "kinds"),
    [
        # Thursday the 4th of July, its eve, the Friday after it and the weekend that it makes longer.
        ("US", "2019-07-01", "..EHBLL"),
        # A Tuesday: the Monday before it is a bridge.
        ("US", "2018-12-31", "BH....."),
        # A Wednesday has no bridge, and changes no weekend.
        ("US", "2019-12-23", ".EH...."),
        # A Monday holiday after a weekend that it makes longer, which is never its eve.
        ("US", "2019-05-25", "LLH...."),
        # Between two days off, no weekend near: Sunday between Saturday and Yom Kippur, where the week begins then.
        ("IL", "1999-09-17", "LLBH..."),
        # A Wednesday in a country that rests on Friday and Saturday: Thursday is the bridge.
        ("IL", "1999-04-20", "EHBLL.."),
        # On a Saturday it takes no working day and makes no weekend longer.
        ("DE", "2026-09-28", "....EH."),
    ],
)
def test_days_around_holidays_have_kinds_of_their_own(country: str, first: str, kinds: str):
    assert _kinds(CivilCalendar("UTC", country), first, 7) == kinds


def test_a_holiday_that_most_employers_work_through_is_minor_and_makes_no_bridge():
    # Columbus Day; Veterans Day on a Tuesday.
    assert _kinds(CivilCalendar("UTC", "US"), "2014-10-11", 4) == "..M."
    assert _kinds(CivilCalendar("UTC", "US"), "2014-11-08", 5) == "...M."
    assert _kinds(CivilCalendar("UTC", "DE"), "2014-10-03", 2) == "HL"


def test_a_holiday_keeps_its_name_when_it_is_kept_on_another_day():
    # Independence Day of 2021 was a Sunday, and Monday was off in its stead.
    first = (date(2021, 7, 4) - EPOCH).days
    named = special_days(CivilCalendar("UTC", "US"), first, 2)
    assert [(day.kind, day.name) for day in named.values()] == [(DayType.HOLIDAY, "Independence Day")] * 2


@pytest.mark.parametrize(
    ("stated", "sentence"),
    [
        ({}, "state either a factor or a day that it is like"),
        ({"factor": 1.4, "like": date(2025, 1, 1)}, "state either a factor or a day that it is like"),
        ({"factor": 0.0}, "a day without load is a closure"),
        ({"factor": float("nan")}, "a day without load is a closure"),
        ({"like": date(2026, 12, 24)}, "name a day before it"),
    ],
)
def test_a_size_that_cannot_be_meant_is_refused(stated, sentence):
    with pytest.raises(ForecastInputError, match=sentence):
        SizedEvent(date(2026, 12, 24), **stated)


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
