"""What was seen: call load of many tenants on one grid.

A slot that was not observed is NaN and never zero: a scrape that failed says nothing about the calls, and a
forecast that learns a false zero scales in on people.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from forecasting.errors import ForecastInputError
from forecasting.grid import SlotGrid

Float32Array = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]

DEPARTED_AFTER_S = 86400
"""A series that stays away for longer than this, while others are observed, has left: its absence is no gap."""

_BLOCK = 256
"""Rows or columns that are looked at together: a mask of thousands of tenants' weeks would be a quarter of them."""


class Measure(StrEnum):
    """The two loads that can size a fleet."""

    CHANNELS = "channels"
    """Channels in use."""
    CALL_RATE = "call_rate"
    """Call set-ups per second."""


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class LoadMatrix:
    """One measure of many series on one grid.

    `series` names the rows: tenants, or fleets where the rows are sums. `values` has shape (series, slots), float32,
    not negative, NaN where nothing was observed.

    Raises:
        ForecastInputError: the shape does not fit, a name repeats, or a value is negative or infinite.
    """

    measure: Measure
    series: tuple[str, ...]
    grid: SlotGrid
    values: Float32Array

    def __post_init__(self) -> None:
        expected = (len(self.series), self.grid.slots)
        if self.values.shape != expected:
            raise ForecastInputError(f"values have shape {self.values.shape}, series and grid ask for {expected}")
        if self.values.dtype != np.float32:
            raise ForecastInputError(f"values are {self.values.dtype}, they must be float32")
        if len(set(self.series)) != len(self.series):
            raise ForecastInputError("a series name repeats: one row per series")
        # Least and greatest of what is no NaN: comparing each value would make masks as long as the matrix.
        least = np.fmin.reduce(self.values, axis=None, initial=np.float32(0))
        greatest = np.fmax.reduce(self.values, axis=None, initial=np.float32(0))
        if least < 0 or np.isinf(greatest):
            raise ForecastInputError("a value is negative or infinite: mark it NaN where it is read")

    @property
    def observed(self) -> BoolArray:
        """Where something was observed, shape (series, slots)."""
        observed: BoolArray = ~np.isnan(self.values)
        return observed

    def row(self, series: str) -> Float32Array:
        """The values of one series, shape (slots,).

        Raises:
            KeyError: no such series.
        """
        try:
            values: Float32Array = self.values[self.series.index(series)]
        except ValueError:
            raise KeyError(series) from None
        return values

    def last_observed_s(self) -> npt.NDArray[np.int64]:
        """End of each series' newest observed slot, epoch seconds, 0 where there is none. Shape (series,)."""
        ends_s = np.zeros(len(self.series), dtype=np.int64)
        rows, end = np.arange(ends_s.size), self.grid.slots
        # From the end, and back only for those of whom nothing was found: nearly all are seen in the newest slots.
        while rows.size and end > 0:
            start = max(0, end - _BLOCK)
            seen = ~np.isnan(self.values[rows, start:end])
            found = seen.any(axis=1)
            newest = end - np.argmax(seen[found, ::-1], axis=1)
            ends_s[rows[found]] = self.grid.start_s + newest * self.grid.step_s
            rows, end = rows[~found], start
        return ends_s

    def observed_by_any(self) -> BoolArray:
        """In which slots anything at all was observed, shape (slots,)."""
        seen = np.zeros(self.grid.slots, dtype=np.bool_)
        for row in range(0, len(self.series), _BLOCK):
            unseen = np.flatnonzero(~seen)
            if unseen.size == 0:
                break
            seen[unseen] = ~np.isnan(self.values[row : row + _BLOCK, unseen]).all(axis=0)
        return seen


def departed(load: LoadMatrix) -> BoolArray:
    """Which series have stopped for good, shape (series,).

    A series has departed when, since its newest observation, others were observed for more than `DEPARTED_AFTER_S`.
    Only time in which anything at all was observed counts: after an outage of the whole source nobody has departed,
    neither while it lasts nor when the first series comes back before the others. A series that was never observed
    has not departed, it has not begun.
    """
    # How many slots with any observation lie at or after each slot, and none after the end.
    since = np.append(np.cumsum(load.observed_by_any()[::-1])[::-1], 0)
    newest_s = load.last_observed_s()
    after_newest = (np.maximum(newest_s, load.grid.start_s) - load.grid.start_s) // load.grid.step_s
    gone: BoolArray = (newest_s > 0) & (since[after_newest] * load.grid.step_s > DEPARTED_AFTER_S)
    return gone


def fleet_sums(load: LoadMatrix, members: Mapping[str, Sequence[str]]) -> LoadMatrix:
    """Each fleet's total as a series of its own, since quantiles of parts do not add up to a quantile of the sum.

    A slot in which any member that is there is missing is missing in the sum as well: a partial sum would look like
    a fall. A tenant that has not begun yet (nothing observed before), and one that has `departed` (after its newest
    observation), count as absent, not as missing. Where nobody is there the sum is missing, never zero. A member
    that the matrix does not know contributes nothing.
    """
    row_of = {name: row for row, name in enumerate(load.series)}
    gone = departed(load)
    sums = np.full((len(members), load.grid.slots), np.nan, dtype=np.float32)
    for fleet_row, tenants in enumerate(members.values()):
        rows = [row_of[tenant] for tenant in tenants if tenant in row_of]
        if not rows:
            continue
        values = load.values[rows]
        total = values.sum(axis=0, dtype=np.float64)
        observed = ~np.isnan(values)
        if len(rows) == 1 or observed.all():
            sums[fleet_row] = total
            continue
        there = np.maximum.accumulate(observed, axis=1)
        ended = gone[rows]
        there[ended] &= np.maximum.accumulate(observed[ended, ::-1], axis=1)[:, ::-1]
        missing = (there & ~observed).any(axis=0) | ~there.any(axis=0)
        total = np.where(there, values, 0).sum(axis=0, dtype=np.float64)
        sums[fleet_row] = np.where(missing, np.nan, total).astype(np.float32)
    return LoadMatrix(load.measure, tuple(members), load.grid, sums)
