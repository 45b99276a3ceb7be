"""From the times that a file writes to UTC.

A time with an offset is an instant already. A local time without one needs the zone, and twice a year more:

- An hour that comes twice (clocks go back): the first row of a series with that local time is the first pass (summer
  time), any further row with the same local time the second. A file that has such an hour only once therefore leaves
  the second pass as a gap.
- An hour that never was (clocks go forward): rows in it are left out and counted in the log; they cannot be true.

Whole and decimal numbers are epoch seconds.
"""

from __future__ import annotations

import logging
import re

import numpy as np
import pandas as pd

from forecasting.errors import HistoryFormatError
from forecasting.sources.samples import Float64Array

_log = logging.getLogger(__name__)

_OFFSET = r"(?:[zZ]|[+-]\d{2}:?\d{2})\s*$"
_LATEST_S = 10**11  # beyond the year 5000: such a number was milliseconds


def epoch_seconds(times: pd.Series, series: pd.Series, time_zone: str, where: str) -> Float64Array:
    """Epoch seconds of each row, NaN where a local time never was.

    Raises:
        HistoryFormatError: the column does not hold times.
    """
    if times.isna().any():
        raise HistoryFormatError(f"{where}: {_row(times.isna())} has no time")
    if pd.api.types.is_numeric_dtype(times.dtype):
        return _from_numbers(times, where)
    if not pd.api.types.is_datetime64_any_dtype(times.dtype):
        times = _from_text(times, where)
    if times.dt.tz is None:
        times = _localized(times, series, time_zone, where)
    utc = times.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy(dtype="datetime64[us]")
    seconds: Float64Array = utc.astype(np.int64) / 1e6
    seconds[np.isnat(utc)] = np.nan
    return seconds


def is_local(times: pd.Series) -> bool:
    """Whether `epoch_seconds`, which has read this column, needed the zone: its times carry no offset."""
    if pd.api.types.is_numeric_dtype(times.dtype) or times.empty:
        return False
    if pd.api.types.is_datetime64_any_dtype(times.dtype):
        return times.dt.tz is None
    # Either all carry one or none does.
    return re.search(_OFFSET, str(times.iloc[0])) is None


def _from_numbers(times: pd.Series, where: str) -> Float64Array:
    seconds = times.to_numpy(dtype=np.float64)
    if np.abs(seconds).max(initial=0) >= _LATEST_S:
        raise HistoryFormatError(
            f"{where}: numbers are read as epoch seconds; these look like milliseconds, divide them"
        )
    return seconds


def _from_text(times: pd.Series, where: str) -> pd.Series:
    text = times.astype("str")
    with_offset = text.str.contains(_OFFSET, regex=True)
    if with_offset.any() and not with_offset.all():
        raise HistoryFormatError(
            f"{where}: some times carry an offset and {_row(~with_offset)} does not; write all alike"
        )
    instants = pd.to_datetime(text, format="ISO8601", errors="coerce", utc=bool(with_offset.all()))
    if instants.isna().any():
        bad = instants.isna()
        shown = text[bad].iloc[0][:50]
        raise HistoryFormatError(
            f"{where}: {_row(bad)} holds {shown!r}; write times like '2026-03-02 08:05:00', or with an offset"
        )
    return instants


def _localized(times: pd.Series, series: pd.Series, time_zone: str, where: str) -> pd.Series:
    first_pass = times.groupby([series.to_numpy(), times.to_numpy()], sort=False).cumcount().to_numpy() == 0
    local: pd.Series = times.dt.tz_localize(time_zone, ambiguous=first_pass, nonexistent="NaT")
    never = int(local.isna().sum())
    if never:
        _log.warning("%s: %d rows lie in an hour that %s skipped; they are left out", where, never, time_zone)
    return local


def _row(bad: pd.Series) -> str:
    return f"row {int(np.argmax(bad.to_numpy())) + 1}"
