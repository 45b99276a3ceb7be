"""Load laid out by the wall clock: series × weeks × weekday × slot of day.

On this layout "the same slot last week" is the neighbour along one axis for every zone, across daylight-saving
changes too, so that models are plain array arithmetic.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from forecasting.civil_time import CivilTime, civil_time, weekday_of
from forecasting.grid import Int64Array, SlotGrid
from forecasting.load import BoolArray

FloatArray = npt.NDArray[np.float32]
Float64Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class WeekLayout:
    """Where each slot of a grid lies among whole civil weeks, Monday first.

    `cell` (slots,) indexes the flattened weeks × 7 × slots_per_day; `repeated` (slots,) marks the second pass of the
    hour that autumn repeats.
    """

    time: CivilTime
    step_s: int
    first_day: int
    weeks: int
    cell: Int64Array
    repeated: BoolArray

    @property
    def slots_per_day(self) -> int:
        """Slots of one local day."""
        return self.time.slots_per_day

    @property
    def slots_per_week(self) -> int:
        """Slots of one local week."""
        return 7 * self.time.slots_per_day

    @property
    def day(self) -> Int64Array:
        """Day of each slot, counted from the layout's first Monday. Shape (slots,)."""
        return self.time.local_day - self.first_day

    def weekly(self, values: FloatArray) -> FloatArray:
        """Values (series, slots so far) as (series, weeks, slots_per_week); cells that hold no value are NaN.

        The hour that happens twice is averaged: it is one rate, seen twice as long.
        """
        slots = values.shape[1]
        cell, again = self.cell[:slots], self.repeated[:slots]
        laid = np.full((values.shape[0], self.weeks * self.slots_per_week), np.nan, dtype=np.float32)
        if not again.any() and slots and cell[-1] - cell[0] == slots - 1:
            laid[:, cell[0] : cell[-1] + 1] = values
        else:
            laid[:, cell[~again]] = values[:, ~again]
        if again.any():
            first, second = laid[:, cell[again]], values[:, again]
            mean = np.where(np.isnan(first), second, np.where(np.isnan(second), first, (first + second) / 2))
            laid[:, cell[again]] = mean
        return laid.reshape(values.shape[0], self.weeks, self.slots_per_week)

    def by_slot(self, weekly: FloatArray, first_week: int, missing: np.float32) -> FloatArray:
        """Values (series, weeks from `first_week` on, slots_per_week) at each slot; `missing` before those weeks."""
        cell = self.cell - first_week * self.slots_per_week
        kept = cell >= 0
        values = np.full((weekly.shape[0], cell.size), missing, dtype=np.float32)
        values[:, kept] = weekly.reshape(weekly.shape[0], -1)[:, cell[kept]]
        return values


@lru_cache(maxsize=32)
def week_layout(time_zone: str, grid: SlotGrid) -> WeekLayout:
    """The layout of a grid of at least one slot in the zone's civil time.

    Raises:
        ForecastInputError: see `civil_time`.
    """
    time = civil_time(time_zone, grid)
    first_day = int(time.local_day[0] - weekday_of(time.local_day[:1])[0])
    weeks = int(time.local_day.max() - first_day) // 7 + 1
    cell = (time.local_day - first_day) * time.slots_per_day + time.slot_of_day
    repeated = np.ones(grid.slots, dtype=np.bool_)
    repeated[np.unique(cell, return_index=True)[1]] = False
    return WeekLayout(time, grid.step_s, first_day, weeks, cell, repeated)
