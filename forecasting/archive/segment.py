"""One segment: the load of some consecutive slots of one UTC day, as a Parquet file.

The rows are long and dense: tenant by tenant, each with every slot in order. Any tool reads such a file as an ordinary
table of tenant, time and value, while calltide reads the value column alone and reshapes it to tenants × slots
without looking at a row. Names and times cost next to nothing on disk, since they are dictionaries with long runs.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from forecasting.archive.keys import DAY_S, DatasetKey
from forecasting.errors import ArchiveError, ForecastInputError
from forecasting.grid import SlotGrid
from forecasting.load import Float32Array, LoadMatrix

FORMAT = 1
"""Version of layout and metadata. A higher one is refused, not guessed at."""

SET_ASIDE = ".corrupt"
"""What is appended to the name of a file that cannot be read."""

_NAME = re.compile(
    r"(?P<day>\d{4}-\d\d-\d\d)\.s(?P<first>\d{5})-(?P<last>\d{5})\.w(?P<write>\d{10})\.m(?P<merges>\d{6})"
    r"\.(?P<digest>[0-9a-f]{16})\.v(?P<format>\d+)\.parquet"
)
_DICTIONARY_BYTES = 16 << 20  # room for the names of 500,000 tenants; past it a column is written plain
_SCHEMA = pa.schema(
    [
        pa.field("tenant", pa.dictionary(pa.int32(), pa.string()), nullable=False),
        pa.field("time", pa.timestamp("ms", tz="UTC"), nullable=False),
        pa.field("value", pa.float32(), nullable=False),
    ]
)


class SegmentDamagedError(Exception):
    """A file is not the segment that its name promises. The archive sets it aside; nobody else sees this."""


@dataclass(frozen=True, slots=True, order=True)
class SegmentName:
    """What a segment's file name tells, so that coverage is known from a listing alone.

    Names of a day are ordered by age: of two segments the later in this order wins. A merged segment takes the
    `write` number of its newest part and one `merges` more, so an append that happens meanwhile stays newer.
    """

    day: int  # days since the epoch
    write: int  # counts the appends to this day
    merges: int  # 0 for an append
    digest: str  # of the file's bytes: what was cut off or changed is noticed before it is parsed
    first: int  # first slot of the day
    last: int  # last slot, inclusive

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Read a file name; None for one that calltide did not write.

        Raises:
            ArchiveError: a newer calltide wrote it.
        """
        match = _NAME.fullmatch(text)
        if match is None:
            return None
        _refuse_newer(int(match["format"]), text)
        try:
            day = date.fromisoformat(match["day"]).toordinal() - date(1970, 1, 1).toordinal()
        except ValueError:
            return None
        numbers = (int(match["write"]), int(match["merges"]))
        return cls(day, *numbers, match["digest"], int(match["first"]), int(match["last"]))

    def __str__(self) -> str:
        day = datetime.fromtimestamp(self.day * DAY_S, UTC).date().isoformat()
        return (
            f"{day}.s{self.first:05d}-{self.last:05d}.w{self.write:010d}.m{self.merges:06d}"
            f".{self.digest}.v{FORMAT}.parquet"
        )

    def grid(self, step_s: int) -> SlotGrid:
        """The slots that it covers."""
        return SlotGrid(self.day * DAY_S + self.first * step_s, step_s, self.last - self.first + 1)


def _refuse_newer(version: int, where: str) -> None:
    if version > FORMAT:
        raise ArchiveError(
            f"{where}: archive format {version}, this calltide reads up to {FORMAT}; "
            "run the calltide that wrote it, or point `archive` at an empty folder to fetch the history again"
        )


def digest_of(data: bytes) -> str:
    """The part of a file name that proves its content."""
    return hashlib.sha256(data).hexdigest()[:16]


def encode(key: DatasetKey, load: LoadMatrix) -> bytes:
    """The Parquet file of a matrix that lies inside one UTC day.

    Raises:
        ForecastInputError: a series name is not Unicode text that can be stored.
    """
    series, slots = len(load.series), load.grid.slots
    try:
        names = pa.array(load.series, pa.string())
    except UnicodeEncodeError as error:
        raise ForecastInputError(
            f"series name {error.object!r} holds half a character; mend it at the source"
        ) from None
    rows = pa.array(np.repeat(np.arange(series, dtype=np.int32), slots))
    times_ms = pa.array(np.tile(load.grid.starts_s * 1000, series)).cast(_SCHEMA.field("time").type)
    values = pa.array(np.ascontiguousarray(load.values).reshape(-1))
    metadata = {
        "calltide.format": str(FORMAT),
        "calltide.dataset": key.to_json(),
        "calltide.start_s": str(load.grid.start_s),
        "calltide.slots": str(slots),
    }
    table = pa.Table.from_arrays([pa.DictionaryArray.from_arrays(rows, names), times_ms, values], schema=_SCHEMA)
    sink = pa.BufferOutputStream()
    with pq.ParquetWriter(
        sink,
        _SCHEMA,
        compression="zstd",
        compression_level=3,
        dictionary_pagesize_limit=_DICTIONARY_BYTES,
        write_statistics=False,
        store_schema=False,  # Arrow's own copy of the schema would be a third of a small file
    ) as writer:
        writer.write_table(table, row_group_size=max(1, table.num_rows))
        writer.add_key_value_metadata(metadata)
    data: bytes = sink.getvalue().to_pybytes()
    return data


@dataclass(frozen=True, slots=True, eq=False)
class Segment:
    """An opened segment: names are read, values are decoded when they are asked for."""

    series: tuple[str, ...]
    grid: SlotGrid
    _data: bytes

    @classmethod
    def open(cls, data: bytes, key: DatasetKey, name: SegmentName) -> Self:
        """Read a file's metadata and names.

        Raises:
            SegmentDamagedError: it was cut off or changed, or is not what its name says.
            ArchiveError: a newer calltide wrote it.
        """
        if digest_of(data) != name.digest:
            raise SegmentDamagedError(f"its {len(data)} bytes are not those that were written")
        metadata = metadata_of(data)
        _refuse_newer(int(metadata.get("calltide.format", "0")), str(name))
        grid = name.grid(key.step_s)
        stated = (metadata.get("calltide.dataset"), metadata.get("calltide.start_s"), metadata.get("calltide.slots"))
        if stated != (key.to_json(), str(grid.start_s), str(grid.slots)):
            raise SegmentDamagedError("it belongs to another dataset or time than its folder and name say")
        indices, names = _tenants(data)
        if indices.size != len(names) * grid.slots:
            raise SegmentDamagedError(f"{indices.size} rows are not {len(names)} tenants × {grid.slots} slots")
        return cls(tuple(names[row] for row in indices[:: grid.slots]), grid, data)

    def values(self) -> Float32Array:
        """The load, shape (series, slots), NaN where nothing was observed."""
        column = _read(self._data, "value").column(0)
        flat: Float32Array = np.concatenate([chunk.to_numpy() for chunk in column.chunks] or [np.empty(0, np.float32)])
        return flat.reshape(len(self.series), self.grid.slots)


def metadata_of(data: bytes) -> Mapping[str, str]:
    """What calltide wrote into the file's footer.

    Raises:
        SegmentDamagedError: it is no Parquet file.
    """
    raw = _parquet(data).metadata.metadata or {}
    return {name.decode(): value.decode() for name, value in raw.items() if name.startswith(b"calltide.")}


def _parquet(data: bytes, **options: Any) -> Any:
    # Parsed from memory, so whatever is raised here is about the content and not about the disk.
    try:
        return pq.ParquetFile(pa.BufferReader(data), **options)
    except (pa.ArrowException, OSError) as error:
        raise SegmentDamagedError(f"it is no Parquet file: {error}") from error


def _read(data: bytes, column: str) -> Any:
    try:
        return _parquet(data, read_dictionary=["tenant"]).read(columns=[column], use_threads=False)
    except (pa.ArrowException, OSError) as error:
        raise SegmentDamagedError(f"its column {column!r} cannot be read: {error}") from error


def _tenants(data: bytes) -> tuple[Any, list[str]]:
    column = _read(data, "tenant").column(0).combine_chunks()
    return column.indices.to_numpy(), column.dictionary.to_pylist()
