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
    sums.add(np.array([[10.0, 20.0]], np.float32), _paths((12, 15), (16, 18)), np.array([3600, 7200]))
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
    sums.add(actual, _paths((10, 10), (999, 999), (np.nan, np.nan)), np.arange(1, 4) * 3600)
    assert sums.pooled().slots == 1
    assert sums.pooled().wape == 0


def test_pooled_scores_weigh_series_by_their_load():
    sums = ScoreSums(2, QUANTILES)
    actual = np.array([[100.0], [1.0]], np.float32)
    sums.add(actual, np.array([[[110, 110]], [[2, 2]]], np.float32), np.array([3600]))
    assert [scores.wape for scores in sums.of_series()] == pytest.approx([0.1, 1.0])
    assert sums.pooled().wape == pytest.approx(11 / 101)


def test_what_was_never_scored_has_no_score():
    scores = ScoreSums(1, QUANTILES).pooled()
    assert scores.slots == 0
    assert math.isnan(scores.wape)
    assert math.isnan(scores.coverage[0.9])


def test_a_quarter_of_an_hour_ahead_is_one_slot_and_the_first_hour_all_of_its_slots():
    sums = ScoreSums(1, QUANTILES)
    actual = np.full((1, 14), 10.0, np.float32)
    errors = np.arange(14, dtype=np.float32)
    sums.add(actual, np.repeat((10 + errors)[None, :, None], 2, axis=2), np.arange(1, 15) * 300)
    assert sums.pooled().first_slot_wape == pytest.approx(2 / 10)
    assert sums.pooled().first_hour_wape == pytest.approx(errors[:12].sum() / 120)


@pytest.mark.parametrize("step_s", [360, 900, 1800, 7200])
def test_with_any_step_there_is_a_first_slot_and_a_first_hour(step_s):
    sums = ScoreSums(1, QUANTILES)
    sums.add(np.array([[10.0] * 4], np.float32), np.full((1, 4, 2), 11, np.float32), np.arange(1, 5) * step_s)
    assert sums.pooled().first_slot_wape == pytest.approx(0.1)
    assert sums.pooled().first_hour_wape == pytest.approx(0.1)


def test_what_is_left_of_a_test_without_a_part_has_the_scores_of_the_rest():
    ends_s = np.arange(1, 3) * 3600
    actual, paths = np.array([[10.0, 20.0]], np.float32), _paths((12, 15), (16, 18))
    whole, part, rest = (ScoreSums(1, QUANTILES) for _ in range(3))
    whole.add(actual, paths, ends_s)
    part.add(np.array([[10.0, np.nan]], np.float32), paths, ends_s)
    rest.add(np.array([[np.nan, 20.0]], np.float32), paths, ends_s)
    left, expected = whole.without(part).pooled(), rest.pooled()
    assert (left.slots, left.wape, left.pinball, left.coverage) == (
        expected.slots,
        pytest.approx(expected.wape),
        pytest.approx(expected.pinball),
        pytest.approx(expected.coverage),
    )
