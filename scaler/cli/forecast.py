"""`calltide forecast`: the hours ahead, from a history file."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import typer

from forecasting.origins import never_observed
from forecasting.sources.settings import FileKind
from scaler.cli.forecast_report import ToldForecast, forecast_document, print_forecasts, print_largest
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
    tenants_asked,
)
from scaler.cli.history_sum import forecast_sum, forecaster_of, sum_of
from scaler.cli.output import ends_well, notice, print_json, result


@ends_well
def forecast(
    history: History,
    horizon: Annotated[
        int, typer.Option(parser=seconds, metavar="DURATION", show_default="48h", help="How far ahead to look.")
    ] = 2 * 86400,
    tenant: Annotated[
        list[str] | None,
        typer.Option(help="Tenant to show; repeat for several, and see their sum. All of them when left out."),
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
    """Forecast the hours after a history's end, of each tenant and of their sum."""
    file = HistoryFile(
        history, tz, country, subdivision, kind, series_column, time_column, value_column, duration_column, step
    )
    calendar = file.calendar
    load, calls = file.load_and_calls()
    calendars = [calendar] * len(load.series)
    ahead = load.grid.after(max(1, horizon // load.grid.step_s))
    shown = tenants_asked(load, tenant)
    with notice.status(f"forecasting {len(load.series)} series"):
        # All series, whichever are shown: they learn from one another.
        outcome = forecaster_of(calls).forecast(load, calendars, ahead)
        never = never_observed(load, calendar.time_zone, ahead)
        each, total = ToldForecast(outcome, never, never), None
        if len(shown) > 1:
            sums = sum_of(load, shown)
            outcome = forecast_sum(load, calls, calendars, shown, sums, ahead)
            closed = np.logical_and.reduce(never[[load.series.index(name) for name in shown]], keepdims=True)
            total = ToldForecast(outcome, never_observed(sums, calendar.time_zone, ahead), closed)
    if as_json:
        print_json(forecast_document(each, total, shown))
    elif tenant is not None:
        print_forecasts(result, each, total, shown, calendar.time_zone)
    else:
        print_largest(result, each, total, load, calendar.time_zone)
