"""`calltide outlook`: how large the next weeks will be, for whoever orders what takes weeks to come."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from forecasting.models.common_fall import common_falls, falls_of_sums
from forecasting.outlook.weekly import MOST_WEEKS, Outlook, weekly_outlook
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
    tenants_asked,
)
from scaler.cli.history_sum import sum_of
from scaler.cli.outlook_chart import outlook_page
from scaler.cli.outlook_report import outlook_document, print_outlook
from scaler.cli.output import chart_page, ends_well, notice, print_json, result, write_chart


@ends_well
def outlook(
    history: History,
    weeks: Annotated[int, typer.Option(min=1, max=MOST_WEEKS, help="How many weeks ahead.")] = 13,
    tenant: Annotated[
        list[str] | None,
        typer.Option(help="Tenant of the fleet; repeat for several, and see their sum. All of them when left out."),
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
    chart: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.html",
            help="Draw the weeks behind and ahead there.",
            dir_okay=False,
            callback=chart_page,
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Tell how large the next weeks will be: weekly mean and busy hour, of each tenant and of their sum."""
    file = HistoryFile(
        history, tz, country, subdivision, kind, series_column, time_column, value_column, duration_column, step
    )
    calendar = file.calendar
    load = file.load()
    shown = tenants_asked(load, tenant)
    calendars = [calendar] * len(load.series)
    with notice.status(f"looking {weeks} weeks ahead of {len(load.series)} series"):
        falls = common_falls(load, calendars)
        # All series, whichever are shown: they learn from one another.
        each = weekly_outlook(load, calendars, weeks, falls=falls)
        total = None
        if len(shown) > 1:
            summed = sum_of(load, shown)
            of_sum = falls_of_sums(falls, load, {summed.series[0]: shown})
            total = weekly_outlook(summed, calendars[:1], weeks, falls=of_sum)
    _tell(each, total, shown, tenant is not None, as_json)
    if chart is not None:
        write_chart(chart, outlook_page(each if total is None else total, shown[0] if total is None else None))


def _tell(each: Outlook, total: Outlook | None, shown: list[str], asked: bool, as_json: bool) -> None:
    if as_json:
        print_json(outlook_document(each, total, shown))
    else:
        print_outlook(result, each, total, shown, each_by_week=asked or total is None)
