"""How good would the forecasts have been: past origins replayed, each with nothing but the history up to it.

Origins lie a quarter of a local day apart over the newest part of the history. At each, every model gets the slots
before the origin and is scored on those after it. A model that can be trained apart is trained once a day, as a
service would.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from forecasting.calendar import CivilCalendar
from forecasting.civil_time import civil_time
from forecasting.errors import ForecastInputError
from forecasting.forecast import Forecaster, TrainableForecaster
from forecasting.grid import Int64Array, SlotGrid
from forecasting.load import LoadMatrix
from forecasting.scores import Scores, ScoreSums

QUANTILES = (0.5, 0.9, 0.95, 0.99)
"""The quantiles that are scored."""
_DAY_S = 86400
_LONGEST_DEFAULT_WINDOW_S = 28 * _DAY_S
_SHARE_TESTED = 4
_BETWEEN_ORIGINS_S = 6 * 3600
_FIRST_HOUR_S = 3600

Progress = Callable[[int, int], None]
"""Told how many steps are done, and of how many."""


@dataclass(frozen=True, slots=True)
class ModelResult:
    """One model's scores, pooled and of each series, and the seconds that it took."""

    pooled: Scores
    series: Mapping[str, Scores]
    seconds: float


@dataclass(frozen=True, slots=True)
class BacktestResult:
    """What was replayed and how every model did. Times are epoch seconds; the first model is the one in question."""

    models: Mapping[str, ModelResult]
    series: int
    step_s: int
    horizon_s: int
    origins: int
    first_origin_s: int
    last_origin_s: int
    run_seconds: float
    peak_memory_mb: float

    @property
    def default(self) -> ModelResult:
        """The first model's result."""
        return next(iter(self.models.values()))


def default_window_s(grid: SlotGrid) -> int:
    """The newest four weeks, or the newest quarter of a shorter history."""
    return min(_LONGEST_DEFAULT_WINDOW_S, grid.slots * grid.step_s // _SHARE_TESTED)


def backtest(
    history: LoadMatrix,
    calendars: Sequence[CivilCalendar],
    models: Sequence[Forecaster],
    *,
    horizon_s: int = _DAY_S,
    window_s: int | None = None,
    progress: Progress = lambda _done, _total: None,
) -> BacktestResult:
    """Replay the newest part of a history and score every model on it.

    `window_s` is how much of the end is tested, by default four weeks or a quarter; only origins whose whole horizon
    lies inside the history count.

    Raises:
        ForecastInputError: the history is too short for a single origin, or a calendar is wrong.
    """
    started = time.monotonic()
    horizon_slots = max(1, horizon_s // history.grid.step_s)
    window_s = default_window_s(history.grid) if window_s is None else window_s
    origins = _origins(history.grid, calendars, horizon_slots, window_s)
    total = int(origins.size) * len(models)
    results: dict[str, ModelResult] = {}
    for model in models:

        def tell(count: int, before: int = len(results) * int(origins.size)) -> None:
            progress(before + count, total)

        results[model.name] = _replay(history, calendars, model, origins, horizon_slots, tell)
    return BacktestResult(
        results,
        len(history.series),
        history.grid.step_s,
        horizon_slots * history.grid.step_s,
        int(origins.size),
        _at(history.grid, origins[0]),
        _at(history.grid, origins[-1]),
        time.monotonic() - started,
        _peak_memory_mb(),
    )


def _origins(grid: SlotGrid, calendars: Sequence[CivilCalendar], horizon_slots: int, window_s: int) -> Int64Array:
    """Slots at which a quarter of the local day begins and whose horizon ends inside the history."""
    too_short = ForecastInputError(
        f"{grid.slots * grid.step_s / _DAY_S:.1f} days of history: no origin of the window has a day before it and "
        f"{horizon_slots * grid.step_s / 3600:.0f} hours after it; use more history, a longer window, a shorter horizon"
    )
    if not calendars or grid.slots == 0:
        raise too_short
    clock = civil_time(calendars[0].time_zone, grid)
    quarter = clock.local_day * _DAY_S + clock.slot_of_day * grid.step_s
    begins = np.flatnonzero(np.diff(quarter // _BETWEEN_ORIGINS_S, prepend=-1))
    first = max(grid.slots - window_s // grid.step_s, _DAY_S // grid.step_s)
    origins = begins[(begins >= first) & (begins + horizon_slots <= grid.slots)]
    if origins.size == 0:
        raise too_short
    return origins.astype(np.int64)


def _replay(
    history: LoadMatrix,
    calendars: Sequence[CivilCalendar],
    model: Forecaster,
    origins: Int64Array,
    horizon_slots: int,
    progress: Callable[[int], None],
) -> ModelResult:
    started = time.monotonic()
    step_s = history.grid.step_s
    sums = ScoreSums(len(history.series), QUANTILES)
    ends_s = np.arange(1, horizon_slots + 1) * step_s
    first_hour = ends_s <= max(_FIRST_HOUR_S, step_s)
    trained, trained_at = model, None
    for count, origin in enumerate(origins.tolist(), start=1):
        known = _until(history, origin)
        if isinstance(model, TrainableForecaster) and (trained_at is None or (origin - trained_at) * step_s >= _DAY_S):
            trained, trained_at = model.trained(known, calendars), origin
        forecast = trained.forecast(known, calendars, known.grid.after(horizon_slots), QUANTILES)
        sums.add(history.values[:, origin : origin + horizon_slots], forecast.values, first_hour)
        progress(count)
    by_series = dict(zip(history.series, sums.of_series(), strict=True))
    return ModelResult(sums.pooled(), by_series, time.monotonic() - started)


def _until(history: LoadMatrix, slot: int) -> LoadMatrix:
    """The history before a slot: the models never see what came after."""
    grid = SlotGrid(history.grid.start_s, history.grid.step_s, slot)
    return LoadMatrix(history.measure, history.series, grid, history.values[:, :slot])


def _at(grid: SlotGrid, slot: int) -> int:
    return int(grid.start_s + slot * grid.step_s)


def _peak_memory_mb() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Kilobytes on Linux, bytes on macOS.
    return peak / (1e6 if sys.platform == "darwin" else 1e3)
