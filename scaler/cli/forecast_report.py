"""A forecast as a JSON document and as tables."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from rich.console import Console
from rich.table import Table

from forecasting.forecast import QuantileForecast, Trust
from forecasting.grid import Int64Array, SlotGrid
from forecasting.load import BoolArray
from scaler.policy.durations import format_duration

_HOUR_S = 3600


def forecast_document(forecast: QuantileForecast, never_observed: BoolArray, names: list[str]) -> dict[str, Any]:
    """The forecast as JSON. Times are epoch seconds of slots' starts; a cold series has no paths.

    `never_observed` (series, slots) marks the slots whose time of week the history has never shown.
    """
    row_of = {name: row for row, name in enumerate(forecast.series)}
    return {
        "model": forecast.model,
        "issued_at_s": forecast.issued_at_s,
        "step_s": forecast.grid.step_s,
        "times_s": forecast.grid.starts_s.tolist(),
        "series": {name: _series_document(forecast, never_observed, row_of[name]) for name in names},
    }


def _series_document(forecast: QuantileForecast, never_observed: BoolArray, row: int) -> dict[str, Any]:
    cold = forecast.trust[row] is Trust.COLD
    paths = {f"{quantile:g}": forecast.values[row, :, index] for index, quantile in enumerate(forecast.quantiles)}
    return {
        "trust": forecast.trust[row].value,
        "trust_reason": forecast.trust_reasons[row],
        "newest_observation_s": int(forecast.newest_observation_s[row]),
        "quantiles": None if cold else {name: path.round(4).tolist() for name, path in paths.items()},
        "never_observed": never_observed[row].tolist(),
    }


def print_forecast(console: Console, forecast: QuantileForecast, never_observed: BoolArray, name: str, tz: str) -> None:
    """Print one series by the hour, each by its highest slot: what sizes a fleet. Hours never observed are closed."""
    row = forecast.series.index(name)
    console.print(f"{name}: {forecast.trust[row].value}, {forecast.trust_reasons[row]}", markup=False)
    if forecast.trust[row] is Trust.COLD:
        return
    lines = (f"{quantile:.0%}" for quantile in forecast.quantiles)
    table = Table("hour from", *lines, caption=_what_a_row_is(forecast.grid, tz), caption_justify="left")
    for slots in _hours(forecast.grid):
        local = datetime.fromtimestamp(int(forecast.grid.starts_s[slots[0]]), ZoneInfo(tz))
        opened = slots[~never_observed[row, slots]]
        # What was never observed is drawn from the hours around: a number there would only look like knowledge.
        cells = [f"{value:.1f}" for value in forecast.values[row, opened].max(axis=0)] if opened.size else ["closed"]
        table.add_row(local.strftime("%a %Y-%m-%d %H:%M"), *cells)
    console.print(table)


def _hours(grid: SlotGrid) -> list[Int64Array]:
    """The slots of each hour from the grid's start on; one slot each where slots are longer."""
    hour_of = (grid.starts_s - grid.start_s) // _HOUR_S
    return np.split(np.arange(grid.slots, dtype=np.int64), np.flatnonzero(np.diff(hour_of)) + 1)


def _what_a_row_is(grid: SlotGrid, tz: str) -> str:
    # An hour may as well be told by its mean, as the outlook does, which lies lower.
    load = "load of each slot" if grid.step_s >= _HOUR_S else f"largest {_width(grid.step_s)} slot of each hour"
    return f"{load}, at or below the 95% line in 95 of 100; times of {tz}"


def _width(step_s: int) -> str:
    return format_duration(step_s) if step_s % 60 else f"{step_s // 60}-minute"
