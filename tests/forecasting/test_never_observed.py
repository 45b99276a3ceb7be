"""Which slots ahead no week of a history has shown."""

import numpy as np

from forecasting.origins import never_observed
from tests.forecasting.histories import days_before, matrix

ZONE = "Europe/Berlin"


def _hours_unseen(days, unseen):
    """Which of the 168 hours ahead were never observed, where `unseen` (slots,) are missing in the days before."""
    grid = days_before("2026-06-08", days, zone=ZONE)
    values = np.ones((1, grid.slots), dtype=np.float32)
    values[0, unseen(np.arange(grid.slots))] = np.nan
    return np.flatnonzero(never_observed(matrix(grid, values), ZONE, grid.after(168))[0]).tolist()


def test_a_day_that_never_came_was_never_observed():
    assert _hours_unseen(28, lambda slot: slot % 168 >= 144) == list(range(144, 168))


def test_an_hour_that_a_single_week_has_shown_was_observed():
    assert _hours_unseen(28, lambda slot: (slot % 168 == 150) & (slot != 150)) == []


def test_one_week_without_an_hour_is_no_evidence():
    assert _hours_unseen(28, lambda slot: (slot < 14 * 24) | (slot % 168 == 30)) == [30]
    assert _hours_unseen(28, lambda slot: (slot < 21 * 24) | (slot % 168 == 30)) == []


def test_of_a_series_without_any_observation_nothing_is_known():
    assert _hours_unseen(28, lambda slot: slot >= 0) == []


def test_closed_hours_keep_to_the_local_clock():
    grid = days_before("2026-03-29", 28, zone=ZONE)
    local_hour = np.arange(grid.slots) % 24
    values = np.where(local_hour < 7, np.nan, 1.0).astype(np.float32)[None]
    never = never_observed(matrix(grid, values), ZONE, grid.after(23))[0]
    # Clocks go forward in that night: it has six closed hours, and the seventh is seven o'clock.
    assert np.flatnonzero(never).tolist() == list(range(6))
