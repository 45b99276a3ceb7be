"""How far values lie from their typical one, at each hour of the day."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

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
