"""How good the forecasts are: every history file of a directory, all models on the same cells in the same run.

`python -m bench.forecast DIRECTORY --calendar nyc_=America/New_York,US --calendar bank=America/New_York,US`. The
newest four weeks of a file (or a quarter of a shorter one, in whole weeks) are replayed, trained anew each week, from
origins a quarter of the open day apart, over the open slots of the next day. Heavy peers see some series and some
origins; the other models are scored on exactly these cells as well. A file of calls is forecast from its calls too.
Each file runs in a process of its own, so that its peak memory is its own. Progress goes to standard error.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.table import Table

from bench.history_files import FileCalendar, history_files, names_of, open_file, until
from bench.pages import command, write_section
from bench.pages import table as markdown_table
from forecasting.backtest import BacktestResult, ModelResult, Subset, backtest
from forecasting.models import BASELINE_MODEL, MODELS, default_forecaster
from forecasting.models.from_calls import ConcurrencyFromCalls
from forecasting.peers import FLOOR, HEAVY, PEERS
from forecasting.scores import Scores
from scaler.cli.backtest_report import scores_document

_DAY_S = 86400
REFIT_S = 7 * _DAY_S
_FIGURES = ("WAPE", "15 min", "1 h", "pin50", "pin90", "pin95", "pin99", "cover95", "bias", "WAPE/naive", "pin95/naive")
_COLUMNS = ("file", "model", "days", *_FIGURES, "fit s", "forecast s", "peak MB")


@dataclass(frozen=True, slots=True)
class Job:
    """One file and what is asked of it."""

    path: Path
    calendars: tuple[FileCalendar, ...]
    until: date | None
    models: tuple[str, ...]
    peers: tuple[str, ...]
    heavy_series: int
    heavy_origins: int
    refit_s: int


def score_file(job: Job) -> BacktestResult:
    """Replay one file in this process."""
    file = open_file(job.path, job.calendars)
    history, calls = file.load_and_calls()
    if job.until is not None:
        history = until(history, job.until, file.calendar.time_zone)
    every = [MODELS[name] if name in MODELS else PEERS[name] for name in job.models]
    if calls is not None:
        every.append(ConcurrencyFromCalls(calls, default_forecaster()))
    subset = Subset([PEERS[name] for name in job.peers], job.heavy_series, job.heavy_origins) if job.peers else None
    started = time.monotonic()

    def tell(done: int, total: int) -> None:
        end = "\n" if done == total else ""
        print(
            f"\r{job.path.stem}: {done}/{total} forecasts, {time.monotonic() - started:.0f} s ",
            end=end,
            file=sys.stderr,
            flush=True,
        )

    calendars = [file.calendar] * len(history.series)
    return backtest(history, calendars, every, refit_s=job.refit_s, open_time=True, subset=subset, progress=tell)


def in_own_process(job: Job) -> BacktestResult:
    """Replay one file in a process that ends with it."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(score_file, (job,))


def _told(models: Mapping[str, ModelResult]) -> Iterator[tuple[str, str, list[str]]]:
    """Model, days and figures of each line of a table."""
    baseline = _parts(models[BASELINE_MODEL]) if BASELINE_MODEL in models else {}
    for model, scored in models.items():
        for days, scores in _parts(scored).items():
            yield model, days, _figures(scores, baseline.get(days))


def _cost(model: str, days: str, models: Mapping[str, ModelResult], outcome: BacktestResult) -> list[str]:
    """Seconds and memory; on the cells of heavy peers theirs alone, since the others ran on all cells at once."""
    if days != "all" or (models is outcome.subset and model in outcome.models):
        return ["", "", ""]
    scored = models[model]
    return [f"{scored.fit_s:.1f}", f"{scored.forecast_s:.1f}", f"{outcome.peak_memory_mb:.0f}"]


def _rows(table: Table, name: str, models: Mapping[str, ModelResult], outcome: BacktestResult) -> None:
    for model, days, figures in _told(models):
        table.add_row(name, model, days, *figures, *_cost(model, days, models, outcome))
    table.add_section()


def _parts(scored: ModelResult) -> dict[str, Scores]:
    """All days; ordinary and special ones apart only where there are both."""
    apart = {"ordinary": scored.ordinary, "special": scored.special} if scored.special.slots else {}
    return {"all": scored.pooled, **apart}


def _figures(scores: Scores, baseline: Scores | None) -> list[str]:
    losses = [scores.pinball[quantile] for quantile in (0.5, 0.9, 0.95, 0.99)]
    figures = [scores.wape, scores.first_slot_wape, scores.first_hour_wape, *losses, scores.coverage[0.95], scores.bias]
    ratios = ["", ""]
    if baseline is not None and scores.slots:
        ratios = [f"{scores.wape / baseline.wape:.2f}", f"{scores.pinball[0.95] / baseline.pinball[0.95]:.2f}"]
    return [*(f"{figure:.4f}" for figure in figures), *ratios]


def markdown(outcomes: Mapping[str, BacktestResult]) -> list[str]:
    """The figures as Markdown: all cells, and those of the heavy peers where there are any."""
    every, some = [], []
    for name, outcome in outcomes.items():
        for model, days, figures in _told(outcome.models):
            every.append((name, model, days, *figures, *_cost(model, days, outcome.models, outcome)))
        cells = f"{name}, {outcome.subset_series} x {outcome.subset_origins}"
        for model, days, figures in _told(outcome.subset):
            some.append((cells, model, days, *figures, *_cost(model, days, outcome.subset, outcome)))
    tables = [("All series at all origins.", every), ("Beside heavy peers: the same series x origins for all.", some)]
    return [f"{title}\n\n{markdown_table(_COLUMNS, rows, texts=3)}" for title, rows in tables if rows]


def _table(title: str) -> Table:
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for index, name in enumerate(_COLUMNS):
        table.add_column(name, justify="right" if index > 2 else "left", no_wrap=True)
    return table


def document(outcomes: Mapping[str, BacktestResult]) -> dict[str, Any]:
    """All figures by file and model; those of the heavy peers' cells under `subset`. Unknown figures are null."""

    def of(models: Mapping[str, ModelResult]) -> dict[str, Any]:
        return {
            name: {
                "all": scores_document(model.pooled),
                "ordinary": scores_document(model.ordinary),
                "special": scores_document(model.special),
                "fit_s": round(model.fit_s, 3),
                "forecast_s": round(model.forecast_s, 3),
            }
            for name, model in models.items()
        }

    return {
        name: {
            "series": outcome.series,
            "origins": outcome.origins,
            "first_origin_s": outcome.first_origin_s,
            "last_origin_s": outcome.last_origin_s,
            "peak_memory_mb": round(outcome.peak_memory_mb, 1),
            "models": of(outcome.models),
            "subset_series": outcome.subset_series,
            "subset_origins": outcome.subset_origins,
            "subset": of(outcome.subset),
        }
        for name, outcome in outcomes.items()
    }


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(prog="bench.forecast", description=__doc__)
    parser.add_argument("directory", type=Path, help="where the .parquet and .csv files lie")
    parser.add_argument("--calendar", type=FileCalendar.parse, action="append", default=[], metavar="PREFIX=ZONE[,CC]")
    parser.add_argument(
        "--only", default="", metavar="PREFIX,...", help="files whose names begin so; all when left out"
    )
    parser.add_argument("--models", default=",".join(MODELS), help=f"of {', '.join(MODELS)}")
    parser.add_argument("--peers", default="", help=f"heavy ones, of {', '.join(HEAVY)}")
    parser.add_argument("--heavy-series", type=int, default=4, help="how many series a heavy peer sees")
    parser.add_argument("--heavy-origins", type=int, default=12, help="how many origins a heavy peer sees")
    parser.add_argument(
        "--until", action="append", default=[], metavar="PREFIX=DATE", help="test the weeks before a local date"
    )
    parser.add_argument("--refit-days", type=float, default=REFIT_S / _DAY_S, help="days between trainings")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there as well")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the tables into its section of this page")
    options = parser.parse_args(argv)
    for name in names_of(options.models):
        if name not in MODELS and name not in PEERS:
            parser.error(f"--models: there is no model {name!r}; one of {', '.join([*MODELS, *PEERS])}")
    for name in names_of(options.peers):
        if name not in HEAVY:
            parser.error(f"--peers: there is no heavy peer {name!r}; one of {', '.join(HEAVY)}")
    return options


def main(argv: Sequence[str]) -> None:
    """Score all files, one after the other, and print each file's rows as soon as they are there."""
    options = parse(argv)
    ends = dict(text.split("=", 1) for text in options.until)
    models = tuple(dict.fromkeys([*names_of(options.models), FLOOR]))
    outcomes: dict[str, BacktestResult] = {}
    console = Console(width=190, highlight=False)
    for path in history_files(options.directory, names_of(options.only)):
        end = next((date.fromisoformat(day) for prefix, day in ends.items() if path.name.startswith(prefix)), None)
        job = Job(
            path,
            tuple(options.calendar),
            end,
            models,
            names_of(options.peers),
            options.heavy_series,
            options.heavy_origins,
            round(options.refit_days * _DAY_S),
        )
        outcome = outcomes[path.stem] = in_own_process(job)
        zone = ZoneInfo(open_file(path, job.calendars).calendar.time_zone)
        first, last = (
            datetime.fromtimestamp(at, zone).isoformat(" ", "minutes")
            for at in (outcome.first_origin_s, outcome.last_origin_s)
        )
        of = f"{path.stem}: {outcome.series} series, {outcome.origins} origins from {first} to {last}"
        table = _table(of)
        _rows(table, path.stem, outcome.models, outcome)
        if outcome.subset:
            _rows(table, f"{outcome.subset_series} x {outcome.subset_origins}", outcome.subset, outcome)
        console.print(table)
        if options.json:
            options.json.write_text(json.dumps(document(outcomes), indent=1))
        if options.markdown:
            ran = command("bench.forecast", argv, options.directory)
            write_section(options.markdown, "bench.forecast", ran, markdown(outcomes))


if __name__ == "__main__":
    main(sys.argv[1:])
