"""How fast KEDA is answered: latency at KEDA's own rate beside a bare handler, the most there is, memory, starts.

KEDA makes 0.3 calls per fleet and second (pollingInterval 30 s, HPA sync 15 s): GetMetricSpec, GetMetrics and
IsActive in turn, over one connection to each replica. The book is replaced every few seconds meanwhile, as the
control plane does.
"""

from __future__ import annotations

import argparse
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc

from bench.http2_load import Call, LoadResult, prepare_call, run_load
from keda_external_scaler.book import HOURS_OF_A_WEEK, Book, BookEntry
from keda_external_scaler.book_file import open_book, write_book
from keda_external_scaler.contract.externalscaler_pb2 import GetMetricsRequest, ScaledObjectRef

_HOST = "127.0.0.1"
_CALLS_PER_FLEET_PER_S = 0.3
_BOOK_EVERY_S = 5.0
_AT_ONCE_PER_S = 1e6
_PATH_SLOTS = 576
_PATH = "/externalscaler.ExternalScaler/"


@dataclass(frozen=True, slots=True)
class Options:
    """What is measured, and for how long each."""

    fleets: tuple[int, ...]
    seconds: float
    starts: int


def main(argv: Sequence[str] | None = None) -> int:
    """Print the tables."""
    parser = argparse.ArgumentParser(prog="python -m bench keda", description=__doc__)
    parser.add_argument("--fleets", type=int, nargs="+", default=[1_000, 5_000, 10_000])
    parser.add_argument("--seconds", type=float, default=30.0, help="length of each run (default %(default)s)")
    parser.add_argument("--starts", type=int, default=5, help="starts that are timed (default %(default)s)")
    given = parser.parse_args(argv)
    options = Options(tuple(given.fleets), given.seconds, given.starts)
    with tempfile.TemporaryDirectory() as folder:
        _print_rates(options, Path(folder))
        _print_limits(options, Path(folder))
        _print_starts(options, Path(folder))
    return 0


def _print_rates(options: Options, folder: Path) -> None:
    print(f"\ngRPC at KEDA's rate, {options.seconds:.0f} s each, the book replaced every {_BOOK_EVERY_S:.0f} s")
    print(
        "| fleets | replicas | asked /s | answered /s | p50 ms | p99 ms | longest ms | bare p50 | bare p99 | refused |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for fleets in options.fleets:
        book, calls = _book_of(fleets, folder), _calls_of(fleets)
        rate = _CALLS_PER_FLEET_PER_S * fleets
        for replicas in (1, 2):
            with _servers(book, replicas) as servers, _replacing(book):
                ours = _measure(servers, calls, rate, options.seconds)
            with _bare_servers(replicas) as servers:
                bare = _measure(servers, calls, rate, options.seconds)
            print(
                f"| {fleets} | {replicas} | {rate:.0f} | {ours.rate_per_s:.0f} "
                f"| {ours.quantile_ms(0.5):.1f} | {ours.quantile_ms(0.99):.1f} | {ours.quantile_ms(1):.1f} "
                f"| {bare.quantile_ms(0.5):.1f} | {bare.quantile_ms(0.99):.1f} | {ours.refused + ours.unanswered} |"
            )


def _print_limits(options: Options, folder: Path) -> None:
    fleets = max(options.fleets)
    book, calls = _book_of(fleets, folder), _calls_of(fleets)
    with _servers(book, 1) as servers:
        flat = _measure(servers, calls, 0, options.seconds)
        # An operator that restarts asks for everything at once.
        burst = _measure(servers, calls, _AT_ONCE_PER_S, len(calls) / _AT_ONCE_PER_S)
        memory_mib = servers[0].resident_mib()
    with _bare_servers(1) as servers:
        bare = _measure(servers, calls, 0, options.seconds)
    began_s = time.perf_counter()
    view = open_book(book)
    opened_s = time.perf_counter() - began_s
    print(f"\nLimits of one replica over {fleets} fleets with paths of {_PATH_SLOTS} slots")
    print("| what | value |")
    print("| --- | --- |")
    print(f"| flat out, rpc/s | {flat.rate_per_s:.0f} (bare handler {bare.rate_per_s:.0f}) |")
    print(f"| {len(calls)} calls at once: last answered after s, refused | {burst.elapsed_s:.1f}, {burst.refused} |")
    print(f"| resident memory, MiB | {memory_mib:.0f} |")
    print(f"| book on disk, MB | {book.stat().st_size / 1e6:.1f} |")
    print(f"| opening a book of {len(view)} fleets, ms (outside the interpreter's lock) | {opened_s * 1000:.1f} |")
    quiet, reloading = _reload_stall(book, calls, options.seconds)
    print(f"| longest wait at 300 rpc/s, the book at rest, ms | {quiet:.1f} |")
    print(f"| longest wait at 300 rpc/s, the book replaced twice a second, ms | {reloading:.1f} |")


def _reload_stall(book: Path, calls: Sequence[Call], seconds: float) -> tuple[float, float]:
    with _servers(book, 1) as servers:
        quiet = _measure(servers, calls, 300, seconds).quantile_ms(1)
        with _replacing(book, every_s=0.5):
            return quiet, _measure(servers, calls, 300, seconds).quantile_ms(1)


def _print_starts(options: Options, folder: Path) -> None:
    print("\nFrom start of the process to its first answer, every back-end dead")
    print("| case | shortest s | longest s |")
    print("| --- | --- | --- |")
    missing, book = folder / "missing.book", _book_of(max(options.fleets), folder)
    for case, path, call in (
        ("no book yet: GetMetricSpec", missing, "GetMetricSpec"),
        (f"the last book of {max(options.fleets)} fleets: GetMetrics", book, "GetMetrics"),
    ):
        times = [_time_to_answer_s(path, call) for _ in range(options.starts)]
        print(f"| {case} | {min(times):.2f} | {max(times):.2f} |")


def _time_to_answer_s(book: Path, call: str) -> float:
    began_s = time.perf_counter()
    request = _reference(0) if call == "GetMetricSpec" else _metrics_request(0)
    with _servers(book, 1, wait=False) as servers, grpc.insecure_channel(f"{_HOST}:{servers[0].port}") as channel:
        ask: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(_PATH + call)
        while True:
            try:
                ask(request)
            except grpc.RpcError:
                time.sleep(0.005)
            else:
                return time.perf_counter() - began_s


@dataclass(frozen=True, slots=True)
class _Running:
    process: subprocess.Popen[bytes]
    port: int

    def resident_mib(self) -> float:
        pages = Path(f"/proc/{self.process.pid}/statm").read_text(encoding="ascii").split()[1]
        return int(pages) * 4096 / 2**20


@contextmanager
def _servers(book: Path, replicas: int, *, wait: bool = True) -> Iterator[list[_Running]]:
    command = [sys.executable, "-m", "keda_external_scaler", "--book", str(book), "--stale-after", "3600", "--listen"]
    with _running([[*command, f"{_HOST}:{port}"] for port in _free_ports(replicas)], wait=wait) as servers:
        yield servers


@contextmanager
def _bare_servers(replicas: int) -> Iterator[list[_Running]]:
    command = [sys.executable, "-m", "bench.keda_bare"]
    with _running([[*command, str(port)] for port in _free_ports(replicas)], wait=True) as servers:
        yield servers


@contextmanager
def _running(commands: Sequence[Sequence[str]], *, wait: bool) -> Iterator[list[_Running]]:
    with ExitStack() as stack:
        servers = []
        for command in commands:
            process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
            stack.callback(process.wait)
            stack.callback(process.terminate)
            servers.append(_Running(process, int(command[-1].rpartition(":")[2])))
        for server in servers if wait else ():
            _await_port(server.port)
        yield servers


def _await_port(port: int) -> None:
    while True:
        try:
            socket.create_connection((_HOST, port)).close()
        except ConnectionRefusedError:
            time.sleep(0.02)
        else:
            return


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        listeners = [stack.enter_context(socket.socket()) for _ in range(count)]
        for listener in listeners:
            listener.bind((_HOST, 0))
        return [int(listener.getsockname()[1]) for listener in listeners]


@contextmanager
def _replacing(book: Path, *, every_s: float = _BOOK_EVERY_S) -> Iterator[None]:
    """Replace the book by a copy of itself again and again. Making it anew would measure the control plane."""
    stopped = threading.Event()

    def replace() -> None:
        while not stopped.wait(every_s):
            copy = book.with_suffix(".copy")
            shutil.copyfile(book, copy)
            copy.replace(book)

    thread = threading.Thread(target=replace)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()


def _measure(servers: Sequence[_Running], calls: Sequence[Call], rate_per_s: float, seconds: float) -> LoadResult:
    addresses = [(_HOST, server.port) for server in servers]
    run_load(addresses, calls, rate_per_s=200, seconds=1)
    return run_load(addresses, calls, rate_per_s=rate_per_s, seconds=seconds)


def _book_of(fleets: int, folder: Path) -> Path:
    path = folder / f"{fleets}.book"
    now_s = time.time()
    start_s = int(now_s) // 300 * 300
    slots = tuple(10 + slot % 90 for slot in range(_PATH_SLOTS))
    entries = tuple(
        BookEntry(
            namespace="voice",
            name=f"fleet-{number}",
            policy="standard",
            tenants=(f"tenant-{number}",),
            pool=None,
            need=10,
            answer=12,
            alone=13,
            active=True,
            replicas=12,
            exact_tolerance=True,
            path_start_s=start_s,
            path_step_s=300,
            path=slots,
            week=slots[:HOURS_OF_A_WEEK],
        )
        for number in range(fleets)
    )
    write_book(path, Book(now_s, now_s, 1.0, entries))
    return path


def _calls_of(fleets: int) -> list[Call]:
    """KEDA's three calls for each fleet, fleet after fleet."""
    calls = []
    for number in range(fleets):
        reference = _reference(number)
        calls.append(prepare_call(_PATH + "GetMetricSpec", reference))
        calls.append(prepare_call(_PATH + "GetMetrics", _metrics_request(number)))
        calls.append(prepare_call(_PATH + "IsActive", reference))
    return calls


def _scaled_object(number: int) -> ScaledObjectRef:
    metadata = {
        "scalerAddress": "calltide.calltide.svc.cluster.local:9090",
        "policy": "standard",
        "tenant": f"tenant-{number}",
    }
    return ScaledObjectRef(name=f"fleet-{number}", namespace="voice", scalerMetadata=metadata)


def _reference(number: int) -> bytes:
    return _scaled_object(number).SerializeToString()


def _metrics_request(number: int) -> bytes:
    return GetMetricsRequest(scaledObjectRef=_scaled_object(number), metricName="pods").SerializeToString()


if __name__ == "__main__":
    sys.exit(main())
