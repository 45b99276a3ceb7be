from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecasting.grid import SlotGrid
from scaler.core.schedule import open_inhibit, scheduled_minimum, scheduled_path
from scaler.policy.model import InhibitWindow, ScheduledMinimum

BERLIN = "Europe/Berlin"
HOUR_S = 3600


def entry(cron: str, lasts: str = "1h", pods: int = 5, **more: object) -> ScheduledMinimum:
    return ScheduledMinimum.model_validate({"name": "campaign", "cron": cron, "for": lasts, "minPods": pods, **more})


def at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def is_open(one: ScheduledMinimum, when: str) -> bool:
    return scheduled_minimum([one], BERLIN, at(when), at(when)) is not None


def test_a_window_is_open_from_its_first_instant_to_just_before_its_last():
    nine = entry("0 9 * * 1-5", lasts="2h")
    assert not is_open(nine, "2026-06-01T08:59:59+02:00")
    assert is_open(nine, "2026-06-01T09:00:00+02:00")
    assert is_open(nine, "2026-06-01T10:59:59+02:00")
    assert not is_open(nine, "2026-06-01T11:00:00+02:00")
    assert not is_open(nine, "2026-06-06T09:30:00+02:00"), "a Saturday"


def test_an_opening_in_the_skipped_hour_opens_at_the_first_instant_after_it():
    skipped = entry("30 2 * * *", lasts="10m")
    assert not is_open(skipped, "2026-03-29T01:59:59+01:00")
    assert is_open(skipped, "2026-03-29T03:00:00+02:00")
    assert not is_open(skipped, "2026-03-29T03:10:00+02:00")


@pytest.mark.parametrize("cron", ["30 2 * * *", "*/30 2 * * *", "30 */2 * * *"])
def test_the_doubled_hour_does_not_open_twice(cron):
    doubled = entry(cron, lasts="10m")
    assert is_open(doubled, "2026-10-25T02:35:00+02:00")
    assert not is_open(doubled, "2026-10-25T02:35:00+01:00")


@pytest.mark.parametrize("cron", ["0 * * * *", "0 0-23 * * *", "*/20 * * * *"])
@pytest.mark.parametrize("day", ["2026-03-29", "2026-10-25"])
def test_a_window_that_opens_every_hour_has_no_hole_when_the_clock_changes(cron, day):
    always = entry(cron)
    midnight = at(f"{day}T00:00:00+00:00")
    for minute in range(0, 24 * 60, 7):
        assert scheduled_minimum([always], BERLIN, midnight + 60 * minute, midnight + 60 * minute) is not None


def test_a_window_lasts_elapsed_seconds_whatever_the_clock_says():
    night = entry("0 1 * * *", lasts="3h")
    assert is_open(night, "2026-10-25T02:59:59+01:00")
    assert not is_open(night, "2026-10-25T03:00:00+01:00"), "four o'clock by the clock before the change"
    assert is_open(night, "2026-03-29T04:59:59+02:00")
    assert not is_open(night, "2026-03-29T05:00:00+02:00")


def test_an_expired_entry_does_nothing_and_a_running_window_ends_as_it_expires():
    campaign = entry("0 9 * * *", lasts="2h", expires="2026-06-02T10:00:00+02:00")
    assert is_open(campaign, "2026-06-02T09:59:59+02:00")
    assert not is_open(campaign, "2026-06-02T10:00:00+02:00")
    assert not is_open(campaign, "2026-06-03T09:30:00+02:00")


def test_of_overlapping_windows_the_largest_counts_and_is_named():
    entries = [
        entry("0 9 * * *", pods=4),
        entry("30 9 * * *", pods=9, name="sale", owner="marketing"),
        entry("0 8 * * *", lasts="4h", pods=6),
    ]
    when = at("2026-06-01T09:45:00+02:00")
    window = scheduled_minimum(entries, BERLIN, when, when)
    assert window is not None
    assert (window.min_pods, window.name, window.owner) == (9, "sale", "marketing")


def test_an_entry_may_have_a_time_zone_of_its_own():
    assert is_open(entry("0 9 * * *", timeZone="America/New_York"), "2026-06-01T15:30:00+02:00")
    assert not is_open(entry("0 9 * * *", timeZone="America/New_York"), "2026-06-01T09:30:00+02:00")


def test_a_window_that_began_days_ago_is_still_open():
    assert is_open(entry("0 0 * * 1", lasts="7d"), "2026-06-07T23:59:00+02:00")


def test_the_path_asks_for_pods_one_lead_before_the_window():
    start = int(at("2026-06-01T08:00:00+02:00"))
    grid = SlotGrid(start, 300, 36)
    path = scheduled_path((entry("0 9 * * *", pods=7),), BERLIN, grid, lead_s=600.0)
    assert np.flatnonzero(path).tolist() == list(range(10, 24)), "from 08:50 to 10:00"
    assert set(path.tolist()) == {0, 7}


@given(st.integers(0, 400 * 24), st.integers(0, 40), st.sampled_from(["30 2 * * *", "*/30 1-3 * * *", "0 * * * 0"]))
@settings(derandomize=True, deadline=None, max_examples=60)
def test_path_and_instants_agree_on_every_day_of_a_year(hour, lead_minutes, cron):
    start = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp()) + hour * HOUR_S
    grid, one = SlotGrid(start, 300, 24), entry(cron, lasts="20m", pods=3)
    lead_s = 60.0 * lead_minutes
    path = scheduled_path((one,), BERLIN, grid, lead_s)
    for slot, begins in enumerate(grid.starts_s.tolist()):
        window = scheduled_minimum([one], BERLIN, begins, begins + 299.999 + lead_s)
        assert path[slot] == (window.min_pods if window else 0)


def test_an_inhibit_window_tells_when_it_closes():
    windows = [
        InhibitWindow.model_validate({"name": "morning", "cron": "0 8 * * *", "for": "2h"}),
        InhibitWindow.model_validate({"name": "release", "cron": "30 8 * * *", "for": "3h"}),
    ]
    now = at("2026-06-01T09:00:00+02:00")
    window = open_inhibit(windows, BERLIN, now)
    assert window is not None
    assert (window.name, window.closes_s) == ("release", at("2026-06-01T11:30:00+02:00"))
    assert open_inhibit(windows, BERLIN, at("2026-06-01T11:30:00+02:00")) is None
