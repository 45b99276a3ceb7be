"""What forecasts of thousands of tenants cost: seconds and memory of each thing that a service does, in one table.

Each part runs in a process of its own, so that its peak of memory is its own, on an archive on disk that was written
before. Beside them stands in the same run the least that any model could cost: values from a bare file, and last week
copied. The limits are what a service on two cores promises at 10,000 tenants. `rebuild` is a first start: open, load,
train, forecast; `restart` finds the checkpoints of one; `refresh`, after either and in its process, takes in one more
slot and forecasts. Wall time means something on a machine that does nothing else; the seconds of all processors are
told beside it.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.forecast_service import HORIZON_SLOTS, PARTS, STEP_S, WEEKS, Cost, write
from forecasting.forecast import QUANTILES

SIZES = (1000, 3000)
LIMITS_S = {"rebuild": 60, "restart": 60, "refresh": 10, "nightly scoring": 900}
LIMIT_MB = 2000


def main(argv: Sequence[str] | None = None) -> int:
    """Time every part of every size and print the table."""
    parser = argparse.ArgumentParser(prog="forecast_speed", description=__doc__)
    parser.add_argument("--tenants", type=int, nargs="+", default=list(SIZES), help="numbers of tenants")
    names = [part.__name__ for part in PARTS]
    parser.add_argument("--parts", nargs="+", choices=names, default=names, help="what to time")
    arguments = parser.parse_args(argv)
    table = Table(
        title=f"{WEEKS} weeks of {STEP_S} s, {HORIZON_SLOTS} slots ahead, {len(QUANTILES)} quantiles; "
        f"limits: seconds at 10,000 tenants, and {LIMIT_MB:,} MB",
        title_justify="left",
    )
    for column in ("tenants", "what", "limit", "wall s", "CPU s", "per 1,000", "peak MB"):
        table.add_column(column, justify="left" if column == "what" else "right", no_wrap=True)
    table.add_column("note")
    for tenants in arguments.tenants:
        with tempfile.TemporaryDirectory(prefix="bench-forecast-") as folder:
            _alone(write, Path(folder), tenants)
            for part in PARTS:
                if part.__name__ in arguments.parts:
                    _add(table, tenants, _alone(part, Path(folder), tenants))
        table.add_section()
    # A file or a pipe has no width that a table would have to be folded into.
    Console(width=None if sys.stdout.isatty() else 140).print(table)
    return 0


def _alone(part: Callable[[Path, int], Cost], folder: Path, tenants: int) -> Cost:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(part, folder, tenants).result()


def _add(table: Table, tenants: int, cost: Cost) -> None:
    for name, (wall_s, processor_s) in cost.seconds.items():
        limit = f"{LIMITS_S[name]}" if name in LIMITS_S else ""
        times = (f"{seconds:.2f}" for seconds in (wall_s, processor_s, 1000 * processor_s / tenants))
        table.add_row(f"{tenants:,}", name, limit, *times, f"{cost.peak_mb:,.0f}", cost.note)


if __name__ == "__main__":
    raise SystemExit(main())
