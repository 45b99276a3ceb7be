"""The one rule by which samples become slots, for every source.

1. A sample that is not a number of at least zero (NaN, infinite, negative) is no observation.
2. Of several samples of one series at the same instant the one that was read last counts; in which order the others
   came does not matter, so that a file may be corrected by appending to it.
3. A slot [t, t + step) gets the mean or the maximum of the samples whose instants lie in it.
4. A slot without a sample is NaN. Nothing is carried over from its neighbours.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from forecasting.grid import Int64Array, SlotGrid
from forecasting.load import BoolArray, Float32Array
from forecasting.sources.protocol import SlotStatistic

Float64Array = npt.NDArray[np.float64]


def is_load(values: Float64Array) -> BoolArray:
    """Which values are observations: finite and not negative."""
    with np.errstate(invalid="ignore"):
        load: BoolArray = np.isfinite(values) & (values >= 0)
    return load


def slot_values(
    rows: Int64Array,
    times_s: Float64Array,
    values: Float64Array,
    series_count: int,
    grid: SlotGrid,
    statistic: SlotStatistic,
) -> tuple[Float32Array, Int64Array]:
    """Slot values and the number of samples behind each, both of shape (series_count, grid.slots).

    `rows` (samples,) says which series each sample belongs to, `times_s` its epoch seconds; any order.
    """
    values_by_slot = np.full(series_count * grid.slots, np.nan, dtype=np.float32)
    counts = np.zeros(series_count * grid.slots, dtype=np.int64)
    slots = np.floor((times_s - grid.start_s) / grid.step_s)
    usable = is_load(values) & (slots >= 0) & (slots < grid.slots)
    cells = rows[usable] * grid.slots + slots[usable].astype(np.int64)
    cells, kept = _newest_per_instant(cells, times_s[usable], values[usable])
    if cells.size:
        occupied, first, count = np.unique(cells, return_index=True, return_counts=True)
        if statistic is SlotStatistic.MAXIMUM:
            per_slot = np.maximum.reduceat(kept, first)
        else:
            per_slot = np.add.reduceat(kept, first) / count
        # A float64 above float32's range would become infinite: that is no load either.
        per_slot[per_slot > np.finfo(np.float32).max] = np.nan
        values_by_slot[occupied] = per_slot
        counts[occupied] = count
    shape = (series_count, grid.slots)
    return values_by_slot.reshape(shape), counts.reshape(shape)


def _newest_per_instant(
    cells: Int64Array, times_s: Float64Array, values: Float64Array
) -> tuple[Int64Array, Float64Array]:
    """Cells (rising) and values with only the last read sample of each cell and instant."""
    if np.all(cells[1:] > cells[:-1]):
        return cells, values  # servers answer in order, one sample per slot
    # lexsort is stable, so samples of one instant keep the order in which they were read.
    order = np.lexsort((times_s, cells))
    cells, times_s, values = cells[order], times_s[order], values[order]
    last = np.ones(cells.size, dtype=np.bool_)
    last[:-1] = (cells[1:] != cells[:-1]) | (times_s[1:] != times_s[:-1])
    return cells[last], values[last]
