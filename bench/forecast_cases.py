"""What is not ordinary: holidays and the week after, changes of the clock, breaks of the level, newborn tenants.

`python -m bench.forecast_cases DIRECTORY --calendar nyc_=America/New_York,US --calendar bank=America/New_York,US`. Each
case is laid over every history file of the directory that has what it takes, or sought in it, and all models are scored
on the same cells; `--only-case break` plays one kind alone. What is laid over, and how it is scored, stands at the top
of each file of `bench/cases`. Each case on each file runs in a process of its own; progress goes to standard error.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.cases import breaks, clocks, days_off, newborns
from bench.cases.replaying import CaseRow
from bench.history_files import FileCalendar, history_files, names_of, open_file
from bench.pages import command, write_section
from bench.pages import table as markdown_table
from forecasting.calendar import CivilCalendar
from forecasting.forecast import Forecaster
from forecasting.load import LoadMatrix
from forecasting.models import MODELS
from forecasting.peers import FLOOR, PEERS
from scaler.cli.backtest_report import scores_document

MADE_UP = "made-up"
"""The name of what is no file: counts of known rates, for the breaks alone."""


@dataclass(frozen=True, slots=True)
class Job:
    """One case on one file by some models; `path` is None for what is made up."""

    path: Path | None
    calendars: tuple[FileCalendar, ...]
    case: str
    models: tuple[str, ...]
    most_series: int

    @property
    def name(self) -> str:
        """How the file is called in the report."""
        return self.path.stem if self.path else MADE_UP


Play = Callable[[LoadMatrix, CivilCalendar, Sequence[Forecaster], int], Iterator[CaseRow]]
"""Plays a case on a history by each model, on so many series at most; no rows where it has not what the case takes."""


def _broken(factors: Mapping[str, breaks.Factors]) -> Play:
    def played(
        history: LoadMatrix, calendar: CivilCalendar, models: Sequence[Forecaster], most_series: int
    ) -> Iterator[CaseRow]:
        stage = breaks.stage_of(history, calendar, most_series)
        return breaks.played(stage, models, factors) if stage else iter(())

    return played


CASES: Mapping[str, Play] = {
    "break": _broken(breaks.BREAKS),
    "level": _broken(breaks.LEVELS),
    "holidays": days_off.played,
    "clock": clocks.played,
    "newborn": newborns.played,
}
"""Every case by its name."""


def play(job: Job) -> list[CaseRow]:
    """The rows of one case on one file, in this process."""
    started = time.monotonic()
    models = [MODELS[name] if name in MODELS else PEERS[name] for name in job.models]
    rows = list(_rows(job, models))
    seconds = time.monotonic() - started
    print(f"{job.name}, {job.case}: {len(rows)} rows, {seconds:.0f} s", file=sys.stderr, flush=True)
    return rows


def _rows(job: Job, models: Sequence[Forecaster]) -> Iterator[CaseRow]:
    if job.path is None:
        return breaks.played(breaks.made_up_stage(), models, breaks.BREAKS) if job.case == "break" else iter(())
    file = open_file(job.path, job.calendars)
    return CASES[job.case](file.load(), file.calendar, models, job.most_series)


def in_own_process(job: Job) -> list[CaseRow]:
    """Play one case on one file in a process that ends with it."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(play, (job,))


COLUMNS = ("what", "when", "model", "slots", "WAPE", "pin95", "cover95", "ratio", "note")


def cells(row: CaseRow) -> tuple[str, ...]:
    """The row as a table shows it, by `COLUMNS`."""
    scores = row.scores
    slots = f"{scores.slots}" if scores else ""
    figures = (scores.wape, scores.pinball[0.95], scores.coverage[0.95]) if scores else (math.nan,) * 3
    return (row.what, row.when, row.model, slots, *map(_figure, figures), _figure(row.ratio, 2), row.note)


def _figure(value: float, digits: int = 4) -> str:
    return f"{value:.{digits}f}" if math.isfinite(value) else ""


def document(rows: Mapping[str, Mapping[str, Sequence[CaseRow]]]) -> dict[str, Any]:
    """All rows by file and case. Unknown figures are null."""

    def of(row: CaseRow) -> dict[str, Any]:
        scores = scores_document(row.scores) if row.scores else None
        ratio = row.ratio if math.isfinite(row.ratio) else None
        return {
            "what": row.what, "when": row.when, "model": row.model, "ratio": ratio, "note": row.note, "scores": scores
        }  # fmt: skip

    return {file: {case: [of(row) for row in told] for case, told in cases.items()} for file, cases in rows.items()}


def table(name: str, case: str, rows: Sequence[CaseRow]) -> Table:
    """One case on one file."""
    shown = Table(title=f"{name}: {case}", title_justify="left", box=None, pad_edge=False)
    for column in COLUMNS:
        figures = column not in {"what", "when", "model", "note"}
        shown.add_column(column, justify="right" if figures else "left", no_wrap=True)
    for row in rows:
        shown.add_row(*cells(row))
    return shown


def markdown(outcomes: Mapping[str, Mapping[str, Sequence[CaseRow]]]) -> list[str]:
    """A table for each case: a line for each file, what was laid over it and model, times side by side."""
    played = [case for case in CASES if any(told.get(case) for told in outcomes.values())]
    return ["Cells are WAPE / pin95 / coverage95.", *(f"### {case}\n\n{_pivoted(case, outcomes)}" for case in played)]


def _pivoted(case: str, outcomes: Mapping[str, Mapping[str, Sequence[CaseRow]]]) -> str:
    """WAPE, pin95 and coverage95 by time; what is not scored stands as a note in the last column."""
    every = [(file, row) for file, told in outcomes.items() for row in told.get(case, ())]
    times = list(dict.fromkeys(row.when for _, row in every if row.scores))
    lines: dict[tuple[str, str, str], dict[str, str]] = {}
    for file, row in every:
        line = lines.setdefault((file, row.what, row.model), {})
        line[row.when if row.scores else "note"] = " / ".join(cells(row)[4:7]) if row.scores else row.note
    columns = ("file", "what", "model", *times, "note")
    told = [(*key, *(line.get(at, "") for at in columns[3:])) for key, line in lines.items()]
    return markdown_table(columns, told, texts=3)


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(prog="bench.forecast_cases", description=__doc__)
    parser.add_argument("directory", type=Path, help="where the .parquet and .csv files lie")
    parser.add_argument("--calendar", type=FileCalendar.parse, action="append", default=[], metavar="PREFIX=ZONE[,CC]")
    parser.add_argument(
        "--only", default="", metavar="PREFIX,...", help=f"files whose names begin so, or {MADE_UP}; all when left out"
    )
    parser.add_argument("--only-case", default=",".join(CASES), metavar="CASE,...", help=f"of {', '.join(CASES)}")
    parser.add_argument("--models", default=",".join([*MODELS, FLOOR]), help=f"of {', '.join([*MODELS, *PEERS])}")
    parser.add_argument("--series", type=int, default=24, help="how many series of a file are looked at")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there as well")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the tables into its section of this page")
    options = parser.parse_args(argv)
    for name in names_of(options.only_case):
        if name not in CASES:
            parser.error(f"--only-case: there is no case {name!r}; one of {', '.join(CASES)}")
    for name in names_of(options.models):
        if name not in MODELS and name not in PEERS:
            parser.error(f"--models: there is no model {name!r}; one of {', '.join([*MODELS, *PEERS])}")
    return options


def jobs(options: argparse.Namespace) -> Iterator[Job]:
    """One for each case on each file, and on what is made up."""
    only = names_of(options.only)
    made_up: list[Path | None] = [None] if not only or any(MADE_UP.startswith(prefix) for prefix in only) else []
    models = names_of(options.models)
    for path in [*made_up, *history_files(options.directory, only)]:
        for case in names_of(options.only_case):
            yield Job(path, tuple(options.calendar), case, models, options.series)


def main(argv: Sequence[str]) -> None:
    """Play all cases on all files, one after the other, and print each one's rows as soon as they are there."""
    options = parse(argv)
    outcomes: dict[str, dict[str, list[CaseRow]]] = {}
    console = Console(width=170, highlight=False)
    for job in jobs(options):
        rows = outcomes.setdefault(job.name, {})[job.case] = in_own_process(job)
        if rows:
            console.print(table(job.name, job.case, rows))
        if options.json:
            options.json.write_text(json.dumps(document(outcomes), indent=1))
        if options.markdown:
            ran = command("bench.forecast_cases", argv, options.directory)
            write_section(options.markdown, "bench.forecast_cases", ran, markdown(outcomes))


if __name__ == "__main__":
    main(sys.argv[1:])
