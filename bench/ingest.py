"""How long it takes to read history from a real Prometheus, beside a bare client in the same run.

Each reading runs in a process of its own, so that its peak memory is its own. The bare client asks the same server for
the same days with `requests` and parses the JSON, and does nothing else: what the source costs above it is the price
of the checks and of the matrix.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import requests
from rich.console import Console
from rich.table import Table

from forecasting.grid import SlotGrid
from forecasting.load import Measure
from forecasting.sources import HistoryQuery, PrometheusSettings, open_source
from tests.servers.prometheus import PrometheusServer, write_blocks

STEP_S = 300
DAY_S = 86400
END_S = 1_780_012_800
QUERY = HistoryQuery(Measure.CHANNELS, "sum by (tenant) (channels)", "tenant")


@dataclass(frozen=True, slots=True)
class Case:
    """One size of fleet and history."""

    tenants: int
    days: int

    @property
    def grid(self) -> SlotGrid:
        """The slots that are read."""
        return SlotGrid(END_S - self.days * DAY_S, STEP_S, self.days * DAY_S // STEP_S)


@dataclass(frozen=True, slots=True)
class Reading:
    """One reading: samples that came, wall-clock seconds, peak resident memory and what of it the reading added."""

    samples: int
    seconds: float
    peak_mib: float
    added_mib: float


CASES = (Case(tenants=50, days=56), Case(tenants=1000, days=7))
QUICK_CASES = (Case(tenants=50, days=2),)


def read_by_source(url: str, case: Case) -> int:
    """Samples that calltide's source reads."""
    source = open_source(PrometheusSettings(type="prometheus", url=url), "bench")
    observed = int(source.read(QUERY, case.grid).observed.sum())
    source.close()
    return observed


def read_bare(url: str, case: Case) -> int:
    """Samples that a bare client reads, a day per request as well."""
    session, samples = requests.Session(), 0
    for day_s in range(case.grid.start_s, case.grid.end_s, DAY_S):
        form = {
            "query": QUERY.expression,
            "start": str(day_s + STEP_S),
            "end": str(day_s + DAY_S),
            "step": str(STEP_S),
        }
        answer = session.post(f"{url}/api/v1/query_range", data=form, timeout=60)
        samples += sum(len(series["values"]) for series in json.loads(answer.content)["data"]["result"])
    session.close()
    return samples


def measured(read: Callable[[str, Case], int], url: str, case: Case) -> Reading:
    """The reading in a fresh process."""
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_read_and_tell, args=(read, url, case, sender))
    process.start()
    sender.close()
    try:
        reading: Reading = receiver.recv()
    finally:
        process.join()
    return reading


def _read_and_tell(read: Callable[[str, Case], int], url: str, case: Case, sender: Connection) -> None:
    before_mib = _peak_mib()
    began_s = time.perf_counter()
    samples = read(url, case)
    seconds = time.perf_counter() - began_s
    sender.send(Reading(samples, seconds, _peak_mib(), _peak_mib() - before_mib))


def _peak_mib() -> float:
    # Not getrusage: its maximum survives exec, so that a child would begin with its parent's.
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("/proc/self/status tells no VmHWM; this benchmark needs Linux")


def write_history(server: PrometheusServer, case: Case) -> None:
    """A week-shaped load for every tenant, as blocks of a server that is not running yet."""
    ends = (case.grid.starts_s + STEP_S).tolist()
    shape = 50 + 40 * np.sin(2 * np.pi * np.arange(case.grid.slots) * STEP_S / DAY_S)
    rows = (np.round(shape + number % 17).tolist() for number in range(case.tenants))
    write_blocks(server.data, "channels", [{"tenant": f"tenant-{n}"} for n in range(case.tenants)], ends, rows)


def bench(case: Case) -> dict[str, Reading]:
    """Both readings of one case, after one bare reading that warms the server up."""
    with tempfile.TemporaryDirectory(prefix="calltide-bench-") as folder:
        server = PrometheusServer(Path(folder))
        write_history(server, case)
        server.start()
        try:
            read_bare(server.url, case)
            return {
                "bare": measured(read_bare, server.url, case),
                "calltide": measured(read_by_source, server.url, case),
            }
        finally:
            server.stop()


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a table of all cases."""
    parser = argparse.ArgumentParser(prog="python -m bench.ingest", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one small case, to see that it runs")
    quick = parser.parse_args(arguments).quick
    table = Table(title="Ingest from a real Prometheus, 5 min slots; bare is requests and json alone")
    for column in ("tenants", "days", "client", "samples", "seconds", "per s", "peak MiB", "added", "× bare"):
        table.add_column(column, justify="left" if column == "client" else "right", no_wrap=True)
    for case in QUICK_CASES if quick else CASES:
        readings = bench(case)
        bare_s = readings["bare"].seconds
        for client, reading in readings.items():
            table.add_row(
                f"{case.tenants:,}",
                f"{case.days}",
                client,
                f"{reading.samples:,}",
                f"{reading.seconds:.2f}",
                f"{reading.samples / reading.seconds:,.0f}",
                f"{reading.peak_mib:.0f}",
                f"{reading.added_mib:.0f}",
                f"{reading.seconds / bare_s:.2f}",
            )
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
