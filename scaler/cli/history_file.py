"""The options that describe a history file, and what they open: shared by every command that reads one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import holidays
import typer
from pydantic import ValidationError

from forecasting.calendar import CivilCalendar
from forecasting.errors import HistoryFormatError, MissingColumnError
from forecasting.grid import SlotGrid
from forecasting.load import LoadMatrix, Measure
from forecasting.sources.events import Calls
from forecasting.sources.file import FileSource
from forecasting.sources.protocol import HistoryQuery
from forecasting.sources.settings import FileKind, FileSettings
from scaler.cli.output import not_found, notice
from scaler.policy.durations import check_divides_hour, parse_duration

_DEFAULT_ZONE = "UTC"
_EVENTS_STEP_S = 300
_MOST_SLOTS = 3_000_000
"""More than 28 years of 5 minutes: a time that is wrong, rather than a history."""


def seconds(text: str | int) -> int:
    """An option's duration in seconds.

    Raises:
        typer.BadParameter: it is none, or not longer than zero.
    """
    try:
        value = parse_duration(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    if value <= 0:
        raise typer.BadParameter(f"{text!r} must be longer than nothing")
    return value


def step_seconds(text: str | int) -> int:
    """The width of a slot in seconds, as a policy could have it too.

    Raises:
        typer.BadParameter: it is no duration, or does not divide an hour.
    """
    value = seconds(text)
    try:
        check_divides_hour(value)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    return value


History = Annotated[
    Path,
    typer.Option(help="Parquet or CSV file in long form: one row per series and time.", exists=True, dir_okay=False),
]
TimeZone = Annotated[
    str | None,
    typer.Option("--tz", show_default=_DEFAULT_ZONE, help="IANA time zone of local times and of the working day."),
]
Country = Annotated[str | None, typer.Option(help="Country code for public holidays, like US.")]
Subdivision = Annotated[str | None, typer.Option(help="Subdivision for public holidays, like NY.")]
Kind = Annotated[FileKind, typer.Option(help="What a row is: a value at a time, or a call with its duration.")]
SeriesColumn = Annotated[str, typer.Option(help="Column that names the tenant.")]
TimeColumn = Annotated[str, typer.Option(help="Column with the time, or the call's start.")]
ValueColumn = Annotated[str, typer.Option(help="Column with the load.")]
DurationColumn = Annotated[
    str | None, typer.Option(help="For events, the column with the call's seconds; the value column when left out.")
]
Step = Annotated[
    int | None,
    typer.Option(
        parser=step_seconds,
        metavar="DURATION",
        help="Width of a slot, which must divide an hour. The file's own step when left out, 5m for events.",
    ),
]


@dataclass(frozen=True, slots=True)
class HistoryFile:
    """A file, its columns, and the civil time of its series. Without a `time_zone` that is UTC."""

    path: Path
    time_zone: str | None
    country: str | None
    subdivision: str | None
    kind: FileKind
    series_column: str
    time_column: str
    value_column: str
    duration_column: str | None
    step_s: int | None

    @property
    def calendar(self) -> CivilCalendar:
        """The calendar of every series.

        Raises:
            typer.BadParameter: there is no such country or subdivision.
        """
        known = holidays.list_supported_countries(include_aliases=True)
        if self.country is not None and self.country not in known:
            raise typer.BadParameter(f"{self.country!r} is not known; write it like US or DE", param_hint="--country")
        if self.subdivision is not None and self.subdivision not in known.get(self.country or "", []):
            of = f"{self.country} has" if self.country else "without --country there is"
            raise typer.BadParameter(f"{of} no subdivision {self.subdivision!r}", param_hint="--subdivision")
        return CivilCalendar(self.time_zone or _DEFAULT_ZONE, self.country, self.subdivision)

    def load(self) -> LoadMatrix:
        """Everything that the file tells of the load.

        Raises:
            HistoryFormatError: the file is not what the options say, or holds nothing.
            typer.BadParameter: an option is wrong.
        """
        return self.load_and_calls()[0]

    def load_and_calls(self) -> tuple[LoadMatrix, Calls | None]:
        """The load, and the calls that it is made of, numbered as its series; None where the file holds samples.

        Raises:
            HistoryFormatError: the file is not what the options say, or holds nothing.
            typer.BadParameter: an option is wrong.
        """
        source, query = FileSource(self._settings(), str(self.path)), self._query
        try:
            grid = self._grid(source)
            if self.time_zone is None and source.has_local_times(query):
                notice.print("times carry no offset and were read as UTC; name their zone with --tz", soft_wrap=True)
            return source.read(query, grid), source.calls(query)
        except MissingColumnError as error:
            value = "--value-column" if self.kind is FileKind.SAMPLES else "--duration-column"
            raise HistoryFormatError(f"{error.told}. Name them by --series-column, --time-column and {value}") from None
        finally:
            source.close()

    def _grid(self, source: FileSource) -> SlotGrid:
        first_s, end_s = source.span_s(self._query)
        step_s = self.step_s or source.native_step_s(self._query) or _EVENTS_STEP_S
        grid = SlotGrid.covering(first_s, end_s, step_s)
        if grid.slots == 0:
            raise HistoryFormatError(f"{self.path}: it holds no load at all")
        if grid.slots > _MOST_SLOTS:
            raise HistoryFormatError(
                f"{self.path}: it spans {(end_s - first_s) / 86400:.0f} days, too many for a step of {step_s} s; "
                "is a time wrong? Else use a longer --step"
            )
        return grid

    @property
    def _query(self) -> HistoryQuery:
        column = self.value_column
        if self.kind is FileKind.EVENTS:
            column = self.duration_column or self.value_column
        return HistoryQuery(Measure.CHANNELS, column, self.series_column)

    def _settings(self) -> FileSettings:
        try:
            return FileSettings(
                type="file",
                paths=(str(self.path),),
                kind=self.kind,
                series_column=self.series_column,
                time_column=self.time_column,
                time_zone=self.time_zone or _DEFAULT_ZONE,
            )
        except ValidationError as error:
            # The zone is the only setting that an option's own type does not check already.
            reason = error.errors()[0]["msg"].removeprefix("Value error, ")
            raise typer.BadParameter(reason, param_hint="--tz") from None


def tenants_asked(load: LoadMatrix, named: list[str] | None) -> list[str]:
    """The tenants that `--tenant` names, each once, all of the history without it; ends with one unknown."""
    for name in named or ():
        if name not in load.series:
            not_found("tenant", name, list(load.series))
    return list(dict.fromkeys(named or load.series))
