"""The gRPC server around the questions: handlers, health, reflection, connections, and a graceful end.

It is gRPC's threaded server with handlers on raw bytes; docs/decisions/0007 has the figures behind that. Three kinds
of calls would keep a thread for as long as a client likes, and none of them may keep one of those that answer: push
streams and health watches run without a thread, reflection has a pool of its own.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2_grpc

from keda_external_scaler.contract.externalscaler_pb2 import DESCRIPTOR
from keda_external_scaler.errors import ServerConfigurationError
from keda_external_scaler.questions import Questions, RefusedError
from keda_external_scaler.stats import StatsCollector
from keda_external_scaler.streams import Send, StreamHub

SERVICE = DESCRIPTOR.services_by_name["ExternalScaler"].full_name

# A thread waits while a request's message is still on its way, so there are more of them than there are cores.
THREADS = 16
_REFLECTION_THREADS = 2
LARGEST_MESSAGE_BYTES = 256 * 1024
# Room for three calls and two streams of each of 20,000 fleets.
_PENDING_CALLS = 100_000
_KEEPALIVE_S = 30
_KEEPALIVE_TIMEOUT_S = 10


@dataclass(frozen=True, slots=True)
class Connections:
    """Where to listen, with what credentials, and how long a connection may stay."""

    listen: str
    credentials: grpc.ServerCredentials | None
    max_age_s: float


class Server:
    """The server with all its services. `port` is the one that it listens on, also when 0 was asked for."""

    def __init__(
        self,
        questions: Questions,
        stats: StatsCollector,
        connections: Connections,
        *,
        stream_clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Bind the address; nothing is answered before `start`.

        Raises:
            ServerConfigurationError: the address cannot be bound.
        """
        self.streams = StreamHub(questions.state, longest_s=connections.max_age_s, monotonic=stream_clock)
        self._health = health.HealthServicer()
        self._server = grpc.server(
            ThreadPoolExecutor(THREADS, thread_name_prefix="answer"), options=_options(connections.max_age_s)
        )
        self._server.add_generic_rpc_handlers((_handlers(questions, stats, self.streams),))
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        reflection_pb2_grpc.add_ServerReflectionServicer_to_server(_reflection(), self._server)
        self._health.set(SERVICE, health_pb2.HealthCheckResponse.SERVING)
        self.port = self._bind(connections)

    def start(self) -> None:
        """Begin to answer."""
        self.streams.start()
        self._server.start()

    def stop(self, grace_s: float) -> None:
        """Turn not serving, end the streams with OK, let calls under way finish for so long, then hang up."""
        self._health.enter_graceful_shutdown()
        # Ending the streams first lets each of them see its OK before the transport goes away.
        self.streams.close()
        self._server.stop(grace_s).wait()

    def _bind(self, connections: Connections) -> int:
        try:
            if connections.credentials is None:
                return self._server.add_insecure_port(connections.listen)
            return self._server.add_secure_port(connections.listen, connections.credentials)
        except RuntimeError as error:
            raise ServerConfigurationError(
                f"--listen {connections.listen} cannot be bound: the address is not this machine's, or another process "
                "has the port; choose another one or stop that process"
            ) from error


def _options(max_age_s: float) -> list[tuple[str, int]]:
    return [
        # When an operator restarts, all of its calls come at once. gRPC would cancel those above 1,000 at random.
        ("grpc.server.max_pending_requests", _PENDING_CALLS),
        ("grpc.server.max_pending_requests_hard_limit", _PENDING_CALLS),
        # Two processes on one port would share the calls without anybody noticing.
        ("grpc.so_reuseport", 0),
        ("grpc.max_receive_message_length", LARGEST_MESSAGE_BYTES),
        ("grpc.max_connection_age_ms", round(max_age_s * 1000)),
        # gRPC varies the age by a tenth, and a stream that opens last of all lives for one whole age.
        ("grpc.max_connection_age_grace_ms", round(max_age_s * 1200)),
        # A client that vanished without a word gives its streams back after these.
        ("grpc.keepalive_time_ms", _KEEPALIVE_S * 1000),
        ("grpc.keepalive_timeout_ms", _KEEPALIVE_TIMEOUT_S * 1000),
        ("grpc.keepalive_permit_without_calls", 1),
    ]


def _handlers(questions: Questions, stats: StatsCollector, streams: StreamHub) -> grpc.GenericRpcHandler:
    def unary(answer: Callable[[bytes], bytes]) -> grpc.RpcMethodHandler[bytes, bytes]:
        def handle(raw: bytes, context: grpc.ServicerContext) -> bytes:
            began_s = time.perf_counter()
            try:
                return answer(raw)
            except RefusedError as refusal:
                stats.count_refusal()
                context.abort(refusal.code, str(refusal))
            finally:
                stats.observe_handling(time.perf_counter() - began_s)

        return grpc.unary_unary_rpc_method_handler(handle)

    def stream_activity(raw: bytes, context: grpc.ServicerContext, send: Send) -> None:
        try:
            fleet = questions.fleet_of(raw)
        except RefusedError as refusal:
            stats.count_refusal()
            context.abort(refusal.code, str(refusal))
        streams.open_activity(fleet, send, context.add_callback)

    def stream_specs(_: bytes, context: grpc.ServicerContext, send: Send) -> None:
        streams.open_specs(send, context.add_callback)

    return grpc.method_handlers_generic_handler(
        SERVICE,
        {
            "GetMetricSpec": unary(questions.metric_spec),
            "GetMetrics": unary(questions.metrics),
            "IsActive": unary(questions.is_active),
            "StreamIsActive": grpc.unary_stream_rpc_method_handler(_WithoutThread(stream_activity)),
            "StreamMetricSpec": grpc.unary_stream_rpc_method_handler(_WithoutThread(stream_specs)),
        },
    )


class _WithoutThread:
    """Marks a stream's handler as one that returns at once and sends later, as gRPC's own health service does."""

    experimental_non_blocking = True

    def __init__(self, open_stream: Callable[[bytes, grpc.ServicerContext, Send], None]) -> None:
        self._open_stream = open_stream

    def __call__(self, raw: bytes, context: grpc.ServicerContext, send_response_callback: Send) -> None:
        self._open_stream(raw, context, send_response_callback)


class _OnItsOwnPool:
    """Marks a handler as one that blocks, and gives it other threads to block."""

    def __init__(self, behavior: Callable[..., object], pool: ThreadPoolExecutor) -> None:
        self._behavior = behavior
        self.experimental_thread_pool = pool

    def __call__(self, *arguments: object) -> object:
        return self._behavior(*arguments)


def _reflection() -> reflection.ReflectionServicer:
    servicer = reflection.ReflectionServicer((SERVICE, health.SERVICE_NAME, reflection.SERVICE_NAME))
    pool = ThreadPoolExecutor(_REFLECTION_THREADS, thread_name_prefix="reflection")
    servicer.ServerReflectionInfo = _OnItsOwnPool(servicer.ServerReflectionInfo, pool)
    return servicer
