"""Peers that know one series at a time, as most libraries do: what each is given, and what is made of its answer.

A peer gets the last eight weeks on the root scale, where noise is even, by the local clock and without closed hours,
so that its seasons are whole numbers of slots. Gaps, which most of them cannot bear, are filled from the week before:
inside the peer, and nowhere else. Its own intervals are kept as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from forecasting.calendar import CivilCalendar
from forecasting.forecast import QUANTILES, QuantileForecast
from forecasting.grid import Int64Array, SlotGrid
from forecasting.load import BoolArray, LoadMatrix
from forecasting.models.chunks import Chunk, chunks_of
from forecasting.models.result import check_inputs, finish, joined
from forecasting.models.scale import ZERO, counts_per_unit, to_counts, to_root
from forecasting.models.week_layout import FloatArray

_WEEKS = 8

Float64Array = npt.NDArray[np.float64]
Times = npt.NDArray[np.datetime64]


@dataclass(frozen=True, slots=True, eq=False)
class Past:
    """One series without gaps: `roots` (slots,) with the local times (slots,) at which they began.

    `ahead` (steps,) are the local times to forecast, the first right after the last root. `day` and `week` are the
    seasons, in slots.
    """

    roots: Float64Array
    times: Times
    ahead: Times
    day: int
    week: int


Method = Callable[[Past, tuple[float, ...]], Float64Array]
"""Quantiles of the roots ahead: (steps, quantiles)."""


@dataclass(frozen=True, slots=True)
class PerSeries:
    """A method of one series behind the contract of all models. A series with less than two weeks repeats its mean."""

    name: str
    method: Method

    def forecast(
        self,
        history: LoadMatrix,
        calendars: Sequence[CivilCalendar],
        horizon: SlotGrid,
        quantiles: tuple[float, ...] = QUANTILES,
    ) -> QuantileForecast:
        """See `Forecaster`.

        Raises:
            ForecastInputError: grids, calendars or quantiles do not fit.
            PeerNotInstalledError: the method's library is missing.
        """
        check_inputs(history, calendars, horizon)
        values = np.zeros((len(history.series), horizon.slots, len(quantiles)), dtype=np.float32)
        per_unit = counts_per_unit(history.measure, history.grid.step_s)
        if history.grid.slots and horizon.slots:
            for chunk in chunks_of(calendars, joined(history.grid, horizon)):
                roots = chunk.layout.weekly(to_root(history.values[chunk.rows], per_unit))
                flat = roots.reshape(roots.shape[0], -1)
                for row, series in zip(chunk.rows.tolist(), flat, strict=True):
                    paths = self._paths(chunk, series, history.grid.slots, quantiles)
                    values[row] = to_counts(paths.astype(np.float32)) / np.float32(per_unit)
        return finish(history, horizon, quantiles, values, self.name)

    def _paths(self, chunk: Chunk, series: FloatArray, slots: int, quantiles: tuple[float, ...]) -> Float64Array:
        """Root quantiles (slots of horizon, quantiles) of one series laid out by weeks (cells,)."""
        layout = chunk.layout
        now, cells = int(layout.cell[slots - 1]), layout.cell[slots:]
        is_open = _open_cells(series[: now + 1], layout.slots_per_week)
        kept = np.flatnonzero(np.resize(is_open, series.size))
        past = kept[(kept <= now) & (kept > now - _WEEKS * layout.slots_per_week)]
        week = int(is_open.sum())
        if past.size < 2 * week or np.isnan(series[past]).all():
            mean = np.nanmean(series[: now + 1]) if (~np.isnan(series[: now + 1])).any() else ZERO
            return np.full((cells.size, len(quantiles)), mean, dtype=np.float64)
        ahead = kept[(kept > now) & (kept <= cells[-1])]
        open_days = int(is_open.reshape(7, -1).any(axis=1).sum())
        origin = np.datetime64(layout.first_day, "D").astype("datetime64[s]")
        times = [origin + (at * layout.step_s).astype("timedelta64[s]") for at in (past, ahead)]
        told = Past(_without_gaps(series[past], week), times[0], times[1], round(week / open_days), week)
        paths = np.nan_to_num(self.method(told, quantiles), nan=ZERO)
        # A closed slot is never scored; it takes the next open one.
        answer: Float64Array = paths[np.minimum(np.searchsorted(ahead, cells), ahead.size - 1)]
        return answer


def _open_cells(series: FloatArray, slots_per_week: int) -> BoolArray:
    """Which slots of the week were ever observed."""
    padded = np.full(-(-series.size // slots_per_week) * slots_per_week, np.nan, dtype=np.float32)
    padded[: series.size] = series
    seen: BoolArray = np.asarray((~np.isnan(padded.reshape(-1, slots_per_week))).any(axis=0))
    return seen if seen.any() else np.ones(slots_per_week, dtype=np.bool_)


def _without_gaps(roots: FloatArray, week: int) -> Float64Array:
    """Each gap from the week before it; where there is none before, from the mean."""
    padded = np.full(-(-roots.size // week) * week, np.nan)
    padded[: roots.size] = roots
    weeks = padded.reshape(-1, week)
    newest: Int64Array = np.where(np.isnan(weeks), -1, np.arange(weeks.shape[0])[:, None])
    newest = np.maximum.accumulate(newest, axis=0)
    filled = np.take_along_axis(weeks, np.maximum(newest, 0), axis=0).reshape(-1)[: roots.size]
    return np.where(np.isnan(filled), np.nanmean(roots), filled)
