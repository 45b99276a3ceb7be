"""The default model: the tenant's own week, corrected by how the last hours and days have gone.

Ordinary level per local weekday and slot (`weekly_profile`), special days in their place (`special_days`), a pooled
regression on recent deviations that fades with the horizon (`recent`), and quantiles from the residuals of rolling
origins inside the history (`spread`), or from the law of counts where calls are few (`count_law`). All of it is array
arithmetic over many series at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from forecasting.calendar import CivilCalendar
from forecasting.errors import ForecastInputError
from forecasting.forecast import QUANTILES, QuantileForecast
from forecasting.grid import Int64Array, SlotGrid
from forecasting.load import LoadMatrix
from forecasting.models.chunks import Chunk, chunks_of
from forecasting.models.count_law import CERTAIN_BELOW, count_quantiles, count_weight
from forecasting.models.learnt import Centre, Learnt, SeriesLearnt, View, centre, view
from forecasting.models.result import check_inputs, finish, joined
from forecasting.models.scale import counts_per_unit, poisson_rate, to_counts, to_root
from forecasting.models.training import train
from forecasting.models.trust import BAND, COMPARED_S
from forecasting.models.week_layout import FloatArray

_DAYS_KEPT = 10
"""Days of the profile before the issue that a forecast and its check of the last day read."""
_COMPARED_SLOTS = 24
_THREADS = 2
"""Chunks that are computed at once: arithmetic over arrays leaves the interpreter free for another."""


@dataclass(frozen=True, slots=True)
class SeasonalProfile:
    """Trains and forecasts in one go."""

    name: str = "seasonal-profile"

    def trained(self, history: LoadMatrix, calendars: Sequence[CivilCalendar]) -> TrainedSeasonalProfile:
        """Learn from the history; the result forecasts the same series from newer histories for about a day.

        Raises:
            ForecastInputError: there is not one calendar per series, or a calendar is wrong.
        """
        check_inputs(history, calendars, history.grid.after(0))
        return TrainedSeasonalProfile(self.name, train(history, calendars))

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
        """
        return self.trained(history, calendars).forecast(history, calendars, horizon, quantiles)


@dataclass(frozen=True, slots=True, eq=False)
class TrainedSeasonalProfile:
    """Forecasts the series that it was trained on."""

    name: str
    learnt: Learnt

    def forecast(
        self,
        history: LoadMatrix,
        calendars: Sequence[CivilCalendar],
        horizon: SlotGrid,
        quantiles: tuple[float, ...] = QUANTILES,
    ) -> QuantileForecast:
        """See `Forecaster`.

        Raises:
            ForecastInputError: grids, calendars or quantiles do not fit, or the series are not those of the training.
        """
        check_inputs(history, calendars, horizon)
        if history.series != self.learnt.names or history.grid.step_s != self.learnt.grid.step_s:
            raise ForecastInputError("the series or their step are not those that the model was trained on")
        values = np.zeros((len(history.series), horizon.slots, len(quantiles)), dtype=np.float32)
        scored = np.zeros((3, len(history.series)), dtype=np.int64)
        if history.grid.slots and horizon.slots:
            chunks = list(chunks_of(calendars, joined(history.grid, horizon)))
            with ThreadPoolExecutor(_THREADS) as threads:
                found = threads.map(lambda chunk: self._chunk(chunk, history, horizon, quantiles), chunks)
                for chunk, (path, compared) in zip(chunks, found, strict=True):
                    values[chunk.rows], scored[:, chunk.rows] = path, compared
        return finish(history, horizon, quantiles, values, self.name, (scored[0], scored[1], scored[2]))

    def _chunk(
        self, chunk: Chunk, history: LoadMatrix, horizon: SlotGrid, quantiles: tuple[float, ...]
    ) -> tuple[FloatArray, Int64Array]:
        slots, step_s = history.grid.slots, history.grid.step_s
        per_unit = counts_per_unit(history.measure, step_s)
        roots = to_root(history.values[chunk.rows], per_unit)
        series = self.learnt.series.rows(chunk.rows)
        first_day = int(chunk.layout.day[max(0, slots - _DAYS_KEPT * 86400 // step_s)])
        seen = view(
            chunk,
            roots,
            series.half_width,
            series.special,
            self.learnt.shapes,
            first_week=first_day // 7,
            until_now=True,
        )
        ahead = np.arange(horizon.slots, dtype=np.int64) + (horizon.start_s - history.grid.end_s) // step_s
        path = centre(seen, self.learnt.correction, series.spread, np.array([slots]), ahead)
        counts = self._quantiles(path, series, quantiles)
        return counts[:, 0] / np.float32(per_unit), self._check(seen, series, roots)

    def _quantiles(self, path: Centre, series: SeriesLearnt, quantiles: tuple[float, ...]) -> FloatArray:
        """Events per slot, shape (series, origins, leads, quantiles)."""
        # Where the count law speaks alone, nobody would hear the trees.
        above = np.where(series.counted, to_root(np.full(1, CERTAIN_BELOW), 1.0), np.float32(0.0))
        values = to_counts(path.quantiles(self.learnt.residuals, quantiles, self.learnt.boosted, above))
        rates = poisson_rate(path.root)
        weight = count_weight(rates) * series.counted[:, None, None]
        few = np.flatnonzero(weight.any(axis=(1, 2)))
        if few.size:
            flat = rates[few].reshape(few.size, -1)
            by_law = count_quantiles(flat, series.dispersion[few], quantiles).reshape(values[few].shape)
            values[few] += weight[few][..., None] * (by_law - values[few])
        return values

    def _check(self, seen: View, series: SeriesLearnt, roots: FloatArray) -> Int64Array:
        """Slots of the last day that were scored, above and below the band that was forecast for them: (3, series)."""
        slots, step_s = roots.shape[1], seen.past.layout.step_s
        back = np.array(
            [slots - seconds // step_s for seconds in COMPARED_S if slots * step_s > seconds], dtype=np.int64
        )
        if back.size == 0:
            return np.zeros((3, roots.shape[0]), dtype=np.int64)
        half_a_day = max(1, COMPARED_S[-1] // step_s)
        leads = np.unique(np.linspace(0, half_a_day - 1, _COMPARED_SLOTS).astype(np.int64))
        path = centre(seen, self.learnt.correction, series.spread, back, leads)
        band = path.quantiles(self.learnt.residuals, BAND)
        actual = roots[:, np.minimum(back[:, None] + leads, slots - 1)]
        known = ~np.isnan(actual)
        return np.stack(
            [
                known.sum(axis=(1, 2)),
                (known & (actual > band[..., 1])).sum(axis=(1, 2)),
                (known & (actual < band[..., 0])).sum(axis=(1, 2)),
            ]
        )
