"""The default model: the tenant's own week, corrected by how the last hours and days have gone.

Ordinary level per local weekday and slot (`weekly_profile`), special days in their place (`special_days`), a pooled
regression on recent deviations (`features`), its own and those of all (`common_load`), that fades with the horizon
(`regression`), and quantiles from the residuals of rolling origins inside the history (`residual_law`), or from the law
of counts where calls are few (`count_law`). All of it is array arithmetic over many series at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from forecasting.calendar import CivilCalendar
from forecasting.errors import ForecastInputError
from forecasting.explanation import BLENDED_S, Blend, members_of
from forecasting.fan_out import chosen_fan_out
from forecasting.forecast import QUANTILES, QuantileForecast
from forecasting.grid import Int64Array, SlotGrid
from forecasting.load import BoolArray, LoadMatrix, Measure
from forecasting.models.checked_days import CHECKED_S, CheckedDays
from forecasting.models.chunks import Part, chunks_of
from forecasting.models.common_fall import common_falls, falling_now
from forecasting.models.common_load import CommonLoads, common_past
from forecasting.models.count_law import CERTAIN_BELOW, count_quantiles, count_weight
from forecasting.models.features import LONGEST_WINDOW_S
from forecasting.models.learnt import Centre, Learnt, SeriesLearnt, View, centre, upper_of, view
from forecasting.models.level_breaks import LevelBreaks, level_breaks
from forecasting.models.past_windows import past_windows
from forecasting.models.result import check_inputs, finish, joined
from forecasting.models.scale import counts_per_unit, poisson_rate, to_counts, to_root
from forecasting.models.spread import HORIZON_GROUPS, level_class
from forecasting.models.training import train
from forecasting.models.trust import BAND
from forecasting.models.week_layout import FloatArray
from forecasting.models.window_levels import learn_window_levels
from forecasting.window_levels import WindowLevels

_KEPT_S = CHECKED_S + LONGEST_WINDOW_S
"""How far back the profile is read: by features of the oldest forecast that is checked."""
_PARTS = 5
"""Of a blend: borrowed, recent, boosted, counted, levelled."""
_LEVEL_MODE_S = 28 * 86400
"""So long after a break the level before it still has a part in what a week is compared with."""


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
        falls = common_falls(history, calendars)
        model = TrainedSeasonalProfile(self.name, train(history, calendars, falls))
        windows = past_windows(history, calendars, model.learnt, model.plain_lines, falls)
        per_unit = counts_per_unit(history.measure, history.grid.step_s)
        return replace(
            model,
            window_levels=learn_window_levels(windows, history.grid.step_s, per_unit, model.learnt.residuals.tail()),
        )

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
class _OfPart:
    """A part's `path` (series, slots, quantiles), its `compared` slots (3, series, hours), and what it was made of.

    `shares` has shape (parts, series); see `Blend`.
    """

    path: FloatArray
    compared: Int64Array
    shares: FloatArray


@dataclass(frozen=True, slots=True)
class _Ahead:
    """What is forecast: so many slots from the first lead on; lead 0 is the first slot after the history."""

    measure: Measure
    first_lead: int
    slots: int


@dataclass(frozen=True, slots=True, eq=False)
class TrainedSeasonalProfile:
    """Forecasts the series that it was trained on."""

    name: str
    learnt: Learnt
    window_levels: WindowLevels | None = None

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
        falls = common_falls(history, calendars)
        falling = falling_now(history, falls)
        values = np.zeros((len(history.series), horizon.slots, len(quantiles)), dtype=np.float32)
        scored = np.zeros((3, len(history.series), CheckedDays.of(history.grid).hours), dtype=np.int64)
        shares = np.full((_PARTS, len(history.series)), np.nan, dtype=np.float32)
        if history.grid.slots and horizon.slots:
            chunks = list(chunks_of(calendars, joined(history.grid, horizon)))
            ahead = _Ahead(history.measure, (horizon.start_s - history.grid.end_s) // horizon.step_s, horizon.slots)
            common = CommonLoads.of(history, chunks, falls)
            parts = (
                (self._only(chunk.rows), Part.of(chunk, history, falls, common.for_chunk(chunk))) for chunk in chunks
            )
            found = chosen_fan_out().map(partial(_path_and_check, ahead=ahead, quantiles=quantiles), parts)
            for chunk, of_chunk in zip(chunks, found, strict=True):
                values[chunk.rows] = of_chunk.path
                scored[:, chunk.rows], shares[:, chunk.rows] = of_chunk.compared, of_chunk.shares
        # What was seen is judged, not what is left to learn from.
        return finish(
            history,
            horizon,
            quantiles,
            values,
            self.name,
            (scored[0], scored[1], scored[2]),
            falling=falling,
            members=members_of(Blend(shares[0], shares[1], shares[2], shares[3], levelled=shares[4], held=falling)),
            window_levels=self.window_levels,
        )

    def _only(self, rows: Int64Array) -> TrainedSeasonalProfile:
        """The model of these series alone, so that no other is sent along with them."""
        return replace(self, learnt=replace(self.learnt, names=(), series=self.learnt.series.rows(rows)))

    def of_part(self, part: Part, ahead: _Ahead, quantiles: tuple[float, ...]) -> _OfPart:
        """Forecast and check, when the model is that of the part's series alone."""
        chunk, slots, step_s = part.chunk, part.load.shape[1], part.chunk.layout.step_s
        per_unit = counts_per_unit(ahead.measure, step_s)
        breaks = level_breaks(chunk, part.load, per_unit)
        roots = to_root(breaks.taken_out(part.load), per_unit)
        series = self.learnt.series
        first_day = int(chunk.layout.day[max(0, slots - _KEPT_S // step_s)])
        seen = view(
            chunk,
            roots,
            series.half_width,
            series.special,
            self.learnt.shapes,
            first_week=first_day // 7,
            until_now=True,
            common=common_past(part, per_unit, first_day // 7),
        )
        leads = np.arange(ahead.slots, dtype=np.int64) + ahead.first_lead
        path = centre(seen, self.learnt.correction, series.spread, np.array([slots]), leads)
        counts, weight = self._quantiles(path, series, quantiles)
        levelled = breaks.newest(roots.shape[0]) > slots - _LEVEL_MODE_S // step_s
        return _OfPart(
            counts[:, 0] / np.float32(per_unit),
            self._check(seen, breaks, series, to_root(part.load, per_unit) if breaks.series.size else roots, part.grid),
            self._shares(seen, path, weight, levelled),
        )

    def plain_lines(self, path: Centre, series: SeriesLearnt) -> FloatArray:
        """Lines without the trees, which move all slots of a window alike and are dear to ask. See `Lines`."""
        return replace(self, learnt=replace(self.learnt, boosted=None))._quantiles(path, series, QUANTILES)[0]

    def _quantiles(
        self, path: Centre, series: SeriesLearnt, quantiles: tuple[float, ...]
    ) -> tuple[FloatArray, FloatArray]:
        """Events per slot (series, origins, leads, quantiles), and the weight of the count law in them."""
        values = to_counts(path.quantiles(self.learnt.residuals, quantiles, self.learnt.boosted, _heard_above(series)))
        rates = poisson_rate(path.root)
        weight = count_weight(rates) * series.counted[:, None, None]
        few = np.flatnonzero(weight.any(axis=(1, 2)))
        if few.size:
            flat = rates[few].reshape(few.size, -1)
            by_law = count_quantiles(flat, series.dispersion[few], quantiles).reshape(values[few].shape)
            if path.safe_root is not path.root:
                flat, upper = poisson_rate(path.safe_root[few]).reshape(few.size, -1), upper_of(quantiles)
                safe = count_quantiles(flat, series.dispersion[few], tuple(quantiles[index] for index in upper))
                by_law[..., upper] = safe.reshape(*by_law.shape[:-1], len(upper))
            values[few] += weight[few][..., None] * (by_law - values[few])
        return values, weight

    def _shares(self, seen: View, path: Centre, weight: FloatArray, levelled: BoolArray) -> FloatArray:
        """How much of each part went into the next day, (parts, series), as `Blend` has them."""
        day = slice(0, max(1, BLENDED_S // seen.past.layout.step_s))
        root = path.root[:, 0, day]
        moved = np.abs(to_counts(root) - to_counts(path.base[:, 0, day])).sum(axis=1)
        median = np.maximum(to_counts(root).sum(axis=1), np.float32(1e-6))
        trees = np.zeros(root.shape[0], dtype=np.float32)
        if self.learnt.boosted is not None:
            shares = self.learnt.boosted.shares[HORIZON_GROUPS[path.horizon[day]], level_class(root)]
            asked = root > _heard_above(self.learnt.series)[:, None]
            trees = np.where(asked, shares, np.float32(0.0)).mean(axis=1)
        return np.stack([seen.borrowed, moved / median, trees, weight[:, 0, day].mean(axis=1), levelled])

    def _check(
        self, seen: View, breaks: LevelBreaks, series: SeriesLearnt, roots: FloatArray, history: SlotGrid
    ) -> Int64Array:
        """By the hour, slots that were scored, above and below the band forecast for them: (3, series, hours).

        `roots` (series, slots) as they were seen. Before a break was believed, the band was that of the old level.
        """
        days = CheckedDays.of(history)
        path = centre(seen, self.learnt.correction, series.spread, days.origins, days.leads)
        band = path.quantiles(self.learnt.residuals, BAND)
        return days.counts(roots, breaks.as_known_at(days.origins, band))


def _heard_above(series: SeriesLearnt) -> FloatArray:
    """Roots (series,) below which the count law speaks alone and nobody would hear the trees."""
    above: FloatArray = np.where(series.counted, to_root(np.full(1, CERTAIN_BELOW), 1.0), np.float32(0.0))
    return above


def _path_and_check(
    given: tuple[TrainedSeasonalProfile, Part], *, ahead: _Ahead, quantiles: tuple[float, ...]
) -> _OfPart:
    model, part = given
    return model.of_part(part, ahead, quantiles)
