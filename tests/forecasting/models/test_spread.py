"""How far values lie from their typical one, at each hour of the day."""

from __future__ import annotations

import warnings

import numpy as np
import numpy.typing as npt

from forecasting.models.spread import ResidualCounts, hourly_spread


def test_a_series_without_a_past_has_the_noise_of_calls_and_warns_of_nothing() -> None:
    typical_root = np.array([1.0, 10.0], dtype=np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        spread = hourly_spread(
            np.empty((2, 0), dtype=np.float32), np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float32), typical_root
        )
    assert spread.shape == (2, 24)
    # Poisson noise is 1 on this scale; a busy one has more than that, a tenth of its level or so.
    assert (spread[0] >= 1.0).all()
    assert (spread[1] > spread[0]).all()


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
