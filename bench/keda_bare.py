"""The least that a gRPC server here can cost: the same server and threads, fixed bytes as the answer.

`python -m bench.keda_bare PORT` answers every call of the contract with the bytes of one GetMetrics.
"""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor

import grpc

from keda_external_scaler.contract.externalscaler_pb2 import GetMetricsResponse, MetricValue
from keda_external_scaler.server import THREADS

_ANSWER = GetMetricsResponse(
    metricValues=[MetricValue(metricName="pods", metricValue=12, metricValueFloat=12.0)]
).SerializeToString()


def _answer(_: bytes, __: grpc.ServicerContext) -> bytes:
    return _ANSWER


def main() -> None:
    """Serve until killed."""
    server = grpc.server(ThreadPoolExecutor(THREADS))
    handler: grpc.RpcMethodHandler[bytes, bytes] = grpc.unary_unary_rpc_method_handler(_answer)
    names = ("GetMetricSpec", "GetMetrics", "IsActive")
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("externalscaler.ExternalScaler", dict.fromkeys(names, handler)),)
    )
    server.add_insecure_port(f"127.0.0.1:{sys.argv[1]}")
    server.start()
    server.wait_for_termination()


if __name__ == "__main__":
    main()
