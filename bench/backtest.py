"""Backtest every history file of a directory and print one table: the default model beside the weekly baseline.

`python -m bench.backtest DIRECTORY --calendar nyc_=America/New_York,US --calendar bank=America/New_York,US`. A file
takes the first calendar whose name its own begins with, else UTC without holidays. A file whose name ends in `_events`
holds calls.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from forecasting.backtest import backtest
from forecasting.models import MODELS
from forecasting.sources.settings import FileKind
from scaler.cli.history_file import HistoryFile


@dataclass(frozen=True, slots=True)
class FileCalendar:
    """The civil time of the files whose names begin so."""

    prefix: str
    time_zone: str = "UTC"
    country: str | None = None

    @classmethod
    def parse(cls, text: str) -> FileCalendar:
        """From PREFIX=ZONE or PREFIX=ZONE,COUNTRY.

        Raises:
            argparse.ArgumentTypeError: it is written otherwise.
        """
        prefix, found, rest = text.partition("=")
        zone, _, country = rest.partition(",")
        if not found or not zone:
            raise argparse.ArgumentTypeError(f"{text!r} is not PREFIX=ZONE or PREFIX=ZONE,COUNTRY")
        return cls(prefix, zone, country or None)


def open_file(path: Path, calendars: Sequence[FileCalendar]) -> HistoryFile:
    """The file with the calendar that fits its name."""
    calendar = next((known for known in calendars if path.name.startswith(known.prefix)), FileCalendar(""))
    kind = FileKind.EVENTS if path.stem.endswith("_events") else FileKind.SAMPLES
    return HistoryFile(
        path, calendar.time_zone, calendar.country, None, kind, "series", "ts", "value", None, step_s=None
    )


def main(argv: Sequence[str]) -> None:
    """Backtest all files and print the table."""
    parser = argparse.ArgumentParser(prog="bench.backtest", description=__doc__)
    parser.add_argument("directory", type=Path, help="where the .parquet and .csv files lie")
    parser.add_argument("--calendar", type=FileCalendar.parse, action="append", default=[])
    options = parser.parse_args(argv)
    table = Table(title="24 h ahead, pooled over all series", title_justify="left", box=None, pad_edge=False)
    for name in ("file", "model"):
        table.add_column(name, no_wrap=True)
    for name in ("WAPE", "pin95", "pin99", "cover95", "seconds"):
        table.add_column(name, justify="right", no_wrap=True)
    paths = sorted(path for path in options.directory.iterdir() if path.suffix in {".parquet", ".csv"})
    for path in paths:
        file = open_file(path, options.calendar)
        history = file.load()
        outcome = backtest(history, [file.calendar] * len(history.series), list(MODELS.values()))
        for name, model in outcome.models.items():
            scores = model.pooled
            figures = (scores.wape, scores.pinball[0.95], scores.pinball[0.99], scores.coverage[0.95])
            table.add_row(path.stem, name, *(f"{figure:.4f}" for figure in figures), f"{model.seconds:.1f}")
    Console().print(table)


if __name__ == "__main__":
    main(sys.argv[1:])
