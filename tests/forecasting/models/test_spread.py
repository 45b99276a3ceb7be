"""How far values lie from their typical one, at each hour of the day."""

from __future__ import annotations

import warnings

import numpy as np

from forecasting.models.spread import hourly_spread


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
