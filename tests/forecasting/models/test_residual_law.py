"""Few residuals say how wide they are and where their middle is; how far their tails go is told by more."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from forecasting.models.residual_law import ResidualCounts

Residuals = npt.NDArray[np.floating]
FIRST_SLOTS, TOMORROW = 0, 12
MANY = 40_000


def _counted(counts: ResidualCounts, residuals: Residuals, *, horizon: int = FIRST_SLOTS, level: int = 3) -> None:
    cells = (np.full(residuals.size, horizon), np.full(residuals.size, level))
    counts.add(residuals.astype(np.float32), *cells, np.ones(residuals.size, dtype=np.float32))


def _lines(counts: ResidualCounts, *quantiles: float, horizon: int = FIRST_SLOTS, level: int = 3) -> Residuals:
    return counts.law().quantiles(np.array([horizon]), np.array([level]), quantiles)[0]


def test_few_residuals_take_the_tails_of_many_at_their_own_width() -> None:
    rng = np.random.default_rng(11)
    bursts, counts = rng.standard_t(3, size=MANY), ResidualCounts()
    _counted(counts, bursts)
    # Of so few without a burst nobody could tell that there are any.
    _counted(counts, 0.5 * rng.normal(size=600), level=2)
    of_many, of_few = (_lines(counts, 0.9, 0.999, level=level) for level in (3, 2))
    assert of_few[0] < 0.75 * of_many[0]
    assert of_few[1] / of_few[0] == pytest.approx(of_many[1] / of_many[0], rel=0.1)


@pytest.mark.parametrize("few", [50, 100, 300, 1000])
def test_who_was_always_short_is_not_made_sure_of_it(few: int) -> None:
    rng = np.random.default_rng(13)
    counts = ResidualCounts()
    _counted(counts, rng.normal(size=MANY))
    pooled = _lines(counts, 0.95, level=2)[0]
    # One bad day: all lay three spreads up, and beside each other.
    _counted(counts, rng.normal(3, 0.3, size=few), level=2)
    assert _lines(counts, 0.95, level=2)[0] > pooled


def test_the_first_slots_of_few_keep_their_own_median() -> None:
    counts = ResidualCounts()
    noise = np.random.default_rng(12).normal(size=4000)
    _counted(counts, noise)
    _counted(counts, noise + 2, horizon=TOMORROW)
    assert _lines(counts, 0.5)[0] == pytest.approx(0.0, abs=0.15)
    assert _lines(counts, 0.5, horizon=TOMORROW)[0] == pytest.approx(2.0, abs=0.15)


def test_residuals_beyond_all_bins_draw_lines_all_the_same() -> None:
    counts = ResidualCounts()
    _counted(counts, np.full(10, 1e9))
    _counted(counts, np.full(10, -1e9), horizon=TOMORROW)
    assert np.isfinite(counts.law().table).all()


def _tail(residuals: Residuals) -> float:
    counts = ResidualCounts()
    horizons = np.arange(residuals.size) % 5
    for horizon in range(5):
        _counted(counts, residuals[horizons == horizon], horizon=horizon)
    return counts.law().tail()


def test_the_tail_of_bursts_is_longer_than_that_of_noise() -> None:
    rng = np.random.default_rng(5)
    noise = rng.normal(size=200_000)
    bursts = rng.standard_t(4, size=200_000)
    assert 1.0 <= _tail(noise) < 1.15
    assert 1.5 < _tail(bursts) < 3.0
    # With next to nothing seen it is that of noise.
    assert _tail(bursts[:20]) < 1.5
