"""A forecast says how far it may be trusted, and why."""

import numpy as np
import pytest

from forecasting.calendar import CivilCalendar
from forecasting.forecast import Trust
from forecasting.models import default_forecaster
from tests.forecasting.histories import at_local, counts, days_before, matrix, office, office_rates


def _trust(history):
    forecast = default_forecaster().forecast(history, [CivilCalendar()] * len(history.series), history.grid.after(24))
    return forecast.trust[0], forecast.trust_reasons[0], forecast.values[0]


@pytest.mark.parametrize(("days", "trust"), [(1, Trust.LEARNING), (6, Trust.LEARNING), (21, Trust.TRUSTED)])
def test_trust_grows_with_the_history(days, trust):
    earned, reason, _ = _trust(office(days_before("2026-06-05", days)))
    assert earned is trust
    assert ("days of history" in reason) is (trust is Trust.LEARNING)


def test_less_than_a_day_is_cold_and_has_no_path():
    grid = days_before("2026-06-05", 30)
    history = office(grid)
    history.values[:, :-10] = np.nan
    earned, reason, paths = _trust(history)
    assert earned is Trust.COLD
    assert reason == "only 10 observed slots, or less than a day of history"
    assert np.isnan(paths).all()


def test_old_observations_degrade_it():
    history = office(days_before("2026-06-05T15:00", 42))
    history.values[:, -5:] = np.nan
    earned, reason, _ = _trust(history)
    assert earned is Trust.DEGRADED
    assert reason == "for 300 minutes nothing was seen that usually is"


def test_hours_that_are_never_observed_do_not_make_it_old():
    grid = days_before("2026-06-05T06:00", 42)
    values = office(grid).values
    values[:, ~at_local(grid, "UTC", lambda at: 7 <= at.hour < 21)] = np.nan
    assert _trust(matrix(grid, values))[0] is Trust.TRUSTED


def test_a_series_that_fell_silent_weeks_ago_is_degraded_although_silence_has_become_usual():
    history = office(days_before("2026-06-05", 56))
    history.values[:, -24 * 24 :] = np.nan
    assert _trust(history)[0] is Trust.DEGRADED


@pytest.mark.parametrize(("factor", "side"), [(3.0, "above the 95 %"), (0.2, "below the 5 %")])
def test_a_last_day_that_went_otherwise_degrades_it(factor, side):
    grid = days_before("2026-06-05", 42)
    rates = np.full(grid.slots, 100.0)
    # Every other hour, so that the hours before do not announce it.
    odd_today = (np.arange(grid.slots) >= grid.slots - 24) & (np.arange(grid.slots) % 5 > 1)
    rates[odd_today] *= factor
    earned, reason, _ = _trust(matrix(grid, counts(rates, 1)))
    assert earned is Trust.DEGRADED
    assert side in reason


def test_an_ordinary_day_of_a_noisy_tenant_degrades_nothing():
    grid = days_before("2026-06-05", 42)
    history = matrix(grid, counts(office_rates(grid, busy=3.0, quiet=0.2), 50))
    forecast = default_forecaster().forecast(history, [CivilCalendar()] * 50, grid.after(24))
    assert forecast.trust.count(Trust.TRUSTED) >= 48
