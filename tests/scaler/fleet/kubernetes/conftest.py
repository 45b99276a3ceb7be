import asyncio
from collections.abc import Callable, Iterator

import pytest
from kubernetes import client

from scaler.clock import SystemClock
from scaler.core.fleets import FleetKey
from scaler.fleet.kubernetes.adapter import KubernetesFleets
from scaler.fleet.kubernetes.api import KubernetesApi, Timings
from tests.servers import kube_objects as kube
from tests.servers.kube_api import KubeApi

ACME = FleetKey("voice", "acme")
QUICK = Timings(connect_s=1, list_read_s=1, watch_s=1, silence_s=0.5, first_retry_s=0.02, longest_retry_s=0.1)


@pytest.fixture
def cluster() -> Iterator[KubeApi]:
    """A server with one fleet: ScaledObject, HPA, Deployment, ReplicaSet and two serving pods."""
    server = KubeApi()
    for item in (kube.scaled_object(), kube.hpa(), kube.deployment(), kube.replica_set()):
        server.put(item)
    for name, lead_s in (("acme-7b9-a", 40), ("acme-7b9-b", 50)):
        server.put(kube.pod(name, ready_after_s=lead_s))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def watch() -> Iterator[Callable[..., KubernetesFleets]]:
    """Begin to watch a server; stopped when the test ends."""
    started = []

    def begin(server: KubeApi, *, timings: Timings = QUICK, **settings) -> KubernetesFleets:
        configuration = client.Configuration(host=server.url, api_key={"BearerToken": "Bearer s3cret"})
        settings = {"addresses": (".calltide.svc:9090",)} | settings
        fleets = KubernetesFleets(KubernetesApi(configuration, timings), SystemClock(), **settings)
        asyncio.run(fleets.start())
        started.append(fleets)
        return fleets

    yield begin
    for fleets in started:
        asyncio.run(fleets.stop())
