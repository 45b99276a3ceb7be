"""An open-loop gRPC load on few connections, light enough to share a machine with the server that it measures.

A client library costs more per call than the server under test. All calls here differ only in their message, so each
is two frames of bytes made beforehand; what comes back is only cut into frames. Calls leave by a timetable whether or
not earlier ones were answered, and latency counts from the time on the timetable: a server that stalls is charged
for every call it kept waiting.
"""

from __future__ import annotations

import selectors
import socket
import struct
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _SETTINGS, _PING, _GOAWAY, _WINDOW_UPDATE = 0, 1, 4, 6, 7, 8
_END_STREAM, _END_HEADERS, _ACK = 1, 4, 1
_FIRST_WINDOW = 65_535
_PATIENCE_S = 60
_LARGEST_WINDOW = 2**31 - 1


@dataclass(frozen=True, slots=True)
class LoadResult:
    """What came back. Latencies in seconds, one per answered call."""

    latencies_s: npt.NDArray[np.float64]
    refused: int
    unanswered: int
    elapsed_s: float

    @property
    def rate_per_s(self) -> float:
        """Calls answered per second of the run."""
        return self.latencies_s.size / self.elapsed_s

    def quantile_ms(self, share: float) -> float:
        """A quantile of latency in milliseconds; not a number when nothing was answered."""
        return float(np.quantile(self.latencies_s, share)) * 1000 if self.latencies_s.size else float("nan")


@dataclass(frozen=True, slots=True)
class Call:
    """A call made ready: its method's header block and its framed message."""

    headers: bytes
    message: bytes


def prepare_call(path: str, message: bytes) -> Call:
    """Bytes of a call to `/package.Service/Method` with a serialised message."""
    block = (
        b"\x83\x86"  # :method POST, :scheme http, both from the static table
         b"\x04" + _short_string(path)
        + b"\x01" + _short_string("bench")
        + b"\x0f\x10" + _short_string("application/grpc")
        + b"\x00" + _short_string("te") + _short_string("trailers")
    )  # fmt: skip
    return Call(block, struct.pack(">BI", 0, len(message)) + message)


def _short_string(text: str) -> bytes:
    raw = text.encode("ascii")
    if len(raw) > 126:
        raise ValueError(f"{text!r} is longer than one length byte tells")
    return bytes([len(raw)]) + raw


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


@dataclass(slots=True)
class _Connection:
    """One HTTP/2 connection: what is on its way, and how much may still be sent."""

    socket: socket.socket
    due_at_s: dict[int, float] = field(default_factory=dict)
    answered: set[int] = field(default_factory=set)
    latencies_s: list[float] = field(default_factory=list)
    refused: int = 0
    next_stream: int = 1
    window: int = _FIRST_WINDOW
    received: bytearray = field(default_factory=bytearray)
    to_send: bytearray = field(default_factory=bytearray)

    @classmethod
    def open(cls, host: str, port: int) -> _Connection:
        link = socket.create_connection((host, port))
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        grow = _frame(_WINDOW_UPDATE, 0, 0, struct.pack(">I", _LARGEST_WINDOW - _FIRST_WINDOW))
        link.sendall(_PREFACE + _frame(_SETTINGS, 0, 0, b"") + grow)
        link.setblocking(False)
        return cls(link)

    def start(self, call: Call, due_at_s: float) -> bool:
        """Queue a call, unless the peer has no room for its message."""
        if self.window < len(call.message):
            return False
        self.window -= len(call.message)
        stream, self.next_stream = self.next_stream, self.next_stream + 2
        self.due_at_s[stream] = due_at_s
        self.to_send += _frame(_HEADERS, _END_HEADERS, stream, call.headers)
        self.to_send += _frame(_DATA, _END_STREAM, stream, call.message)
        return True

    def flush(self) -> None:
        while self.to_send:
            try:
                sent = self.socket.send(self.to_send)
            except BlockingIOError:
                return
            del self.to_send[:sent]

    def read(self) -> None:
        try:
            chunk = self.socket.recv(1 << 18)
        except BlockingIOError:
            return
        if not chunk:
            raise ConnectionError("the server closed the connection under load")
        self.received += chunk
        now_s, at = time.perf_counter(), 0
        while len(self.received) - at >= 9:
            length = int.from_bytes(self.received[at : at + 3], "big")
            if len(self.received) - at < 9 + length:
                break
            kind, flags, stream = struct.unpack_from(">BBI", self.received, at + 3)
            self._take(kind, flags, stream, bytes(self.received[at + 9 : at + 9 + length]), now_s)
            at += 9 + length
        del self.received[:at]

    def _take(self, kind: int, flags: int, stream: int, payload: bytes, now_s: float) -> None:
        if kind == _DATA:
            self.answered.add(stream)
        elif kind == _HEADERS and flags & _END_STREAM:
            due_at_s = self.due_at_s.pop(stream)
            # An error has a status and no message.
            if stream in self.answered:
                self.answered.discard(stream)
                self.latencies_s.append(now_s - due_at_s)
            else:
                self.refused += 1
        elif kind == _SETTINGS and not flags & _ACK:
            self.to_send += _frame(_SETTINGS, _ACK, 0, b"")
        elif kind == _PING and not flags & _ACK:
            self.to_send += _frame(_PING, _ACK, 0, payload)
        elif kind == _WINDOW_UPDATE and stream == 0:
            self.window += int.from_bytes(payload, "big")
        elif kind == _GOAWAY:
            raise ConnectionError(f"the server sent GOAWAY: {payload[8:]!r}")


def run_load(
    addresses: Sequence[tuple[str, int]], calls: Sequence[Call], *, rate_per_s: float, seconds: float
) -> LoadResult:
    """Send the calls in turn, over one connection per address in turn, at a rate or (0) flat out.

    Flat out keeps 100 calls on their way per connection. What is missing a minute after the end counts as unanswered.

    Raises:
        ConnectionError: a server cannot be reached or hangs up.
    """
    selector = selectors.DefaultSelector()
    connections = [_Connection.open(host, port) for host, port in addresses]
    for connection in connections:
        selector.register(connection.socket, selectors.EVENT_READ, connection)
    began_s, sent = time.perf_counter(), 0
    total = round(rate_per_s * seconds) if rate_per_s else None
    try:
        while True:
            now_s = time.perf_counter()
            elapsed_s = now_s - began_s
            if total is None:
                sent = _top_up(connections, calls, sent) if elapsed_s < seconds else sent
            else:
                sent = _send_due(connections, calls, sent, began_s, rate_per_s, min(total, int(elapsed_s * rate_per_s)))
            for connection in connections:
                connection.flush()
            finished = elapsed_s >= seconds and (total is None or sent >= total)
            if finished and not any(connection.due_at_s for connection in connections):
                break
            if elapsed_s > seconds + _PATIENCE_S:
                break
            for key, _ in selector.select(0.001):
                key.data.read()
        return LoadResult(
            np.array([late for connection in connections for late in connection.latencies_s]),
            sum(connection.refused for connection in connections),
            sum(len(connection.due_at_s) for connection in connections),
            time.perf_counter() - began_s,
        )
    finally:
        selector.close()
        for connection in connections:
            connection.socket.close()


def _send_due(
    connections: Sequence[_Connection], calls: Sequence[Call], sent: int, began_s: float, rate_per_s: float, due: int
) -> int:
    while sent < due:
        if not connections[sent % len(connections)].start(calls[sent % len(calls)], began_s + sent / rate_per_s):
            break
        sent += 1
    return sent


def _top_up(connections: Sequence[_Connection], calls: Sequence[Call], sent: int) -> int:
    for connection in connections:
        while len(connection.due_at_s) < 100 and connection.start(calls[sent % len(calls)], time.perf_counter()):
            sent += 1
    return sent
