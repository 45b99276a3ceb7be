"""Scores by hand."""

import math

import numpy as np
import pytest

from forecasting.scores import ScoreSums

QUANTILES = (0.5, 0.9)


def _paths(*pairs):
    return np.array([pairs], dtype=np.float32)


def test_the_scores_of_a_short_path_are_those_reckoned_by_hand():
    sums = ScoreSums(1, QUANTILES)
    sums.add(np.array([[10.0, 20.0]], np.float32), _paths((12, 15), (16, 18)), np.array([True, False]))
    scores = sums.pooled()
    assert scores.wape == pytest.approx((2 + 4) / 30)
    assert scores.first_hour_wape == pytest.approx(2 / 10)
    assert scores.bias == pytest.approx((2 - 4) / 30)
    assert scores.pinball[0.5] == pytest.approx((0.5 * 2 + 0.5 * 4) / 30)
    assert scores.pinball[0.9] == pytest.approx((0.1 * 5 + 0.9 * 2) / 30)
    assert scores.coverage == {0.5: 0.5, 0.9: 0.5}
    assert (scores.slots, scores.mean_load) == (2, 15)


def test_a_slot_that_was_not_observed_or_not_forecast_is_not_scored():
    sums = ScoreSums(1, QUANTILES)
    actual = np.array([[10.0, np.nan, 30.0]], np.float32)
    sums.add(actual, _paths((10, 10), (999, 999), (np.nan, np.nan)), np.ones(3, bool))
    assert sums.pooled().slots == 1
    assert sums.pooled().wape == 0


def test_pooled_scores_weigh_series_by_their_load():
    sums = ScoreSums(2, QUANTILES)
    actual = np.array([[100.0], [1.0]], np.float32)
    sums.add(actual, np.array([[[110, 110]], [[2, 2]]], np.float32), np.ones(1, bool))
    assert [scores.wape for scores in sums.of_series()] == pytest.approx([0.1, 1.0])
    assert sums.pooled().wape == pytest.approx(11 / 101)


def test_what_was_never_scored_has_no_score():
    scores = ScoreSums(1, QUANTILES).pooled()
    assert scores.slots == 0
    assert math.isnan(scores.wape)
    assert math.isnan(scores.coverage[0.9])
