"""What the deviation ahead is told by: in parts as in full, and memories that differ only where load drifts."""

import numpy as np
import pytest

from forecasting.calendar import CivilCalendar
from forecasting.models import default_forecaster
from forecasting.models.chunks import Part, chunks_of
from forecasting.models.common_load import common_past
from forecasting.models.features import FEATURES, OWN, VARYING, features_of
from forecasting.models.learnt import view
from forecasting.models.regression import Correction
from forecasting.models.scale import to_root
from forecasting.models.special_days import learn_special_days
from tests.forecasting.histories import counts, days_before, matrix, office_rates

UTC = [CivilCalendar()] * 3
LEADS = np.arange(48)


def _rates(growth=1.0):
    grid = days_before("2026-06-08", 70)
    return office_rates(grid) * growth ** (np.arange(grid.slots) / (7 * 24))


def _features(rates, origins, common=None):
    history = matrix(days_before("2026-06-08", 70), counts(rates, 3))
    (chunk,) = chunks_of(UTC, history.grid)
    usual = learn_special_days([], 3)
    roots = to_root(history.values, 1.0)
    common = None if common is None else common_past(Part(chunk, history.grid, history.values, common), 1.0, 0)
    seen = view(chunk, roots, np.zeros(3, np.int64), usual, None, first_week=0, until_now=False, common=common)
    return features_of(seen.past, np.array(origins), np.array(origins)[:, None] + LEADS)


@pytest.mark.parametrize("common", [None, counts(_rates(), 1, seed=9)[0]])
def test_kept_in_parts_or_told_in_full_the_features_are_the_same(common):
    features = _features(_rates(), [50 * 24, 60 * 24 + 7], common)
    everywhere = features.everywhere()
    assert everywhere.shape == (3, 2, 48, len(FEATURES))
    assert everywhere[..., len(OWN) :].any() == (common is not None)
    cells = np.nonzero(np.ones(features.base.shape, dtype=bool))
    np.testing.assert_allclose(features.own_at(cells), everywhere[..., : len(OWN)].reshape(-1, len(OWN)), rtol=1e-6)
    # The same coefficients at every lead, so that nothing glides.
    coefficients = np.tile(np.random.default_rng(1).normal(size=len(FEATURES)), (13, 1))
    in_full = features.base + everywhere @ coefficients[0]
    found = Correction(coefficients, coefficients).at(features, (LEADS + 1) * 3600)
    np.testing.assert_allclose(found, in_full, rtol=1e-4, atol=1e-3)


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
