"""What is left out because it cannot matter, or is computed in parts, changes no number: all of it bit for bit."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecasting.fan_out import Threads, computed_by
from forecasting.grid import SlotGrid
from forecasting.load import LoadMatrix
from forecasting.models import MODELS, default_forecaster, level_breaks, weekly_profile
from forecasting.models.boosted import ResidualRows
from forecasting.models.chunks import Part, chunks_of
from forecasting.models.common_fall import common_falls, masked
from forecasting.models.level_breaks import LevelBreaks
from forecasting.models.recent import Running
from forecasting.models.weekly_profile import WEEKLY_FADE, smoothed, smoothed_mean
from forecasting.quantile_lines import in_order
from tests.forecasting.histories import DAY_S, counts, days_before, matrix, office_rates
from tests.forecasting.wild_histories import CALENDARS, ROWS, values_of

GRID = days_before("2026-06-10", 49)
SLOTS_PER_DAY = DAY_S // GRID.step_s
TAME = 36
CLOCKS = [CALENDARS[row % len(CALENDARS)] for row in range(TAME + len(ROWS))]
DOWN = slice(GRID.slots - 12, GRID.slots - 9)
SEEDS = st.integers(0, 2**32 - 1)
BOUNDED = settings(max_examples=40, deadline=None, derandomize=True)


def _tenants(seed: int) -> LoadMatrix:
    """Offices, some of which change their level or began late, most of which fell together on the last day."""
    rng = np.random.default_rng(seed)
    values = counts(office_rates(GRID, quiet=30.0) * rng.uniform(0.05, 3.0, (TAME, 1)), TAME, seed)
    for row in range(0, TAME, 4):
        values[row, -int(rng.integers(1, 20 * SLOTS_PER_DAY)) :] *= rng.choice([0.4, 0.6, 1.5, 2.0])
    values[5, : -9 * SLOTS_PER_DAY] = np.nan
    values[: 2 * TAME // 3, DOWN] = 0.0
    values[rng.random(values.shape) < 0.01] = np.nan
    return matrix(GRID, np.round(values))


def _breaks(history: LoadMatrix) -> list[LevelBreaks]:
    return [
        level_breaks.level_breaks(chunk, history.values[chunk.rows], 1.0) for chunk in chunks_of(CLOCKS, history.grid)
    ]


@given(seed=SEEDS)
@BOUNDED
def test_who_shows_no_change_need_not_be_watched_for_breaks(seed):
    wild = values_of(ROWS, GRID.slots, np.random.default_rng(seed))
    history = matrix(GRID, np.concatenate([_tenants(seed).values, wild]))
    found = _breaks(history)
    with pytest.MonkeyPatch.context() as everyone:
        everyone.setattr(level_breaks, "_may_have_broken", lambda roots: np.ones(roots.shape[0], dtype=np.bool_))
        watched = _breaks(history)
    assert sum(part.series.size for part in watched) > 0
    for one, other in zip(found, watched, strict=True):
        for name in ("series", "slot", "believed", "factor"):
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


@given(series=st.integers(1, 9), half_width=st.integers(1, 9), at_once=st.integers(1, 500), seed=SEEDS)
@BOUNDED
def test_smoothing_some_rows_at_a_time_is_smoothing_all_of_them(series, half_width, at_once, seed):
    rng = np.random.default_rng(seed)
    sums = rng.gamma(1.0, 9.0, (series, 3, 7 * SLOTS_PER_DAY)).astype(np.float32)
    weights = np.repeat(rng.choice([0.0, 0.85, 1.85], (1, *sums.shape[1:])), series, axis=0).astype(np.float32)
    whole, mean = smoothed(sums, half_width), smoothed_mean(sums, weights, half_width)
    with pytest.MonkeyPatch.context() as few:
        few.setattr(weekly_profile, "_CELLS_AT_ONCE", at_once)
        np.testing.assert_array_equal(smoothed(sums, half_width), whole)
    # A series that has missed other slots than the rest: then each is smoothed by itself.
    other = np.roll(weights[:1], 5, axis=2)
    apart = smoothed_mean(np.concatenate([sums, sums[:1]]), np.concatenate([weights, other]), half_width)
    np.testing.assert_array_equal(apart[:-1], mean)
    np.testing.assert_array_equal(apart[-1:], smoothed_mean(sums[:1], other, half_width))


@given(gaps=st.sampled_from([0.0, 0.02, 1.0]), seed=SEEDS)
@BOUNDED
def test_sums_without_a_mask_are_those_with_one(gaps, seed):
    rng = np.random.default_rng(seed)
    values = rng.gamma(1.0, 9.0, (5, 4, 7 * 24)).astype(np.float32)
    values[rng.random(values.shape) < gaps] = np.nan
    missing = np.isnan(values)
    filled = np.where(missing, np.float32(0.0), values)
    sums, weights = weekly_profile.weekly_sums(values, 0)
    total, weight = np.zeros((2, 5, 7 * 24), dtype=np.float32)
    for week in range(4):
        np.testing.assert_array_equal(sums[:, week], total)
        np.testing.assert_array_equal(weights[:, week], weight)
        total = total * WEEKLY_FADE + filled[:, week]
        weight = weight * WEEKLY_FADE + ~missing[:, week]
    flat, unseen = filled.reshape(5, -1), missing.reshape(5, -1)
    running = Running.of(values.reshape(5, -1), 0)
    np.testing.assert_array_equal(running.total[:, 1:], np.cumsum(flat, axis=1, dtype=np.float64))
    starts = np.arange(0, flat.shape[1], 6)
    events, count = level_breaks._sum_and_count(values.reshape(5, -1), ~unseen, starts)
    np.testing.assert_array_equal(events, np.add.reduceat(flat, starts, axis=1, dtype=np.float64))
    np.testing.assert_array_equal(count, np.add.reduceat(~unseen, starts, axis=1, dtype=np.int64))


@given(quantiles=st.integers(1, 6), seed=SEEDS)
@BOUNDED
def test_lines_put_in_order_one_by_one_are_those_accumulated(quantiles, seed):
    rng = np.random.default_rng(seed)
    lines = rng.normal(size=(4, 9, quantiles)).astype(np.float32)
    lines[rng.random(lines.shape) < 0.1] = np.nan
    np.testing.assert_array_equal(in_order(lines.copy()), np.maximum.accumulate(lines, axis=-1))


@pytest.mark.parametrize("name", ["seasonal-naive", "seasonal-profile"])
def test_what_many_threads_compute_is_what_one_does(learnt, name):
    history, trained = learnt
    model = {trained.name: trained}.get(name, MODELS[name])
    found = []
    for at_once in (1, 3):
        with computed_by(Threads(at_once)), pytest.MonkeyPatch.context() as small:
            small.setattr("forecasting.models.chunks.CELLS", 1)
            found.append(model.forecast(history, CLOCKS[:TAME], history.grid.after(48)))
    np.testing.assert_array_equal(found[0].values, found[1].values)
    assert found[0].trust_reasons == found[1].trust_reasons


@given(cuts=st.lists(st.integers(0, 5000), max_size=6), seed=SEEDS)
@BOUNDED
def test_rows_for_trees_are_chosen_alike_from_many_parts_as_from_one(cuts, seed):
    rng, size = np.random.default_rng(seed), 5000
    whole = ResidualRows(
        rng.normal(size=(size, 3)).astype(np.float32),
        rng.normal(size=size).astype(np.float32),
        *(rng.integers(0, 5, size) for _ in range(2)),
        *(rng.gamma(1.0, 1.0, size).astype(np.float32) for _ in range(2)),
        rng.integers(0, 8, size),
    )
    edges = [0, *sorted(cuts), size]
    parts = [whole.where(np.arange(first, last)) for first, last in pairwise(edges)]
    with pytest.MonkeyPatch.context() as fewer:
        fewer.setattr("forecasting.models.boosted.MOST_ROWS", 1000)
        one, many = ResidualRows.joined([whole]), ResidualRows.joined(parts)
    assert one.scaled.size == 1000
    for name in ResidualRows.__slots__:
        np.testing.assert_array_equal(getattr(one, name), getattr(many, name))


@pytest.fixture(scope="module")
def learnt():
    """Two days longer than what it was learnt from, and what was learnt."""
    history = _tenants(20_260_601)
    return history, default_forecaster().trained(_until(history, 2 * SLOTS_PER_DAY), CLOCKS[:TAME])


def _until(history: LoadMatrix, before_end: int) -> LoadMatrix:
    """The history without its newest slots."""
    grid = SlotGrid(history.grid.start_s, history.grid.step_s, history.grid.slots - before_end)
    return LoadMatrix(history.measure, history.series, grid, history.values[:, : grid.slots].copy())


@given(steps=st.lists(st.integers(1, 15), min_size=1, max_size=3))
@settings(max_examples=8, deadline=None, derandomize=True)
def test_refreshes_slot_by_slot_forecast_what_one_over_the_longer_history_does(learnt, steps):
    history, model = learnt
    for left in 2 * SLOTS_PER_DAY - np.cumsum(steps):
        refreshed = _until(history, int(left))
        found = model.forecast(refreshed, CLOCKS[:TAME], refreshed.grid.after(48))
    anew = _until(history, int(left))
    once = model.forecast(anew, CLOCKS[:TAME], anew.grid.after(48))
    np.testing.assert_array_equal(found.values, once.values)
    assert (found.trust, found.trust_reasons) == (once.trust, once.trust_reasons)


@pytest.mark.parametrize("left", range(0, 2 * SLOTS_PER_DAY, SLOTS_PER_DAY // 3))
def test_nobody_reads_what_lies_before_the_days_that_are_kept(learnt, left):
    history, model = learnt
    refreshed = _until(history, left)
    found = model.forecast(refreshed, CLOCKS[:TAME], refreshed.grid.after(48))
    with pytest.MonkeyPatch.context() as everything:
        everything.setattr("forecasting.models.seasonal_profile._KEPT_S", 40 * DAY_S)
        longer = model.forecast(refreshed, CLOCKS[:TAME], refreshed.grid.after(48))
    # Sums that begin elsewhere round elsewhere.
    np.testing.assert_allclose(found.values, longer.values, rtol=1e-5)
    assert (found.trust, found.trust_reasons) == (longer.trust, longer.trust_reasons)


def test_the_falls_of_a_history_are_those_of_the_calendars_that_are_asked_for(learnt):
    history, _ = learnt
    falls = common_falls(history, CLOCKS[:TAME])
    assert falls
    assert common_falls(history, CLOCKS[:TAME]) is falls
    anew = LoadMatrix(history.measure, history.series, history.grid, history.values.copy())
    day = date(1970, 1, 1) + timedelta(seconds=falls[0].start_s)
    around = tuple(day + timedelta(days=days) for days in (-1, 0, 1))
    closed = [replace(calendar, closures=around) for calendar in CLOCKS[:TAME]]
    # The same object by another calendar, and the same values as another object.
    assert [fall.start_s for fall in common_falls(history, closed)] == [
        fall.start_s for fall in common_falls(anew, closed)
    ]
    assert falls[0].start_s not in [fall.start_s for fall in common_falls(history, closed)]


def test_falls_are_taken_out_of_a_chunk_as_out_of_the_whole(learnt):
    history, _ = learnt
    falls = common_falls(history, CLOCKS[:TAME])
    without = masked(history, falls).values
    assert np.isnan(without).sum() > np.isnan(history.values).sum()
    for chunk in chunks_of(CLOCKS[:TAME], history.grid):
        np.testing.assert_array_equal(Part.of(chunk, history, falls).load, without[chunk.rows])
