"""The states are those that the equations of exponential smoothing say, and a missing week is no observation."""

import numpy as np
import pytest

from forecasting.outlook import smoothing
from forecasting.outlook.smoothing import SmoothingNotInstalledError, Way, states

ROOTS = np.array([np.nan, 20.0, 22.0, 21.0, 24.0, 26.0])


def test_level_and_growth_follow_the_recursion():
    way = Way(level=0.4, trend=0.1, damping=0.8)
    (found,) = states(ROOTS, [way])
    level, growth = ROOTS[1], 0.0
    for week in range(2, ROOTS.size):
        error = ROOTS[week] - level - 0.8 * growth
        level, growth = level + 0.8 * growth + 0.4 * error, 0.8 * growth + 0.1 * error
        assert found.level[week] == pytest.approx(level)
        assert found.growth[week] == pytest.approx(growth)
    ahead = found.ahead(np.array([1, 2, 3]))[-1]
    np.testing.assert_allclose(ahead, level + growth * np.array([0.8, 0.8 + 0.64, 0.8 + 0.64 + 0.512]))
    assert np.isnan(found.level[0])


def test_a_level_that_stays_has_no_growth():
    (found,) = states(ROOTS, [Way(0.4)])
    assert (found.growth == 0).all()
    assert np.ptp(found.ahead(np.arange(1, 14))[-1]) == 0


def test_after_a_missing_week_the_next_one_counts_for_more():
    roots = np.array([20.0, 20.0, 20.0, 20.0, np.nan, 30.0])
    (found,) = states(roots, [Way(0.4)])
    assert found.level[4] == found.level[3] == pytest.approx(20)
    assert 20 + 0.4 * 10 < found.level[5] < 30


def test_without_the_library_the_error_says_how_to_install_it(monkeypatch):
    def missing(name):
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(smoothing, "import_module", missing)
    with pytest.raises(SmoothingNotInstalledError, match=r"pip install 'calltide\[outlook\]'"):
        states(ROOTS, [Way(0.4)])
