"""How good the outlook of the next weeks is, beside a level that stays as it is.

`python -m bench.outlook DIRECTORY --calendar nyc_=America/New_York,US`. Of each history file that has weeks enough,
every Monday is an origin from which the outlook is made of what was known then. It is compared with the level of the
weeks 1, 4 and 8 after the newest one, as ordinary weeks of that size would have been: holidays, gaps and outages are
scaled out of what came as well, lasting changes are not. `as it is` is the mean of the last four measured weeks,
`last week` the newest one, `trend` the share of outlooks in which one was believed. Where a file has several series,
their sum is a row of its own. Last come made-up offices of which the growth is known: 40 weeks of Poisson calls whose
level strays by 3 % from week to week, six of each, each by itself.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from bench.history_files import FileCalendar, history_files, names_of, open_file, until
from bench.pages import command, write_section
from bench.pages import table as markdown_table
from forecasting.calendar import CivilCalendar
from forecasting.civil_time import EPOCH
from forecasting.forecast import Trust
from forecasting.grid import SlotGrid
from forecasting.load import LoadMatrix, Measure, fleet_sums
from forecasting.models.common_fall import CommonFall, common_falls, falls_of_sums
from forecasting.models.week_layout import Float64Array
from forecasting.outlook.weekly import FEWEST_WEEKS, weekly_outlook
from forecasting.outlook.weekly_levels import WeeklyLevels, weekly_levels

WEEKS_AHEAD = (1, 4, 8)
_FEWEST_ORIGINS = 6
_CARRIED = 4
_GROWTHS = (0.0, 0.005, 0.01, 0.02, -0.01)
_MADE_UP, _MADE_UP_WEEKS = 6, 40
_COLUMNS = (
    *("file", "series", "what", "weeks ahead", "cells", "WAPE", "as it is", "last week", "bias"),
    *("cover50", "cover75", "cover95", "cover99", "trend"),
)


@dataclass(slots=True)
class Sums:
    """Of all cells of one kind: load, absolute errors of the outlook and of both baselines, and what was covered."""

    cells: int = 0
    load: float = 0.0
    error: float = 0.0
    as_it_is: float = 0.0
    last_week: float = 0.0
    excess: float = 0.0
    grew: int = 0
    covered: Float64Array = field(default_factory=lambda: np.zeros(5))

    def add(self, came: Float64Array, lines: Float64Array, past: Float64Array, growth: Float64Array) -> None:
        """Add one origin: `came` and `growth` (series,), lines (series, quantiles), past (series, weeks)."""
        for load, line, before, trend in zip(came, lines, past, growth.tolist(), strict=True):
            known = before[~np.isnan(before)]
            if np.isnan(load) or np.isnan(line).any() or known.size == 0:
                continue
            self.cells, self.load = self.cells + 1, self.load + float(load)
            self.error += abs(float(line[0] - load))
            self.excess += float(line[0] - load)
            self.as_it_is += abs(float(known[-_CARRIED:].mean() - load))
            self.last_week += abs(float(known[-1] - load))
            self.covered += load <= line
            self.grew += trend != 0

    def figures(self) -> list[str]:
        """The cells of the table."""
        losses = [loss / self.load for loss in (self.error, self.as_it_is, self.last_week, self.excess)]
        shares = [*(self.covered[[0, 1, 3, 4]] / self.cells), self.grew / self.cells]
        return [f"{self.cells:,}", *(f"{loss:.3f}" for loss in losses), *(f"{share:.2f}" for share in shares)]

    def join(self, other: Sums) -> None:
        """Count the other's cells as well."""
        for name in ("cells", "load", "error", "as_it_is", "last_week", "excess", "grew", "covered"):
            setattr(self, name, getattr(self, name) + getattr(other, name))


Measured = dict[tuple[str, int], Sums]
"""By `mean` or `busy hour`, and the weeks ahead."""


def measure(
    history: LoadMatrix, calendar: CivilCalendar, members: Sequence[str] | None = None
) -> Iterator[tuple[str, Measured]]:
    """The sums of the series, and of their sum where there are `members`, under `each` and `sum`."""
    kinds = ("each", "sum") if members else ("each",)
    found: dict[str, Measured] = {
        kind: {(what, ahead): Sums() for what in ("mean", "busy hour") for ahead in WEEKS_AHEAD} for kind in kinds
    }
    truth = {kind: _levels(*_known(history, calendar, kind), calendar) for kind in kinds}
    for week in range(FEWEST_WEEKS, truth["each"].mean.shape[1]):
        monday = EPOCH + timedelta(days=truth["each"].first_day + 7 * week)
        known = until(history, monday, calendar.time_zone)
        for kind in kinds:
            _add(found[kind], *_known(known, calendar, kind), calendar, truth[kind], week)
    yield from found.items()


def _known(history: LoadMatrix, calendar: CivilCalendar, kind: str) -> tuple[LoadMatrix, tuple[CommonFall, ...]]:
    """The series or their sum, with its outages."""
    falls = common_falls(history, [calendar] * len(history.series))
    if kind == "each":
        return history, falls
    members = {"sum": history.series}
    return fleet_sums(history, members), falls_of_sums(falls, history, members)


def _levels(history: LoadMatrix, falls: Sequence[CommonFall], calendar: CivilCalendar) -> WeeklyLevels:
    return weekly_levels(history, [calendar] * len(history.series), falls, as_it_came=True)


def _add(
    found: Measured,
    history: LoadMatrix,
    falls: Sequence[CommonFall],
    calendar: CivilCalendar,
    truth: WeeklyLevels,
    week: int,
) -> None:
    outlook = weekly_outlook(history, [calendar] * len(history.series), max(WEEKS_AHEAD), falls=falls)
    if all(trust is Trust.COLD for trust in outlook.trust):
        return
    past = outlook.past
    for what, lines, before, came in (
        ("mean", outlook.mean, past.mean, truth.mean),
        ("busy hour", outlook.busy_hour, past.busy_hour, truth.busy_hour),
    ):
        for ahead in WEEKS_AHEAD:
            if week + ahead <= came.shape[1]:
                levels = lines[:, ahead - 1].astype(np.float64)
                found[what, ahead].add(came[:, week + ahead - 1], levels, before, outlook.growth)


def _rows(path: Path, calendars: Sequence[FileCalendar]) -> list[list[str]]:
    """The rows of one file; none where it is too short."""
    file = open_file(path, calendars)
    history = file.load()
    if history.grid.slots * history.grid.step_s < (FEWEST_WEEKS + max(WEEKS_AHEAD) + _FEWEST_ORIGINS) * 7 * 86400:
        return []
    members = history.series if len(history.series) > 1 else None
    found = measure(history, file.calendar, members)
    return [row for kind, measured in found for row in _figures(path.stem, kind, measured)]


def _made_up_rows(growth: float) -> list[list[str]]:
    """The rows of the offices that grow so much a week."""
    pooled: Measured = {(what, ahead): Sums() for what in ("mean", "busy hour") for ahead in WEEKS_AHEAD}
    for seed in range(_MADE_UP):
        for _, measured in measure(made_up(growth, seed), CivilCalendar()):
            for key, sums in measured.items():
                pooled[key].join(sums)
    return _figures(f"made-up, {growth:+.1%} a week", "each", pooled)


def made_up(growth: float, seed: int) -> LoadMatrix:
    """Forty weeks of an office, by the hour, from a Monday on."""
    rng = np.random.default_rng(seed)
    grid = SlotGrid(1_767_571_200, 3600, _MADE_UP_WEEKS * 168)
    hour, day = np.arange(grid.slots) % 24, np.arange(grid.slots) // 24 % 7
    rates = np.where((day < 5) & (hour >= 9) & (hour < 17), 200.0, 8.0)
    level = (1.0 + growth) ** np.arange(_MADE_UP_WEEKS) * np.exp(rng.normal(0.0, 0.03, _MADE_UP_WEEKS))
    calls = rng.poisson(rates * np.repeat(level, 168)).astype(np.float32)
    return LoadMatrix(Measure.CHANNELS, ("office",), grid, calls[np.newaxis])


def _figures(name: str, kind: str, measured: Measured) -> list[list[str]]:
    return [[name, kind, what, str(ahead), *sums.figures()] for (what, ahead), sums in measured.items() if sums.cells]


def main(argv: Sequence[str]) -> None:
    """Measure all files that are long enough, one after the other, and print the table."""
    parser = argparse.ArgumentParser(prog="bench.outlook", description=__doc__)
    parser.add_argument("directory", type=Path, help="where the .parquet and .csv files lie")
    parser.add_argument("--calendar", type=FileCalendar.parse, action="append", default=[], metavar="PREFIX=ZONE[,CC]")
    parser.add_argument("--only", default="", metavar="PREFIX,...", help="files whose names begin so")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the table into its section of this page")
    options = parser.parse_args(argv)
    table = Table(box=None, pad_edge=False)
    for index, column in enumerate(_COLUMNS):
        table.add_column(column, justify="left" if index < 3 else "right", no_wrap=True)
    rows: list[list[str]] = []
    for path in history_files(options.directory, names_of(options.only)):
        print(f"{path.stem} …", file=sys.stderr, flush=True)
        rows += _rows(path, options.calendar)
    for growth in _GROWTHS:
        rows += _made_up_rows(growth)
    for row in rows:
        table.add_row(*row)
    Console(width=160, highlight=False).print(table)
    if options.markdown:
        ran = command("bench.outlook", argv, options.directory)
        write_section(options.markdown, "bench.outlook", ran, [markdown_table(_COLUMNS, rows, texts=3)])


if __name__ == "__main__":
    main(sys.argv[1:])
