"""How long a forecast of thousands of tenants takes, beside a bare copy of last week in the same run.

Each size runs in a process of its own, so that its peak memory is its own. Training is what a service does once a day,
forecasting what it does every few minutes; the bare copy is the least that any model could cost.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from rich.console import Console
from rich.table import Table

from forecasting.calendar import CivilCalendar
from forecasting.forecast import QUANTILES
from forecasting.grid import SlotGrid
from forecasting.load import Float32Array, LoadMatrix, Measure
from forecasting.models import default_forecaster
from forecasting.models.seasonal_naive import SeasonalNaive

STEP_S = 300
SLOTS_PER_DAY = 86400 // STEP_S
WEEKS = 8
HORIZON_SLOTS = 2 * SLOTS_PER_DAY
END_S = 1_780_012_800
SIZES = (1000, 5000)
CALENDARS = (
    CivilCalendar("Europe/Berlin", "DE"),
    CivilCalendar("America/New_York", "US"),
    CivilCalendar("Asia/Singapore", "SG"),
)
SEED = 20_260_601


@dataclass(frozen=True, slots=True)
class Timing:
    """Wall-clock seconds of each part for one size, and memory: of the history alone, and at its peak."""

    tenants: int
    bare_copy_s: float
    naive_s: float
    train_s: float
    forecast_s: float
    history_mb: float
    peak_mb: float


def made_up_history(tenants: int) -> LoadMatrix:
    """Poisson counts around office days of very different sizes, (tenants, eight weeks of five minutes)."""
    rng = np.random.default_rng(SEED)
    slots = WEEKS * 7 * SLOTS_PER_DAY
    hour = np.arange(slots) % SLOTS_PER_DAY * 24 / SLOTS_PER_DAY
    shape = np.exp(-(((hour - 13) / 4) ** 2)) * np.where(np.arange(slots) // SLOTS_PER_DAY % 7 < 5, 1.0, 0.2)
    values = np.empty((tenants, slots), dtype=np.float32)
    for row, size in enumerate(rng.lognormal(2.0, 1.3, tenants)):
        values[row] = rng.poisson(size * shape)
    grid = SlotGrid(END_S - slots * STEP_S, STEP_S, slots)
    return LoadMatrix(Measure.CHANNELS, tuple(f"tenant-{row}" for row in range(tenants)), grid, values)


def bare_copy(values: Float32Array) -> Float32Array:
    """Last week's slots as every quantile: (tenants, horizon, quantiles)."""
    week = 7 * SLOTS_PER_DAY
    last = values[:, -week:][:, :HORIZON_SLOTS]
    return np.repeat(last[..., None], len(QUANTILES), axis=2)


def measure(tenants: int) -> Timing:
    """Time one size in this process."""
    history = made_up_history(tenants)
    history_mb = _peak_mb()
    calendars = [CALENDARS[row % len(CALENDARS)] for row in range(tenants)]
    ahead = history.grid.after(HORIZON_SLOTS)
    started = time.perf_counter()
    bare_copy(history.values)
    copied = time.perf_counter()
    SeasonalNaive().forecast(history, calendars, ahead)
    repeated = time.perf_counter()
    model = default_forecaster().trained(history, calendars)
    learnt = time.perf_counter()
    model.forecast(history, calendars, ahead)
    done = time.perf_counter()
    return Timing(
        tenants, copied - started, repeated - copied, learnt - repeated, done - learnt, history_mb, _peak_mb()
    )


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def main(argv: Sequence[str]) -> None:
    """Time every size and print the table."""
    parser = argparse.ArgumentParser(prog="bench.forecast_speed", description=__doc__)
    parser.add_argument("--tenants", type=int, nargs="+", default=list(SIZES), help="numbers of tenants")
    table = Table(
        title=f"{WEEKS} weeks of {STEP_S} s, {HORIZON_SLOTS} slots ahead, {len(QUANTILES)} quantiles; seconds",
        title_justify="left",
    )
    names = ("tenants", "bare copy", "seasonal naive", "train (daily)", "forecast", "history MB", "peak MB")
    for name in names:
        table.add_column(name, justify="right")
    for tenants in parser.parse_args(argv).tenants:
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            timing = pool.apply(measure, (tenants,))
        seconds = (timing.bare_copy_s, timing.naive_s, timing.train_s, timing.forecast_s)
        megabytes = (timing.history_mb, timing.peak_mb)
        table.add_row(str(tenants), *(f"{s:.2f}" for s in seconds), *(f"{mb:.0f}" for mb in megabytes))
    Console().print(table)


if __name__ == "__main__":
    import sys

    main(sys.argv[1:])
