"""What holidays so far have said: how far they lay from the ordinary day, as sums that add up over days and series.

Each slot of a holiday is told by two things, the way from the ordinary day to the country's day of rest and how full
the day is (`way_and_fullness`), each at a few knots of the day. Kept are the normal equations of that regression:
pooled for each local day, as all series of a country live through it, and for each series by itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from forecasting.civil_time import DayType
from forecasting.grid import Int64Array
from forecasting.models.scale import ZERO
from forecasting.models.week_layout import FloatArray

Float64Array = npt.NDArray[np.float64]

KNOTS = 5
"""Times of day between which effects glide: midnight, six, noon, six, midnight."""
COEFFICIENTS = 2 * KNOTS
"""Shares of the way to the day of rest at each knot, then by how much the root is fuller (or emptier) than that."""
TOWARDS_REST = 0.8
"""A holiday that nothing is known of: mostly a day of rest."""
_DAY_NOISE = 0.15
"""Relative error of a root that all slots of a day share, so that busy series do not outweigh all others."""


@dataclass(frozen=True, slots=True)
class PublicDay:
    """A holiday, eve or bridge of a country on one local day (counted since 1970-01-01)."""

    country: str | None
    kind: DayType
    name: str
    day: int


@dataclass(frozen=True, slots=True, eq=False)
class DaySums:
    """Normal equations of a regression of deviations, in units of their noise.

    `products` (coefficients, coefficients), `targets` (coefficients,), `squares` of the deviations and their `slots`.
    """

    products: Float64Array
    targets: Float64Array
    squares: float
    slots: float

    def __add__(self, other: DaySums) -> DaySums:
        return DaySums(
            self.products + other.products,
            self.targets + other.targets,
            self.squares + other.squares,
            self.slots + other.slots,
        )

    def without(self, other: DaySums) -> DaySums:
        """What is left after taking out a part."""
        return self + DaySums(-other.products, -other.targets, -other.squares, -other.slots)

    @classmethod
    def none(cls) -> DaySums:
        """No evidence at all."""
        return cls(np.zeros((COEFFICIENTS, COEFFICIENTS)), np.zeros(COEFFICIENTS), 0.0, 0.0)


@dataclass(frozen=True, slots=True, eq=False)
class HolidayEvidence:
    """What the days of some series said: pooled by day, and of each series' holidays alone.

    `products` (series, coefficients, coefficients), `targets` (series, coefficients) and `days` (series,).
    """

    pooled: Mapping[PublicDay, DaySums]
    products: FloatArray
    targets: FloatArray
    days: FloatArray

    @classmethod
    def of(
        cls,
        seen: FloatArray,
        ordinary: FloatArray,
        rest: FloatArray,
        rows: Int64Array,
        series: int,
        public: Sequence[PublicDay],
        which: Int64Array,
    ) -> HolidayEvidence:
        """Of roots (cells, slots_per_day) that were seen, of the ordinary day in their place, and of the day of rest.

        `rows` (cells,) says whose of so many series, `which` (cells,) on which of the public days.
        """
        known = ~(np.isnan(seen) | np.isnan(ordinary) | np.isnan(rest))
        way, fullness = way_and_fullness(np.where(known, ordinary, np.nan), np.where(known, rest, np.nan))
        slots = known.sum(axis=1)
        level = np.where(known, ordinary, 0).sum(axis=1) / np.maximum(slots, 1)
        # A slot's own noise has variance 1 on this scale.
        noise = np.sqrt(1 + (_DAY_NOISE * level) ** 2)[:, None].astype(np.float32)
        hats = hats_at(seen.shape[1])
        features = np.concatenate([way[..., None] * hats, fullness[..., None] * hats], axis=-1) / noise[..., None]
        deviation = np.where(known, seen - ordinary, np.float32(0)) / noise
        products = np.matmul(features.transpose(0, 2, 1), features)
        targets = np.matmul(features.transpose(0, 2, 1), deviation[..., None])[..., 0]
        squares = (deviation * deviation).sum(axis=1)
        pooled: dict[PublicDay, DaySums] = {}
        for index, day in enumerate(public):
            of_day = (which == index) & (slots > 0)
            if of_day.any():
                pooled[day] = DaySums(
                    products[of_day].sum(axis=0, dtype=np.float64),
                    targets[of_day].sum(axis=0, dtype=np.float64),
                    float(squares[of_day].sum(dtype=np.float64)),
                    float(slots[of_day].sum()),
                )
        is_holiday = np.array([day.kind is DayType.HOLIDAY for day in public], dtype=np.bool_)
        own = is_holiday[which] & (slots > 0)
        of_series = cls(
            pooled,
            np.zeros((series, COEFFICIENTS, COEFFICIENTS), dtype=np.float32),
            np.zeros((series, COEFFICIENTS), dtype=np.float32),
            np.bincount(rows[own], minlength=series).astype(np.float32),
        )
        np.add.at(of_series.products, rows[own], products[own])
        np.add.at(of_series.targets, rows[own], targets[own])
        return of_series


def way_and_fullness(ordinary: FloatArray, rest: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The way from the ordinary day to the day of rest, and the root of a holiday above none; 0 where unknown."""
    way = np.nan_to_num(rest - ordinary)
    fullness = np.maximum(np.nan_to_num(ordinary, nan=ZERO) + np.float32(TOWARDS_REST) * way - np.float32(ZERO), 0)
    return way, fullness


@lru_cache(maxsize=16)
def hats_at(slots_per_day: int) -> FloatArray:
    """Weight of each knot at each slot of day, linear between knots: (slots_per_day, knots), rows sum to 1."""
    at = (np.arange(slots_per_day) + 0.5) / slots_per_day
    away = np.abs(at[:, None] - np.linspace(0, 1, KNOTS)) * (KNOTS - 1)
    hats: FloatArray = np.maximum(1 - away, 0).astype(np.float32)
    hats.flags.writeable = False
    return hats
