"""A recording played on: same weekday, same hour on the wall, and calls that add up to it."""

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
import yaml

from forecasting.calendar import CivilCalendar
from forecasting.errors import SourceConfigurationError
from forecasting.grid import SlotGrid
from forecasting.load import LoadMatrix, Measure
from forecasting.sources.protocol import HistoryQuery
from scaler.demo.replay import WEEK_S, ReplayedHistory
from scaler.demo.replay_scenario import FLEETS, ReplayedSources, read_recording, replay_policies, write_recording
from scaler.demo.scenario import demo_start_s
from scaler.errors import ConfigurationError
from scaler.policy.compiling import compile_texts
from scaler.policy.directory import PolicyText

ZONE = ZoneInfo("America/New_York")
QUERY = HistoryQuery(Measure.CHANNELS, "recorded", "tenant")
STEP_S = 900
LIVE_FROM_S = datetime(2026, 11, 17, 7, 45, tzinfo=ZONE).timestamp()


def wall(at_s):
    return datetime.fromtimestamp(at_s, ZONE)


def recording(first=date(2019, 9, 2), weeks=10, series=("acme",), of=None):
    """A recording whose value tells its weekday and its hour on the wall: 1000 × weekday + 10 × hour."""
    start_s = int(datetime(first.year, first.month, first.day, tzinfo=ZONE).timestamp())
    grid = SlotGrid.covering(start_s, start_s + weeks * WEEK_S, STEP_S)
    said = of or (lambda at: 1000 * at.weekday() + 10 * at.hour)
    row = np.array([said(wall(at_s)) for at_s in grid.starts_s.tolist()], dtype=np.float32)
    return LoadMatrix(Measure.CHANNELS, series, grid, np.tile(row, (len(series), 1)))


def replay(recorded, clock, now_s=LIVE_FROM_S):
    return ReplayedHistory(recorded, "America/New_York", clock(now_s), LIVE_FROM_S)


def test_past_and_live_keep_weekday_and_hour_on_the_wall_across_time_changes(clock):
    # The recording sees its clock change on 3 November, what is shown sees it on the 1st.
    played = replay(recording(), clock, LIVE_FROM_S + 3 * WEEK_S)
    grid = SlotGrid.covering(LIVE_FROM_S - 6 * WEEK_S, LIVE_FROM_S + 3 * WEEK_S, STEP_S)
    values = played.read(QUERY, grid).values[0]
    assert np.isfinite(values).mean() > 0.999  # the hour that a recorded week did not have
    for value, at_s in zip(values.tolist(), grid.starts_s.tolist(), strict=True):
        at = wall(at_s)
        if np.isfinite(value):
            assert value == 1000 * at.weekday() + 10 * at.hour, at


def test_the_last_part_is_live_and_then_begins_again(clock):
    recorded = recording(weeks=12, of=lambda at: (at.date() - date(2019, 9, 2)).days // 7)
    played = replay(recorded, clock, LIVE_FROM_S + 12 * WEEK_S)
    weekly = [
        played.read(QUERY, SlotGrid.covering(LIVE_FROM_S + n * WEEK_S, LIVE_FROM_S + n * WEEK_S + STEP_S, STEP_S))
        for n in range(-8, 10)
    ]
    weeks = [int(week.values[0, 0]) for week in weekly]
    assert weeks[:8] == list(range(8))
    assert weeks[8:] == [8, 9, 10] * 3 + [8]


def test_before_the_recording_and_after_now_there_is_nothing(clock):
    played = replay(recording(weeks=4), clock, LIVE_FROM_S)
    past = played.read(QUERY, SlotGrid.covering(LIVE_FROM_S - 8 * WEEK_S, LIVE_FROM_S - 7 * WEEK_S, STEP_S))
    assert np.isnan(past.values).all()
    ahead = played.read(QUERY, SlotGrid.covering(LIVE_FROM_S, LIVE_FROM_S + 3600, STEP_S))
    assert np.isnan(ahead.values).all()


def test_what_was_live_is_the_history_when_it_is_asked_later(clock):
    smooth = recording(of=lambda at: 100 + 50 * np.sin(2 * np.pi * (at.hour * 60 + at.minute) / 1440))
    begin_s = int(LIVE_FROM_S)
    played = replay(smooth, clock, LIVE_FROM_S + 7200)
    live = [played.current(QUERY, begin_s + 60 * n).by_tenant["acme"] for n in range(60)]
    again = replay(smooth, clock, LIVE_FROM_S + 9000)
    assert live == [again.current(QUERY, begin_s + 60 * n).by_tenant["acme"] for n in range(60)]
    history = played.read(QUERY, SlotGrid.covering(begin_s, begin_s + 3600, STEP_S)).values[0]
    assert np.abs(np.reshape(live, (4, 15)).mean(axis=1) - history).max() < 3


def test_a_gap_in_the_recording_is_a_gap_in_what_is_shown(clock):
    recorded = recording(series=("acme", "bolt"), of=lambda at: 40.0)
    values = recorded.values.copy()
    values[0, [wall(at_s).hour in range(9, 12) for at_s in recorded.grid.starts_s.tolist()]] = np.nan
    played = replay(LoadMatrix(Measure.CHANNELS, recorded.series, recorded.grid, values), clock, LIVE_FROM_S + 86400)
    at_ten_s = LIVE_FROM_S + 2.25 * 3600
    assert played.current(QUERY, at_ten_s).by_tenant == {"bolt": 40.0}
    assert np.isnan(played.read(QUERY, SlotGrid.covering(at_ten_s, at_ten_s + STEP_S, STEP_S)).values[0]).all()
    # The callers do not stop for a broken meter.
    assert played.in_progress(["acme"], at_ten_s).channels.sum() == 40


def test_the_calls_under_a_recording_add_up_to_it_at_every_second(clock):
    uneven = recording(series=("acme", "bolt"), of=lambda at: 30 + 20 * ((at.hour * 4 + at.minute // 15) % 3))
    played = replay(uneven, clock, LIVE_FROM_S + 86400)
    begin_s = int(LIVE_FROM_S) - 60
    steps = [played.starting(["acme", "bolt"], begin_s + 15 * n, begin_s + 15 * n + 15) for n in range(120)]
    first = played.in_progress(["acme", "bolt"], begin_s - 1)
    starts, ends = (np.concatenate([getattr(p, name) for p in (first, *steps)]) for name in ("start_s", "end_s"))
    assert len(starts) > 500
    for at_s in range(begin_s, begin_s + 1800, 7):
        in_use = int(((starts <= at_s) & (ends > at_s)).sum())
        assert in_use == sum(played.current(QUERY, at_s).by_tenant.values()) > 0
        assert in_use == played.in_progress(["acme", "bolt"], at_s).channels.sum()
    whole = played.starting(["acme", "bolt"], begin_s, begin_s + 1800)
    np.testing.assert_array_equal(np.sort(whole.end_s), np.sort(np.concatenate([p.end_s for p in steps])))
    assert (whole.end_s - whole.start_s).max() <= 180


def test_a_recording_that_is_too_short_says_how_long_it_must_be(clock):
    with pytest.raises(ConfigurationError, match=r"covers 14.0 days; a demo needs 21"):
        replay(recording(weeks=2), clock)
    assert replay(recording(weeks=3), clock)


def test_another_step_or_measure_is_refused_with_the_right_one(clock):
    played = replay(recording(), clock)
    with pytest.raises(SourceConfigurationError, match="recorded every 900 s"):
        played.read(QUERY, SlotGrid(0, 300, 1))
    with pytest.raises(SourceConfigurationError, match="holds channels, not call_rate"):
        played.current(HistoryQuery(Measure.CALL_RATE, "x", "tenant"), LIVE_FROM_S)


def test_a_recording_survives_the_way_to_another_process(clock, tmp_path):
    recorded = recording(series=("acme", "bolt & söhne"))
    write_recording(recorded, tmp_path / "recording.npz")
    kept = read_recording(tmp_path / "recording.npz")
    assert (kept.series, kept.grid) == (recorded.series, recorded.grid)
    np.testing.assert_array_equal(kept.values, recorded.values)
    source = ReplayedSources(tmp_path / "recording.npz", "America/New_York", clock(LIVE_FROM_S), LIVE_FROM_S)
    assert set(source.open("demo").current(QUERY, LIVE_FROM_S).by_tenant) == {"acme", "bolt & söhne"}


@pytest.mark.parametrize("count", [1, FLEETS, FLEETS + 8])
def test_the_policies_of_a_recording_are_valid_and_list_every_series_once(count):
    names = tuple(f"Zone {n}/{'é' if n % 2 else '…'}" for n in range(count))
    recorded = recording(weeks=3, series=names)
    text = replay_policies(recorded, CivilCalendar("America/New_York", "US", "NY"))
    book = compile_texts([PolicyText("replay.yaml", text)])
    fleets = book.listed_fleets()
    assert len(fleets) == min(count, FLEETS)
    assert sorted(tenant for fleet in fleets for tenant in fleet.tenants) == sorted(names)
    peak = float(np.nanmax(recorded.values))
    for fleet in fleets:
        spec = book.resolve(fleet.policy, fleet=fleet.key, tenants=fleet.tenants)
        assert spec.history.step == STEP_S
        pods = len(fleet.tenants) * peak / (spec.capacity.channels_per_pod * spec.capacity.occupancy)
        assert pods == pytest.approx(12, rel=0.1)


def test_policies_of_a_recording_without_holidays_name_none():
    text = replay_policies(recording(weeks=3), CivilCalendar("UTC"))
    assert yaml.safe_load(text)["spec"]["calendar"] == {"timeZone": "UTC"}


def test_a_demo_begins_on_the_newest_tuesday_morning_that_is_no_holiday():
    calendar = CivilCalendar("Europe/Berlin", "DE", "BE")
    zone = ZoneInfo("Europe/Berlin")

    def begins(*at):
        return datetime.fromtimestamp(demo_start_s(datetime(*at, tzinfo=zone).timestamp(), calendar), zone)

    assert begins(2026, 11, 23, 7) == datetime(2026, 11, 17, 7, 45, tzinfo=zone)
    assert begins(2026, 11, 17, 7, 44) == datetime(2026, 11, 10, 7, 45, tzinfo=zone)
    assert begins(2026, 11, 17, 7, 46) == datetime(2026, 11, 17, 7, 45, tzinfo=zone)
    # 2029-05-01 is a Tuesday, and Labour Day.
    assert begins(2029, 5, 3, 12).date() == date(2029, 5, 1) - timedelta(days=7)
