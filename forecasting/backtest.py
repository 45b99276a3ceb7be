"""How good would the forecasts have been: past origins replayed, each with nothing but the history up to it.

At each origin every model gets the slots before it and is scored on those after it. A model that can be trained apart
is trained anew once a day, as a service would, or as often as is asked. A peer too slow for every series at every
origin is given some of both, and whoever is compared with it is scored on exactly these cells as well.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from forecasting.calendar import CivilCalendar
from forecasting.civil_time import DayType, civil_time, day_types
from forecasting.errors import ForecastInputError
from forecasting.forecast import Forecaster, TrainableForecaster
from forecasting.grid import Int64Array, SlotGrid
from forecasting.load import BoolArray, Float32Array, LoadMatrix
from forecasting.origins import DAY_S, Origins, origins_of
from forecasting.scores import Scores, ScoreSums

QUANTILES = (0.5, 0.9, 0.95, 0.99)
"""The quantiles that are scored."""

Progress = Callable[[int, int], None]
"""Told how many steps are done, and of how many."""

Watch = Callable[[str, Int64Array, Float32Array], None]
"""Told of each forecast: the model's name, the slots (slots,) and their quantiles (series, slots, quantiles)."""


@dataclass(frozen=True, slots=True)
class ModelResult:
    """One model's scores, pooled and of each series, and the seconds that it took.

    `ordinary` and `special` are the pooled scores of ordinary days and of holidays, events and closures. `fit_s` and
    `forecast_s` are the parts of `seconds` spent on training and on forecasting.
    """

    pooled: Scores
    series: Mapping[str, Scores]
    seconds: float
    ordinary: Scores
    special: Scores
    fit_s: float
    forecast_s: float


@dataclass(frozen=True, slots=True)
class Subset:
    """Some cells of a test: evenly chosen series of all sizes, evenly spaced origins, and who is scored there alone."""

    models: Sequence[Forecaster]
    most_series: int = 4
    most_origins: int = 12


@dataclass(frozen=True, slots=True)
class BacktestResult:
    """What was replayed and how every model did. Times are epoch seconds; the first model is the one in question.

    `subset` has all models, those of the subset too, on the subset's cells; empty without one. `subset_series` and
    `subset_origins` say how many these are.
    """

    models: Mapping[str, ModelResult]
    series: int
    step_s: int
    horizon_s: int
    origins: int
    first_origin_s: int
    last_origin_s: int
    run_seconds: float
    peak_memory_mb: float
    subset: Mapping[str, ModelResult] = field(default_factory=dict)
    subset_series: int = 0
    subset_origins: int = 0

    @property
    def default(self) -> ModelResult:
        """The first model's result."""
        return next(iter(self.models.values()))


def backtest(
    history: LoadMatrix,
    calendars: Sequence[CivilCalendar],
    models: Sequence[Forecaster],
    *,
    horizon_s: int = DAY_S,
    window_s: int | None = None,
    refit_s: int = DAY_S,
    open_time: bool = False,
    subset: Subset | None = None,
    progress: Progress = lambda _done, _total: None,
    watch: Watch = lambda _model, _slots, _paths: None,
) -> BacktestResult:
    """Replay the newest part of a history and score every model on it.

    `window_s` is how much of the end is tested, by default four weeks or a quarter; only origins whose whole horizon
    lies inside the history count. `refit_s` lies between two trainings, `open_time` leaves out closed hours (see
    `origins_of`). `watch` is not told of the subset's own models.

    Raises:
        ForecastInputError: the history is too short for a single origin, a calendar is wrong, or a name repeats.
    """
    started = time.monotonic()
    extra = list(subset.models) if subset else []
    names = [model.name for model in [*models, *extra]]
    if len(set(names)) != len(names):
        raise ForecastInputError(f"two models have the same name among {', '.join(names)}: replay each only once")
    step_s = history.grid.step_s
    origins = origins_of(history, calendars, horizon_s=horizon_s, window_s=window_s, open_time=open_time)
    special = _special_slots(history, calendars, int(origins.slots[0]))
    test = _Test(history, calendars, origins, special, refit_s)
    cells = _Cells.every(test) if subset is None else _Cells.some(test, subset.most_series, subset.most_origins)
    total = len(models) * origins.slots.size + len(extra) * int(cells.origins.sum())
    meter = _Meter(progress, total)
    results: dict[str, ModelResult] = {}
    some: dict[str, ModelResult] = {}
    for model in models:
        results[model.name], some[model.name] = _replay(test, model, cells, meter, watch)
    # A history of its own, so only for those that are replayed on it.
    part = test.only(cells) if extra else test
    for model in extra:
        some[model.name], _ = _replay(part, model, _Cells.every(part), meter, lambda _model, _slots, _paths: None)
    return BacktestResult(
        results,
        len(history.series),
        step_s,
        max(1, horizon_s // step_s) * step_s,
        int(origins.slots.size),
        _at(history.grid, origins.slots[0]),
        _at(history.grid, origins.slots[-1]),
        time.monotonic() - started,
        _peak_memory_mb(),
        some if subset else {},
        cells.rows.size if subset else 0,
        int(cells.origins.sum()) if subset else 0,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Test:
    """What is replayed. `special` (series, slots from the first origin on) marks days that are not ordinary."""

    history: LoadMatrix
    calendars: Sequence[CivilCalendar]
    origins: Origins
    special: BoolArray
    refit_s: int

    def only(self, cells: _Cells) -> _Test:
        """The test of some cells, whose models know of no other series."""
        history, rows = self.history, cells.rows
        origins = self.origins.where(cells.origins)
        names = tuple(history.series[row] for row in rows)
        return _Test(
            LoadMatrix(history.measure, names, history.grid, history.values[rows]),
            [self.calendars[row] for row in rows],
            origins,
            self.special[rows, origins.slots[0] - self.origins.slots[0] :],
            self.refit_s,
        )


@dataclass(frozen=True, slots=True, eq=False)
class _Cells:
    """Some rows (rows,) of the series, and which origins (origins,) of a test."""

    rows: Int64Array
    origins: BoolArray

    @classmethod
    def every(cls, test: _Test) -> _Cells:
        return cls(np.arange(len(test.history.series)), np.ones(test.origins.slots.size, dtype=np.bool_))

    @classmethod
    def some(cls, test: _Test, most_series: int, most_origins: int) -> _Cells:
        """Series of all sizes, and origins that fall on every quarter of the day in turn."""
        before = test.history.values[:, : int(test.origins.slots[0])]
        by_load = np.argsort(np.nan_to_num(before).sum(axis=1), kind="stable")
        kept = np.zeros(test.origins.slots.size, dtype=np.bool_)
        # From the end of the first day on, with an odd stride: an even one would meet the same hours again and again.
        stride = -(-kept.size // most_origins) | 1
        kept[np.arange(0, kept.size, stride)[:most_origins]] = True
        return cls(np.sort(by_load[_evenly(by_load.size, most_series)]), kept)


def _evenly(count: int, most: int) -> Int64Array:
    places: Int64Array = ((np.arange(min(count, most)) + 0.5) * count / min(count, most)).astype(np.int64)
    return places


class _Meter:
    """Counts steps over all models."""

    def __init__(self, progress: Progress, total: int) -> None:
        self._progress, self._total, self._done = progress, total, 0

    def step(self) -> None:
        self._done += 1
        self._progress(self._done, self._total)


@dataclass(slots=True)
class _Tally:
    """Sums of all slots and of those of special days."""

    every: ScoreSums
    special: ScoreSums

    @classmethod
    def of(cls, series: int) -> _Tally:
        return cls(ScoreSums(series, QUANTILES), ScoreSums(series, QUANTILES))

    def result(self, names: Sequence[str], fit_s: float, forecast_s: float, seconds: float) -> ModelResult:
        by_series = dict(zip(names, self.every.of_series(), strict=True))
        ordinary = self.every.without(self.special).pooled()
        return ModelResult(self.every.pooled(), by_series, seconds, ordinary, self.special.pooled(), fit_s, forecast_s)


def _replay(
    test: _Test, model: Forecaster, cells: _Cells, meter: _Meter, watch: Watch
) -> tuple[ModelResult, ModelResult]:
    """The model on the whole test, and on the cells alone."""
    started, fit_s, forecast_s = time.monotonic(), 0.0, 0.0
    history, step_s = test.history, test.history.grid.step_s
    whole, some = _Tally.of(len(history.series)), _Tally.of(cells.rows.size)
    trained, trained_at, first = model, None, int(test.origins.slots[0])
    for index, (origin, ahead) in enumerate(zip(test.origins.slots.tolist(), test.origins.ahead, strict=True)):
        known = _until(history, origin)
        begun = time.monotonic()
        due = trained_at is None or (origin - trained_at) * step_s >= test.refit_s
        if isinstance(model, TrainableForecaster) and due:
            trained, trained_at = model.trained(known, test.calendars), origin
        learnt = time.monotonic()
        horizon = known.grid.after(int(ahead[-1]) + 1)
        paths = trained.forecast(known, test.calendars, horizon, QUANTILES).values[:, ahead]
        fit_s, forecast_s = fit_s + learnt - begun, forecast_s + time.monotonic() - learnt
        # Closed hours pass unseen: the first slot ahead is the next open one.
        ends_s = np.arange(1, ahead.size + 1) * step_s
        actual, special = history.values[:, origin + ahead], test.special[:, origin - first + ahead]
        parts = [(whole, slice(None))] + ([(some, cells.rows)] if cells.origins[index] else [])
        for tally, rows in parts:
            tally.every.add(actual[rows], paths[rows], ends_s)
            if special[rows].any():
                tally.special.add(np.where(special[rows], actual[rows], np.float32(np.nan)), paths[rows], ends_s)
        watch(model.name, origin + ahead, paths)
        meter.step()
    seconds = time.monotonic() - started
    return (
        whole.result(history.series, fit_s, forecast_s, seconds),
        some.result([history.series[row] for row in cells.rows], fit_s, forecast_s, seconds),
    )


def _until(history: LoadMatrix, slot: int) -> LoadMatrix:
    """The history before a slot: the models never see what came after."""
    grid = SlotGrid(history.grid.start_s, history.grid.step_s, slot)
    return LoadMatrix(history.measure, history.series, grid, history.values[:, :slot])


def _special_slots(history: LoadMatrix, calendars: Sequence[CivilCalendar], first: int) -> BoolArray:
    """Slots of holidays, events and closures by each series' calendar: (series, slots from the given one on)."""
    special = np.zeros((len(history.series), history.grid.slots - first), dtype=np.bool_)
    alike: dict[CivilCalendar, list[int]] = {}
    for row, calendar in enumerate(calendars):
        alike.setdefault(calendar, []).append(row)
    for calendar, rows in alike.items():
        day = civil_time(calendar.time_zone, history.grid).local_day[first:]
        kinds = day_types(calendar, int(day[0]), int(day[-1] - day[0]) + 1)
        special[rows] = kinds[day - day[0]] > DayType.ORDINARY
    return special


def _at(grid: SlotGrid, slot: int) -> int:
    return int(grid.start_s + slot * grid.step_s)


def _peak_memory_mb() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Kilobytes on Linux, bytes on macOS.
    return peak / (1e6 if sys.platform == "darwin" else 1e3)
