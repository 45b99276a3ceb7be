"""What the archive costs: seconds, bytes and memory, beside bare pyarrow with the same numbers in the same run.

Each measurement runs in a process of its own, so that its peak of memory is its own. The baseline writes the bare
values, a file for each day, without names, times, coverage, digest, fsync or merging, and reads them into one matrix.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

from forecasting.archive import Archive, DatasetKey
from forecasting.grid import SlotGrid
from forecasting.load import Float32Array, LoadMatrix, Measure

STEP_S = 300
SLOTS_OF_A_DAY = 86_400 // STEP_S
START_S = 20_000 * 86_400
KEY = DatasetKey("bench", Measure.CHANNELS, STEP_S, "0")


@dataclass(frozen=True, slots=True)
class Cost:
    """Wall time, and the most memory that the process had; `idle_mb` of it before the work began."""

    seconds: float
    peak_mb: float
    idle_mb: float


def main(argv: Sequence[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="archive", description=__doc__)
    parser.add_argument(
        "--sizes", nargs="+", default=["1000x56", "10000x14"], help="tenants x days, like 10000x56 for eight weeks"
    )
    arguments = parser.parse_args(argv)
    table = Table("size", "what", "seconds", "B/value", "peak MB", "idle MB")
    for size in arguments.sizes:
        tenants, _, days = size.partition("x")
        with tempfile.TemporaryDirectory(prefix="bench-archive-") as folder:
            _measure(table, Path(folder), int(tenants), int(days))
    Console().print(table)
    return 0


def _measure(table: Table, folder: Path, tenants: int, days: int) -> None:
    values = tenants * days * SLOTS_OF_A_DAY

    def row(what: str, work: Callable[[Path, int, int], float], place: Path | None = None) -> None:
        cost = _alone(partial(work, folder, tenants, days))
        size = f"{_size(place) / values:.2f}" if place is not None else ""
        table.add_row(
            f"{tenants:,} × {days}", what, f"{cost.seconds:.2f}", size, f"{cost.peak_mb:,.0f}", f"{cost.idle_mb:,.0f}"
        )

    row("bare pyarrow, write", bare_write, folder / "bare")
    row("archive, write", backfill, folder / "archive")
    row("bare pyarrow, read", bare_read)
    row("archive, load", load)
    row("archive, coverage", coverage)
    row("archive, append 12 slots", append_slots)
    row("archive, refresh by a slot", refresh)
    row("archive, merge the day", merge, folder / "archive")
    table.add_section()


def backfill(folder: Path, tenants: int, days: int) -> float:
    """Append all days, as the first start does."""
    archive = Archive(str(folder / "archive"))
    return _over_days(tenants, days, lambda day, values: archive.append(KEY, _matrix(day * SLOTS_OF_A_DAY, values)))


def bare_write(folder: Path, tenants: int, days: int) -> float:
    """Write all days' values and nothing else."""
    (folder / "bare").mkdir()

    def write(day: int, values: Float32Array) -> None:
        column = pa.table({"value": values.reshape(-1)})
        pq.write_table(column, folder / "bare" / f"{day:04d}.parquet", compression="zstd")

    return _over_days(tenants, days, write)


def load(folder: Path, _tenants: int, days: int) -> float:
    """Load everything, as a start does."""
    began_s = time.perf_counter()
    Archive(str(folder / "archive")).load(KEY, _grid(0, days * SLOTS_OF_A_DAY))
    return time.perf_counter() - began_s


def bare_read(folder: Path, tenants: int, days: int) -> float:
    """Read all days' values into one matrix."""
    began_s = time.perf_counter()
    matrix = np.empty((tenants, days * SLOTS_OF_A_DAY), np.float32)
    for day in range(days):
        flat = pq.read_table(folder / "bare" / f"{day:04d}.parquet").column(0).to_numpy()
        matrix[:, day * SLOTS_OF_A_DAY : (day + 1) * SLOTS_OF_A_DAY] = flat.reshape(tenants, SLOTS_OF_A_DAY)
    return time.perf_counter() - began_s


def coverage(folder: Path, _tenants: int, _days: int) -> float:
    """Ask what was fetched."""
    began_s = time.perf_counter()
    Archive(str(folder / "archive")).coverage(KEY)
    return time.perf_counter() - began_s


def append_slots(folder: Path, tenants: int, days: int) -> float:
    """Append the first hour of the next day slot by slot."""
    archive = Archive(str(folder / "archive"))
    values = _day(tenants, days)
    began_s = time.perf_counter()
    for slot in range(12):
        archive.append(KEY, _matrix(days * SLOTS_OF_A_DAY + slot, values[:, slot : slot + 1]))
    return time.perf_counter() - began_s


def refresh(folder: Path, tenants: int, days: int) -> float:
    """Take one more slot into a matrix that is in memory."""
    archive = Archive(str(folder / "archive"))
    snapshot = archive.refresh(KEY, _grid(12, days * SLOTS_OF_A_DAY))
    newest = _matrix(days * SLOTS_OF_A_DAY + 12, _day(tenants, days)[:, :1])
    archive.append(KEY, newest)
    began_s = time.perf_counter()
    archive.refresh(KEY, _grid(13, days * SLOTS_OF_A_DAY), snapshot)
    return time.perf_counter() - began_s


def merge(folder: Path, tenants: int, days: int) -> float:
    """Merge the small files of the day once the next has begun."""
    archive = Archive(str(folder / "archive"))
    archive.append(KEY, _matrix((days + 1) * SLOTS_OF_A_DAY, _day(tenants, days)[:, :1]))
    began_s = time.perf_counter()
    archive.compact(KEY)
    return time.perf_counter() - began_s


def _alone(work: Callable[[], float]) -> Cost:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_cost, work).result()


def _cost(work: Callable[[], float]) -> Cost:
    idle_mb = _peak_mb()
    seconds = work()
    return Cost(seconds, _peak_mb(), idle_mb)


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _over_days(tenants: int, days: int, write: Callable[[int, Float32Array], None]) -> float:
    """Seconds that the writing of simulated days took, without simulating them."""
    seconds = 0.0
    for day, values in _days(tenants, days):
        began_s = time.perf_counter()
        write(day, values)
        seconds += time.perf_counter() - began_s
    return seconds


def _days(tenants: int, days: int) -> Iterator[tuple[int, Float32Array]]:
    for day in range(days):
        yield day, _day(tenants, day)


def _day(tenants: int, day: int) -> Float32Array:
    """Channels in use: Poisson around a daily curve of tenants of very different size, one slot in a hundred a gap."""
    random = np.random.default_rng([20_260, day])
    level = np.random.default_rng(1).lognormal(2.5, 1.0, (tenants, 1))
    curve = 1.05 - np.cos(np.arange(SLOTS_OF_A_DAY) / SLOTS_OF_A_DAY * 2 * np.pi)
    values = random.poisson(level * curve).astype(np.float32)
    values[:, random.random(SLOTS_OF_A_DAY) < 0.01] = np.nan
    return values


def _matrix(first: int, values: Float32Array) -> LoadMatrix:
    names = tuple(f"tenant-{row:05d}" for row in range(values.shape[0]))
    return LoadMatrix(KEY.measure, names, _grid(first, values.shape[1]), np.ascontiguousarray(values))


def _grid(first: int, slots: int) -> SlotGrid:
    return SlotGrid(START_S + first * STEP_S, STEP_S, slots)


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


if __name__ == "__main__":
    raise SystemExit(main())
