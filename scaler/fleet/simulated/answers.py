"""Asking for a fleet's number exactly as KEDA and the HPA do.

The simulated platform has no KEDA, but it has KEDA's questions: the same three calls in the same order over real
gRPC, and the HPA's arithmetic on what comes back. So the demo shows the answer path that a cluster would see.
"""

from __future__ import annotations

import math
from typing import Protocol

import grpc
import grpc.aio

from keda_external_scaler.contract.externalscaler_pb2 import (
    GetMetricSpecResponse,
    GetMetricsRequest,
    GetMetricsResponse,
    ScaledObjectRef,
)
from keda_external_scaler.contract.externalscaler_pb2_grpc import ExternalScalerStub
from scaler.errors import FleetError
from scaler.fleet.listing import FleetListing

DEADLINE_S = 5.0
"""KEDA itself waits for ever; a simulation that hangs would show nothing any more."""


class Answers(Protocol):
    """Whoever is asked how many pods a fleet should have."""

    async def wanted(self, listing: FleetListing) -> int:
        """The number of replicas that an HPA would propose.

        Raises:
            FleetError: there is no answer; the replicas stay as they are.
        """
        ...

    async def close(self) -> None:
        """Give back connections."""
        ...


class GrpcAnswers:
    """Asks an external scaler at `address` (`host:port`, without TLS)."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._channel: grpc.aio.Channel | None = None

    async def wanted(self, listing: FleetListing) -> int:
        """Ask as KEDA does for one sync of the HPA.

        Raises:
            FleetError: the scaler refused, was not there, or has no metric.
        """
        if self._channel is None:  # gRPC binds a channel to the running loop
            self._channel = grpc.aio.insecure_channel(self._address)
        stub = ExternalScalerStub(self._channel)  # type: ignore[no-untyped-call]  # generated code is not annotated
        reference = self._reference(listing)
        try:
            spec: GetMetricSpecResponse = await stub.GetMetricSpec(reference, timeout=DEADLINE_S)
            if not spec.metricSpecs:
                raise FleetError(f"{listing.key}: {self._address} named no metric")
            metric = spec.metricSpecs[0]
            request = GetMetricsRequest(scaledObjectRef=reference, metricName=metric.metricName)
            metrics: GetMetricsResponse = await stub.GetMetrics(request, timeout=DEADLINE_S)
            # KEDA throws the metric away when this one fails.
            await stub.IsActive(reference, timeout=DEADLINE_S)
        except grpc.aio.AioRpcError as error:
            raise FleetError(f"{listing.key}: {self._address}: {error.code().name}: {error.details()}") from error
        target = metric.targetSizeFloat or float(metric.targetSize)
        value = sum(one.metricValueFloat or float(one.metricValue) for one in metrics.metricValues)
        if not metrics.metricValues or target < 0.0005 or not math.isfinite(value):
            raise FleetError(f"{listing.key}: {self._address} answered {value} for a target of {target}")
        # The HPA counts in thousandths.
        return -(-round(value * 1000) // round(target * 1000))

    async def close(self) -> None:
        """Close the channel."""
        if self._channel is not None:
            await self._channel.close()
            self._channel = None

    def _reference(self, listing: FleetListing) -> ScaledObjectRef:
        tenants = (
            {"tenant": listing.tenants[0]} if len(listing.tenants) == 1 else {"tenants": ",".join(listing.tenants)}
        )
        return ScaledObjectRef(
            name=listing.key.name,
            namespace=listing.key.namespace,
            scalerMetadata={"scalerAddress": self._address, "policy": listing.policy} | tenants,
        )
