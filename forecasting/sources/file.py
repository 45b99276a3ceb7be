"""Load of the past from Parquet or CSV files: samples in long form, or calls with start and duration.

The query's expression names the column with the values, or for calls the one with the durations in seconds; its
completeness names a column with the share of targets that were up, its refused calls one with their rate. The tenant
is in the settings' series column.

A sample lies in the slot that holds its instant, so a file that writes the starts of its intervals fits. **Steps**: a
file with one sample per half hour says nothing about five minutes; such a grid is refused, and `native_step_s` tells
callers the file's own step. On a wider grid a slot that has less than the query's minimum share of the samples that
its width should hold is a gap.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from forecasting.errors import HistoryFormatError, SourceConfigurationError
from forecasting.grid import SlotGrid
from forecasting.load import Float32Array, LoadMatrix, Measure
from forecasting.sources.events import Calls, arrivals_per_second, believed_slots, concurrency
from forecasting.sources.offered import read_offered
from forecasting.sources.protocol import CurrentLoad, HistoryQuery, SlotStatistic
from forecasting.sources.samples import is_load, slot_values
from forecasting.sources.settings import FileKind, FileSettings
from forecasting.sources.tables import Rows, read_rows


class FileSource:
    """A `HistorySource` over files. They are read when first asked for, and again when they change."""

    def __init__(self, settings: FileSettings, name: str) -> None:
        self._settings = settings
        self._where = f"source {name!r}"
        self._read: tuple[object, Rows] | None = None

    def read(self, query: HistoryQuery, grid: SlotGrid) -> LoadMatrix:
        """Load of every series of the files on the grid.

        Raises:
            HistoryFormatError: a file is not what the settings say, or its step is wider than the grid's.
            SourceConfigurationError: the query asks for what files of this kind do not have.
        """
        rows = self._rows(query)
        if self._settings.kind is FileKind.EVENTS:
            return LoadMatrix(query.measure, rows.series, grid, self._from_calls(query, rows, grid))

        def read(part: HistoryQuery) -> LoadMatrix:
            return LoadMatrix(part.measure, rows.series, grid, self._from_samples(part, rows, grid))

        return read_offered(query, read, self._where)

    def current(self, query: HistoryQuery, now_s: float) -> CurrentLoad:
        """Load of every series at `now_s`: its newest sample, or the calls in progress.

        A sample stands for its interval, so its age counts from the interval's end. Calls in progress are told only
        inside the time for which the files are believed; a call rate is that of the five minutes before.

        Raises:
            HistoryFormatError: a file is not what the settings say.
            SourceConfigurationError: the query asks for what files of this kind do not have.
        """
        rows = self._rows(query)
        if self._settings.kind is FileKind.EVENTS:
            return _current_calls(query, rows, now_s)
        oldest_s = now_s - self._settings.staleness_seconds - (_native_step_s(rows) or 0)
        values = rows.numbers[query.expression]
        recent = (rows.times_s <= now_s) & (rows.times_s > oldest_s)
        fits = recent & is_load(values)
        if query.completeness is not None:
            fits &= rows.numbers[query.completeness] >= query.minimum_completeness
        order = np.flatnonzero(fits)
        # Stable, so that of several rows at one instant the one read last stays: the rule of samples.py.
        order = order[np.argsort(rows.times_s[order], kind="stable")]
        newest = {int(rows.series_of_row[row]): int(row) for row in order}
        by_tenant = {rows.series[series]: float(values[row]) for series, row in sorted(newest.items())}
        measured_s = {rows.series[series]: float(rows.times_s[row]) for series, row in newest.items()}
        known = {rows.series[series] for series in np.unique(rows.series_of_row[recent])}
        return CurrentLoad(
            query.measure,
            by_tenant,
            min(measured_s.values(), default=now_s),
            measured_s,
            frozenset(known - by_tenant.keys()),
        )

    def calls(self, query: HistoryQuery) -> Calls | None:
        """The calls themselves, numbered as the series that `read` gives; None where the files hold samples.

        Raises:
            HistoryFormatError: a file is not what the settings say.
        """
        return _calls(query, self._rows(query)) if self._settings.kind is FileKind.EVENTS else None

    def native_step_s(self, query: HistoryQuery) -> int | None:
        """The files' own step: the commonest distance between neighbouring samples. None for calls and lone samples.

        Raises:
            HistoryFormatError: a file is not what the settings say.
        """
        return None if self._settings.kind is FileKind.EVENTS else _native_step_s(self._rows(query))

    def has_local_times(self, query: HistoryQuery) -> bool:
        """Whether the files write times without an offset, which are what the settings' zone makes of them.

        Raises:
            HistoryFormatError: a file is not what the settings say.
        """
        return self._rows(query).local_times

    def span_s(self, query: HistoryQuery) -> tuple[float, float]:
        """From the first to the last instant that the files tell of, epoch seconds; (0, 0) when they are empty.

        Raises:
            HistoryFormatError: a file is not what the settings say.
        """
        rows = self._rows(query)
        if self._settings.kind is FileKind.EVENTS:
            return _calls(query, rows).believed_s()
        if not rows.times_s.size:
            return (0.0, 0.0)
        return (float(rows.times_s.min()), float(rows.times_s.max()) + (_native_step_s(rows) or 0))

    def close(self) -> None:
        """Forget what was read."""
        self._read = None

    def _rows(self, query: HistoryQuery) -> Rows:
        columns = [query.expression]
        if query.completeness is not None:
            if self._settings.kind is FileKind.EVENTS:
                raise SourceConfigurationError(
                    f"{self._where}: files of calls have no completeness; remove it from the policy"
                )
            columns.append(query.completeness)
        if query.refused is not None:
            if self._settings.kind is FileKind.EVENTS:
                raise SourceConfigurationError(
                    f"{self._where}: files of calls do not count refused ones; remove history.refused from the policy, "
                    "and give refused calls rows with the time that they would have lasted"
                )
            columns += filter(None, (query.refused.expression, query.refused.holding_expression))
        try:
            stats = [Path(path).stat() for path in self._settings.paths]
        except OSError as error:
            raise HistoryFormatError(f"{self._where}: {error.filename}: {error.strerror}") from None
        state = (tuple(columns), tuple((stat.st_mtime_ns, stat.st_size, stat.st_ino) for stat in stats))
        read = self._read
        if read is None or read[0] != state:
            # By a name of its own: another thread may ask for other columns meanwhile.
            read = self._read = (state, read_rows(self._settings, columns))
        return read[1]

    def _from_calls(self, query: HistoryQuery, rows: Rows, grid: SlotGrid) -> Float32Array:
        calls = _calls(query, rows)
        if query.measure is Measure.CALL_RATE:
            values = arrivals_per_second(calls, len(rows.series), grid)
        else:
            values = concurrency(calls, len(rows.series), grid, query.statistic)
        values[:, ~believed_slots(calls, grid)] = np.nan
        return values

    def _from_samples(self, query: HistoryQuery, rows: Rows, grid: SlotGrid) -> Float32Array:
        native_s = _native_step_s(rows) or grid.step_s
        if native_s > grid.step_s:
            raise HistoryFormatError(
                f"{', '.join(self._settings.paths)}: one sample per {native_s} s cannot fill slots of {grid.step_s} s; "
                f"use a step of {native_s} s or more"
            )
        statistic, series = query.statistic, len(rows.series)
        sample = rows.series_of_row, rows.times_s
        values, counts = slot_values(*sample, rows.numbers[query.expression], series, grid, statistic)
        values[counts < query.minimum_completeness * (grid.step_s // native_s)] = np.nan
        if query.completeness is not None:
            # The worst sample of a slot decides: the minimum is the maximum of what is missing.
            missing = 1.0 - np.clip(rows.numbers[query.completeness], 0.0, 1.0)
            most_missing, _ = slot_values(*sample, missing, series, grid, SlotStatistic.MAXIMUM)
            with np.errstate(invalid="ignore"):
                values[~(most_missing <= np.float32(1.0 - query.minimum_completeness))] = np.nan
        return values


def _calls(query: HistoryQuery, rows: Rows) -> Calls:
    durations_s = rows.numbers[query.expression]
    # A duration below zero is a clock that was set: the call cannot be placed.
    usable = is_load(durations_s)
    starts_s = rows.times_s[usable]
    return Calls(rows.series_of_row[usable], starts_s, starts_s + durations_s[usable])


def _current_calls(query: HistoryQuery, rows: Rows, now_s: float) -> CurrentLoad:
    calls = _calls(query, rows)
    first_s, last_s = calls.believed_s()
    if not first_s <= now_s <= last_s:
        return CurrentLoad(query.measure, {}, now_s)
    if query.measure is Measure.CALL_RATE:
        window = SlotGrid(0, 300, 1)
        since = Calls(calls.series, calls.starts_s - (now_s - window.step_s), calls.ends_s)
        values = arrivals_per_second(since, len(rows.series), window)[:, 0]
    else:
        values = calls.running_at(now_s, len(rows.series)).astype(np.float32)
    return CurrentLoad(query.measure, dict(zip(rows.series, map(float, values), strict=True)), now_s)


def _native_step_s(rows: Rows) -> int | None:
    order = np.lexsort((rows.times_s, rows.series_of_row))
    times_s, series = rows.times_s[order], rows.series_of_row[order]
    distances = np.rint(np.diff(times_s)[series[1:] == series[:-1]]).astype(np.int64)
    distances = distances[distances > 0]
    if not distances.size:
        return None
    steps, counts = np.unique(distances, return_counts=True)
    return int(steps[np.argmax(counts)])
