"""Small made-up histories with a known law: office hours by the local clock, Poisson counts, seeded."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from forecasting.civil_time import civil_time
from forecasting.grid import SlotGrid
from forecasting.load import LoadMatrix, Measure

HOUR_S = 3600
DAY_S = 86400

Floats = npt.NDArray[np.float64]


def instant(text: str, zone: str = "UTC") -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp())


def days_before(text: str, days: int, *, zone: str = "UTC", step_s: int = HOUR_S) -> SlotGrid:
    """The grid of so many days that ends at the local instant."""
    end_s = instant(text, zone)
    return SlotGrid.covering(end_s - days * DAY_S, end_s, step_s)


def office_rates(grid: SlotGrid, zone: str = "UTC", busy: float = 100.0, quiet: float = 4.0) -> Floats:
    """Calls from nine to five on working days by the local clock, nearly none else. Shape (slots,)."""
    clock = civil_time(zone, grid)
    hour = clock.slot_of_day * grid.step_s / HOUR_S
    return np.where((clock.weekday < 5) & (hour >= 9) & (hour < 17), busy, quiet)


def counts(rates: Floats, series: int, seed: int = 1) -> npt.NDArray[np.float32]:
    """Independent Poisson counts of these rates, shape (series, slots)."""
    return np.random.default_rng(seed).poisson(rates, size=(series, rates.shape[-1])).astype(np.float32)


def matrix(grid: SlotGrid, values: npt.NDArray[np.float32], measure: Measure = Measure.CHANNELS) -> LoadMatrix:
    return LoadMatrix(measure, tuple(f"tenant-{row}" for row in range(values.shape[0])), grid, values)


def office(grid: SlotGrid, zone: str = "UTC", *, series: int = 1, seed: int = 1) -> LoadMatrix:
    return matrix(grid, counts(office_rates(grid, zone), series, seed))


def at_local(grid: SlotGrid, zone: str, wanted: Callable[[datetime], bool]) -> npt.NDArray[np.bool_]:
    """Which slots of a grid begin at a local time that is wanted."""
    return np.array([wanted(datetime.fromtimestamp(int(start), ZoneInfo(zone))) for start in grid.starts_s])
