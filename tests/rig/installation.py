"""calltide on a rig, installed from `deploy/` as an operator would: its certificates, its policies, its two replicas.

Nothing of the manifests is changed but what their README tells to change (the address of Prometheus, and policies), and
the page's address, since the rig's pods share one network.
"""

from __future__ import annotations

import base64
import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import grpc
import httpx
import psutil
import yaml

from keda_external_scaler.contract import externalscaler_pb2 as keda
from keda_external_scaler.contract.externalscaler_pb2_grpc import ExternalScalerStub
from tests.rig.control_plane import has
from tests.rig.rig import Rig
from tests.servers.certificates import Authority, Leaf
from tests.servers.processes import wait_for

NAMESPACE = "calltide"
MANIFESTS = Path(__file__).parents[2] / "deploy"
HOST = f"calltide.{NAMESPACE}.svc.cluster.local"
REPLICAS = 2
_ANSWER_WITHIN_S = 10.0
_Object = dict[str, Any]


class Installation:
    """The calltide of one rig."""

    address = f"{HOST}:9090"
    """The `scalerAddress` of ScaledObjects."""

    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        self._cluster = rig.control_plane
        authority = Authority("calltide on the rig")
        self._authority_pem = authority.certificate
        self._server, self._client = authority.issue(HOST), authority.issue("keda")
        self._policies: dict[str, str] = {}
        # Kept, so that a replica can be asked while the API server is away.
        self._addresses: dict[str, str] = {}
        self._credentials = grpc.ssl_channel_credentials(
            authority.certificate, self._client.key, self._client.certificate
        )

    def apply(self) -> None:
        """Install it; both replicas are Ready when this returns."""
        objects = list(_manifests())
        namespaces = [one for one in objects if one["kind"] == "Namespace"]
        self._cluster.apply(*namespaces, *self._secrets())
        policies = next(one for one in objects if one["metadata"]["name"] == "calltide-policies")
        self._policies = dict(policies["data"])
        self._cluster.apply(*(self._adapted(one) for one in objects if one not in namespaces))
        self.wait_until_ready()

    def add_policy(self, name: str, text: str) -> None:
        """Add a policy to the ConfigMap; it reaches the pods as fast as a kubelet brings it."""
        self._policies[f"{name}.yaml"] = text
        self._cluster.apply(_config_map("calltide-policies", self._policies))

    def pods(self) -> tuple[str, ...]:
        """Names of the replicas that are Ready and stay."""
        return tuple(sorted(pod["metadata"]["name"] for pod in self._all_pods() if _stays(pod)))

    def pages(self) -> tuple[str, ...]:
        """The address of each replica's page."""
        return tuple(f"http://{self._addresses[pod]}:8080/" for pod in self.pods())

    def page_of(self, pod: str) -> str:
        """The address of a replica's page."""
        return f"http://{self._addresses[pod]}:8080/"

    def leader(self) -> str | None:
        """The replica that holds the Lease, None when nobody does."""
        lease = self._cluster.read(f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases/calltide")
        holder = lease["spec"].get("holderIdentity") or ""
        return next((pod for pod in self.pods() if holder.startswith(f"{pod}_")), None)

    def held(self, namespace: str) -> dict[str, str | None]:
        """Why each fleet's answer is held, as the leader's API says; nothing while nobody leads, or it is silent."""
        leader = self.leader()
        if leader is None:
            return {}
        try:
            answer = httpx.get(f"http://{self._addresses[leader]}:8080/api/v1/fleets", timeout=10).raise_for_status()
        except httpx.TransportError:
            return {}
        return {one["name"]: one["held"] for one in answer.json()["fleets"] if one["namespace"] == namespace}

    def answer(self, pod: str, namespace: str, name: str, metadata: Mapping[str, str]) -> int | None:
        """What one replica tells KEDA of a fleet; None for an error."""
        reference = keda.ScaledObjectRef(namespace=namespace, name=name, scalerMetadata=metadata)
        override = (("grpc.ssl_target_name_override", HOST),)
        with grpc.secure_channel(f"{self._addresses[pod]}:9090", self._credentials, override) as channel:
            request = keda.GetMetricsRequest(scaledObjectRef=reference, metricName="pods")
            try:
                stub = ExternalScalerStub(channel)  # type: ignore[no-untyped-call]  # generated code
                values = stub.GetMetrics(request, timeout=_ANSWER_WITHIN_S).metricValues
            except grpc.RpcError:
                return None
        return int(values[0].metricValue)

    def kill(self, pod: str) -> None:
        """End all processes of a replica, as running out of memory would."""
        self._rig.agent.kill_container(NAMESPACE, pod, "calltide")

    def processes(self, pod: str) -> list[psutil.Process]:
        """All processes of a replica, process 1 of its container first."""
        first = psutil.Process(self._container_pid(pod))
        return [first, *first.children(recursive=True)]

    def kill_process(self, pod: str, words: str) -> None:
        """End the one process of a replica whose command has these words."""
        (process,) = (one for one in self.processes(pod) if words in " ".join(one.cmdline()))
        process.kill()

    @contextmanager
    def paused(self, pod: str) -> Iterator[None]:
        """All processes of a replica stand still, with their connections open."""
        pids = [process.pid for process in self.processes(pod)]
        _signal(pids, signal.SIGSTOP)
        try:
            yield
        finally:
            # Its liveness probe may have ended some by then.
            _signal(pids, signal.SIGCONT)

    def scale(self, replicas: int) -> None:
        """Set the number of replicas, and wait until it is so."""
        self._cluster.kubectl("scale", "deployment", "calltide", f"--namespace={NAMESPACE}", f"--replicas={replicas}")
        self.wait_until_ready(replicas)

    def roll(self) -> None:
        """Replace both replicas as a new version would."""
        self._cluster.kubectl("rollout", "restart", "deployment/calltide", f"--namespace={NAMESPACE}")
        done = ("rollout", "status", "deployment/calltide", f"--namespace={NAMESPACE}", "--timeout=290s")
        self._cluster.kubectl(*done, at_most_s=300)
        self.wait_until_ready()

    def wait_until_ready(self, replicas: int = REPLICAS) -> None:
        """Until so many replicas are Ready and no others are left."""
        wait_for(lambda: self._standing() == (replicas, replicas), f"{replicas} replicas of calltide", at_most_s=180)

    def scaling_active(self, namespace: str) -> dict[str, bool]:
        """Whether each ScaledObject's HPA gets its metric."""
        return {
            hpa["metadata"]["name"].removeprefix("keda-hpa-"): has(hpa, "ScalingActive")
            for hpa in self._cluster.items(f"/apis/autoscaling/v2/namespaces/{namespace}/horizontalpodautoscalers")
        }

    def wait_until_answered(self, namespace: str, wanted: Mapping[str, int]) -> None:
        """Until both replicas give these numbers, and each fleet's HPA has its metric."""
        triggers = {
            one["metadata"]["name"]: one["spec"]["triggers"][0]["metadata"]
            for one in self._cluster.items(f"/apis/keda.sh/v1alpha1/namespaces/{namespace}/scaledobjects")
        }

        def answered() -> bool:
            given = [
                {name: self.answer(pod, namespace, name, triggers[name]) for name in wanted} for pod in self.pods()
            ]
            active = self.scaling_active(namespace)
            return given == [dict(wanted)] * REPLICAS and all(active.get(name) for name in wanted)

        wait_for(answered, f"both replicas to answer {dict(wanted)}, and the HPAs to have it", at_most_s=180)

    def _secrets(self) -> Iterator[_Object]:
        server = _secret(NAMESPACE, "calltide-tls", self._server, self._authority_pem)
        replicas = _secret(NAMESPACE, "calltide-replicas", self._server, self._authority_pem)
        client = _secret("keda", "calltide-client", self._client, self._authority_pem)
        return iter((server, replicas, client, _opaque(NAMESPACE, "calltide-pbx", {"password": b"rig"})))

    def _adapted(self, manifest: _Object) -> _Object:
        if manifest["kind"] != "ConfigMap" or "calltide.yaml" not in manifest["data"]:
            return manifest
        configuration = yaml.safe_load(manifest["data"]["calltide.yaml"])
        configuration["sources"]["default"]["url"] = self._rig.monitoring.url
        # The rig's pods share one network: two replicas cannot both have the port on every address.
        configuration["web"]["listen"] = "${POD_IP}:8080"
        login = {"username": "calltide", "passwordFile": "/etc/calltide-pbx/password"}
        configuration["retirement"] = {
            "mediaServers": {
                "default": {"type": "ari", "login": login},
                "recording": {
                    "type": "ari",
                    "login": dict(login),
                    "pendingWork": {"port": 8088, "path": "/static/pending.json"},
                },
            },
            "frontGates": {"edge": {"type": "kamailio", "dns": "proxy-control.voice.svc.cluster.local"}},
        }
        return {**manifest, "data": {**manifest["data"], "calltide.yaml": yaml.safe_dump(configuration)}}

    def _all_pods(self) -> Sequence[_Object]:
        pods = self._cluster.items(
            f"/api/v1/namespaces/{NAMESPACE}/pods", labelSelector="app.kubernetes.io/name=calltide"
        )
        for pod in pods:
            if address := pod["status"].get("podIP"):
                self._addresses[pod["metadata"]["name"]] = address
        return pods

    def _standing(self) -> tuple[int, int]:
        pods = self._all_pods()
        return len(pods), sum(map(_stays, pods))

    def _container_pid(self, pod: str) -> int:
        for node in self._rig.nodes:
            for running in self._rig.agent.pods(node):
                if (running.namespace, running.name) == (NAMESPACE, pod):
                    return running.pids["calltide"]
        raise AssertionError(f"no node runs pod {NAMESPACE}/{pod}")


def _manifests() -> Iterator[_Object]:
    for path in sorted(MANIFESTS.glob("*.yaml")):
        with path.open(encoding="utf-8") as documents:
            yield from (one for one in yaml.safe_load_all(documents) if one)


def _signal(pids: Sequence[int], number: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def _stays(pod: _Object) -> bool:
    return has(pod, "Ready") and "deletionTimestamp" not in pod["metadata"]


def _config_map(name: str, data: Mapping[str, str]) -> _Object:
    metadata = {"name": name, "namespace": NAMESPACE}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": dict(data)}


def _secret(namespace: str, name: str, leaf: Leaf, authority_pem: bytes) -> _Object:
    return _opaque(namespace, name, {"tls.crt": leaf.certificate, "tls.key": leaf.key, "ca.crt": authority_pem})


def _opaque(namespace: str, name: str, content: Mapping[str, bytes]) -> _Object:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace},
        "data": {key: base64.b64encode(value).decode("ascii") for key, value in content.items()},
    }
