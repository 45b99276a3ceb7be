"""`calltide forecast`: the hours ahead, from a history file."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer
from rich.table import Table
from rich.text import Text

from forecasting.forecast import QuantileForecast, Trust
from forecasting.models import default_forecaster
from forecasting.models.from_calls import ConcurrencyFromCalls
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

_ROW_EVERY_S = 3600
"""The table shows the highest slot of each hour: what sizes a fleet."""


@ends_well
def forecast(
    history: History,
    horizon: Annotated[
        int, typer.Option(parser=seconds, metavar="DURATION", show_default="48h", help="How far ahead to look.")
    ] = 2 * 86400,
    tenant: Annotated[
        list[str] | None, typer.Option(help="Tenant to show; repeat for several. All of them when left out.")
    ] = None,
    tz: TimeZone = "UTC",
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
    shown = list(dict.fromkeys(tenant or load.series))
    if as_json:
        print_json(forecast_document(outcome, shown))
        return
    for name in shown:
        _print_table(outcome, name, tz)


def forecast_document(forecast: QuantileForecast, names: list[str]) -> dict[str, Any]:
    """The forecast as JSON. Times are epoch seconds of slots' starts; a cold series has no paths."""
    row_of = {name: row for row, name in enumerate(forecast.series)}
    return {
        "model": forecast.model,
        "issued_at_s": forecast.issued_at_s,
        "step_s": forecast.grid.step_s,
        "times_s": forecast.grid.starts_s.tolist(),
        "series": {name: _series_document(forecast, row_of[name]) for name in names},
    }


def _series_document(forecast: QuantileForecast, row: int) -> dict[str, Any]:
    cold = forecast.trust[row] is Trust.COLD
    paths = {f"{quantile:g}": forecast.values[row, :, index] for index, quantile in enumerate(forecast.quantiles)}
    return {
        "trust": forecast.trust[row].value,
        "trust_reason": forecast.trust_reasons[row],
        "newest_observation_s": int(forecast.newest_observation_s[row]),
        "quantiles": None if cold else {name: path.round(4).tolist() for name, path in paths.items()},
    }


def _print_table(forecast: QuantileForecast, name: str, tz: str) -> None:
    row = forecast.series.index(name)
    result.print(Text(f"{name}: {forecast.trust[row].value}, {forecast.trust_reasons[row]}"))
    if forecast.trust[row] is Trust.COLD:
        return
    table = Table("hour from", *(f"{quantile:.0%}" for quantile in forecast.quantiles))
    starts_s = forecast.grid.starts_s
    per_row = max(1, _ROW_EVERY_S // forecast.grid.step_s)
    for first in range(0, forecast.grid.slots, per_row):
        highest = forecast.values[row, first : first + per_row].max(axis=0)
        local = datetime.fromtimestamp(int(starts_s[first]), ZoneInfo(tz))
        table.add_row(local.strftime("%a %Y-%m-%d %H:%M"), *(f"{value:.1f}" for value in highest))
    result.print(table)
