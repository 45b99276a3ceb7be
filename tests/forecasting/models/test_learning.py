"""What is learnt at an origin comes from before that origin."""

import numpy as np
import pytest

from forecasting.calendar import CivilCalendar
from forecasting.models import default_forecaster
from forecasting.models.chunks import chunks_of
from forecasting.models.features import FEATURES, features_of
from forecasting.models.learnt import view
from forecasting.models.regression import Regression, horizon_class
from forecasting.models.replay import replay_of
from forecasting.models.scale import to_root
from forecasting.models.special_days import learn_special_days
from tests.forecasting.histories import DAY_S, HOUR_S, counts, days_before, matrix, office, office_rates

HOUR = FEATURES.index("mean 3600 s")
BERLIN = CivilCalendar("Europe/Berlin", "DE")


def _known_at(history, origin, leads):
    (chunk,) = chunks_of([BERLIN] * len(history.series), history.grid)
    series = len(history.series)
    usual = learn_special_days([], series)
    roots = to_root(history.values, 1.0)
    seen = view(chunk, roots, np.zeros(series, np.int64), usual, None, first_week=0, until_now=False)
    known = features_of(seen.past, np.array([origin]), np.array([origin + leads]))
    return known.base, known.everywhere()


@pytest.mark.parametrize("origin", [15 * 24, 20 * 24 + 7, 33 * 24 + 18])
def test_a_replayed_origin_sees_nothing_of_what_came_after_it(origin):
    grid = days_before("2026-05-10", 42)
    history = matrix(grid, counts(office_rates(grid), 3))
    other = history.values.copy()
    other[:, origin:] = counts(np.full(grid.slots - origin, 3000.0), 3)
    leads = np.arange(48)
    for known, otherwise in zip(
        _known_at(history, origin, leads), _known_at(matrix(grid, other), origin, leads), strict=True
    ):
        np.testing.assert_array_equal(known, otherwise)


def test_replayed_origins_fall_on_every_hour_and_leads_in_every_class():
    replay = replay_of(0, 60 * 24, HOUR_S, 1)
    assert set(replay.origins % 24) == set(range(24))
    assert replay.origins.min() >= 21 * 24
    assert replay.origins.max() < 60 * 24
    assert {0, 1, 23, 47} <= set(replay.leads)
    first, second = replay.halves()
    assert sorted([*first.origins, *second.origins]) == replay.origins.tolist()


def test_what_was_trained_yesterday_still_follows_todays_load():
    grid = days_before("2026-06-05", 42)
    yesterday = matrix(days_before("2026-06-04", 41), counts(office_rates(grid), 2)[:, : 41 * 24])
    today = counts(office_rates(grid), 2)
    today[:, 41 * 24 :] *= 2
    calendars = [CivilCalendar()] * 2
    trained = default_forecaster().trained(yesterday, calendars)
    as_usual = trained.forecast(matrix(grid, counts(office_rates(grid), 2)), calendars, grid.after(24))
    doubled = trained.forecast(matrix(grid, today), calendars, grid.after(24))
    assert doubled.values[:, 9:17, 0].mean() > 1.1 * as_usual.values[:, 9:17, 0].mean()
    assert doubled.issued_at_s == as_usual.issued_at_s == yesterday.grid.end_s + DAY_S


def test_a_fortnight_is_enough_to_know_the_working_week():
    history = office(days_before("2026-06-08", 14), series=3)
    forecast = default_forecaster().forecast(history, [CivilCalendar()] * 3, history.grid.after(24))
    np.testing.assert_allclose(forecast.values[:, 9:17, 0], 100, rtol=0.35)
    assert forecast.values[:, :8, 0].max() < 20


def test_two_days_are_enough_for_the_shape_of_the_day():
    history = office(days_before("2026-06-03", 2), series=3)
    forecast = default_forecaster().forecast(history, [CivilCalendar()] * 3, history.grid.after(24))
    assert forecast.values[:, 9:17, 0].min() > 40
    assert forecast.values[:, :8, 0].max() < 25


def test_coefficients_are_learnt_from_both_halves_together():
    rng = np.random.default_rng(1)
    leads_s = np.full(2000, HOUR_S)
    halves = []
    for slope in (0.2, 0.8):
        features = np.zeros((1, 1, 2000, len(FEATURES)), dtype=np.float32)
        features[..., HOUR] = rng.normal(size=2000)
        half = Regression()
        half.add(features, slope * features[..., HOUR], leads_s)
        halves.append(half)
    hour = int(horizon_class(leads_s)[0])
    alone = [half.solve().coefficients[hour, HOUR] for half in halves]
    together = (halves[0] + halves[1]).solve().coefficients[hour, HOUR]
    np.testing.assert_allclose(alone, [0.2, 0.8], atol=0.05)
    assert together == pytest.approx(0.5, abs=0.05)


def test_with_nothing_learnt_recent_deviations_fade_with_the_horizon():
    coefficients = Regression().solve().coefficients[:, HOUR]
    assert coefficients[0] > 0.4
    assert (np.diff(coefficients) < 0).all()
    assert coefficients[-1] < 0.01
