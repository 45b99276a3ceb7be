"""The weekly profile of series that need others': shapes in place of what their own weeks do not say yet.

A young series has a level for every hour of the week from its first one on, and leaves the shapes as its weeks grow;
a sparse one stays with them, since a month of its own is still mostly noise. Busy series with weeks enough keep the
profile that they have, cell by cell and bit by bit.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from forecasting.load import BoolArray
from forecasting.models.scale import ZERO, poisson_rate, to_counts
from forecasting.models.shapes import LARGEST_COUNT, Shaped, WeeklyShapes, own_habits, shaped_rate
from forecasting.models.week_layout import FloatArray
from forecasting.models.weekly_profile import WEEKLY_FADE, weekly_sums

_YOUNG_BELOW, _GROWN_FROM = np.float32(3.0), np.float32(4.5)
"""Weeks seen, faded: four weeks are 3.2, seven 4.5. Up to the first the borrowed profile is the better one."""
_SPARSE_BELOW, _BUSY_FROM = np.float32(0.5), np.float32(1.0)
"""Mean events per slot."""
_MIDWEEK_BELOW = np.float32(2.0)
"""Weeks seen, faded, below which the running week counts already."""
_LARGEST_RELATIVE_DOUBT = np.float32(1.0)
_TABLED_RATE = np.float32(60.0)
_RATE_ROOT_STEP = 0.002
_LARGEST_ROOT = np.float32(2.0) * np.sqrt(LARGEST_COUNT)
_ROWS_AT_ONCE = 16


def borrowed_week(
    ordinary: FloatArray,
    own: FloatArray,
    shapes: WeeklyShapes | None,
    weekend: tuple[int, ...],
    *,
    first_week: int,
    until_now: bool,
) -> tuple[FloatArray, FloatArray | None, FloatArray]:
    """The profile with borrowed levels where they are better, the doubt that they bring (None for none), their share.

    `ordinary` (series, weeks, slots_per_week) are roots with special days NaN; `own` (series, kept weeks,
    slots_per_week) is the profile learnt from them, kept from `first_week` on. Level and doubt have the shape of `own`,
    the share is (series,); the doubt is a standard deviation on the root scale. Without shapes `own` is returned as it
    is.

    `until_now` is for the end of the history: a week's level uses the weeks before it, and of a series with hardly any
    the newest observed week itself too. Without it, for replayed origins, a level uses nothing of the week before
    either, since an origin in that week may look into the next; only who borrows is decided once, by all that was seen.
    """
    if shapes is None:
        return own, None, np.zeros(own.shape[0], dtype=np.float32)
    weeks, rate = _weeks_and_rate(ordinary)
    now: BoolArray = np.less(weeks, _MIDWEEK_BELOW) & until_now
    young = _falling(weeks, _YOUNG_BELOW, _GROWN_FROM)
    share = np.maximum(young, _falling(rate, _SPARSE_BELOW, _BUSY_FROM))
    rows = np.flatnonzero((share > 0) | np.isnan(own).any(axis=(1, 2)))
    level, doubt = own.copy(), np.zeros_like(own)
    if rows.size:
        counts = to_counts(ordinary[rows], _LARGEST_ROOT)
        sums, weights = weekly_sums(counts, first_week) if until_now else _a_week_older(counts, first_week)
        if now.any():
            _add_newest_week(ordinary[rows], sums, weights, now[rows], first_week)
        rated = shaped_rate(sums, weights, shapes)
        # A few series at a time, so that all they need in between stays in the cache.
        for start in range(0, rows.size, _ROWS_AT_ONCE):
            part = slice(start, start + _ROWS_AT_ONCE)
            of_part = Shaped(rated.rate[part], rated.variance[part])
            shaped = own_habits(of_part, sums[part], weights[part], shapes, weekend)
            root, kept = expected_root(shaped.rate), own[rows[part]]
            mixed = np.where(np.isnan(kept), root, kept + share[rows[part], None, None] * (root - kept))
            # Before anything of a series was seen there is nothing to forecast either.
            began: BoolArray = np.any(weights[part] > 0, axis=2, keepdims=True)
            level[rows[part]] = np.where(began, mixed, kept)
            doubt[rows[part]] = np.where(began, young[rows[part], None, None] * root_doubt(shaped), np.float32(0.0))
    return level, doubt, share


def _weeks_and_rate(ordinary: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Weeks seen of each series, faded, and its mean events per slot: each (series,).

    A week is as many slots as were seen in the fullest one: a feed that runs from seven to nine does not stay young for
    ever. Counted by whole weeks, since of most series nothing more is needed: they are grown and busy.
    """
    roots = np.where(np.isnan(ordinary), np.float32(0.0), ordinary)
    known = np.count_nonzero(roots, axis=2)
    # A count is (root / 2)² - 3/8; the root of nothing is not 0, so that 0 is left for what was not seen.
    counts = np.einsum("swc,swc->sw", roots, roots, dtype=np.float64) / 4 - 0.375 * known
    began = known.any(axis=0)
    newest = int(np.flatnonzero(began)[-1]) if began.any() else 0
    fade = float(WEEKLY_FADE) ** np.maximum(newest - np.arange(known.shape[1]), 0)
    exposure = known @ fade
    rate = (counts @ fade) / np.maximum(exposure, 1e-6)
    fullest = np.maximum(known.max(axis=1), 1)
    return (exposure / fullest).astype(np.float32), rate.astype(np.float32)


def _a_week_older(counts: FloatArray, first_week: int) -> tuple[FloatArray, FloatArray]:
    """Sums and weights as `weekly_sums` has them for the week before each."""
    if first_week > 0:
        sums, weights = weekly_sums(counts, first_week - 1)
        return sums[:, :-1], weights[:, :-1]
    nothing = np.zeros_like(counts[:, :1])
    sums, weights = weekly_sums(counts, 0)
    return np.concatenate([nothing, sums[:, :-1]], axis=1), np.concatenate([nothing, weights[:, :-1]], axis=1)


def _add_newest_week(
    ordinary: FloatArray, sums: FloatArray, weights: FloatArray, rows: BoolArray, first_week: int
) -> None:
    """Put the newest observed week into the sums and weights of that week itself, for some rows, in place."""
    known = ~np.isnan(ordinary)
    newest = np.flatnonzero(known.any(axis=(0, 2)))
    if newest.size == 0 or newest[-1] < first_week:
        return
    week, at = int(newest[-1]), int(newest[-1]) - first_week
    counts = np.where(known[rows, week], to_counts(ordinary[rows, week], _LARGEST_ROOT), np.float32(0.0))
    sums[rows, at] = WEEKLY_FADE * sums[rows, at] + counts
    weights[rows, at] = WEEKLY_FADE * weights[rows, at] + known[rows, week]


def _falling(values: FloatArray, from_: np.float32, to: np.float32) -> FloatArray:
    """1 below the first, 0 above the second, linear between."""
    share: FloatArray = np.clip((to - values) / (to - from_), np.float32(0.0), np.float32(1.0))
    return share


def root_doubt(shaped: Shaped) -> FloatArray:
    """Standard deviation on the root scale of a rate's own variance: the root is 2·√rate. Same shape."""
    relative = np.minimum(np.sqrt(shaped.variance) / shaped.rate, _LARGEST_RELATIVE_DOUBT)
    doubt: FloatArray = relative * np.sqrt(shaped.rate)
    return doubt


@lru_cache(maxsize=1)
def _roots_of_rates() -> FloatArray:
    """Roots of the rates (0, step, 2 · step …)²."""
    roots = np.linspace(ZERO, 17.0, 4000, dtype=np.float32)
    steps = np.arange(0.0, math.sqrt(_TABLED_RATE) + _RATE_ROOT_STEP, _RATE_ROOT_STEP)
    table: FloatArray = np.interp(steps**2, poisson_rate(roots), roots).astype(np.float32)
    return table


def expected_root(rate: FloatArray) -> FloatArray:
    """The mean root of Poisson counts with this rate: the inverse of `poisson_rate`. Any shape."""
    table = _roots_of_rates()
    # Looked up and not interpolated: a step is far below the noise of a root, and this is done for every cell.
    at = np.minimum(np.sqrt(rate) * np.float32(1 / _RATE_ROOT_STEP) + np.float32(0.5), table.size - 1)
    large = np.float32(2.0) * np.sqrt(rate + np.float32(0.125))
    root: FloatArray = np.where(rate < _TABLED_RATE, table[at.astype(np.int32)], large)
    return root
