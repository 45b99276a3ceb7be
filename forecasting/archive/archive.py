"""The archive: append, load, merge and drop, over a store that makes each file appear whole or not at all.

One process writes a dataset at a time (the leader); any number read. Two that write at once, as in a change of leader,
lose nothing either: files have unique names, and whatever overlaps is settled by the rule in assemble.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Lock

from forecasting.archive.assemble import assemble, columns_of
from forecasting.archive.coverage import Coverage, Span
from forecasting.archive.keys import DAY_S, DatasetKey
from forecasting.archive.segment import (
    SET_ASIDE,
    Segment,
    SegmentDamagedError,
    SegmentName,
    digest_of,
    encode,
    metadata_of,
)
from forecasting.archive.store import open_store
from forecasting.errors import ArchiveError, ForecastInputError
from forecasting.grid import SlotGrid
from forecasting.load import LoadMatrix

_OPEN_DAY_FILES = 32
"""The day that is still being written is merged when it has more files than this; a day that is over, at once."""

_WORKERS = 4  # reads overlap: an object store answers slowly, and unpacking leaves Python's lock
_ATTEMPTS = 10  # listings that another process's merge may outdate before it looks like a fault


@dataclass(frozen=True, slots=True)
class Problem:
    """A file that was set aside: its time counts as never fetched. `path` is inside the archive."""

    path: str
    reason: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}; {self.remedy}"


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """A matrix, and the files of each UTC day (days since the epoch) that it was made from."""

    load: LoadMatrix
    files: Mapping[int, tuple[SegmentName, ...]]


class Archive:
    """Load matrices by dataset, under an fsspec URL or a plain path.

    Every method raises ArchiveError where the store cannot be read or written (what was there stays readable) and
    where a newer calltide wrote the dataset. A damaged or foreign file is not an error: it is set aside under a name
    ending in `.corrupt`, listed in `problems`, and its time is no longer covered.

    Raises:
        ArchiveError: the URL's protocol is not known or its driver is not installed.
    """

    def __init__(self, url: str) -> None:
        self._store = open_store(url)
        self._problems: list[Problem] = []
        self._immovable: set[str] = set()  # damaged, and the store lets nobody rename it: never looked at again
        self._writing = Lock()

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Every file that this object has set aside, oldest first."""
        return tuple(self._problems)

    def datasets(self) -> tuple[DatasetKey, ...]:
        """Every dataset that has at least one readable file."""
        keys = (self._key_of(folder) for folder in self._store.folders())
        return tuple(key for key in keys if key is not None)

    def append(self, key: DatasetKey, load: LoadMatrix) -> None:
        """Keep what was fetched, one durable file per UTC day; every slot of the grid is covered from then on.

        Raises:
            ForecastInputError: the matrix is of another measure or step than the dataset.
        """
        if (load.measure, load.grid.step_s) != (key.measure, key.step_s):
            raise ForecastInputError(
                f"a matrix of {load.measure} on {load.grid.step_s} s does not belong to {key.measure} on {key.step_s} s"
            )
        with self._writing:
            files = self._files(key)
            for span in Coverage.of([(load.grid.start_s, load.grid.end_s)]).by_day():
                written = files.get(span.start_s // DAY_S, ())
                write = max((name.write for name in written), default=0) + 1
                self._put(key, _observed_part(load, span), write, merges=0)

    def load(self, key: DatasetKey, grid: SlotGrid) -> LoadMatrix:
        """What is known on the grid: a row for each series observed there, sorted by name; NaN where nothing is.

        Raises:
            ForecastInputError: the grid is on another step than the dataset.
        """
        return self.refresh(key, grid).load

    def refresh(self, key: DatasetKey, grid: SlotGrid, previous: Snapshot | None = None) -> Snapshot:
        """As `load`, but days whose files have not changed are taken from the dataset's previous snapshot.

        The previous snapshot itself comes back when nothing has changed at all.
        """
        if grid.step_s != key.step_s:
            raise ForecastInputError(f"a grid on {grid.step_s} s does not fit a dataset on {key.step_s} s")
        for _ in range(_ATTEMPTS):
            try:
                return self._snapshot(key, grid, previous)
            except FileNotFoundError:
                continue  # merged by another process between our listing and our reading: list again
        raise ArchiveError(
            f"{self._store.shown}: {key.folder} changed {_ATTEMPTS} times while it was read; "
            "look for a second calltide that merges the same dataset without end"
        )

    def coverage(self, key: DatasetKey) -> Coverage:
        """The time that was fetched, observed or not. From a listing alone: damage shows when a file is read."""
        return _covered(key, (name for names in self._files(key).values() for name in names))

    def extent(self, key: DatasetKey) -> SlotGrid | None:
        """From the first slot that was fetched to the last; None when nothing was."""
        spans = self.coverage(key).spans
        return SlotGrid.covering(spans[0].start_s, spans[-1].end_s, key.step_s) if spans else None

    def compact(self, key: DatasetKey) -> int:
        """Merge small files: those of days that are over (a later day has begun), and of today when there are many.

        Returns how many files were merged. A crash at any point leaves the parts, the whole or both, and all three
        read the same.
        """
        merged = 0
        with self._writing:
            files = self._files(key)
            for day, names in files.items():
                allowed = len(_covered(key, names).spans) if day < max(files) else _OPEN_DAY_FILES
                if len(names) > allowed:
                    merged += self._merge(key, names)
            self._store.sweep(key.folder)
        return merged

    def drop_before(self, key: DatasetKey, oldest_s: float) -> int:
        """Drop the days that ended by then, with what was set aside in them. Returns how many files were dropped."""
        dropped = 0
        with self._writing:
            for text in self._store.names(key.folder):
                name = SegmentName.parse(text.removesuffix(SET_ASIDE))
                if name is not None and (name.day + 1) * DAY_S <= oldest_s:
                    self._store.remove(f"{key.folder}/{text}")
                    dropped += 1
        return dropped

    def _files(self, key: DatasetKey) -> dict[int, tuple[SegmentName, ...]]:
        """Segments by day, each day's from the oldest write to the newest."""
        files: dict[int, list[SegmentName]] = {}
        for text in self._store.names(key.folder):
            path = f"{key.folder}/{text}"
            if not text.endswith(".parquet") or path in self._immovable:
                continue
            name = SegmentName.parse(text)
            if name is None or not name.first <= name.last < DAY_S // key.step_s:
                self._set_aside(path, "its name is none that calltide gives")
            else:
                files.setdefault(name.day, []).append(name)
        return {day: tuple(sorted(files[day])) for day in sorted(files)}

    def _snapshot(self, key: DatasetKey, grid: SlotGrid, previous: Snapshot | None) -> Snapshot:
        first, last = grid.start_s // DAY_S, -(-grid.end_s // DAY_S)
        files = {day: names for day, names in self._files(key).items() if first <= day < last}
        if previous is not None and previous.load.grid == grid and previous.files == files:
            return previous
        kept = {
            day: names
            for day, names in files.items()
            if previous is not None and previous.files.get(day) == names and _day_inside(day, grid, previous.load.grid)
        }
        days = self._open_days(key, {day: names for day, names in files.items() if day not in kept})
        known = previous.load if previous is not None and kept else None
        load = assemble(
            key.measure, grid, {day: list(opened.values()) for day, opened in days.items()}, known, kept, _WORKERS
        )
        return Snapshot(load, kept | {day: tuple(opened) for day, opened in days.items() if opened})

    def _open_days(
        self, key: DatasetKey, files: Mapping[int, tuple[SegmentName, ...]]
    ) -> dict[int, dict[SegmentName, Segment]]:
        names = [name for day_names in files.values() for name in day_names]
        with ThreadPoolExecutor(_WORKERS, thread_name_prefix="archive") as pool:
            opened = dict(zip(names, pool.map(lambda name: self._open(key, name), names), strict=True))
        return {day: {name: found for name in files[day] if (found := opened[name]) is not None} for day in files}

    def _open(self, key: DatasetKey, name: SegmentName) -> Segment | None:
        path = f"{key.folder}/{name}"
        try:
            return Segment.open(self._store.read(path), key, name)
        except SegmentDamagedError as damage:
            self._set_aside(path, str(damage))
            return None

    def _set_aside(self, path: str, reason: str) -> None:
        remedy = f"it is kept as {path}{SET_ASIDE} and its time is fetched again; delete it once you know why"
        try:
            self._store.set_aside(path)
        except ArchiveError as error:
            remedy = f"it is ignored from now on, since it could not be renamed ({error})"
            self._immovable.add(path)
        self._problems.append(Problem(path, reason, remedy))

    def _put(self, key: DatasetKey, load: LoadMatrix, write: int, merges: int) -> None:
        data = encode(key, load)
        day, first_s = divmod(load.grid.start_s, DAY_S)
        first = first_s // key.step_s
        name = SegmentName(day, write, merges, digest_of(data), first, first + load.grid.slots - 1)
        self._store.write(f"{key.folder}/{name}", data)
        self._immovable.discard(f"{key.folder}/{name}")

    def _merge(self, key: DatasetKey, names: tuple[SegmentName, ...]) -> int:
        try:
            opened = self._open_days(key, {names[0].day: names})[names[0].day]
        except FileNotFoundError:
            return 0  # another process is merging this day
        if not opened:
            return 0
        write, merges = max(name.write for name in opened), max(name.merges for name in opened) + 1
        for span in _covered(key, opened).spans:
            grid = SlotGrid.covering(span.start_s, span.end_s, key.step_s)
            whole = assemble(key.measure, grid, {names[0].day: list(opened.values())}, None, (), 1)
            self._put(key, whole, write, merges)
        # Only now: until here the parts are what is known.
        for name in opened:
            self._store.remove(f"{key.folder}/{name}")
        return len(opened)

    def _key_of(self, folder: str) -> DatasetKey | None:
        for text in self._store.names(folder):
            if SegmentName.parse(text) is None:
                continue
            try:
                key = DatasetKey.from_json(
                    metadata_of(self._store.read(f"{folder}/{text}")).get("calltide.dataset", "")
                )
            except (SegmentDamagedError, FileNotFoundError, ValueError):
                continue  # the next file may tell; this one is set aside when its time is loaded
            if key.folder == folder:
                return key
        return None


def _covered(key: DatasetKey, names: Iterable[SegmentName]) -> Coverage:
    grids = (name.grid(key.step_s) for name in names)
    return Coverage.of((grid.start_s, grid.end_s) for grid in grids)


def _day_inside(day: int, grid: SlotGrid, other: SlotGrid) -> bool:
    """Whether what the grid wants of the day lies inside the other grid."""
    return max(day * DAY_S, grid.start_s) >= other.start_s and min((day + 1) * DAY_S, grid.end_s) <= other.end_s


def _observed_part(load: LoadMatrix, span: Span) -> LoadMatrix:
    """The matrix inside the span, without the series that were not observed there."""
    columns = columns_of(load.grid, span)
    grid = SlotGrid(span.start_s, load.grid.step_s, columns.stop - columns.start)
    values = load.values[:, columns]
    rows = [row for row, seen in enumerate((values == values).any(axis=1).tolist()) if seen]  # NaN is not itself
    return LoadMatrix(load.measure, tuple(load.series[row] for row in rows), grid, values[rows])
