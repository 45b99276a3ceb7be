"""Breaks laid over real series: the same calls, fewer of them or more, from an instant on.

Multiplying would leave counts that are no counts, and noise of the wrong size. So calls are taken away or added one by
one: where calls come at random, those that are left do too, and bursts stay bursts.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from forecasting.civil_time import civil_time
from forecasting.grid import SlotGrid
from forecasting.load import BoolArray, Float32Array, LoadMatrix, Measure
from forecasting.scores import Float64Array

_SMOOTHED_S = 3600
_WHOLE_TO = 1e-3


def step_at(grid: SlotGrid, slot: int, factor: float) -> Float64Array:
    """1 before the slot and `factor` from it on. Shape (slots,)."""
    return np.where(np.arange(grid.slots) < slot, 1.0, factor)


def ramp_from(grid: SlotGrid, slot: int, factor: float, days: int) -> Float64Array:
    """1 before the slot, then in a straight line to `factor` within the days, and there it stays. Shape (slots,)."""
    share = (np.arange(grid.slots) - slot) * grid.step_s / (days * 86400)
    return 1.0 + (factor - 1.0) * np.clip(share, 0.0, 1.0)


def at_level(load: LoadMatrix, factors: Float64Array, seed: int) -> LoadMatrix:
    """The load times `factors` (slots,), its gaps kept.

    Whole counts stay whole: below 1 each call is kept with that probability, above 1 calls are added at random at the
    pace of the hours around. Series of other values are multiplied.
    """
    random = np.random.default_rng(seed)
    values = load.values.astype(np.float64)
    whole = _are_whole(load.values)
    known = np.nan_to_num(values)
    counts = known[whole].astype(np.int64)
    kept = random.binomial(counts, np.minimum(factors, 1.0))
    added = random.poisson(np.maximum(factors - 1.0, 0.0) * _pace(values[whole], load.grid.step_s))
    changed = known * factors
    changed[whole] = np.where(factors == 1.0, counts, kept + added)
    changed[np.isnan(values)] = np.nan
    return LoadMatrix(load.measure, load.series, load.grid, changed.astype(np.float32))


def _are_whole(values: Float32Array) -> BoolArray:
    known = np.nan_to_num(values)
    whole: BoolArray = np.asarray((np.abs(known - np.round(known)) < _WHOLE_TO).all(axis=1))
    return whole


def _pace(values: Float64Array, step_s: int) -> Float64Array:
    """Mean of what was observed in the hours before and after each slot, without the slot itself. Shape as given.

    With it, calls of one slot would bring others into the same: bursts where there were none.
    """
    around = max(1, _SMOOTHED_S // step_s)
    seen = np.nan_to_num(values), (~np.isnan(values)).astype(np.float64)
    at = np.arange(values.shape[1])
    first, last = np.maximum(at - around, 0), np.minimum(at + around + 1, values.shape[1])
    total, slots = (_summed(part)[:, last] - _summed(part)[:, first] - part for part in seen)
    pace: Float64Array = np.maximum(total, 0.0) / np.maximum(slots, 1.0)
    return pace


def _summed(values: Float64Array) -> Float64Array:
    """Sums of all slots before each, and of all. Shape (series, slots + 1)."""
    return np.concatenate([np.zeros((values.shape[0], 1)), np.cumsum(values, axis=1)], axis=1)


def made_up(grid: SlotGrid, sizes: Sequence[float], time_zone: str, seed: int, factors: Float64Array) -> LoadMatrix:
    """Poisson counts around office weeks of these mean sizes per slot, their rates times `factors` (slots,)."""
    clock = civil_time(time_zone, grid)
    hour = clock.slot_of_day * 24 / clock.slots_per_day
    shape = np.exp(-(((hour - 13) / 4) ** 2)) * np.where(clock.weekday < 5, 1.0, 0.4) + 0.05
    rates: Float64Array = np.outer(sizes, shape / shape.mean() * factors)
    # A stream for each series: what one draws after the break changes nothing of another before it.
    values = np.stack([np.random.default_rng([seed, row]).poisson(rates[row]) for row in range(len(sizes))])
    names = tuple(f"made-up {row}" for row in range(len(sizes)))
    return LoadMatrix(Measure.CHANNELS, names, grid, values.astype(np.float32))
