"""The simulated calls look like calls, and history, the load now and the calls on pods are one and the same."""

from datetime import date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from forecasting.calendar import CivilCalendar
from forecasting.errors import SourceConfigurationError
from forecasting.grid import SlotGrid
from forecasting.load import Measure
from forecasting.sources.protocol import HistoryQuery
from scaler.demo.days import SimulatedTenant, expected_calls_per_minute, make_day, midnight_s
from scaler.demo.profiles import CALL_CENTRE, HOSPITAL, OFFICE
from scaler.demo.source import CALL_RATE, CHANNELS_MAXIMUM, CHANNELS_MEAN, SimulatedCalls
from scaler.demo.stream import CallStream

NEW_YORK = CivilCalendar("America/New_York", "US", "NY")
BERLIN = CivilCalendar("Europe/Berlin", "DE", "BE")
JERUSALEM = CivilCalendar("Asia/Jerusalem", "IL")
SYDNEY = CivilCalendar("Australia/Sydney", "AU", "NSW")
CALENDARS = [NEW_YORK, BERLIN, JERUSALEM, SYDNEY]
PROFILES = [OFFICE, CALL_CENTRE, HOSPITAL]
TUESDAY = date(2026, 9, 15)
FAR_S = 4_000_000_000.0

MAXIMUM = HistoryQuery(Measure.CHANNELS, CHANNELS_MAXIMUM, "tenant")
MEAN = HistoryQuery(Measure.CHANNELS, CHANNELS_MEAN, "tenant")
RATE = HistoryQuery(Measure.CALL_RATE, CALL_RATE, "tenant")


def tenant(calendar=NEW_YORK, profile=OFFICE, calls=2000, name="acme", growth=0.0):
    return SimulatedTenant(name, calendar, profile, calls, growth_per_year=growth)


def mean_channels(who, day, days=1):
    """Mean channels in use over whole local days."""
    zone = who.calendar.time_zone
    begin_s, end_s = midnight_s(zone, day), midnight_s(zone, day + timedelta(days=days))
    return float(CallStream([who]).minutes(who.name, begin_s, end_s).mean.mean())


def mean_between(who, day, first_hour, last_hour):
    """Mean channels between two hours on the wall of a local day."""
    zone = ZoneInfo(who.calendar.time_zone)
    begin_s, end_s = (
        int(datetime(day.year, day.month, day.day, hour, tzinfo=zone).timestamp()) for hour in (first_hour, last_hour)
    )
    return float(CallStream([who]).minutes(who.name, begin_s, end_s).mean.mean())


def calls_of(source, *names, from_s, until_s):
    calls = source.starting(names, from_s, until_s)
    return list(zip(calls.start_s.tolist(), calls.end_s.tolist(), calls.channels.tolist(), strict=True))


# Determinism and consistency


def test_the_same_seed_makes_the_same_calls_whatever_was_asked_before(clock):
    begin_s = midnight_s("America/New_York", TUESDAY)
    fresh, used = (SimulatedCalls([tenant()], clock(FAR_S), seed=7) for _ in range(2))
    used.read(MAXIMUM, SlotGrid.covering(begin_s - 20 * 86400, begin_s, 300))
    used.current(RATE, begin_s + 5e6)
    window = {"from_s": begin_s + 9.5 * 3600, "until_s": begin_s + 10 * 3600}
    assert calls_of(fresh, "acme", **window) == calls_of(used, "acme", **window) != []


def test_another_seed_another_tenant_and_another_day_make_other_calls():
    ordinary = make_day(tenant(), TUESDAY, 1)
    for other in (
        make_day(tenant(), TUESDAY, 2),
        make_day(tenant(name="bolt"), TUESDAY, 1),
        make_day(tenant(), TUESDAY + timedelta(days=7), 1),
    ):
        assert not np.array_equal(ordinary.start_s, other.start_s)


def test_steps_of_any_length_see_each_call_once(clock):
    source = SimulatedCalls([tenant(), tenant(name="bolt", profile=CALL_CENTRE)], clock(FAR_S))
    begin_s = midnight_s("America/New_York", TUESDAY + timedelta(days=1)) - 900
    whole = calls_of(source, "acme", "bolt", from_s=begin_s, until_s=begin_s + 1800)
    steps = [begin_s + n * 7.5 for n in range(241)]
    parts = [
        call for first, last in pairwise(steps) for call in calls_of(source, "acme", "bolt", from_s=first, until_s=last)
    ]
    assert sorted(parts) == sorted(whole)
    assert [start for start, _, _ in whole] == sorted(start for start, _, _ in whole)


def test_the_load_now_is_the_calls_in_progress(clock):
    source = SimulatedCalls([tenant()], clock(FAR_S))
    at_s = midnight_s("America/New_York", TUESDAY) + 10 * 3600 + 17.3
    began = calls_of(source, "acme", from_s=at_s - 5 * 3600, until_s=at_s)
    in_progress = sum(channels for start, end, channels in began if start <= at_s < end)
    assert source.current(MEAN, at_s).by_tenant == {"acme": in_progress}
    assert int(source.in_progress(["acme"], at_s).channels.sum()) == in_progress > 50


def test_what_was_live_is_the_history_when_it_is_asked_later(clock):
    begin_s = midnight_s("Europe/Berlin", TUESDAY) - 1800  # over a local midnight, with calls that reach across it
    who = tenant(BERLIN, HOSPITAL, 8000)
    now = clock(begin_s)
    source = SimulatedCalls([who], now)
    samples, rates, slots_then = [], [], []
    for n in range(720):
        now.time_s = begin_s + 5 * n
        samples.append(source.current(MAXIMUM, now.time_s).by_tenant["acme"])
        if n % 12 == 0:
            rates.append(source.current(RATE, now.time_s + 59).by_tenant["acme"])
        if n % 60 == 0 and n:
            slots_then.append(source.read(MAXIMUM, SlotGrid(int(now.time_s) - 300, 300, 1)).values[0, 0])
    now.time_s = FAR_S
    grid = SlotGrid(begin_s, 300, 12)
    by_slot = np.reshape(samples, (12, 60))
    assert by_slot.min() > 0
    np.testing.assert_array_equal(source.read(MAXIMUM, grid).values[0], by_slot.max(axis=1))
    np.testing.assert_allclose(source.read(MEAN, grid).values[0], by_slot.mean(axis=1), rtol=1e-5)
    np.testing.assert_allclose(source.read(RATE, grid).values[0], np.reshape(rates, (12, 5)).mean(axis=1), rtol=1e-5)
    np.testing.assert_array_equal(source.read(MAXIMUM, grid).values[0, :11], slots_then)


def test_the_grid_of_a_read_does_not_change_what_is_read(clock):
    source = SimulatedCalls([tenant(SYDNEY)], clock(FAR_S))
    begin_s = midnight_s("Australia/Sydney", date(2026, 10, 3))  # the clock goes forward on the 4th
    fine = source.read(MAXIMUM, SlotGrid(begin_s, 60, 3 * 1440)).values[0]
    coarse = source.read(MAXIMUM, SlotGrid(begin_s, 300, 3 * 288)).values[0]
    parts = [source.read(MAXIMUM, SlotGrid(begin_s + 3600 * n, 300, 12)).values[0] for n in range(72)]
    np.testing.assert_array_equal(coarse, fine.reshape(-1, 5).max(axis=1))
    np.testing.assert_array_equal(coarse, np.concatenate(parts))


def test_nothing_is_told_of_a_slot_that_is_not_over(clock):
    begin_s = midnight_s("America/New_York", TUESDAY)
    source = SimulatedCalls([tenant()], clock(begin_s + 3600 + 299))
    values = source.read(MAXIMUM, SlotGrid(begin_s, 300, 24)).values[0]
    assert np.isfinite(values[:12]).all()
    assert np.isnan(values[12:]).all()
    assert np.isnan(source.read(MAXIMUM, SlotGrid(begin_s + 7200, 300, 3)).values).all()


def test_a_query_that_the_simulation_does_not_have_says_what_it_has(clock):
    source = SimulatedCalls([tenant()], clock(FAR_S))
    with pytest.raises(SourceConfigurationError, match="simulated_channels_max, simulated_channels_mean"):
        source.current(HistoryQuery(Measure.CHANNELS, "sum(calls)", "tenant"), 0.0)
    with pytest.raises(SourceConfigurationError, match="yields channels, not call_rate"):
        source.current(HistoryQuery(Measure.CALL_RATE, CHANNELS_MEAN, "tenant"), 0.0)
    with pytest.raises(SourceConfigurationError, match="a step of 90 s"):
        source.read(MAXIMUM, SlotGrid(0, 90, 2))


# What telephone traffic looks like


@pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.name)
def test_channels_follow_littles_law(profile):
    who = tenant(profile=profile, calls=3000)
    days = [TUESDAY + timedelta(days=n) for n in range(28)]
    calls = sum(make_day(who, day, 1).start_s.size for day in days)
    expected = calls / (28 * 86400) * profile.mean_channel_seconds
    assert mean_channels(who, days[0], days=28) == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.name)
def test_holding_times_are_about_three_minutes_with_short_menu_calls_and_a_long_tail(profile):
    day = make_day(tenant(profile=profile, calls=8000), TUESDAY, 1)
    holding_s = (day.end_s - day.start_s).astype(float)
    assert holding_s.mean() == pytest.approx(profile.mean_holding_s, rel=0.03)
    assert 150 < profile.mean_holding_s < 210
    assert np.median(holding_s) < 0.75 * holding_s.mean()
    assert np.quantile(holding_s, 0.999) > 1200
    assert holding_s.min() >= 1
    assert set(day.channels.tolist()) == {1, 2}


def test_arrivals_are_poisson_within_a_day_and_over_dispersed_between_days():
    who = tenant(profile=HOSPITAL, calls=6000)
    days = [make_day(who, TUESDAY + timedelta(days=7 * n), 1) for n in range(40)]
    within = np.array([np.diff(day.first_of_minute)[600:640] for day in days], dtype=float)
    calm = within[np.std(within, axis=1) < np.quantile(np.std(within, axis=1), 0.8)]  # without the bursts
    assert np.mean(calm.var(axis=1, ddof=1) / calm.mean(axis=1)) == pytest.approx(1.0, abs=0.35)
    of_days = within.sum(axis=1)
    assert of_days.var(ddof=1) > 3 * of_days.mean()


@pytest.mark.parametrize("calendar", CALENDARS, ids=lambda calendar: calendar.time_zone)
def test_the_first_working_day_is_the_busiest_and_the_weekend_is_quiet(calendar):
    who = tenant(calendar, OFFICE)
    first = date(2026, 6, 21) if calendar is JERUSALEM else date(2026, 6, 22)  # no holidays in these three weeks
    weeks = [first + timedelta(days=7 * n) for n in range(3)]
    by_day = [np.mean([mean_channels(who, week + timedelta(days=n)) for week in weeks]) for n in range(7)]
    assert np.argmax(by_day) == 0
    assert max(by_day[5:]) < 0.2 * by_day[0]


def test_monday_is_above_saturday_for_everybody_with_a_monday_to_friday_week():
    for profile in PROFILES:
        who = tenant(profile=profile)
        assert mean_channels(who, date(2026, 9, 14)) > 1.5 * mean_channels(who, date(2026, 9, 12))


@pytest.mark.parametrize(
    ("calendar", "holiday"),
    [(NEW_YORK, date(2026, 11, 26)), (BERLIN, date(2026, 5, 14)), (SYDNEY, date(2027, 1, 26))],
    ids=["Thanksgiving", "Ascension", "Australia Day"],
)
def test_a_public_holiday_is_lower_than_the_same_weekday_before_it(calendar, holiday):
    for profile in PROFILES:
        who = tenant(calendar, profile)
        before = expected_calls_per_minute(who, holiday - timedelta(days=7)).sum()
        assert expected_calls_per_minute(who, holiday).sum() < 0.7 * before
    office = tenant(calendar, OFFICE)
    assert mean_channels(office, holiday) < 0.2 * mean_channels(office, holiday - timedelta(days=7))


DST = [
    (NEW_YORK, date(2026, 3, 8)),
    (NEW_YORK, date(2026, 11, 1)),
    (BERLIN, date(2026, 3, 29)),
    (BERLIN, date(2026, 10, 25)),
    (JERUSALEM, date(2026, 3, 27)),
    (SYDNEY, date(2026, 10, 4)),
    (SYDNEY, date(2026, 4, 5)),
]


@pytest.mark.parametrize(("calendar", "change"), DST, ids=lambda value: str(getattr(value, "time_zone", value)))
def test_the_lunch_dip_stays_at_noon_on_the_wall_across_a_time_change(calendar, change):
    who = tenant(calendar, OFFICE, calls=6000)
    for around in (-7, 7):
        day = change + timedelta(days=around + (2 - change.weekday()) % 7)  # a Wednesday before and one after
        morning, lunch, afternoon = (mean_between(who, day, *hours) for hours in ((10, 11), (12, 13), (14, 15)))
        assert lunch < 0.8 * afternoon < 0.8 * morning * 1.05


@pytest.mark.parametrize(("calendar", "change"), DST, ids=lambda value: str(getattr(value, "time_zone", value)))
def test_the_day_of_a_time_change_has_its_real_hours_and_its_peak_on_the_wall(calendar, change):
    who = tenant(calendar, HOSPITAL)
    rate = expected_calls_per_minute(who, change)
    zone = ZoneInfo(calendar.time_zone)
    begin_s = midnight_s(calendar.time_zone, change)
    assert rate.size in (23 * 60, 25 * 60)
    assert begin_s + rate.size * 60 == midnight_s(calendar.time_zone, change + timedelta(days=1))
    peak = datetime.fromtimestamp(begin_s + 60 * int(rate.argmax()), zone)
    assert (peak.hour, peak.minute) == (10, 30)


def test_a_tenant_grows_slowly():
    who = tenant(growth=0.2)
    year_apart = [
        expected_calls_per_minute(who, date(year, 9, 15 if year == 2026 else 14)).sum() for year in (2026, 2027)
    ]
    assert year_apart[1] / year_apart[0] == pytest.approx(1.2, rel=0.2)
    month = expected_calls_per_minute(who, TUESDAY + timedelta(days=28)).sum()
    assert month / year_apart[0] == pytest.approx(1.2 ** (28 / 365), rel=1e-6)


def test_bursts_lift_some_days_and_not_most():
    who = tenant(profile=CALL_CENTRE, calls=6000)
    lifted = 0
    for n in range(60):
        day = TUESDAY + timedelta(days=n)
        per_quarter = np.diff(make_day(who, day, 1).first_of_minute).reshape(-1, 15).sum(axis=1)
        usual = expected_calls_per_minute(who, day).reshape(-1, 15).sum(axis=1)
        business = slice(8 * 4, 19 * 4)
        ratio = per_quarter[business] / usual[business]
        lifted += ratio.max() > 1.25 * np.median(ratio)
    assert 5 < lifted < 40
