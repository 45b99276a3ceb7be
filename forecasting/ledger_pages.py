"""One page of the ledger: what was forecast at one or more times, and what came of it, as a Parquet file.

A row is one series at one lead of one issue: the quantiles, what the same slot had a week before (the weekly naive),
and what was seen in the end. Any tool reads that as an ordinary table. Values are kept to ten binary digits, a
thousandth of themselves: that is far below any error of a forecast, and halves the file.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from forecasting.archive.keys import DAY_S
from forecasting.archive.segment import digest_of
from forecasting.grid import Int64Array
from forecasting.load import Float32Array

FORMAT = 1
"""Version of layout and metadata, of the leads and quantiles that are kept. Pages of a newer one are left alone."""

_NAME = re.compile(
    r"(?P<day>\d{4}-\d\d-\d\d)\.i(?P<first>\d{5})-(?P<last>\d{5})\.(?P<kind>open|settled)"
    r"\.(?P<digest>[0-9a-f]{16})\.v(?P<format>\d+)\.parquet"
)
_DROPPED_BITS = 14  # of the 23 that a float32 has after its leading one


class PageDamagedError(Exception):
    """A file is not the page that its name promises. The ledger sets it aside; nobody else sees this."""


@dataclass(frozen=True, slots=True, order=True)
class PageName:
    """What a page's file name tells, so that a listing says which forecasts are kept."""

    day: int  # days since the epoch
    first_s: int  # second of the day of the first issue
    last_s: int
    is_settled: bool  # what came is in it, for good
    digest: str  # of the file's bytes

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Read a file name; None for one that is not a page, or one of a newer version."""
        match = _NAME.fullmatch(text)
        if match is None or int(match["format"]) > FORMAT:
            return None
        try:
            day = date.fromisoformat(match["day"]).toordinal() - date(1970, 1, 1).toordinal()
        except ValueError:
            return None
        return cls(day, int(match["first"]), int(match["last"]), match["kind"] == "settled", match["digest"])

    @classmethod
    def of(cls, page: Page, data: bytes, *, is_settled: bool) -> Self:
        """The name of a page whose issues lie in one UTC day, and of its file's bytes."""
        day = int(page.issued_s[0]) // DAY_S
        first_s, last_s = int(page.issued_s[0]) - day * DAY_S, int(page.issued_s[-1]) - day * DAY_S
        return cls(day, first_s, last_s, is_settled, digest_of(data))

    def __str__(self) -> str:
        day = datetime.fromtimestamp(self.day * DAY_S, UTC).date().isoformat()
        kind = "settled" if self.is_settled else "open"
        return f"{day}.i{self.first_s:05d}-{self.last_s:05d}.{kind}.{self.digest}.v{FORMAT}.parquet"


@dataclass(frozen=True, slots=True, eq=False)
class Page:
    """Forecasts of some issues in rising time, and what came of them.

    `issued_s` (issues,) epoch seconds; `leads_s` (leads,) when the slot looked at ends, seconds after the issue;
    `values` (issues, series, leads, quantiles); `naive` (issues, series, leads) what the slot a week earlier had;
    `actual`, of the same shape, what came. NaN where nothing is known.
    """

    series: tuple[str, ...]
    issued_s: Int64Array
    leads_s: Int64Array
    quantiles: tuple[float, ...]
    values: Float32Array
    naive: Float32Array
    actual: Float32Array


def rounded(values: Float32Array) -> Float32Array:
    """To ten binary digits; order, zero and NaN stay."""
    bits = np.ascontiguousarray(values, dtype=np.float32).view(np.uint32)
    half, mask = np.uint32(1 << (_DROPPED_BITS - 1)), np.uint32(0xFFFFFFFF << _DROPPED_BITS & 0xFFFFFFFF)
    short: Float32Array = ((bits + half) & mask).view(np.float32)
    return short


def joined(pages: Sequence[Page]) -> Page:
    """One page of several with the same leads and quantiles, every issue once (the first page that has it wins)."""
    series = tuple(sorted({name for page in pages for name in page.series}))
    row_of = {name: row for row, name in enumerate(series)}
    found: dict[int, tuple[Page, int]] = {}
    for page in pages:
        for at, issued_s in enumerate(page.issued_s.tolist()):
            found.setdefault(issued_s, (page, at))
    issued_s = sorted(found)
    shape = (len(issued_s), len(series), pages[0].leads_s.size)
    values = np.full((*shape, len(pages[0].quantiles)), np.nan, dtype=np.float32)
    naive, actual = (np.full(shape, np.nan, dtype=np.float32) for _ in range(2))
    for to, instant_s in enumerate(issued_s):
        page, at = found[instant_s]
        rows = np.array([row_of[name] for name in page.series], dtype=np.int64)
        values[to, rows], naive[to, rows], actual[to, rows] = page.values[at], page.naive[at], page.actual[at]
    return Page(series, np.array(issued_s, dtype=np.int64), pages[0].leads_s, pages[0].quantiles, values, naive, actual)


def encode(page: Page) -> bytes:
    """The page as a Parquet file: issue by issue, series by series, lead by lead."""
    issues, series, leads = page.naive.shape
    rows, at = np.arange(series, dtype=np.int32), pa.timestamp("ms", tz="UTC")
    columns = {
        "issued": pa.array(np.repeat(page.issued_s * 1000, series * leads)).cast(at),
        "series": pa.DictionaryArray.from_arrays(
            pa.array(np.tile(np.repeat(rows, leads), issues)), pa.array(page.series, pa.string())
        ),
        "lead_s": pa.array(np.tile(page.leads_s.astype(np.int32), issues * series)),
        **{
            f"q{quantile:g}": pa.array(rounded(page.values[..., index]).reshape(-1))
            for index, quantile in enumerate(page.quantiles)
        },
        "week_before": pa.array(rounded(page.naive).reshape(-1)),
        "actual": pa.array(rounded(page.actual).reshape(-1)),
    }
    table = pa.table(columns)
    floats = [name for name, column in columns.items() if pa.types.is_float32(column.type)]
    sink = pa.BufferOutputStream()
    with pq.ParquetWriter(
        sink,
        table.schema,
        compression="zstd",
        compression_level=3,
        use_dictionary=[name for name in columns if name not in floats],
        # Bytes of equal rank lie together: those that rounding has emptied cost nothing.
        use_byte_stream_split=floats,
        write_statistics=False,
        store_schema=False,
    ) as writer:
        writer.write_table(table, row_group_size=max(1, table.num_rows))
        writer.add_key_value_metadata({"calltide.page": json.dumps(_headline(page))})
    data: bytes = sink.getvalue().to_pybytes()
    return data


def _headline(page: Page) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "issued_s": page.issued_s.tolist(),
        "leads_s": page.leads_s.tolist(),
        "quantiles": page.quantiles,
    }


def _names(column: Any, issues: int, leads: int) -> tuple[str, ...]:
    # In the order of the rows, since a dictionary comes in whatever order its writer chose.
    rows = column.indices.to_numpy()
    names = column.dictionary.to_pylist()
    return tuple(names[row] for row in rows[: rows.size // max(1, issues) : max(1, leads)].tolist())


def decode(data: bytes, name: PageName) -> Page:
    """Read a page's file.

    Raises:
        PageDamagedError: it was cut off or changed, or is not what its name says.
    """
    if digest_of(data) != name.digest:
        raise PageDamagedError(f"its {len(data)} bytes are not those that were written")
    try:
        file = pq.ParquetFile(pa.BufferReader(data), read_dictionary=["series"])
        told = json.loads((file.metadata.metadata or {})[b"calltide.page"])
        quantiles = tuple(map(float, told["quantiles"]))
        issued_s, leads_s = (np.array(told[field], dtype=np.int64) for field in ("issued_s", "leads_s"))
        names = [*(f"q{quantile:g}" for quantile in quantiles), "week_before", "actual"]
        table = file.read(columns=["series", *names], use_threads=False)
        series = _names(table.column("series").combine_chunks(), issued_s.size, leads_s.size)
        shape = (issued_s.size, len(series), leads_s.size)
        columns = [table.column(column).combine_chunks().to_numpy().reshape(shape) for column in names]
    except (pa.ArrowException, OSError, KeyError, TypeError, ValueError) as error:
        raise PageDamagedError(f"it is no page of the ledger: {error}") from error
    if issued_s.size == 0 or issued_s[0] != name.day * DAY_S + name.first_s:
        raise PageDamagedError("it belongs to another time than its name says")
    return Page(series, issued_s, leads_s, quantiles, np.stack(columns[:-2], axis=-1), columns[-2], columns[-1])
