"""Shapes: found again where they were put, assigned by what was seen, and left as a series' own weeks grow."""

from __future__ import annotations

import numpy as np
import pytest

from forecasting.models.borrowed_week import borrowed_week, expected_root
from forecasting.models.scale import poisson_rate, to_root
from forecasting.models.shapes import CellSums, WeeklyShapes, learn_shapes, own_habits, shaped_rate
from forecasting.models.week_layout import FloatArray
from forecasting.models.weekly_profile import weekly_sums

SLOTS = 336
WEEKEND = (5, 6)
WEEKS = 6


def office() -> FloatArray:
    """By day on working days, mean 1. Shape (SLOTS,)."""
    slot, day = np.arange(SLOTS) % 48, np.arange(SLOTS) // 48
    rate = np.where((day < 5) & (slot >= 18) & (slot < 34), 10.0, 0.5)
    return (rate / rate.mean()).astype(np.float32)


def night() -> FloatArray:
    """From ten in the evening to six, every day, mean 1."""
    slot = np.arange(SLOTS) % 48
    rate = np.where((slot >= 44) | (slot < 12), 10.0, 0.5)
    return (rate / rate.mean()).astype(np.float32)


def weeks_of(shape: FloatArray, levels: FloatArray, weeks: int = WEEKS, seed: int = 1) -> FloatArray:
    """Poisson counts (levels, weeks, SLOTS)."""
    rates = levels[:, None, None] * shape
    drawn = np.random.default_rng(seed).poisson(rates, (levels.size, weeks, SLOTS))
    return drawn.astype(np.float32)


@pytest.fixture(scope="module")
def shapes() -> WeeklyShapes:
    """Of ten offices and ten night desks."""
    levels = np.geomspace(1.0, 30.0, 10).astype(np.float32)
    learnt = learn_shapes(
        CellSums.joined([CellSums.of(weeks_of(office(), levels)), CellSums.of(weeks_of(night(), levels, seed=2))])
    )
    assert learnt is not None
    return learnt


def wape(rate: FloatArray, truth: FloatArray) -> float:
    return float(np.abs(rate - truth).sum() / truth.sum())


def seen_of(counts: FloatArray, first: int, end: int) -> tuple[FloatArray, FloatArray]:
    """Sums and weights of one week of which only the slots [first, end) were seen. Each (series, SLOTS)."""
    known = (np.arange(SLOTS) >= first) & (np.arange(SLOTS) < end)
    return np.where(known, counts[:, 0], 0).astype(np.float32), np.broadcast_to(known, counts[:, 0].shape).astype(
        np.float32
    )


def test_each_kind_of_week_is_found_again(shapes: WeeklyShapes):
    for kind in (office(), night()):
        assert min(wape(rate, kind) for rate in shapes.rates) < 0.1
    np.testing.assert_allclose(shapes.rates.mean(axis=1), 1, rtol=1e-5)
    assert shapes.shares.sum() == pytest.approx(1)


def test_the_same_history_gives_the_same_shapes():
    counts = weeks_of(office(), np.full(30, 2.0, dtype=np.float32))
    first, again = learn_shapes(CellSums.of(counts)), learn_shapes(CellSums.of(counts))
    assert first is not None
    assert again is not None
    assert np.array_equal(first.rates, again.rates)


def test_series_younger_than_three_weeks_teach_nothing():
    counts = weeks_of(office(), np.full(8, 5.0, dtype=np.float32))
    counts[:, : WEEKS - 2] = np.nan
    assert learn_shapes(CellSums.of(counts)) is None


def test_a_single_odd_tenant_is_no_shape_of_its_own():
    levels = np.full(20, 10.0, dtype=np.float32)
    odd = weeks_of(np.roll(night(), 24), levels[:1])
    parts = [CellSums.of(counts) for counts in (weeks_of(office(), levels), weeks_of(night(), levels), odd)]
    learnt = learn_shapes(CellSums.joined(parts))
    assert learnt is not None
    assert (learnt.shares * 41 > 2.5).all(), learnt.shares


@pytest.mark.parametrize("counts", [np.zeros((4, 6, SLOTS)), np.full((4, 6, SLOTS), np.nan), np.zeros((0, 6, SLOTS))])
def test_without_any_load_there_are_no_shapes(counts: FloatArray):
    assert learn_shapes(CellSums.of(counts.astype(np.float32))) is None


def test_hours_that_nobody_was_observed_in_lie_between_their_neighbours():
    counts = weeks_of(office(), np.full(6, 20.0, dtype=np.float32))
    counts[:, :, 20:22] = np.nan
    learnt = learn_shapes(CellSums.of(counts))
    assert learnt is not None
    assert learnt.pooled[19] * 0.7 < learnt.pooled[20] < learnt.pooled[19] * 1.4


@pytest.mark.parametrize(("shape", "first"), [(office(), 12), (night(), 6)], ids=["office", "night"])
def test_six_hours_tell_an_office_from_a_night_desk_and_how_large_it_is(
    shapes: WeeklyShapes, shape: FloatArray, first: int
):
    level = np.full(20, 8.0, dtype=np.float32)
    seen = seen_of(weeks_of(shape, level, seed=7), first, first + 12)
    shaped = shaped_rate(*seen, shapes)
    assert wape(shaped.rate, np.broadcast_to(8 * shape, shaped.rate.shape)) < 0.25


def test_a_series_of_which_nothing_was_seen_is_wholly_uncertain(shapes: WeeklyShapes):
    nothing = np.zeros((1, SLOTS), dtype=np.float32)
    shaped = shaped_rate(nothing, nothing, shapes)
    assert np.isfinite(shaped.rate).all()
    assert (np.sqrt(shaped.variance) > shaped.rate).all()


def test_no_call_in_a_busy_week_means_a_low_level(shapes: WeeklyShapes):
    silent = shaped_rate(np.zeros((1, SLOTS), dtype=np.float32), np.ones((1, SLOTS), dtype=np.float32), shapes)
    assert silent.rate.max() < 0.05


def test_a_days_own_habit_teaches_the_next_day_and_doubt_falls_with_each_week(shapes: WeeklyShapes):
    late = np.roll(office(), 4)  # an office that begins two hours later than all the others
    counts = weeks_of(late, np.full(20, 20.0, dtype=np.float32), weeks=3, seed=5)
    sums, weights = seen_of(counts, 0, 48)
    monday = shaped_rate(sums, weights, shapes)
    bent = own_habits(monday, sums, weights, shapes, WEEKEND)
    tuesday = slice(48, 96)
    truth = np.broadcast_to(20 * late, bent.rate.shape)[:, tuesday]
    assert wape(bent.rate[:, tuesday], truth) < 0.8 * wape(monday.rate[:, tuesday], truth)
    assert (bent.variance / bent.rate**2).mean() < (monday.variance / monday.rate**2).mean()


def test_working_days_teach_the_first_saturday(shapes: WeeklyShapes):
    late = np.roll(night(), 4)
    counts = weeks_of(late, np.full(20, 20.0, dtype=np.float32), seed=5)
    sums, weights = seen_of(counts, 0, 5 * 48)
    before = shaped_rate(sums, weights, shapes)
    saturday = slice(5 * 48, 6 * 48)
    after = own_habits(before, sums, weights, shapes, WEEKEND).rate[:, saturday]
    truth = np.broadcast_to(20 * late, before.rate.shape)[:, saturday]
    assert wape(after, truth) < 0.7 * wape(before.rate[:, saturday], truth)


def roots_seen(counts: FloatArray, first_seen: int) -> FloatArray:
    """Roots (series, weeks + 1, SLOTS): nothing before the flat slot `first_seen`, and an empty week after them."""
    laid = np.concatenate([counts, np.full_like(counts[:, :1], np.nan)], axis=1)
    flat = laid.reshape(laid.shape[0], -1)
    flat[:, :first_seen] = np.nan
    return to_root(laid, 1.0)


def own_level(ordinary: FloatArray) -> FloatArray:
    sums, weights = weekly_sums(ordinary, 0)
    with np.errstate(invalid="ignore"):
        return np.where(weights > 0, sums / weights, np.float32(np.nan))


def test_a_series_has_a_whole_week_from_its_first_hours_on(shapes: WeeklyShapes):
    ordinary = roots_seen(weeks_of(office(), np.full(4, 10.0, dtype=np.float32), weeks=2), 2 * SLOTS - 12)
    level, doubt, _ = borrowed_week(ordinary, own_level(ordinary), shapes, WEEKEND, first_week=0, until_now=True)
    assert doubt is not None
    assert np.isfinite(level[:, 2]).all()
    assert (doubt[:, 2] > 0).all()


@pytest.mark.parametrize(("until_now", "first_week"), [(False, 0), (False, 1), (True, 0)])
def test_a_replayed_origin_looks_into_the_next_week_without_knowing_its_own(
    shapes: WeeklyShapes, until_now: bool, first_week: int
):
    counts = weeks_of(office(), np.full(4, 10.0, dtype=np.float32), weeks=3)
    ordinary, other = roots_seen(counts, SLOTS // 2), roots_seen(counts, SLOTS // 2)
    other[:, 2] = to_root(np.full_like(counts[:, 2], 50.0), 1.0)
    known, otherwise = (
        borrowed_week(
            each,
            own_level(each)[:, first_week:],
            shapes,
            WEEKEND,
            first_week=first_week,
            until_now=until_now,
        )[0]
        for each in (ordinary, other)
    )
    week = 2 - first_week
    assert np.array_equal(known[:, week], otherwise[:, week], equal_nan=True)
    assert np.allclose(known[:, week + 1], otherwise[:, week + 1], rtol=1e-5) == (not until_now)


def test_a_busy_series_with_ten_weeks_keeps_its_own_week(shapes: WeeklyShapes):
    ordinary = roots_seen(weeks_of(office(), np.full(3, 20.0, dtype=np.float32), weeks=10), 0)
    own = own_level(ordinary)[:, 10:]
    level, doubt, _ = borrowed_week(ordinary, own, shapes, WEEKEND, first_week=10, until_now=True)
    assert doubt is not None
    assert np.array_equal(level, own)
    assert not doubt.any()


def test_the_own_week_takes_over_bit_by_bit(shapes: WeeklyShapes):
    late = np.roll(office(), 4)
    distance = []
    for weeks in (3, 5, 7):
        ordinary = roots_seen(weeks_of(late, np.full(10, 20.0, dtype=np.float32), weeks=weeks), 0)
        own = own_level(ordinary)[:, weeks:]
        level, doubt, _ = borrowed_week(ordinary, own, shapes, WEEKEND, first_week=weeks, until_now=True)
        assert doubt is not None
        distance.append((float(np.abs(level - own).mean()), float(doubt.mean())))
    (young, young_doubt), (between, between_doubt), grown = distance
    assert 0 < between < 0.6 * young
    assert 0 < between_doubt < 0.6 * young_doubt
    assert grown == (0, 0)


def test_a_sparse_series_is_forecast_better_than_by_its_own_eight_weeks(shapes: WeeklyShapes):
    level = np.full(40, 0.5, dtype=np.float32)
    ordinary = roots_seen(weeks_of(office(), level, weeks=8, seed=11), 0)
    own = own_level(ordinary)[:, 8:]
    borrowed, _, _ = borrowed_week(ordinary, own, shapes, WEEKEND, first_week=8, until_now=True)
    truth = np.broadcast_to(0.5 * office(), own.shape)
    assert wape(poisson_rate(borrowed), truth) < 0.6 * wape(poisson_rate(own), truth)


def test_without_shapes_the_own_profile_stays(shapes: WeeklyShapes):
    ordinary = roots_seen(weeks_of(office(), np.ones(2, dtype=np.float32), weeks=1), 0)
    own = own_level(ordinary)
    level, doubt, _ = borrowed_week(ordinary, own, None, WEEKEND, first_week=0, until_now=True)
    assert level is own
    assert doubt is None


def test_the_root_of_a_rate_is_the_inverse_of_the_rate_of_a_root():
    rates = np.geomspace(0.01, 500, 60).astype(np.float32)
    np.testing.assert_allclose(poisson_rate(expected_root(rates)), rates, rtol=0.02)


def odd_histories() -> dict[str, FloatArray]:
    """Weeks that no tenant should have and some do. Each (5, SLOTS)."""
    base = weeks_of(office(), np.full(1, 5.0, dtype=np.float32), weeks=5)[0]
    spike, mask = base.copy(), base.copy()
    spike[2, 100] = 1e6
    mask[np.random.default_rng(3).random(mask.shape) < 0.7] = np.nan
    single = np.full_like(base, np.nan)
    single[3, 17] = 4.0
    return {
        "nothing": np.full_like(base, np.nan),
        "single": single,
        "zero": np.zeros_like(base),
        "constant": np.full_like(base, 7.0),
        "huge": np.full_like(base, 1e30),
        "spike": spike,
        "gaps": mask,
    }


@pytest.mark.parametrize("until_now", [True, False])
def test_odd_histories_spoil_neither_themselves_nor_others(until_now: bool):
    odd = odd_histories()
    counts = np.concatenate([np.stack(list(odd.values())), weeks_of(office(), np.full(6, 5.0, dtype=np.float32), 5)])
    learnt = learn_shapes(CellSums.of(counts))
    assert learnt is not None
    assert np.isfinite(learnt.rates).all()
    assert (learnt.rates > 0).all()
    ordinary = roots_seen(counts, 0)
    level, doubt, _ = borrowed_week(ordinary, own_level(ordinary), learnt, WEEKEND, first_week=0, until_now=until_now)
    assert doubt is not None
    assert np.isfinite(doubt).all()
    began = np.array([name != "nothing" for name in odd] + [True] * 6)
    assert np.isfinite(level[began, 5]).all()
    assert np.isnan(level[~began]).all(), "of a series that has not begun nothing is known"
    assert wape(poisson_rate(level[-6:, 5]), np.broadcast_to(5 * office(), (6, SLOTS))) < 0.25
