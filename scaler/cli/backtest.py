"""`calltide backtest`: how good the forecasts would have been on one's own history."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from forecasting.backtest import Subset
from forecasting.backtest import backtest as replay
from forecasting.models import DEFAULT_MODEL, MODELS, default_forecaster
from forecasting.models.from_calls import ConcurrencyFromCalls
from forecasting.peers import FLOOR, HEAVY, PEERS
from forecasting.sources.settings import FileKind
from scaler.cli.backtest_chart import BacktestChart
from scaler.cli.backtest_report import backtest_document, print_tables
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
from scaler.cli.output import chart_page, ends_well, not_found, notice, print_json, result, write_chart

FROM_CALLS = "from-calls"
"""The model that only a file of calls has."""


@ends_well
def backtest(
    history: History,
    horizon: Annotated[
        int,
        typer.Option(parser=seconds, metavar="DURATION", show_default="24h", help="How far ahead each origin looks."),
    ] = 86400,
    tz: TimeZone = None,
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
        list[str] | None,
        typer.Option(
            help="Model or peer to score; repeat for several. All models when left out, and for a file of calls "
            f"{FROM_CALLS}. Slow peers ({', '.join(HEAVY)}) get a few series and origins, and the others are scored "
            "there as well."
        ),
    ] = None,
    refit: Annotated[
        int,
        typer.Option(
            parser=seconds, metavar="DURATION", show_default="24h", help="Time between two trainings of a model."
        ),
    ] = 86400,
    open_time: Annotated[
        bool, typer.Option(help="Leave out hours that most weeks do not show, as of a desk that closes.")
    ] = False,
    chart: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.html",
            help="Draw the largest series and the scores there.",
            dir_okay=False,
            callback=chart_page,
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Score the forecasts that would have been made over the newest part of a history."""
    file = HistoryFile(
        history, tz, country, subdivision, kind, series_column, time_column, value_column, duration_column, step
    )
    calendar = file.calendar
    of_calls = {FROM_CALLS} if kind is FileKind.EVENTS else set()
    # The model that `calltide forecast` uses comes first: it is the one that the figures on top are about.
    names = list(dict.fromkeys(model or [*of_calls, DEFAULT_MODEL, *MODELS, FLOOR]))
    for name in names:
        if name not in {*MODELS, *PEERS, *of_calls}:
            not_found("model", name, sorted({*MODELS, *PEERS, *of_calls}))
    load, calls = file.load_and_calls()
    known = {**MODELS, **PEERS}
    if calls is not None:
        known[FROM_CALLS] = ConcurrencyFromCalls(calls, default_forecaster(), name=FROM_CALLS)
    light = [name for name in names if name not in HEAVY] or [DEFAULT_MODEL]
    heavy = [known[name] for name in names if name in HEAVY]
    picture = BacktestChart.of_largest(load, calendar.time_zone)
    with _progress_bar() as bar:
        task = bar.add_task("replaying origins")
        outcome = replay(
            load,
            [calendar] * len(load.series),
            [known[name] for name in light],
            horizon_s=horizon,
            window_s=window,
            refit_s=refit,
            open_time=open_time,
            subset=Subset(heavy) if heavy else None,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
            watch=picture.add,
        )
    if as_json:
        print_json(backtest_document(outcome))
    else:
        print_tables(result, outcome, calendar.time_zone)
    if chart is not None:
        write_chart(chart, picture.page(outcome))


def _progress_bar() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=notice, transient=True)
