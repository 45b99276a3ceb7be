"""`calltide backtest`: how good the forecasts would have been on one's own history."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer
from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from forecasting.backtest import BacktestResult, ModelResult
from forecasting.backtest import backtest as replay
from forecasting.models import DEFAULT_MODEL, MODELS
from forecasting.scores import Scores
from forecasting.sources.settings import FileKind
from scaler.cli.history_file import (
    Country,
    DurationColumn,
    History,
    HistoryFile,
    Kind,
    SeriesColumn,
    Step,
    Subdivision,
    TimeColumn,
    TimeZone,
    ValueColumn,
    seconds,
)
from scaler.cli.output import ends_well, not_found, notice, print_json, result

_MOST_SERIES_SHOWN = 20


@ends_well
def backtest(
    history: History,
    horizon: Annotated[
        int,
        typer.Option(parser=seconds, metavar="DURATION", show_default="24h", help="How far ahead each origin looks."),
    ] = 86400,
    tz: TimeZone = "UTC",
    country: Country = None,
    subdivision: Subdivision = None,
    kind: Kind = FileKind.SAMPLES,
    series_column: SeriesColumn = "series",
    time_column: TimeColumn = "ts",
    value_column: ValueColumn = "value",
    duration_column: DurationColumn = None,
    step: Step = None,
    window: Annotated[
        int | None,
        typer.Option(
            parser=seconds,
            metavar="DURATION",
            help="How much of the end is tested. Four weeks when left out, or a quarter of a shorter history.",
        ),
    ] = None,
    model: Annotated[
        list[str] | None, typer.Option(help="Model to score; repeat for several. All of them when left out.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Score the forecasts that would have been made over the newest part of a history."""
    file = HistoryFile(
        history, tz, country, subdivision, kind, series_column, time_column, value_column, duration_column, step
    )
    calendar = file.calendar
    # The model that sizes fleets comes first: it is the one that the figures on top are about.
    names = list(dict.fromkeys(model or [DEFAULT_MODEL, *MODELS]))
    for name in names:
        if name not in MODELS:
            not_found("model", name, sorted(MODELS))
    load = file.load()
    models = [MODELS[name] for name in names]
    calendars = [calendar] * len(load.series)
    with _progress_bar() as bar:
        task = bar.add_task("replaying origins")
        outcome = replay(
            load,
            calendars,
            models,
            horizon_s=horizon,
            window_s=window,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    if as_json:
        print_json(backtest_document(outcome))
    else:
        _print_tables(outcome, tz)


def _progress_bar() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=notice, transient=True)


def backtest_document(outcome: BacktestResult) -> dict[str, Any]:
    """The result as JSON: the first model's figures on top, all models' under `models`. Unknown figures are null."""
    models = {
        name: {**_model_document(model), "run_seconds": round(model.seconds, 3)}
        for name, model in outcome.models.items()
    }
    first = next(iter(models))
    return {
        "model": first,
        "pooled": models[first]["pooled"],
        "series": models[first]["series"],
        "models": models,
        "step_s": outcome.step_s,
        "horizon_s": outcome.horizon_s,
        "origins": outcome.origins,
        "first_origin_s": outcome.first_origin_s,
        "last_origin_s": outcome.last_origin_s,
        "run_seconds": round(outcome.run_seconds, 3),
        "peak_memory_mb": round(outcome.peak_memory_mb, 1),
    }


def _model_document(model: ModelResult) -> dict[str, Any]:
    return {
        "pooled": _scores_document(model.pooled),
        "series": {name: _scores_document(scores) for name, scores in model.series.items()},
    }


def _scores_document(scores: Scores) -> dict[str, float | int | None]:
    document: dict[str, float | int | None] = {
        "wape": scores.wape,
        **{f"pin{quantile:.0%}".removesuffix("%"): loss for quantile, loss in scores.pinball.items()},
        **{f"coverage{quantile:.0%}".removesuffix("%"): share for quantile, share in scores.coverage.items()},
        "first_hour_wape": scores.first_hour_wape,
        "bias": scores.bias,
        "mean_load": scores.mean_load,
        "slots": scores.slots,
    }
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in document.items()
    }


def _print_tables(outcome: BacktestResult, tz: str) -> None:
    first, last = (
        datetime.fromtimestamp(at, ZoneInfo(tz)).isoformat(" ", "minutes")
        for at in (outcome.first_origin_s, outcome.last_origin_s)
    )
    result.print(
        _table("model", {name: model.pooled for name, model in outcome.models.items()}, "All series"),
        f"{outcome.series} series, {outcome.origins} origins from {first} to {last}, {outcome.run_seconds:.1f} s, "
        f"peak {outcome.peak_memory_mb:.0f} MB",
        sep="\n",
    )
    by_load = sorted(outcome.default.series.items(), key=lambda item: -item[1].mean_load)[:_MOST_SERIES_SHOWN]
    if len(outcome.default.series) > 1:
        model = next(iter(outcome.models))
        result.print(_table("series", dict(by_load), f"The {len(by_load)} largest series, {model}"))


def _table(kind: str, rows: Mapping[str, Scores], title: str) -> Table:
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD)
    table.add_column(kind, no_wrap=True, overflow="ellipsis")
    for name in ("load", "WAPE", "1st hour", "pin95", "pin99", "cover95"):
        table.add_column(name, justify="right", no_wrap=True)
    for name, scores in rows.items():
        losses = (scores.pinball[quantile] for quantile in (0.95, 0.99))
        figures = (scores.wape, scores.first_hour_wape, *losses, scores.coverage[0.95])
        table.add_row(escape(name), f"{scores.mean_load:.4g}", *(f"{figure:.4f}" for figure in figures))
    return table
