"""The simulated HPA asks a real gRPC server, in KEDA's order."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from keda_external_scaler.contract import externalscaler_pb2 as pb
from keda_external_scaler.contract.externalscaler_pb2_grpc import (
    ExternalScalerServicer,
    add_ExternalScalerServicer_to_server,
)
from scaler.core.fleets import FleetKey
from scaler.errors import FleetError
from scaler.fleet.listing import FleetListing
from scaler.fleet.simulated.answers import GrpcAnswers

ACME = FleetListing(FleetKey("demo", "acme"), "voice", ("acme",))


class Scripted(ExternalScalerServicer):
    """An external scaler that answers what the test says and writes down what it was asked."""

    def __init__(self) -> None:
        self.asked = []
        self.spec = [pb.MetricSpec(metricName="pods", targetSize=1, targetSizeFloat=1.0)]
        self.values = [pb.MetricValue(metricName="pods", metricValue=7, metricValueFloat=7.0)]
        self.refusing = None

    def _note(self, name, request, context):
        self.asked.append((name, request))
        if self.refusing == name:
            context.abort(grpc.StatusCode.NOT_FOUND, "no such fleet; name a policy")

    def GetMetricSpec(self, request, context):  # noqa: N802 - the contract names it so
        self._note("GetMetricSpec", request, context)
        return pb.GetMetricSpecResponse(metricSpecs=self.spec)

    def GetMetrics(self, request, context):  # noqa: N802 - the contract names it so
        self._note("GetMetrics", request, context)
        return pb.GetMetricsResponse(metricValues=self.values)

    def IsActive(self, request, context):  # noqa: N802 - the contract names it so
        self._note("IsActive", request, context)
        return pb.IsActiveResponse(result=False)


@pytest.fixture
def scaler():
    scripted = Scripted()
    server = grpc.server(ThreadPoolExecutor(2))
    add_ExternalScalerServicer_to_server(scripted, server)
    scripted.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    yield scripted
    server.stop(None).wait()


def ask(address, listing=ACME):
    async def once():
        answers = GrpcAnswers(address)
        try:
            return await answers.wanted(listing)
        finally:
            await answers.close()

    return asyncio.run(once())


def test_it_asks_in_kedas_order_with_the_triggers_metadata(scaler):
    assert ask(scaler.address) == 7
    assert [name for name, _ in scaler.asked] == ["GetMetricSpec", "GetMetrics", "IsActive"]
    reference = scaler.asked[0][1]
    assert (reference.namespace, reference.name) == ("demo", "acme")
    assert dict(reference.scalerMetadata) == {"scalerAddress": scaler.address, "policy": "voice", "tenant": "acme"}
    assert scaler.asked[1][1].metricName == "pods"


def test_several_tenants_are_listed(scaler):
    ask(scaler.address, FleetListing(ACME.key, "voice", ("a", "b")))
    assert scaler.asked[0][1].scalerMetadata["tenants"] == "a,b"


@pytest.mark.parametrize(
    ("values", "target", "replicas"),
    [
        ([pb.MetricValue(metricValueFloat=7.0)], pb.MetricSpec(metricName="pods", targetSizeFloat=1.0), 7),
        ([pb.MetricValue(metricValue=7)], pb.MetricSpec(metricName="pods", targetSize=1), 7),
        ([pb.MetricValue(metricValueFloat=10.0006)], pb.MetricSpec(metricName="pods", targetSizeFloat=1.0), 11),
        ([pb.MetricValue(metricValueFloat=10.0004)], pb.MetricSpec(metricName="pods", targetSizeFloat=1.0), 10),
        ([pb.MetricValue(metricValueFloat=41.0)], pb.MetricSpec(metricName="pods", targetSizeFloat=20.0), 3),
        ([pb.MetricValue(metricValue=3), pb.MetricValue(metricValue=4)], pb.MetricSpec(targetSize=1), 7),
    ],
)
def test_the_number_is_what_an_hpa_would_propose(scaler, values, target, replicas):
    scaler.values, scaler.spec = values, [target]
    assert ask(scaler.address) == replicas


@pytest.mark.parametrize("call", ["GetMetricSpec", "GetMetrics", "IsActive"])
def test_a_refusal_of_any_of_the_three_is_no_answer(scaler, call):
    scaler.refusing = call
    with pytest.raises(FleetError, match=r"demo/acme.*NOT_FOUND: no such fleet"):
        ask(scaler.address)


def test_no_metric_and_no_value_are_no_answer(scaler):
    scaler.values = []
    with pytest.raises(FleetError, match="answered"):
        ask(scaler.address)
    scaler.spec = []
    with pytest.raises(FleetError, match="no metric"):
        ask(scaler.address)


def test_a_scaler_that_is_not_there_is_no_answer(scaler):
    with pytest.raises(FleetError, match="UNAVAILABLE"):
        ask("127.0.0.1:1")
