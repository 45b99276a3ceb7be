"""How often the largest load of a window stays under the level that a plan would size for, and what that costs.

`python -m bench.window_maximum DIRECTORY --calendar nyc_=America/New_York,US`. The newest weeks of each history file
are forecast as in `bench.forecast`, trained anew each week, but from denser origins: every hour of open time, or so far
apart that all series together have some 20,000 windows. A window begins at its origin; one with a slot that was not
observed is left out. `slot` is the largest of the lines at the quantile itself, `window` that of the lines which the
forecast names for the largest load of such a window. `cover` is the share of windows whose largest load lies at or
under it, `size` its mean over the mean of the largest loads.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from math import gcd
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from bench.history_files import FileCalendar, history_files, open_file
from forecasting.calendar import CivilCalendar
from forecasting.civil_time import civil_time
from forecasting.forecast import QUANTILES, QuantileForecast, TrainableForecaster
from forecasting.grid import Int64Array, SlotGrid
from forecasting.load import Float32Array, LoadMatrix
from forecasting.models import default_forecaster
from forecasting.origins import DAY_S, open_slots, origins_of

WINDOWS_S = (900, 1800, 3600, 7200)
WANTED = (0.95, 0.99)
KINDS = ("slot", "window")
_WEEK_S = 7 * DAY_S
_WINDOWS = 20_000
_ROUNDING = 1.0 + 1e-5


@dataclass(slots=True)
class Sums:
    """Of the windows of one length: how many, their largest loads, and per kind and quantile what was covered."""

    windows: int = 0
    load: float = 0.0
    covered: dict[tuple[str, float], int] = field(default_factory=dict)
    sized: dict[tuple[str, float], float] = field(default_factory=dict)

    def add(self, forecast: QuantileForecast, actual: Float32Array, window_s: int) -> None:
        """Add one origin: `actual` (series, slots of the window)."""
        whole = ~np.isnan(actual).any(axis=1)
        for row in np.flatnonzero(whole & np.isfinite(forecast.values).all(axis=(1, 2))):
            largest = float(actual[row].max())
            self.windows, self.load = self.windows + 1, self.load + largest
            for quantile in WANTED:
                for kind in KINDS:
                    sized = _sized(forecast, int(row), quantile, window_s if kind == "window" else 0)[: actual.shape[1]]
                    key, level = (kind, quantile), float(sized.max())
                    self.covered[key] = self.covered.get(key, 0) + int(largest <= level * _ROUNDING)
                    self.sized[key] = self.sized.get(key, 0.0) + level


def _sized(forecast: QuantileForecast, row: int, quantile: float, window_s: int) -> Float32Array:
    """The line of each slot; without a window that of the quantile itself."""
    series = forecast.series[row]
    if window_s == 0 or forecast.window_levels is None:
        return forecast.path(series, quantile)
    return forecast.path(series, forecast.window_levels.level(quantile, window_s, forecast.path(series, 0.5)))


def measure(history: LoadMatrix, calendars: Sequence[CivilCalendar]) -> dict[int, Sums]:
    """The sums of each window that has a slot of this history at least, by its seconds."""
    step_s = history.grid.step_s
    widths = {window_s: window_s // step_s for window_s in WINDOWS_S if window_s >= step_s}
    sums = {window_s: Sums() for window_s in widths}
    for origin, forecast in _forecasts(history, calendars, default_forecaster(), max(widths.values())):
        for window_s, width in widths.items():
            sums[window_s].add(forecast, history.values[:, origin : origin + width], width * step_s)
    return sums


def _forecasts(
    history: LoadMatrix, calendars: Sequence[CivilCalendar], model: TrainableForecaster, slots: int
) -> Iterator[tuple[int, QuantileForecast]]:
    """Each origin with what is forecast from there, by a model that is trained each week."""
    step_s = history.grid.step_s
    trained, trained_at = None, 0
    for origin in _origins(history, calendars, slots).tolist():
        known = LoadMatrix(
            history.measure,
            history.series,
            SlotGrid(history.grid.start_s, step_s, origin),
            history.values[:, :origin],
        )
        if trained is None or (origin - trained_at) * step_s >= _WEEK_S:
            trained, trained_at = model.trained(known, calendars), origin
        yield origin, trained.forecast(known, calendars, known.grid.after(slots), QUANTILES)


def _origins(history: LoadMatrix, calendars: Sequence[CivilCalendar], slots: int) -> Int64Array:
    """Open slots from the first origin of the test on, evenly spaced but for closed hours."""
    step_s = history.grid.step_s
    first = int(origins_of(history, calendars, horizon_s=WINDOWS_S[-1], open_time=True).slots[0])
    is_open = open_slots(history, civil_time(calendars[0].time_zone, history.grid))
    opened = np.flatnonzero(is_open[: history.grid.slots - slots + 1])
    opened = opened[opened >= first]
    between = max(1, 3600 // step_s, opened.size * len(history.series) // _WINDOWS)
    # Without a common divisor with the day, origins fall on every slot of it.
    while gcd(between, DAY_S // step_s) > 1 and between > 3600 // step_s:
        between += 1
    return opened[::between]


def _rows(table: Table, name: str, sums: dict[int, Sums]) -> None:
    for window_s, found in sums.items():
        figures = [
            f"{part[kind, quantile] / whole:.3f}"
            for quantile in WANTED
            for part, whole in ((found.covered, found.windows), (found.sized, found.load))
            for kind in KINDS
        ]
        table.add_row(name, f"{window_s // 60} min", f"{found.windows:,}", *figures)
    table.add_section()


def main(argv: Sequence[str]) -> None:
    """Measure all files, one after the other, and print the table."""
    parser = argparse.ArgumentParser(prog="bench.window_maximum", description=__doc__)
    parser.add_argument("directory", type=Path, help="where the .parquet and .csv files lie")
    parser.add_argument("--calendar", type=FileCalendar.parse, action="append", default=[], metavar="PREFIX=ZONE[,CC]")
    parser.add_argument("--only", default="", metavar="PREFIX,...", help="files whose names begin so")
    options = parser.parse_args(argv)
    table = Table(title="largest load of a window, line of the slot | of the window", title_justify="left", box=None)
    columns = [
        f"{figure}{100 * quantile:g} {kind}" for quantile in WANTED for figure in ("cover", "size") for kind in KINDS
    ]
    for column in ("file", "window", "windows", *columns):
        table.add_column(column, justify="left" if column == "file" else "right", no_wrap=True)
    for path in history_files(options.directory, [name for name in options.only.split(",") if name]):
        file = open_file(path, options.calendar)
        history = file.load()
        print(f"{path.stem} …", file=sys.stderr, flush=True)
        _rows(table, path.stem, measure(history, [file.calendar] * len(history.series)))
    Console(width=170, highlight=False).print(table)


if __name__ == "__main__":
    main(sys.argv[1:])
