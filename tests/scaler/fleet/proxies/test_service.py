"""Front gates of Services, and proxies found by one: what the API server is asked and told, and what comes of it."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from pydantic import TypeAdapter, ValidationError

from scaler.fleet.kubernetes.api import ApiError, ApiRefusedError
from scaler.fleet.pbx.protocol import PodTarget
from scaler.fleet.proxies.endpoint_slices import ServiceSide
from scaler.fleet.proxies.finding import Finder, NotFoundError
from scaler.fleet.proxies.protocol import FrontGateError
from scaler.fleet.proxies.service import ServiceGates
from scaler.fleet.proxies.settings import AnyFrontGate, KamailioSettings, ServiceSettings
from scaler.retirement.readings import Doubt, Steering, Unproved

POD = PodTarget("uid-0", "acme-0", "10.0.0.7", "c1", "voice")
OTHER = PodTarget("uid-1", "acme-1", "10.0.0.8", "c1", "voice")
LABEL = "calltide.io/gate"
SETTLE_S = 10.0
AWAY, TOWARDS = Steering.AWAY, Steering.TOWARDS


def endpoint(uid: str | None, address: str, **conditions: bool) -> dict[str, Any]:
    about = {} if uid is None else {"targetRef": {"kind": "Pod", "uid": uid}}
    return {"addresses": [address], "conditions": conditions, **about}


def listed(pod: PodTarget, **conditions: bool) -> dict[str, Any]:
    return endpoint(pod.uid, pod.address, **(conditions or {"ready": True, "serving": True, "terminating": False}))


@dataclass
class Cluster:
    """An API server of a few lines: labels of pods, slices of Services, and the time."""

    labels: dict[str, dict[str, str]] = field(default_factory=lambda: {POD.name: {}, OTHER.name: {}})
    slices: dict[str, list[list[dict[str, Any]]]] = field(default_factory=dict)
    """The endpoints of each slice of a Service."""
    fails: Exception | None = None
    hangs_s: float = 0.0
    paths: list[str] = field(default_factory=list)
    patches: list[tuple[str, Any]] = field(default_factory=list)
    now_s: float = 100.0
    answer: object | None = None

    def send(self, method: str, path: str, body: Any, within_s: float, kind: str = "application/json") -> Any:
        parts = urlsplit(path)
        self.paths.append(f"{method} {parts.path}")
        time.sleep(self.hangs_s)
        if self.fails is not None:
            raise self.fails
        if method == "PATCH":
            self.patches.append((parts.path, body))
            self.labels[parts.path.rpartition("/")[2]] |= body["metadata"]["labels"]
            return {}
        (selector,) = parse_qs(parts.query)["labelSelector"]
        if parts.path.endswith("/pods"):
            key, _, value = selector.partition("=")
            uids = {POD.name: POD.uid, OTHER.name: OTHER.uid}
            found = [uids[name] for name, labels in self.labels.items() if labels.get(key) == value]
            return {"items": [{"metadata": {"uid": uid}} for uid in found]}
        wanted = re.fullmatch(r"kubernetes\.io/service-name in \((.*)\)", selector)
        assert wanted is not None
        return self.answer or {
            "items": [
                {"metadata": {"labels": {"kubernetes.io/service-name": name}}, "endpoints": endpoints or None}
                for name in wanted[1].split(",")
                for endpoints in self.slices.get(name, [])
            ]
        }

    def close(self) -> None: ...

    def clock(self) -> float:
        return self.now_s

    def shut(self, pod: PodTarget) -> None:
        self.labels[pod.name][LABEL] = "shut"


@pytest.fixture
def cluster() -> Cluster:
    return Cluster(slices={"sip": [[listed(POD)], [listed(OTHER)]]})


def gates(cluster: Cluster, **more: Any) -> ServiceGates:
    settings = {"type": "service", "services": ["sip"], "settleSeconds": SETTLE_S, "timeoutSeconds": 2.4} | more
    side = ServiceSide(cluster)  # type: ignore[arg-type]  # it has what is asked of an API server
    return ServiceGates("edge", ServiceSettings.model_validate(settings), cluster.clock, side)


def run(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(work)


def read(gate: ServiceGates, pod: PodTarget = POD) -> list[Steering | Doubt]:
    found = run(gate.read([POD, OTHER]))
    assert list(found) == [POD.uid, OTHER.uid]
    return [one.steering.doubt if isinstance(one.steering, Unproved) else one.steering for one in found[pod.uid]]


def detail(gate: ServiceGates) -> str:
    (found,) = run(gate.read([POD]))[POD.uid]
    assert isinstance(found.steering, Unproved)
    return found.steering.sentence


def settled(cluster: Cluster, gate: ServiceGates) -> list[Steering | Doubt]:
    """What is read when kube-proxies have had their time after a first reading."""
    read(gate)
    cluster.now_s += SETTLE_S
    return read(gate)


def test_a_pod_is_steered_away_when_no_slice_has_led_to_it_for_long_enough(cluster: Cluster) -> None:
    gate = gates(cluster)
    assert read(gate) == [TOWARDS]
    run(gate.steer("service voice/sip", POD, AWAY))
    assert cluster.patches == [
        ("/api/v1/namespaces/voice/pods/acme-0", {"metadata": {"uid": "uid-0", "labels": {LABEL: "shut"}}})
    ]
    # The controller of slices has not seen it yet, and time alone proves nothing.
    assert settled(cluster, gate) == [Doubt.NOT_YET]
    cluster.slices["sip"] = [[], [listed(OTHER)]]
    assert read(gate) == [Doubt.NOT_YET]
    cluster.now_s += SETTLE_S - 1
    assert read(gate) == [Doubt.NOT_YET]
    cluster.now_s += 1
    assert read(gate) == [AWAY]
    assert read(gate, OTHER) == [TOWARDS]

    run(gate.steer("service voice/sip", POD, TOWARDS))
    assert cluster.labels[POD.name][LABEL] == "open"
    assert read(gate) == [TOWARDS]


def test_a_pod_that_is_listed_in_between_has_to_settle_anew(cluster: Cluster) -> None:
    gate = gates(cluster)
    cluster.shut(POD)
    cluster.slices["sip"] = [[]]
    assert settled(cluster, gate) == [AWAY]
    cluster.slices["sip"] = [[listed(POD)]]
    assert read(gate) == [Doubt.NOT_YET]
    cluster.slices["sip"] = [[]]
    assert read(gate) == [Doubt.NOT_YET]


def test_a_new_leader_lets_them_settle_anew(cluster: Cluster) -> None:
    cluster.shut(POD)
    cluster.slices["sip"] = [[]]
    assert settled(cluster, gates(cluster)) == [AWAY]
    assert read(gates(cluster)) == [Doubt.NOT_YET]


@pytest.mark.parametrize(
    ("line", "leads"),
    [
        (listed(POD, ready=True), True),
        (listed(POD, ready=False, serving=True, terminating=True), True),
        (endpoint(POD.uid, POD.address), True),
        (endpoint(None, POD.address), True),
        (endpoint(POD.uid, "10.9.9.9"), True),
        (listed(POD, ready=False, serving=False), False),
        (listed(POD, ready=False), False),
        (listed(OTHER), False),
    ],
)
def test_any_line_by_which_a_call_could_come_keeps_it_from_being_away(
    cluster: Cluster, line: dict[str, Any], leads: bool
) -> None:
    cluster.shut(POD)
    cluster.slices["sip"] = [[listed(OTHER)], [line]]
    assert settled(cluster, gates(cluster)) == [Doubt.NOT_YET if leads else AWAY]


def test_every_service_has_to_have_let_go(cluster: Cluster) -> None:
    cluster.shut(POD)
    cluster.slices = {"sip": [[]], "sip-tls": [[listed(POD)]]}
    assert settled(cluster, gates(cluster, services=["sip", "sip-tls"])) == [AWAY, Doubt.NOT_YET]


def test_a_service_that_does_not_select_by_the_label_is_named_with_the_remedy(cluster: Cluster) -> None:
    cluster.shut(POD)
    assert f"sip still leads to it; its selector has to have {LABEL}: open" in detail(gates(cluster))


def test_a_name_without_slices_is_a_doubt_and_no_service_that_leads_nowhere(cluster: Cluster) -> None:
    cluster.shut(POD)
    gate = gates(cluster, services=["spi"])
    assert settled(cluster, gate) == [Doubt.UNREADABLE]
    assert "no EndpointSlice of 'spi'" in detail(gate)


def test_a_pod_whose_label_is_open_may_be_listed_at_any_moment(cluster: Cluster) -> None:
    cluster.slices["sip"] = [[]]
    assert settled(cluster, gates(cluster)) == [TOWARDS]


@pytest.mark.parametrize(
    ("failure", "doubt"),
    [
        (ApiError("it is away"), Doubt.NO_ANSWER),
        (ApiRefusedError("answered 403: forbidden", 403), Doubt.REFUSED),
    ],
)
def test_an_api_server_that_does_not_tell_is_a_doubt_and_starts_the_settling_anew(
    cluster: Cluster, failure: Exception, doubt: Doubt
) -> None:
    gate = gates(cluster)
    cluster.shut(POD)
    cluster.slices["sip"] = [[]]
    read(gate)
    cluster.fails = failure
    assert read(gate) == [doubt]
    with pytest.raises(FrontGateError, match=f"acme-0 did not get {LABEL}=open: {failure}"):
        run(gate.steer("service voice/sip", POD, TOWARDS))
    cluster.fails = None
    cluster.now_s += SETTLE_S
    assert read(gate) == [Doubt.NOT_YET]


def test_an_answer_that_is_no_list_of_slices_is_a_doubt(cluster: Cluster) -> None:
    cluster.shut(POD)
    cluster.answer = {"items": [{"metadata": {}, "endpoints": [{"addresses": []}]}]}
    assert read(gates(cluster)) == [Doubt.UNREADABLE]


def test_an_api_server_that_hangs_is_a_doubt_within_the_deadline(cluster: Cluster) -> None:
    cluster.hangs_s = 0.5
    assert read(gates(cluster, timeoutSeconds=0.05)) == [Doubt.TIMED_OUT]


def test_a_label_that_has_only_not_been_followed_is_not_written_again(cluster: Cluster) -> None:
    gate = gates(cluster)
    run(gate.steer("service voice/sip", POD, AWAY))
    read(gate)
    run(gate.steer("service voice/sip", POD, AWAY))
    assert len(cluster.patches) == 1


def proxies(cluster: Cluster) -> Finder:
    settings = KamailioSettings.model_validate({"type": "kamailio", "service": "edge/proxies", "timeoutSeconds": 3.9})
    return Finder(settings, cluster.clock, ServiceSide(cluster))  # type: ignore[arg-type]  # as above


def test_proxies_are_all_endpoints_of_a_service_ready_or_not_and_found_anew(cluster: Cluster) -> None:
    finder = proxies(cluster)
    cluster.slices["proxies"] = [[endpoint("p-0", "10.1.0.2", ready=True)], [endpoint("p-1", "10.1.0.1", ready=False)]]
    assert run(finder.find()) == ("10.1.0.1:8090", "10.1.0.2:8090")
    assert cluster.paths == ["GET /apis/discovery.k8s.io/v1/namespaces/edge/endpointslices"]
    cluster.slices["proxies"] = [[endpoint("p-2", "fd00::7", ready=True)]]
    cluster.now_s += 60
    assert run(finder.find()) == ("[fd00::7]:8090",)


@pytest.mark.parametrize("slices", [{}, {"proxies": [[]]}])
def test_a_service_without_proxies_is_never_none_to_be_told(cluster: Cluster, slices: dict[str, Any]) -> None:
    cluster.slices = slices
    with pytest.raises(NotFoundError, match="edge/proxies has no EndpointSlice with an address"):
        run(proxies(cluster).find())


def test_slices_that_cannot_be_read_are_told_with_the_reason(cluster: Cluster) -> None:
    cluster.fails = ApiRefusedError("answered 403; grant list", 403)
    with pytest.raises(NotFoundError, match="EndpointSlices of edge/proxies cannot be read: answered 403; grant list"):
        run(proxies(cluster).find())


@pytest.mark.parametrize(
    "wrong",
    [
        {"type": "service"},
        {"type": "service", "services": []},
        {"type": "service", "services": ["sip"], "openValue": "shut"},
        {"type": "service", "services": ["Sip"]},
        {"type": "service", "services": ["sip"], "label": "a b"},
        {"type": "kamailio", "service": "proxies"},
        {"type": "kamailio", "service": "edge/proxies", "dns": "proxies"},
    ],
)
def test_settings_that_cannot_be_meant_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(AnyFrontGate).validate_python(wrong)
