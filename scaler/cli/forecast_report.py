"""A forecast as a JSON document and as tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from rich.console import Console
from rich.table import Table

from forecasting.forecast import QuantileForecast, Trust
from forecasting.grid import Int64Array, SlotGrid
from forecasting.load import BoolArray, LoadMatrix
from scaler.policy.durations import format_duration

MOST_SERIES_SHOWN = 20
_HOUR_S = 3600


@dataclass(frozen=True, slots=True, eq=False)
class ToldForecast:
    """A forecast, and at which of its slots no week of the history has shown a series (series, slots).

    `closed` (series, slots) tells where that is so of all tenants in it: of a sum they may be fewer, since one tenant
    that is missing leaves no sum.
    """

    forecast: QuantileForecast
    never_observed: BoolArray
    closed: BoolArray


def forecast_document(each: ToldForecast, total: ToldForecast | None, names: Sequence[str]) -> dict[str, Any]:
    """The forecast as JSON. Times are epoch seconds of slots' starts; a cold series has no paths."""
    forecast = each.forecast
    row_of = {name: row for row, name in enumerate(forecast.series)}
    return {
        "model": forecast.model,
        "issued_at_s": forecast.issued_at_s,
        "step_s": forecast.grid.step_s,
        "times_s": forecast.grid.starts_s.tolist(),
        "sum": None if total is None else _series_document(total, 0),
        "series": {name: _series_document(each, row_of[name]) for name in names},
    }


def _series_document(told: ToldForecast, row: int) -> dict[str, Any]:
    forecast = told.forecast
    cold = forecast.trust[row] is Trust.COLD
    paths = {f"{quantile:g}": forecast.values[row, :, index] for index, quantile in enumerate(forecast.quantiles)}
    return {
        "trust": forecast.trust[row].value,
        "trust_reason": forecast.trust_reasons[row],
        "newest_observation_s": int(forecast.newest_observation_s[row]),
        "quantiles": None if cold else {name: path.round(4).tolist() for name, path in paths.items()},
        "never_observed": told.never_observed[row].tolist(),
    }


def print_largest(console: Console, each: ToldForecast, total: ToldForecast | None, load: LoadMatrix, tz: str) -> None:
    """Print the sum and the largest series of the load, and say how many are left out."""
    size = np.nansum(load.values, axis=1, dtype=np.float64)
    largest = [load.series[row] for row in np.argsort(-size, kind="stable")[:MOST_SERIES_SHOWN]]
    print_forecasts(console, each, total, largest, tz)
    tenants, left_out = len(load.series), len(load.series) - len(largest)
    if left_out:
        told = f"the {len(largest)} largest of {tenants} tenants; {left_out} left out, see them by --tenant or --json"
        console.print(told, soft_wrap=True)


def print_forecasts(
    console: Console, each: ToldForecast, total: ToldForecast | None, names: Sequence[str], tz: str
) -> None:
    """Print the sum, and each of the series."""
    if total is not None:
        _print_hours(console, total, 0, tz)
    for name in names:
        _print_hours(console, each, each.forecast.series.index(name), tz)


def _print_hours(console: Console, told: ToldForecast, row: int, tz: str) -> None:
    """Print one series by the hour, each by its highest slot: what sizes a fleet."""
    forecast = told.forecast
    console.print(f"{forecast.series[row]}: {forecast.trust[row].value}, {forecast.trust_reasons[row]}", markup=False)
    if forecast.trust[row] is Trust.COLD:
        return
    lines = (f"{quantile:.0%}" for quantile in forecast.quantiles)
    table = Table("hour from", *lines, caption=_what_a_row_is(forecast.grid, tz), caption_justify="left")
    for slots in _hours(forecast.grid):
        local = datetime.fromtimestamp(int(forecast.grid.starts_s[slots[0]]), ZoneInfo(tz))
        seen = slots[~told.never_observed[row, slots]]
        # What was never observed is drawn from the hours around: a number there would only look like knowledge.
        without = "closed" if told.closed[row, slots].all() else "unknown"
        cells = [f"{load:.1f}" for load in forecast.values[row, seen].max(axis=0)] if seen.size else [without]
        table.add_row(local.strftime("%a %Y-%m-%d %H:%M"), *cells)
    console.print(table)


def _hours(grid: SlotGrid) -> list[Int64Array]:
    """The slots of each hour from the grid's start on; one slot each where slots are longer."""
    hour_of = (grid.starts_s - grid.start_s) // _HOUR_S
    return np.split(np.arange(grid.slots, dtype=np.int64), np.flatnonzero(np.diff(hour_of)) + 1)


def _what_a_row_is(grid: SlotGrid, tz: str) -> str:
    # An hour may as well be told by its mean, as the outlook does, which lies lower.
    load = "load of each slot" if grid.step_s >= _HOUR_S else f"largest {_width(grid.step_s)} slot of each hour"
    return f"{load}, times of {tz}"


def _width(step_s: int) -> str:
    return format_duration(step_s) if step_s % 60 else f"{step_s // 60}-minute"
