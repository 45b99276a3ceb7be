"""Where forecasts of the past are made that trust is told by."""

import pytest

from forecasting.grid import SlotGrid
from forecasting.models.checked_days import CHECKED_S, CheckedDays
from tests.forecasting.histories import DAY_S, days_before

ISSUE_S = days_before("2026-06-10", 1).end_s


@pytest.mark.parametrize("step_s", [60, 300, 900, 1800, 3600])
def test_a_forecast_that_is_checked_is_as_old_as_is_said_and_no_older(step_s):
    slots = 30 * DAY_S // step_s
    ages_s = []
    for end_s in range(ISSUE_S, ISSUE_S + DAY_S, step_s):
        checked = CheckedDays.of(SlotGrid(end_s - slots * step_s, step_s, slots))
        ages_s.append((slots - int(checked.origins.min())) * step_s)
    # What forecasts read is kept for so long: a longer one would read of nothing, a much shorter one is paid in vain.
    assert CHECKED_S - 3600 <= max(ages_s) <= CHECKED_S
