"""Calls in progress forecast from call records: arrivals ahead, the law of holding times, and the calls up now.

The arrivals are forecast by any model on slots of their own, an hour by default: what the convolution with holding
times smooths away need not be forecast, and the mean of rare arrivals is told better by an hour than by five minutes.
From there the path is arithmetic (`offered_load`, `occupancy_law`). A slot's load may be its peak instead of its mean;
by how much a peak lies above its mean is learnt from the past, by how many arrivals the slot expects.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from forecasting.calendar import CivilCalendar
from forecasting.errors import ForecastInputError
from forecasting.forecast import QUANTILES, Forecaster, QuantileForecast, TrainableForecaster
from forecasting.grid import Int64Array, SlotGrid, floor_to_step
from forecasting.holding_times import Float64Array, HoldingLaw, holding_law, recency
from forecasting.load import BoolArray, Float32Array, LoadMatrix, Measure
from forecasting.models.result import check_inputs, finish
from forecasting.models.trust import BAND, COMPARED_S
from forecasting.occupancy_law import occupancy_quantiles
from forecasting.offered_load import Occupancy, from_arrivals, from_live_calls
from forecasting.sources.events import Calls, arrivals_per_second, concurrency
from forecasting.sources.protocol import SlotStatistic

_LEVELS = (*np.round(np.arange(0.05, 0.96, 0.05), 2).tolist(), 0.975, 0.99, 0.998)
"""Quantiles of the arrivals that tell their mean and variance."""
_ARRIVALS_STEP_S = 3600
_SMOOTHED_S = 3600
_LIFT_KNOTS = np.concatenate([[0.0], np.geomspace(0.01, 1000.0, 31)])
"""Arrivals expected in a slot at which the lift of its peak is told."""
_PRIOR_LIFT = 20.0
"""Calls of lift by which the supposed lift counts against what was seen."""


@dataclass(frozen=True, slots=True, eq=False)
class ConcurrencyFromCalls:
    """A `TrainableForecaster` of channels for the series that `calls` are numbered by.

    At every origin it looks only at what was known of the calls by then: that they had begun, and whether they had
    ended. `arrivals_model` forecasts the set-ups; `statistic` says what the load of a slot is.
    """

    calls: Calls
    arrivals_model: TrainableForecaster
    statistic: SlotStatistic = SlotStatistic.MAXIMUM
    name: str = "from-calls"

    def trained(self, history: LoadMatrix, calendars: Sequence[CivilCalendar]) -> TrainedFromCalls:
        """Learn the arrivals, the law of holding times and the peaks from what lies before the history's end.

        Raises:
            ForecastInputError: the history is not one of channels, a calendar is wrong, or there is no call yet.
        """
        check_inputs(history, calendars, history.grid.after(0))
        if history.measure is not Measure.CHANNELS:
            raise ForecastInputError(f"calls give channels, the history is of {history.measure.value}")
        known = _known_at(self.calls, history.grid.end_s)
        arrivals = _arrivals(known, history)
        return TrainedFromCalls(
            self,
            history.series,
            self.arrivals_model.trained(arrivals, calendars),
            _law(known, history.grid.end_s, len(history.series)),
            _peak_lift(known, history) if self.statistic is SlotStatistic.MAXIMUM else np.zeros_like(_LIFT_KNOTS),
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
            ForecastInputError: grids, calendars or quantiles do not fit, or there is no call yet.
        """
        return self.trained(history, calendars).forecast(history, calendars, horizon, quantiles)


@dataclass(frozen=True, slots=True, eq=False)
class TrainedFromCalls:
    """Forecasts the series that it was trained on. `peak_lift` is by how much peaks top means, at `_LIFT_KNOTS`."""

    untrained: ConcurrencyFromCalls
    series: tuple[str, ...]
    arrivals_model: Forecaster
    law: HoldingLaw
    peak_lift: Float64Array

    @property
    def name(self) -> str:
        """How the model is called in results."""
        return self.untrained.name

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
        if history.series != self.series:
            raise ForecastInputError("the series are not those that the model was trained on")
        values = self._paths(history, calendars, horizon, quantiles)
        return finish(history, horizon, quantiles, values, self.name, self._check(history, calendars))

    def _paths(
        self,
        history: LoadMatrix,
        calendars: Sequence[CivilCalendar],
        horizon: SlotGrid,
        quantiles: tuple[float, ...],
    ) -> Float32Array:
        slots = (horizon.end_s - history.grid.end_s) // history.grid.step_s
        if not horizon.slots:
            return np.zeros((len(history.series), 0, len(quantiles)), dtype=np.float32)
        load = self._occupancy(history, calendars, SlotGrid(history.grid.end_s, history.grid.step_s, slots))
        return occupancy_quantiles(load.mean, load.variance, quantiles)[:, slots - horizon.slots :]

    def _check(
        self, history: LoadMatrix, calendars: Sequence[CivilCalendar]
    ) -> tuple[Int64Array, Int64Array, Int64Array]:
        """Slots of the last day that were scored, above and below the band forecast for them: (series,) each."""
        scored = np.zeros((3, len(history.series)), dtype=np.int64)
        half_a_day = max(1, COMPARED_S[-1] // history.grid.step_s)
        for back_s in COMPARED_S:
            slots = history.grid.slots - back_s // history.grid.step_s
            if slots <= 0:
                continue
            grid = SlotGrid(history.grid.start_s, history.grid.step_s, slots)
            before = LoadMatrix(history.measure, history.series, grid, history.values[:, :slots])
            band = self._paths(before, calendars, grid.after(half_a_day), BAND)
            actual = history.values[:, slots : slots + half_a_day]
            # NaN is on neither side.
            scored += np.stack([~np.isnan(actual), actual > band[..., 1], actual < band[..., 0]]).sum(axis=2)
        return scored[0], scored[1], scored[2]

    def _occupancy(self, history: LoadMatrix, calendars: Sequence[CivilCalendar], ahead: SlotGrid) -> Occupancy:
        """Mean and variance of the load of each slot from the history's end on."""
        known = _known_at(self.untrained.calls, ahead.start_s)
        rates, deviations = self._rates(_arrivals(known, history), calendars, ahead)
        live = np.isinf(known.ends_s)
        ages_s = ahead.start_s - known.starts_s[live]
        up = from_live_calls(known.series[live], ages_s, self.law, ahead.slots, ahead.step_s)
        load = from_arrivals(rates, deviations, self.law, ahead.step_s) + up
        mean = load.mean + np.interp(rates * ahead.step_s, _LIFT_KNOTS, self.peak_lift)
        # The peak spreads as the mean does: the ratio of variance to mean is kept.
        return Occupancy(mean, load.variance * mean / np.maximum(load.mean, 1e-12))

    def _rates(
        self, arrivals: LoadMatrix, calendars: Sequence[CivilCalendar], ahead: SlotGrid
    ) -> tuple[Float64Array, Float64Array]:
        """Expected set-ups per second in each slot ahead, and their standard deviation: (series, slots) each."""
        step_s = arrivals.grid.step_s
        begins_s = arrivals.grid.end_s
        grid = SlotGrid.covering(begins_s, ahead.end_s, step_s)
        paths = self.arrivals_model.forecast(arrivals, calendars, grid, _LEVELS).values.astype(np.float64)
        mean, variance = _moments(paths)
        # Hours round down, so that arrivals may be cold where the load no longer is: their mean is the guess.
        observed = arrivals.observed.sum(axis=1)
        so_far = np.where(arrivals.observed, arrivals.values, 0).sum(axis=1) / np.maximum(observed, 1)
        mean = np.where(np.isnan(mean), so_far[:, None], mean)
        variance = np.where(np.isnan(variance), 2 * mean / step_s, variance)
        # What the count itself scatters is not the rate's doing.
        deviation = np.sqrt(np.maximum(variance - mean / step_s, 0.0))
        slot_of = (ahead.starts_s - begins_s) // step_s
        return mean[:, slot_of], deviation[:, slot_of]


def _known_at(calls: Calls, origin_s: float) -> Calls:
    """The calls that had begun; one that ran on has its end after the origin, and when is nobody's to look at."""
    begun = calls.starts_s < origin_s
    ends_s = np.where(calls.ends_s[begun] > origin_s, np.inf, calls.ends_s[begun])
    return Calls(calls.series[begun], calls.starts_s[begun], ends_s)


def _law(known: Calls, origin_s: float, count: int) -> HoldingLaw:
    ended = np.isfinite(known.ends_s)
    lasted_s = np.where(ended, known.ends_s, origin_s) - known.starts_s
    return holding_law(known.series, lasted_s, ended, recency(known.starts_s, origin_s), count)


def _arrivals(known: Calls, history: LoadMatrix) -> LoadMatrix:
    """Set-ups per second on slots of up to an hour that end at or before the history's end; NaN where it has gaps."""
    step_s = history.grid.step_s
    wide_s = max(step_s, _ARRIVALS_STEP_S // step_s * step_s)
    first_s, end_s = -floor_to_step(-history.grid.start_s, wide_s), floor_to_step(history.grid.end_s, wide_s)
    grid = SlotGrid(first_s, wide_s, max(0, (end_s - first_s) // wide_s))
    values = arrivals_per_second(known, len(history.series), grid)
    missing: BoolArray = np.zeros((len(history.series), grid.slots), dtype=np.bool_)
    if grid.slots:
        from_slot = (first_s - history.grid.start_s) // step_s
        per_wide = wide_s // step_s
        inside = ~history.observed[:, from_slot : from_slot + grid.slots * per_wide]
        missing |= inside.reshape(len(history.series), grid.slots, per_wide).any(axis=2)
    values[missing] = np.nan
    return LoadMatrix(Measure.CALL_RATE, history.series, grid, values)


def _moments(paths: Float64Array) -> tuple[Float64Array, Float64Array]:
    """Mean and variance of the laws whose quantiles at `_LEVELS` are the last axis."""
    levels = np.asarray(_LEVELS)
    borders = np.concatenate([[0.0], (levels[1:] + levels[:-1]) / 2, [1.0]])
    weights = np.diff(borders)
    mean: Float64Array = paths @ weights
    variance: Float64Array = (paths**2) @ weights - mean**2
    return mean, np.maximum(variance, 0.0)


def _peak_lift(known: Calls, history: LoadMatrix) -> Float64Array:
    """By how much a slot's peak tops its mean, at `_LIFT_KNOTS` of expected arrivals, pooled over series."""
    grid, count = history.grid, len(history.series)
    # Calls that run on occupy everything to the origin.
    ended_s = np.minimum(known.ends_s, grid.end_s)
    past = Calls(known.series, known.starts_s, ended_s)
    means = concurrency(past, count, grid, SlotStatistic.MEAN).astype(np.float64)
    lift = concurrency(past, count, grid, SlotStatistic.MAXIMUM) - means
    expected = _smoothed(arrivals_per_second(past, count, grid).astype(np.float64) * grid.step_s, grid.step_s)
    used = ~np.isnan(history.values)
    knot = np.searchsorted((_LIFT_KNOTS[1:] + _LIFT_KNOTS[:-1]) / 2, expected[used])
    seen = np.bincount(knot, lift[used], minlength=_LIFT_KNOTS.size)
    supposed = np.bincount(knot, _supposed_lift(expected[used]), minlength=_LIFT_KNOTS.size)
    ratio = (seen + _PRIOR_LIFT) / (supposed + _PRIOR_LIFT)
    told = np.flatnonzero(supposed > 0)
    if told.size:
        ratio = np.interp(np.arange(_LIFT_KNOTS.size), told, ratio[told])
    rising: Float64Array = np.maximum.accumulate(ratio * _supposed_lift(_LIFT_KNOTS))
    return rising


def _supposed_lift(arrivals: Float64Array) -> Float64Array:
    """By how much a slot's peak would top its mean if calls outlasted the slot.

    Few arrivals and as many departures lift it by half a call each; many make a random walk, whose expected maximum is
    sqrt(2/π) times its deviation, here sqrt(2 · arrivals).
    """
    lift: Float64Array = arrivals / np.sqrt(1.0 + arrivals * np.pi / 4)
    return lift


def _smoothed(values: Float64Array, step_s: int) -> Float64Array:
    """Moving mean over two hours around each slot, shorter at the edges. Shape as given."""
    half = _SMOOTHED_S // step_s
    sums = np.concatenate([np.zeros((values.shape[0], 1)), np.cumsum(values, axis=1)], axis=1)
    slots = np.arange(values.shape[1])
    first, last = np.maximum(slots - half, 0), np.minimum(slots + half + 1, values.shape[1])
    smoothed: Float64Array = (sums[:, last] - sums[:, first]) / (last - first)
    return smoothed
