"""History files of a directory as the benchmarks read them: each with the calendar that fits its name."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from pathlib import Path
from zoneinfo import ZoneInfo

from forecasting.grid import SlotGrid
from forecasting.load import LoadMatrix
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


def history_files(directory: Path, prefixes: Sequence[str]) -> list[Path]:
    """The Parquet and CSV files of a directory, those that begin with one of the prefixes; all without prefixes."""
    paths = sorted(path for path in directory.iterdir() if path.suffix in {".parquet", ".csv"})
    return [path for path in paths if not prefixes or path.name.startswith(tuple(prefixes))]


def open_file(path: Path, calendars: Sequence[FileCalendar]) -> HistoryFile:
    """The file with the first calendar that fits its name, else in UTC without holidays.

    A file whose name ends in `_events` holds calls.
    """
    calendar = next((known for known in calendars if path.name.startswith(known.prefix)), FileCalendar(""))
    kind = FileKind.EVENTS if path.stem.endswith("_events") else FileKind.SAMPLES
    return HistoryFile(
        path, calendar.time_zone, calendar.country, None, kind, "series", "ts", "value", None, step_s=None
    )


def until(history: LoadMatrix, day: date, time_zone: str) -> LoadMatrix:
    """The history before a local midnight."""
    end_s = datetime.combine(day, time(), ZoneInfo(time_zone)).timestamp()
    slots = max(0, min(history.grid.slots, history.grid.index_of(end_s)))
    grid = SlotGrid(history.grid.start_s, history.grid.step_s, slots)
    return LoadMatrix(history.measure, history.series, grid, history.values[:, :slots])


def names_of(text: str) -> tuple[str, ...]:
    """The names of a list with commas between them, each once."""
    return tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
