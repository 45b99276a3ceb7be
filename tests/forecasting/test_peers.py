"""Peers are given a fair picture of one series, and answer behind the contract of all models."""

from dataclasses import dataclass, field

import numpy as np
import pytest

from forecasting.calendar import CivilCalendar
from forecasting.forecast import Trust
from forecasting.peers import HEAVY
from forecasting.peers import optional as optional_libraries
from forecasting.peers.optional import PeerNotInstalledError
from forecasting.peers.per_series import PerSeries
from tests.forecasting.histories import HOUR_S, at_local, days_before, matrix, office, office_rates

NEW_YORK = "America/New_York"
QUANTILES = (0.05, 0.5, 0.95)


@dataclass
class LastWeek:
    """Repeats the last week, and keeps what it was given."""

    given: list = field(default_factory=list)

    def __call__(self, past, quantiles):
        self.given.append(past)
        week = np.resize(past.roots[-past.week :], past.ahead.size)
        return week[:, None] + np.linspace(-1, 1, len(quantiles))


def test_last_week_by_the_local_clock_survives_the_change_of_the_clock():
    # Clocks in New York went forward on 8 March 2026.
    grid = days_before("2026-03-10", 28, zone=NEW_YORK)
    rates = office_rates(grid, NEW_YORK).astype(np.float32)
    ahead = grid.after(24)
    forecast = PerSeries("last-week", LastWeek()).forecast(
        matrix(grid, rates[None]), [CivilCalendar(NEW_YORK)], ahead, QUANTILES
    )
    np.testing.assert_allclose(forecast.values[0, :, 1], office_rates(ahead, NEW_YORK), rtol=1e-3)


def test_a_gap_is_filled_from_the_week_before_and_only_for_the_peer():
    grid = days_before("2026-06-08", 28)
    history = matrix(grid, office_rates(grid).astype(np.float32)[None])
    history.values[0, 400:500] = np.nan
    before = history.values.copy()
    method = LastWeek()
    PerSeries("last-week", method).forecast(history, [CivilCalendar()], grid.after(24), QUANTILES)
    (past,) = method.given
    np.testing.assert_allclose(past.roots[400:500], past.roots[400 - 168 : 500 - 168])
    np.testing.assert_array_equal(history.values, before)


def test_closed_hours_are_no_part_of_a_peers_seasons():
    grid = days_before("2026-06-08", 28)
    history = office(grid)
    history.values[:, ~at_local(grid, "UTC", lambda at: at.weekday() < 5 and 8 <= at.hour < 20)] = np.nan
    method = LastWeek()
    forecast = PerSeries("last-week", method).forecast(history, [CivilCalendar()], grid.after(24), QUANTILES)
    (past,) = method.given
    assert (past.day, past.week) == (12, 60)
    assert past.ahead.size == 12
    assert np.diff(past.times).min() == np.timedelta64(HOUR_S, "s")
    np.testing.assert_allclose(forecast.values[0, 8:20, 1], history.values[0, -168 + 8 : -168 + 20], rtol=1e-3)


def test_a_series_of_a_few_days_repeats_its_mean():
    history = office(days_before("2026-06-08", 5))
    forecast = PerSeries("last-week", LastWeek()).forecast(
        history, [CivilCalendar()], history.grid.after(24), QUANTILES
    )
    assert forecast.trust == (Trust.LEARNING,)
    assert np.unique(forecast.values).size == 1


@pytest.mark.parametrize("name", HEAVY)
def test_a_famous_method_follows_the_working_day(name):
    pytest.importorskip({"prophet": "prophet", "harmonic": "statsmodels"}.get(name, "statsforecast"))
    history = office(days_before("2026-06-10", 35))
    forecast = HEAVY[name].forecast(history, [CivilCalendar()], history.grid.after(24), QUANTILES)
    median = forecast.values[0, :, 1]
    assert median[10:16].mean() > 4 * median[:6].mean()
    assert (forecast.values[0, :, 2] >= median).all()
    assert (median >= forecast.values[0, :, 0]).all()
    again = HEAVY[name].forecast(history, [CivilCalendar()], history.grid.after(24), QUANTILES)
    np.testing.assert_array_equal(forecast.values, again.values)


def test_a_peer_whose_library_is_missing_says_how_to_install_it(monkeypatch):
    def missing(name):
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(optional_libraries, "import_module", missing)
    history = office(days_before("2026-06-10", 35))
    for peer in HEAVY.values():
        with pytest.raises(PeerNotInstalledError, match=r"pip install 'calltide\[peers\]'"):
            peer.forecast(history, [CivilCalendar()], history.grid.after(24))
