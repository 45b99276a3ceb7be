"""`calltide forecast`: the hours ahead, from a history file."""

from __future__ import annotations

from typing import Annotated

import typer

from forecasting.models import default_forecaster
from forecasting.models.from_calls import ConcurrencyFromCalls
from forecasting.origins import never_observed
from forecasting.sources.settings import FileKind
from scaler.cli.forecast_report import forecast_document, print_forecast
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


@ends_well
def forecast(
    history: History,
    horizon: Annotated[
        int, typer.Option(parser=seconds, metavar="DURATION", show_default="48h", help="How far ahead to look.")
    ] = 2 * 86400,
    tenant: Annotated[
        list[str] | None, typer.Option(help="Tenant to show; repeat for several. All of them when left out.")
    ] = None,
    tz: TimeZone = None,
    country: Country = None,
    subdivision: Subdivision = None,
    kind: Kind = FileKind.SAMPLES,
    series_column: SeriesColumn = "series",
    time_column: TimeColumn = "ts",
    value_column: ValueColumn = "value",
    duration_column: DurationColumn = None,
    step: Step = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Forecast the hours after a history's end."""
    file = HistoryFile(
        history, tz, country, subdivision, kind, series_column, time_column, value_column, duration_column, step
    )
    calendar = file.calendar
    load, calls = file.load_and_calls()
    for name in tenant or ():
        if name not in load.series:
            not_found("tenant", name, list(load.series))
    # Where the calls are known, who is up now and for how long says more about the next hour than the load alone.
    model = default_forecaster() if calls is None else ConcurrencyFromCalls(calls, default_forecaster())
    ahead = load.grid.after(max(1, horizon // load.grid.step_s))
    with notice.status(f"forecasting {len(load.series)} series"):
        # All series, whichever are shown: they learn from one another.
        outcome = model.forecast(load, [calendar] * len(load.series), ahead)
    never = never_observed(load, calendar.time_zone, ahead)
    shown = list(dict.fromkeys(tenant or load.series))
    if as_json:
        print_json(forecast_document(outcome, never, shown))
        return
    for name in shown:
        print_forecast(result, outcome, never, name, calendar.time_zone)
