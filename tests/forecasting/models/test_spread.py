"""How far values lie from their typical one, at each hour of the day."""

from __future__ import annotations

import warnings

import numpy as np
import numpy.typing as npt
import pytest

from forecasting.models.residual_law import ResidualCounts
from forecasting.models.spread import hourly_spread, noise_of


def test_a_series_without_a_past_has_the_noise_of_calls_and_warns_of_nothing() -> None:
    typical_root = np.array([1.0, 10.0], dtype=np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        spread = hourly_spread(
            np.empty((2, 0), dtype=np.float32), np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float32), typical_root
        )
    assert spread.shape == (2, 24)
    width = spread * noise_of(typical_root)[:, None]
    # Poisson noise is 1 on this scale; a busy one has more than that, a tenth of its level or so.
    assert (width[0] >= 1.0).all()
    np.testing.assert_allclose(width[1], np.hypot(1.0, 1.0), rtol=1e-6)


def test_days_of_more_load_scatter_more_and_a_series_of_plain_noise_hardly_less():
    roots = np.array([2.0, 20.0, 200.0], dtype=np.float32)
    grows = noise_of(4 * roots) / noise_of(roots)
    # Between that of calls, which is the same for all sizes, and a share of them, which is four times as much.
    assert 1.0 < grows[0] < 1.2
    assert grows[2] == pytest.approx(2.0, rel=0.01)
    assert (np.diff(grows) > 0).all()


def _law_with_a_new_cell(of_its_own: int, wide: float) -> npt.NDArray[np.float32]:
    """The lines of a cell with so many residuals of such a width, beside others that have all they need."""
    rng = np.random.default_rng(11)
    counts = ResidualCounts()
    for level, size, width in ((3, 40_000, 1.0), (2, of_its_own, wide)):
        residuals = (width * rng.standard_t(4, size=size)).astype(np.float32)
        cells = (np.zeros(size, dtype=np.int64), np.full(size, level))
        counts.add(residuals, *cells, np.ones(size, dtype=np.float32))
    return counts.law().quantiles(np.zeros(1, np.int64), np.array([2]), (0.5, 0.95, 0.99))[0]


def test_a_cell_of_few_residuals_takes_the_shape_of_all_at_its_own_width() -> None:
    all_wide = _law_with_a_new_cell(0, 1.0)
    half = _law_with_a_new_cell(1000, 0.5)
    np.testing.assert_allclose(half[1:], 0.5 * all_wide[1:], rtol=0.15)


def _tail(residuals: npt.NDArray[np.float32]) -> float:
    counts = ResidualCounts()
    cells = (np.arange(residuals.size) % 5, np.full(residuals.size, 3))
    counts.add(residuals, *cells, np.ones(residuals.size, dtype=np.float32))
    return counts.law().tail()


def test_the_tail_of_bursts_is_longer_than_that_of_noise() -> None:
    rng = np.random.default_rng(5)
    noise = rng.normal(size=200_000).astype(np.float32)
    bursts = rng.standard_t(4, size=200_000).astype(np.float32)
    assert 1.0 <= _tail(noise) < 1.15
    assert 1.5 < _tail(bursts) < 3.0
    # With next to nothing seen it is that of noise.
    assert _tail(bursts[:20]) < 1.5


def test_the_first_slots_of_few_keep_their_own_median() -> None:
    counts = ResidualCounts()
    level = np.full(2000, 3)
    ones = np.ones(2000, dtype=np.float32)
    noise = np.random.default_rng(12).normal(size=2000).astype(np.float32)
    counts.add(noise, np.zeros(2000, dtype=np.int64), level, ones)
    counts.add(noise + 2, np.full(2000, 12), level, ones)
    near, far = counts.law().quantiles(np.array([0, 12]), np.array([3, 3]), (0.5,))[:, 0]
    assert near == pytest.approx(0.0, abs=0.15)
    assert far == pytest.approx(2.0, abs=0.15)
