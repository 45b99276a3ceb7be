"""Front gates of Services on a real API server with its controllers, as calltide's own account."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
import yaml

from scaler.fleet.kubernetes.api import connect
from scaler.fleet.pbx.protocol import PodTarget
from scaler.fleet.proxies.endpoint_slices import ServiceSide
from scaler.fleet.proxies.finding import Finder
from scaler.fleet.proxies.protocol import FrontGateError
from scaler.fleet.proxies.service import ServiceGates
from scaler.fleet.proxies.settings import KamailioSettings, ServiceSettings
from scaler.retirement.readings import Doubt, Steering, Unproved
from tests.e2e.admission import CALLTIDE, DEPLOY, NAMESPACE, Guarded, guarded, merge
from tests.rig.process import OwnedProcess
from tests.rig.programs import program
from tests.rig.rig import Rig
from tests.servers.processes import wait_for

ROLE, BINDING, SERVICE = yaml.safe_load_all((DEPLOY / "fleet" / "service-gate.yaml").read_text(encoding="utf-8"))
FLEET, FORGETFUL, HIDDEN = "by-service", "forgetful", "hidden"
"""The Service as it should be, one whose selector lacks the label, and one whose pods are never Ready."""
LABEL = "calltide.io/gate"
AWAY, TOWARDS = Steering.AWAY, Steering.TOWARDS


@dataclass
class Fleet:
    """Two pods behind Services, and calltide's gates."""

    here: Guarded
    targets: tuple[PodTarget, ...]

    def listed(self, service: str = FLEET) -> set[str]:
        """Addresses that the API server itself has in the Service's slices."""
        path = f"/apis/discovery.k8s.io/v1/namespaces/{NAMESPACE}/endpointslices"
        slices = self.here.cluster.items(path, labelSelector=f"kubernetes.io/service-name={service}")
        return {
            address for one in slices for endpoint in one.get("endpoints") or () for address in endpoint["addresses"]
        }

    def side(self) -> ServiceSide:
        return ServiceSide(connect(self.here.cluster.pki.kubeconfig(self.here.cluster.url, CALLTIDE)))

    def gates(self, service: str = FLEET) -> Gates:
        settings = {"type": "service", "services": [service], "settleSeconds": 1, "timeoutSeconds": 2.4}
        return Gates(ServiceGates("edge", ServiceSettings.model_validate(settings), time.monotonic, self.side()))


@dataclass
class Gates:
    """The gates under test. Each call has an event loop of its own, as a test has none."""

    gates: ServiceGates

    def read(self, pod: PodTarget) -> Steering | Unproved:
        (found,) = asyncio.run(self.gates.read([pod]))[pod.uid]
        return found.steering

    def doubt(self, pod: PodTarget) -> Doubt | None:
        found = self.read(pod)
        return found.doubt if isinstance(found, Unproved) else None

    def steer(self, pod: PodTarget, steering: Steering) -> None:
        asyncio.run(self.gates.steer("the service", pod, steering))


def service(name: str, selector: Mapping[str, str], **more: object) -> dict[str, Any]:
    metadata = {"name": name, "namespace": NAMESPACE}
    return {**SERVICE, "metadata": metadata, "spec": {**SERVICE["spec"], "selector": dict(selector), **more}}


def started(here: Guarded, name: str, app: str, address: str, *, ready: bool) -> PodTarget:
    """A pod that is nothing but its status: no node runs it, so that it can have an address that slices may have."""
    path = here.pod(name)
    state = {"type": "Ready", "status": str(ready), "lastTransitionTime": "2026-01-05T08:00:00Z"}
    status = {"podIP": address, "podIPs": [{"ip": address}], "conditions": [state]}
    labels = {"app": app, LABEL: SERVICE["spec"]["selector"][LABEL]}
    with here.cluster.client("status-writer", "system:masters") as client:
        merge(client, f"{path}/status", {"status": status}).raise_for_status()
        uid = merge(client, path, {"metadata": {"labels": labels}}).raise_for_status().json()["metadata"]["uid"]
    return PodTarget(uid, name, address, "c", NAMESPACE)


@contextmanager
def controller_of_slices(rig: Rig) -> Iterator[None]:
    """The one that the rig goes without, since it would be refused the addresses of the rig's pods."""
    cluster = rig.control_plane
    command = [
        str(program("kube-controller-manager")),
        f"--kubeconfig={cluster.pki.kubeconfig(cluster.url, 'system:kube-controller-manager')}",
        "--leader-elect=false",
        f"--bind-address={rig.place.server_address}",
        f"--secure-port={rig.place.free_port()}",
        "--use-service-account-credentials",
        "--controllers=endpointslice-controller",
    ]
    owned = OwnedProcess("endpointslice-controller", command, rig.place.logs / "endpointslice-controller.log")
    owned.start()
    try:
        yield
    finally:
        owned.stop()


@pytest.fixture(scope="module")
def fleet(rig: Rig) -> Iterator[Fleet]:
    with guarded(rig.control_plane) as here, controller_of_slices(rig):
        # Nobody confirms for long that these pods are Ready, since their node is silent.
        always = {"publishNotReadyAddresses": True}
        here.cluster.apply(
            service(FLEET, {"app": FLEET, LABEL: SERVICE["spec"]["selector"][LABEL]}, **always),
            service(FORGETFUL, {"app": FLEET}, **always),
            service(HIDDEN, {"app": HIDDEN}),
        )
        targets = [started(here, f"{FLEET}-{n}", FLEET, f"10.0.0.{n}", ready=True) for n in (1, 2)]
        started(here, HIDDEN, HIDDEN, "10.0.0.3", ready=False)
        found = Fleet(here, tuple(targets))
        wait_for(lambda: all(len(found.listed(name)) == 2 for name in (FLEET, FORGETFUL)), "both pods in the slices")
        # Without the right nothing is known, and what is missing is named.
        refused = found.gates().read(targets[0])
        assert isinstance(refused, Unproved)
        assert refused.doubt is Doubt.REFUSED
        assert "grant list" in refused.sentence
        here.cluster.apply(ROLE, BINDING)
        wait_for(lambda: found.gates().doubt(targets[0]) is None, "the right to be in force")
        yield found


def test_a_protected_pod_is_away_when_the_slices_have_let_it_go_and_comes_back(fleet: Fleet) -> None:
    gates, (first, second) = fleet.gates(), fleet.targets
    assert (gates.read(first), gates.read(second)) == (TOWARDS, TOWARDS)
    gates.steer(first, AWAY)
    wait_for(lambda: gates.read(first) is AWAY, "the Service to lead to the pod no more")

    assert fleet.listed() == {second.address}
    assert gates.read(second) is TOWARDS
    # A leader that knows nothing of it lets the proxies settle once more, and comes to the same.
    another = fleet.gates()
    assert another.doubt(first) is Doubt.NOT_YET
    wait_for(lambda: another.read(first) is AWAY, "the next leader to know it")

    gates.steer(first, TOWARDS)
    assert gates.read(first) is TOWARDS
    wait_for(lambda: fleet.listed() == {first.address, second.address}, "the pod to be back in the slices")


def test_a_service_that_does_not_select_by_the_label_is_never_taken_for_away(fleet: Fleet) -> None:
    by_label, forgetful, (first, _) = fleet.gates(), fleet.gates(FORGETFUL), fleet.targets
    forgetful.steer(first, AWAY)
    # By then the controller of slices has seen the label.
    wait_for(lambda: by_label.read(first) is AWAY, "the Service with the label to have let it go")
    found = forgetful.read(first)
    assert isinstance(found, Unproved)
    assert "its selector has to have calltide.io/gate: open" in found.sentence
    by_label.steer(first, TOWARDS)


def test_another_pod_of_that_name_is_not_labelled(fleet: Fleet) -> None:
    first, _ = fleet.targets
    another = PodTarget("00000000-0000-0000-0000-000000000000", first.name, first.address, "c", NAMESPACE)
    with pytest.raises(FrontGateError, match="field is immutable"):
        fleet.gates().steer(another, AWAY)
    assert fleet.gates().read(first) is TOWARDS


def test_proxies_are_found_by_their_service_although_they_are_not_ready(fleet: Fleet) -> None:
    settings = KamailioSettings.model_validate({"type": "kamailio", "service": f"{NAMESPACE}/{HIDDEN}"})
    wait_for(lambda: fleet.listed(HIDDEN), "the pod to have an address")
    (address,) = fleet.listed(HIDDEN)
    assert asyncio.run(Finder(settings, time.monotonic, fleet.side()).find()) == (f"{address}:8090",)
