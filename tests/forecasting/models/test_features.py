"""What the deviation ahead is told by: in parts as in full, and memories that differ only where load drifts."""

import numpy as np

from forecasting.calendar import CivilCalendar
from forecasting.models import default_forecaster
from forecasting.models.chunks import chunks_of
from forecasting.models.features import FEATURES, VARYING, features_of
from forecasting.models.learnt import view
from forecasting.models.regression import Correction
from forecasting.models.scale import to_root
from forecasting.models.special_days import learn_special_days
from tests.forecasting.histories import counts, days_before, matrix, office_rates

UTC = [CivilCalendar()] * 3
LEADS = np.arange(48)


def _features(rates, origins):
    history = matrix(days_before("2026-06-08", 70), counts(rates, 3))
    (chunk,) = chunks_of(UTC, history.grid)
    usual = learn_special_days([], 3)
    roots = to_root(history.values, 1.0)
    seen = view(chunk, roots, np.zeros(3, np.int64), usual, None, first_week=0, until_now=False)
    return features_of(seen.past, np.array(origins), np.array(origins)[:, None] + LEADS)


def _rates(growth=1.0):
    grid = days_before("2026-06-08", 70)
    return office_rates(grid) * growth ** (np.arange(grid.slots) / (7 * 24))


def test_kept_in_parts_or_told_in_full_the_features_are_the_same():
    features = _features(_rates(), [50 * 24, 60 * 24 + 7])
    everywhere = features.everywhere()
    assert everywhere.shape == (3, 2, 48, len(FEATURES))
    cells = np.nonzero(np.ones(features.base.shape, dtype=bool))
    np.testing.assert_allclose(features.at(cells).reshape(everywhere.shape), everywhere, rtol=1e-6)
    correction = Correction(np.random.default_rng(1).normal(size=(13, len(FEATURES))))
    leads_s = (LEADS + 1) * 3600
    in_full = features.base + np.einsum("solf,lf->sol", everywhere, correction.by_lead(leads_s))
    np.testing.assert_allclose(correction.at(features, leads_s), in_full, rtol=1e-4, atol=1e-3)


def test_a_load_that_grows_lies_above_the_slow_memory_and_below_the_fast_one():
    steady, growing = (_features(_rates(growth), [60 * 24]) for growth in (1.0, 1.1))
    newer, older = VARYING.index("newer weeks"), VARYING.index("older weeks")
    assert growing.varying[..., newer].mean() > 0.2 > abs(steady.varying[..., newer].mean())
    assert growing.varying[..., older].mean() < -0.2


def test_a_feed_that_shows_opening_hours_only_comes_of_age_as_any_other():
    """Bank calls from seven to nine on working days fill two fifths of a week, however long they are watched."""
    grid = days_before("2026-06-08", 84)
    rates = office_rates(grid)
    values = counts(rates, 2)
    values[:, rates < 100.0] = np.nan
    members = default_forecaster().forecast(matrix(grid, values), UTC[:2], grid.after(24)).members
    assert [[member.weight for member in of_series if member.name == "own weeks"] for of_series in members] == [
        [1.0]
    ] * 2
