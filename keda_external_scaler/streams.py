"""The push streams: thousands of them, without a thread each.

A stream costs a small record and no thread. One thread compares what each stream was told with what holds now; a few
senders carry the messages, because sending waits for the transport and one client that does not read must not keep
the others waiting. Each `true` costs KEDA a status write, so it is sent when a stream opens, when it becomes true,
and again now and then only while the workload stands at zero, where KEDA may have dropped the first.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

from keda_external_scaler.questions import ACTIVE, INACTIVE, METRIC_SPEC, FleetState

HEARTBEAT_S = 30.0
_SENDERS = 8
# Comparing holds the interpreter, so it is done in portions of about a millisecond.
_PORTION = 100
_PAUSE_S = 0.005
_GOLDEN_RATIO = 0.6180339887498949

Send = Callable[[bytes | None], None]
"""Sends a message, or with None ends the stream with OK. Returns when the transport has taken it."""


@dataclass(slots=True, eq=False)
class _Stream:
    send: Send
    ends_at_s: float
    fleet: tuple[str, str] | None
    """None for a stream of metric specs, which never change."""
    told: bool = False
    told_at_s: float = 0.0
    sending: bool = False


class StreamHub:
    """All open push streams of the server.

    `state_of` looks a fleet up; `monotonic` tells seconds. Streams end with OK after `longest_s` at most, spread
    over the second half of it, so that clients come back on connections to whatever replicas there are by then.
    """

    def __init__(
        self,
        state_of: Callable[[str, str], FleetState | None],
        *,
        longest_s: float,
        monotonic: Callable[[], float],
    ) -> None:
        self._state_of = state_of
        self._longest_s = longest_s
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._streams: set[_Stream] = set()
        self._closed = threading.Event()
        self._senders = ThreadPoolExecutor(_SENDERS, thread_name_prefix="stream-sender")
        self._thread = threading.Thread(target=self._follow, name="streams", daemon=True)
        self._opened = 0

    def __len__(self) -> int:
        return len(self._streams)

    def open_activity(self, fleet: tuple[str, str], send: Send, on_end: Callable[[Callable[[], None]], bool]) -> None:
        """Serve a StreamIsActive: the first message now, edges as they come."""
        state = self._state_of(*fleet)
        active = state is not None and state.active
        stream = self._new(send, fleet, told=active)
        self._open(stream, ACTIVE if active else INACTIVE, on_end)

    def open_specs(self, send: Send, on_end: Callable[[Callable[[], None]], bool]) -> None:
        """Serve a StreamMetricSpec: the first message is all that there is to say."""
        self._open(self._new(send, None), METRIC_SPEC, on_end)

    def start(self, every_s: float = 0.25) -> None:
        """Begin to follow the answers."""
        self._every_s = every_s
        self._thread.start()

    def close(self) -> None:
        """End every stream with OK, and those that open later right after their first message."""
        self._closed.set()
        self._thread.join()
        with self._lock:
            streams = list(self._streams)
        for stream in streams:
            self._end(stream)
        self._senders.shutdown(wait=False, cancel_futures=True)

    def refresh(self) -> None:
        """Compare every stream with what holds now, and send or end what is due."""
        with self._lock:
            streams = list(self._streams)
        for start in range(0, len(streams), _PORTION):
            for stream in streams[start : start + _PORTION]:
                self._refresh_one(stream)
            if start + _PORTION < len(streams) and self._closed.wait(_PAUSE_S):
                return

    def _new(self, send: Send, fleet: tuple[str, str] | None, *, told: bool = False) -> _Stream:
        now_s = self._monotonic()
        # Multiples of the golden ratio spread evenly, however many there are.
        self._opened += 1
        share = 0.5 + (self._opened * _GOLDEN_RATIO % 1.0) / 2
        return _Stream(send, now_s + share * self._longest_s, fleet, told, now_s)

    def _open(self, stream: _Stream, first: bytes, on_end: Callable[[Callable[[], None]], bool]) -> None:
        # Nothing may overtake the first message.
        stream.sending = True
        with self._lock:
            self._streams.add(stream)
        if not on_end(partial(self._forget, stream)):
            self._forget(stream)
            return
        self._send(stream, first)
        if self._closed.is_set():
            self._end(stream)

    def _forget(self, stream: _Stream) -> None:
        with self._lock:
            self._streams.discard(stream)

    def _end(self, stream: _Stream) -> None:
        # Whoever takes it out ends it: a call must not be ended twice.
        with self._lock:
            known = stream in self._streams
            self._streams.discard(stream)
        if known:
            stream.send(None)

    def _refresh_one(self, stream: _Stream) -> None:
        now_s = self._monotonic()
        if now_s >= stream.ends_at_s:
            self._end(stream)
            return
        if stream.fleet is None or stream.sending:
            return
        state = self._state_of(*stream.fleet)
        # A fleet that left the book says nothing new.
        if state is None:
            return
        wakes = state.active and state.entry.replicas == 0 and now_s - stream.told_at_s >= HEARTBEAT_S
        if state.active == stream.told and not wakes:
            return
        stream.told, stream.told_at_s, stream.sending = state.active, now_s, True
        self._senders.submit(self._send, stream, ACTIVE if state.active else INACTIVE)

    def _send(self, stream: _Stream, message: bytes) -> None:
        try:
            stream.send(message)
        finally:
            stream.sending = False

    def _follow(self) -> None:
        while not self._closed.wait(self._every_s):
            self.refresh()
