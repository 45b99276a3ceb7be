"""Holidays, events and closures: days that break the weekly habit and must not teach it anything.

They are taken out before the weekly profile is learnt, so neither the day itself nor its echo a week later misleads.
A holiday to come lies between the ordinary weekday and the day of rest; how near to the latter is learnt from the
holidays seen so far, first over all series of a country, then shrunk to the series: a bank closes, a hospital does not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from forecasting.civil_time import DayType, Int8Array
from forecasting.grid import Int64Array
from forecasting.models.scale import ZERO
from forecasting.models.week_layout import FloatArray

_PRIOR_WEIGHT = 0.8
"""A holiday that nothing is known of: mostly a day of rest."""
_PRIOR_DAYS = 1.5
"""How many holidays of its own a series must have had to count as much as all others together."""
_LARGEST_WEIGHT = 1.3
_HOLIDAY_DOUBT = np.float32(0.4)
"""Standard deviation of the nearness to the day of rest from one holiday to the next."""
_EVENT_DOUBT = np.float32(0.1)


@dataclass(frozen=True, slots=True, eq=False)
class SpecialDays:
    """What special days do to each series. Each of shape (series,); the last two are roots."""

    rest_weight: FloatArray
    event_shift: FloatArray
    closure_level: FloatArray

    def rows(self, rows: Int64Array) -> SpecialDays:
        """The same for some of the series."""
        return SpecialDays(self.rest_weight[rows], self.event_shift[rows], self.closure_level[rows])


def without_special_days(weekly: FloatArray, kinds: Int8Array) -> FloatArray:
    """Roots (series, weeks, slots_per_week) with every special day NaN; `kinds` (series, weeks × 7)."""
    if not kinds.any():
        return weekly
    by_day = weekly.reshape(*kinds.shape, -1)
    return np.where((kinds > 0)[:, :, None], np.float32(np.nan), by_day).reshape(weekly.shape)


def place_special_days(
    level: FloatArray, kinds: Int8Array, rest_day: int, special: SpecialDays
) -> tuple[FloatArray, FloatArray | None]:
    """The profile with special days in place, and the doubt that they add to it (None where there are none).

    `level` (series, weeks, slots_per_week) and `kinds` (series, weeks × 7) are of the same weeks; the doubt is a
    standard deviation on the root scale, of the level's shape.
    """
    if not kinds.any():
        return level, None
    by_day = level.reshape(*kinds.shape, -1).copy()
    doubt = np.zeros_like(by_day)
    rest = _rest_profile(level, rest_day)
    rows, days = np.nonzero(kinds == DayType.HOLIDAY)
    towards_rest = np.nan_to_num(rest[rows, days // 7] - by_day[rows, days])
    doubt[rows, days] = _HOLIDAY_DOUBT * np.abs(towards_rest)
    by_day[rows, days] += special.rest_weight[rows, None] * towards_rest
    rows, days = np.nonzero(kinds == DayType.EVENT)
    doubt[rows, days] = _EVENT_DOUBT * np.nan_to_num(by_day[rows, days])
    by_day[rows, days] += special.event_shift[rows, None]
    rows, days = np.nonzero(kinds == DayType.CLOSURE)
    by_day[rows, days] = special.closure_level[rows, None]
    return by_day.reshape(level.shape), doubt.reshape(level.shape)


def _rest_profile(level: FloatArray, rest_day: int) -> FloatArray:
    """Profile of the day of rest as of each week, shape (series, weeks, slots_per_day)."""
    slots_per_day = level.shape[2] // 7
    return level[:, :, rest_day * slots_per_day : (rest_day + 1) * slots_per_day]


def holiday_evidence(
    weekly: FloatArray, level: FloatArray, kinds: Int8Array, rest_day: int
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """How near to the day of rest the holidays so far were.

    Sums over their slots, each (series,): deviation from the weekday times the way to the day of rest, that way
    squared, and the number of holidays. The ratio of the first two is the regression through the origin.
    """
    shape = (*kinds.shape, -1)
    rows, days = np.nonzero(kinds == DayType.HOLIDAY)
    ordinary = level.reshape(shape)[rows, days]
    towards_rest = _rest_profile(level, rest_day)[rows, days // 7] - ordinary
    seen = weekly.reshape(shape)[rows, days] - ordinary
    known = ~(np.isnan(seen) | np.isnan(towards_rest))
    series = kinds.shape[0]

    def per_series(values: FloatArray) -> FloatArray:
        return np.bincount(rows, weights=values, minlength=series).astype(np.float32)

    return (
        per_series(np.where(known, seen * towards_rest, 0).sum(axis=1)),
        per_series(np.where(known, towards_rest * towards_rest, 0).sum(axis=1)),
        per_series(known.any(axis=1).astype(np.float32)),
    )


def rest_weights(products: FloatArray, squares: FloatArray, days: FloatArray, slots_per_day: int) -> FloatArray:
    """How much of the way to the day of rest each series goes on a holiday, shape (series,).

    Pooled over the given series (of one country) and shrunk to each: a slot's own noise has variance 1 on this scale,
    so a day weighs by how far its day of rest lies from its weekday.
    """
    most, total = float(days.max(initial=0)), float(squares.sum(dtype=np.float64))
    a_day = total / most if most else 1.0
    pooled = (float(products.sum(dtype=np.float64)) + a_day * _PRIOR_WEIGHT) / max(total + a_day, 1e-9)
    pooled = min(max(pooled, 0.0), _LARGEST_WEIGHT)
    strength = _PRIOR_DAYS * squares / np.maximum(days, 1) + slots_per_day
    weights = np.clip((products + strength * pooled) / (squares + strength), 0.0, _LARGEST_WEIGHT)
    return weights.astype(np.float32)


def event_shifts(weekly: FloatArray, level: FloatArray, kinds: Int8Array) -> FloatArray:
    """Mean deviation from the ordinary day on the events so far, shrunk by one unremarkable day. Shape (series,)."""
    deviation = (weekly - level).reshape(*kinds.shape, -1)
    mean, days = _daily_mean(np.where((kinds == DayType.EVENT)[:, :, None], deviation, np.float32(np.nan)))
    shift: FloatArray = mean * days / (days + 1)
    return shift.astype(np.float32)


def closure_levels(weekly: FloatArray, level: FloatArray, kinds: Int8Array) -> FloatArray:
    """Root of the load on a closed day: as on the closures so far, else as in the stillest tenth. Shape (series,)."""
    closed = (kinds == DayType.CLOSURE)[:, :, None]
    mean, days = _daily_mean(np.where(closed, weekly.reshape(*kinds.shape, -1), np.float32(np.nan)))
    newest = np.sort(level[:, -1], axis=1)
    known = (~np.isnan(newest)).sum(axis=1)
    stillest = newest[np.arange(newest.shape[0]), np.maximum(known - 1, 0) // 10]
    levels: FloatArray = np.where(days > 0, mean, np.nan_to_num(stillest, nan=ZERO))
    return levels.astype(np.float32)


def _daily_mean(by_day: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Mean over all known cells and the number of days with any, of (series, days, slots)."""
    known = ~np.isnan(by_day)
    total = np.where(known, by_day, np.float32(0.0)).sum(axis=(1, 2), dtype=np.float64)
    mean = total / np.maximum(known.sum(axis=(1, 2)), 1)
    return mean.astype(np.float32), known.any(axis=2).sum(axis=1).astype(np.float32)
