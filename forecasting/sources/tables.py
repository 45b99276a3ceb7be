"""History files as columns: Parquet or CSV, read once per change, with names checked before anything is computed."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from forecasting.errors import HistoryFormatError, MissingColumnError
from forecasting.grid import Int64Array
from forecasting.sources.local_time import epoch_seconds, is_local
from forecasting.sources.samples import Float64Array
from forecasting.sources.settings import FileSettings


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Rows of all files in reading order: the series' number (rows,), epoch seconds (rows,), numbers per column.

    `local_times` says whether a file writes times without an offset, which are what the settings' zone makes of them.
    """

    series: tuple[str, ...]
    series_of_row: Int64Array
    times_s: Float64Array
    numbers: dict[str, Float64Array]
    local_times: bool


def read_rows(settings: FileSettings, columns: Sequence[str]) -> Rows:
    """The settings' files with the named number columns, one after the other. Rows at impossible times are left out.

    Raises:
        HistoryFormatError: a file, a column or a type is not what the settings say.
    """
    read = [_read(Path(path), settings, columns) for path in settings.paths]
    frames = [frame for frame, _ in read]
    frame = frames[0] if len(frames) == 1 else pd.concat(frames, ignore_index=True)
    frame = frame[frame["time"].notna()]
    # Sorted, so that a row's number does not depend on the order of the file.
    codes, names = pd.factorize(frame["series"], sort=True)
    return Rows(
        tuple(str(name) for name in names),
        codes.astype(np.int64),
        frame["time"].to_numpy(dtype=np.float64),
        {column: frame[f"number {column}"].to_numpy(dtype=np.float64) for column in columns},
        any(local for _, local in read),
    )


def _read(path: Path, settings: FileSettings, columns: Sequence[str]) -> tuple[pd.DataFrame, bool]:
    """The rows of a file, and whether its times are local."""
    wanted = [settings.series_column, settings.time_column, *columns]
    try:
        raw = _read_parquet(path, wanted) if path.suffix == ".parquet" else _read_csv(path, wanted)
    except (
        OSError,
        UnicodeDecodeError,
        pd.errors.ParserError,
        pd.errors.EmptyDataError,
        pa.ArrowException,
    ) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise HistoryFormatError(f"{path}: cannot be read: {reason}") from None
    series = raw[settings.series_column]
    if series.isna().any():
        raise HistoryFormatError(f"{path}: row {int(np.argmax(series.isna())) + 1} has no {settings.series_column}")
    series = series.astype("str")
    where = f"{path}: column {settings.time_column!r}"
    times = raw[settings.time_column]
    rows = {"series": series, "time": epoch_seconds(times, series, settings.time_zone, where)}
    for column in columns:
        rows[f"number {column}"] = _numbers(raw[column], f"{path}: column {column!r}")
    return pd.DataFrame(rows), is_local(times)


def _read_parquet(path: Path, wanted: Sequence[str]) -> pd.DataFrame:
    _check_columns(path, wanted, pq.read_schema(path).names)
    # Not pandas.read_parquet: that would put an index column of the file out of reach.
    frame: pd.DataFrame = pq.read_table(path, columns=list(dict.fromkeys(wanted))).to_pandas(ignore_metadata=True)
    return frame


def _read_csv(path: Path, wanted: Sequence[str]) -> pd.DataFrame:
    if not path.name.endswith((".csv", ".csv.gz")):
        raise HistoryFormatError(f"{path}: the ending tells the format; it must be .parquet, .csv or .csv.gz")
    _check_columns(path, wanted, list(pd.read_csv(path, nrows=0).columns))
    # A tenant named NA or null is a tenant, and 007 is not 7: the series stay text.
    return pd.read_csv(
        path,
        usecols=list(dict.fromkeys(wanted)),
        dtype={wanted[0]: "str"},
        keep_default_na=False,
        na_values={column: ["", "nan", "NaN"] for column in wanted},
    )


def _check_columns(path: Path, wanted: Sequence[str], present: Sequence[str]) -> None:
    missing = [column for column in wanted if column not in present]
    if not missing:
        return
    nearest = difflib.get_close_matches(missing[0], present, n=1)
    hint = f"; did you mean {nearest[0]!r}?" if nearest else "."
    raise MissingColumnError(f"{path}: there is no column {missing[0]!r}{hint} The columns are {', '.join(present)}")


def _numbers(column: pd.Series, where: str) -> Float64Array:
    numbers = pd.to_numeric(column, errors="coerce")
    bad = numbers.isna() & column.notna()
    if bad.any():
        row = int(np.argmax(bad.to_numpy()))
        raise HistoryFormatError(f"{where}: row {row + 1} holds {str(column.iloc[row])[:50]!r}, which is no number")
    return numbers.to_numpy(dtype=np.float64, na_value=np.nan)
