"""A made-up service's history in a real archive, and each thing that a worker does with it, to be timed alone.

The worker's own functions run, with thousands of tenants and a fleet for every ten of them, so that nothing which the
service pays is left out: opening, reading, sums, trust, checkpoints.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from forecasting.archive import Archive
from forecasting.backtest import backtest
from forecasting.calendar import CivilCalendar
from forecasting.forecast import QUANTILES
from forecasting.grid import SlotGrid
from forecasting.load import LoadMatrix, Measure
from forecasting.models import BASELINE_MODEL, MODELS, default_forecaster
from forecasting.sources.protocol import CurrentLoad, HistoryQuery, HistorySource
from scaler.service import worker
from scaler.service.datasets import Dataset
from scaler.service.worker import ForecastRequest, HistoryRequest

STEP_S = 300
SLOTS_PER_DAY = 86400 // STEP_S
WEEKS = 8
SLOTS = WEEKS * 7 * SLOTS_PER_DAY
HORIZON_SLOTS = 2 * SLOTS_PER_DAY
END_S = 1_780_012_800
TENANTS_PER_FLEET = 10
CALENDARS = (
    CivilCalendar("Europe/Berlin", "DE"),
    CivilCalendar("America/New_York", "US"),
    CivilCalendar("Asia/Singapore", "SG"),
)
DATASET = Dataset("bench", HistoryQuery(Measure.CHANNELS, "channels", "tenant"), STEP_S)
_SEED = 20_260_601
_VALUES, _NEWEST = "values.npy", "newest.npy"


class Seconds(NamedTuple):
    """Time on the wall, and of all processors together: beside other work only the latter tells what a part costs."""

    wall_s: float
    processor_s: float


@dataclass(frozen=True, slots=True)
class Cost:
    """What some parts took, by name, and the most memory that their process has had."""

    seconds: dict[str, Seconds]
    peak_mb: float
    note: str = ""


def made_up_history(tenants: int) -> LoadMatrix:
    """Poisson counts around office days of very different sizes, (tenants, eight weeks of five minutes and a slot)."""
    rng = np.random.default_rng(_SEED)
    hour = np.arange(SLOTS + 1) % SLOTS_PER_DAY * 24 / SLOTS_PER_DAY
    workday = np.arange(SLOTS + 1) // SLOTS_PER_DAY % 7 < 5
    shape = np.exp(-(((hour - 13) / 4) ** 2)) * np.where(workday, 1.0, 0.2)
    values = np.empty((tenants, SLOTS + 1), dtype=np.float32)
    for row, size in enumerate(rng.lognormal(2.0, 1.3, tenants)):
        values[row] = rng.poisson(size * shape)
    grid = SlotGrid(END_S - SLOTS * STEP_S, STEP_S, SLOTS + 1)
    return LoadMatrix(Measure.CHANNELS, tuple(f"tenant-{row:05}" for row in range(tenants)), grid, values)


def write(folder: Path, tenants: int) -> Cost:
    """Put all but the newest slot into an archive, and bare values beside it."""
    history = made_up_history(tenants)
    Archive(_url(folder)).append(DATASET.key, _columns(history, 0, SLOTS))
    np.save(folder / _VALUES, history.values)
    np.save(folder / _NEWEST, history.values[:, SLOTS:])
    return Cost({}, _peak_mb())


def bare(folder: Path, _tenants: int) -> Cost:
    """The least that any forecast could cost: values from a bare file, last week's slots as every quantile."""
    clock = _Clock()
    values = np.load(folder / _VALUES)
    clock.lap("read a bare file")
    last = values[:, -7 * SLOTS_PER_DAY :][:, :HORIZON_SLOTS]
    np.repeat(last[..., None], len(QUANTILES), axis=2)
    clock.lap("copy last week")
    return clock.cost()


def load(folder: Path, _tenants: int) -> Cost:
    """Read the whole look-back from the archive."""
    clock = _Clock()
    Archive(_url(folder)).load(DATASET.key, SlotGrid(END_S - SLOTS * STEP_S, STEP_S, SLOTS))
    clock.lap("load from the archive")
    return clock.cost()


def rebuild(folder: Path, tenants: int) -> Cost:
    """A first start on an archive: open, read, learn, forecast. Then one more slot, on top of what that has left."""
    return _started_and_refreshed(folder, tenants, "rebuild")


def restart_and_refresh(folder: Path, tenants: int) -> Cost:
    """A start on an archive with checkpoints, then one more slot."""
    return _started_and_refreshed(folder, tenants, "restart")


def _started_and_refreshed(folder: Path, tenants: int, start: str) -> Cost:
    request = _request(folder, tenants)
    clock = _Clock()
    worker.forecast(request, END_S)
    clock.lap(start)
    # From a file of its own: the pages of the whole history would count as memory of the service.
    newest = np.load(folder / _NEWEST)
    names = tuple(f"tenant-{row:05}" for row in range(tenants))
    load = LoadMatrix(Measure.CHANNELS, names, SlotGrid(END_S, STEP_S, 1), newest)
    Archive(_url(folder)).append(DATASET.key, load)
    clock.skip()
    worker.forecast(request, END_S + STEP_S)
    clock.lap("refresh")
    return clock.cost()


def score(folder: Path, tenants: int) -> Cost:
    """What the nightly backtest costs for every tenant, the newest week replayed."""
    history = Archive(_url(folder)).load(DATASET.key, SlotGrid(END_S - SLOTS * STEP_S, STEP_S, SLOTS))
    calendars = [_calendar(row) for row in range(tenants)]
    clock = _Clock()
    result = backtest(history, calendars, [default_forecaster(), MODELS[BASELINE_MODEL]], window_s=7 * 86400)
    clock.lap("nightly scoring")
    fit_s, wapes = result.default.fit_s, [f"{scored.pooled.wape:.3f}" for scored in result.models.values()]
    return clock.cost(f"{result.origins} origins each; training {fit_s:.0f} s; WAPE {', naive '.join(wapes)}")


PARTS: tuple[Callable[[Path, int], Cost], ...] = (bare, load, rebuild, restart_and_refresh, score)


class _Clock:
    """Laps."""

    def __init__(self) -> None:
        self._seconds: dict[str, Seconds] = {}
        self.skip()

    def skip(self) -> None:
        self._began = Seconds(time.perf_counter(), time.process_time())

    def lap(self, name: str) -> None:
        wall_s, processor_s = self._began
        self._seconds[name] = Seconds(time.perf_counter() - wall_s, time.process_time() - processor_s)
        self.skip()

    def cost(self, note: str = "") -> Cost:
        return Cost(self._seconds, _peak_mb(), note)


@dataclass(frozen=True, slots=True)
class _Opener:
    """Forecasts come from the archive alone."""

    def open(self, name: str) -> HistorySource:
        return _NeverAsked(name)


@dataclass(frozen=True, slots=True)
class _NeverAsked:
    name: str

    def read(self, query: HistoryQuery, grid: SlotGrid) -> LoadMatrix:
        raise AssertionError(f"nobody asks {self.name} for {query} on {grid}")

    def current(self, query: HistoryQuery, now_s: float) -> CurrentLoad:
        raise AssertionError(f"nobody asks {self.name} for {query} at {now_s}")

    def close(self) -> None: ...


def _request(folder: Path, tenants: int) -> ForecastRequest:
    history = HistoryRequest(DATASET, SLOTS * STEP_S, _url(folder), _Opener())
    names = [f"tenant-{row:05}" for row in range(tenants)]
    fleets = range(0, tenants, TENANTS_PER_FLEET)
    return ForecastRequest(
        history,
        HORIZON_SLOTS * STEP_S,
        {f"fleet-{first:05}": tuple(names[first : first + TENANTS_PER_FLEET]) for first in fleets},
        {f"fleet-{first:05}": _calendar(first) for first in fleets},
        {name: _calendar(row // TENANTS_PER_FLEET * TENANTS_PER_FLEET) for row, name in enumerate(names)},
    )


def _calendar(row: int) -> CivilCalendar:
    return CALENDARS[row // TENANTS_PER_FLEET % len(CALENDARS)]


def _columns(history: LoadMatrix, first: int, slots: int) -> LoadMatrix:
    grid = SlotGrid(history.grid.start_s + first * STEP_S, STEP_S, slots)
    return LoadMatrix(history.measure, history.series, grid, history.values[:, first : first + slots])


def _url(folder: Path) -> str:
    return str(folder / "archive")


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
