"""KEDA's side of the contract, and the server under test: here with a clock set by hand, or as a real process."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import grpc

from keda_external_scaler.book import Book, BookEntry
from keda_external_scaler.book_format import BookView, encode_book
from keda_external_scaler.contract import externalscaler_pb2 as messages
from keda_external_scaler.contract.externalscaler_pb2_grpc import ExternalScalerStub
from keda_external_scaler.questions import Questions
from keda_external_scaler.server import Connections, Server
from keda_external_scaler.stats import StatsCollector
from tests.servers.processes import wait_for

BORN_S = 1_790_000_400.0
"""Wall-clock and plan time of the books in tests; a full five minutes."""

ACME = BookEntry(
    namespace="voice",
    name="acme",
    policy="standard",
    tenants=("acme",),
    pool=None,
    need=10,
    answer=11,
    alone=13,
    active=True,
    replicas=11,
    exact_tolerance=True,
    path_start_s=int(BORN_S),
    path_step_s=300,
    path=(10, 10, 12, 15, 9, 9),
    week=(),
)
ACME_TRIGGER = {"scalerAddress": "calltide.calltide.svc:9090", "policy": "standard", "tenant": "acme"}


def book_of(*entries: BookEntry, written_at_s: float = BORN_S, speed: float = 1.0) -> Book:
    """A book whose plan time is its wall-clock time."""
    return Book(written_at_s, written_at_s, speed, entries)


def scaled_object(
    name: str = "acme", namespace: str = "voice", metadata: Mapping[str, str] | None = None
) -> messages.ScaledObjectRef:
    """What KEDA names a ScaledObject by."""
    given = ACME_TRIGGER if metadata is None else metadata
    return messages.ScaledObjectRef(name=name, namespace=namespace, scalerMetadata=given)


@dataclass
class Scene:
    """What the server under test sees: a wall clock, a clock for streams, and the newest book."""

    wall_s: float = BORN_S
    stream_s: float = 0.0
    book: BookView | None = None
    stats: StatsCollector = field(default_factory=StatsCollector)

    def publish(self, *entries: BookEntry, **times: float) -> None:
        """Put a new book in use, by way of its bytes."""
        self.book = BookView(encode_book(book_of(*entries, **times)))


@contextmanager
def serving(scene: Scene, *, max_age_s: float = 300.0) -> Iterator[Server]:
    """A server over the scene on a free port of this machine."""
    questions = Questions(lambda: scene.book, lambda: scene.wall_s, 30.0, scene.stats)
    connections = Connections("127.0.0.1:0", None, max_age_s)
    server = Server(questions, scene.stats, connections, stream_clock=lambda: scene.stream_s)
    server.start()
    try:
        yield server
    finally:
        server.stop(1.0)


@contextmanager
def connected(
    port: int, credentials: grpc.ChannelCredentials | None = None, host: str = "127.0.0.1"
) -> Iterator[grpc.Channel]:
    """A channel of its own connection."""
    # Otherwise channels to one address share a connection, and a renewed certificate would never be seen.
    options = [("grpc.use_local_subchannel_pool", 1)]
    if credentials is None:
        channel = grpc.insecure_channel(f"{host}:{port}", options)
    else:
        channel = grpc.secure_channel(f"{host}:{port}", credentials, options)
    with channel:
        yield channel


@dataclass(frozen=True)
class Polled:
    """What one round of KEDA's calls yields."""

    metric: str
    target: float
    value: float
    integer_value: int
    active: bool

    @property
    def replicas(self) -> int:
        """What an HPA makes of it with AverageValue."""
        return -(-int(self.value * 1000) // int(self.target * 1000))


def poll(channel: grpc.Channel, reference: messages.ScaledObjectRef) -> Polled:
    """KEDA's sequence: the specs, then the value and the activity of each metric."""
    stub = ExternalScalerStub(channel)
    (spec,) = stub.GetMetricSpec(reference).metricSpecs
    request = messages.GetMetricsRequest(scaledObjectRef=reference, metricName=spec.metricName)
    (value,) = stub.GetMetrics(request).metricValues
    active = stub.IsActive(reference).result
    return Polled(spec.metricName, spec.targetSizeFloat, value.metricValueFloat, value.metricValue, active)


class RealProcess:
    """`python -m keda_external_scaler` as it runs beside the control plane."""

    def __init__(self, book: Path, *arguments: str) -> None:
        command = [sys.executable, "-m", "keda_external_scaler", "--book", str(book), "--listen", "127.0.0.1:0"]
        self.process = subprocess.Popen([*command, *arguments], stderr=subprocess.PIPE, text=True)
        self.events: list[dict[str, object]] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        # gRPC's core writes lines of its own between ours.
        self.events.extend(json.loads(line) for line in self.process.stderr if line.startswith("{"))

    def event(self, name: str) -> dict[str, object]:
        """The first event of that name, once it comes."""
        return wait_for(
            lambda: next((event for event in list(self.events) if event["event"] == name), None), f"event {name!r}"
        )

    @property
    def port(self) -> int:
        """Where it listens."""
        port = self.event("listening")["port"]
        assert isinstance(port, int)
        return port

    def stop(self) -> int:
        """End it gracefully, by its own process id."""
        self.process.terminate()
        code = self.process.wait(60)
        self._reader.join(60)
        assert self.process.stderr is not None
        self.process.stderr.close()
        return code


@contextmanager
def real_process(book: Path, *arguments: str) -> Iterator[RealProcess]:
    """The process, ended when the test is."""
    running = RealProcess(book, *arguments)
    try:
        yield running
    finally:
        if running.process.poll() is None:
            running.stop()


def fleets(count: int, **changes: object) -> Sequence[BookEntry]:
    """Many fleets, each of a tenant of its own."""
    return [replace(ACME, name=f"fleet-{n}", tenants=(f"tenant-{n}",), **changes) for n in range(count)]


def fleet_reference(number: int) -> messages.ScaledObjectRef:
    """The ScaledObject of one of many `fleets`."""
    return scaled_object(f"fleet-{number}", metadata={"policy": "standard", "tenant": f"tenant-{number}"})
