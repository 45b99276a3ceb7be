"""A real Kubernetes control plane: etcd, kube-apiserver, kube-controller-manager, kube-scheduler.

Controllers run under their own service accounts and every write is in the audit log, so that a test can say who did
what. Each part can be stopped, killed, paused and started again on the same data and port.
"""

from __future__ import annotations

import json
import ssl
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx

from tests.rig.pki import SERVICE_NETWORK, Pki
from tests.rig.place import Place
from tests.rig.process import OwnedProcess
from tests.rig.programs import program
from tests.servers.processes import wait_for

ADMINISTRATOR = "rig-administrator"

CONTROLLERS = (
    "clusterrole-aggregation",
    "deployment",
    "disruption",
    "garbage-collector",
    "horizontal-pod-autoscaler",
    "namespace",
    "node-lifecycle",
    "pod-garbage-collector",
    "replicaset",
    "root-ca-certificate-publisher",
    "serviceaccount",
    "serviceaccount-token",
    "statefulset",
    "taint-eviction",
    "validatingadmissionpolicy-status",
)
"""What works without a cloud and with pods on loopback addresses: endpoint controllers would be refused those."""

AUDIT_POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [{"level": "Metadata"}],
}


def has(thing: Mapping[str, Any], condition: str) -> bool:
    """Whether an object's status says that a condition holds."""
    conditions = thing.get("status", {}).get("conditions") or ()
    return any(one["type"] == condition and one["status"] == "True" for one in conditions)


class KubectlError(Exception):
    """kubectl failed, with what it said."""


class ControlPlane:
    """One cluster's control plane."""

    def __init__(self, place: Place, *, hpa_sync_s: int = 2) -> None:
        self.place = place
        self.pki = Pki(place.folder / "pki", place.server_address)
        self._port = place.free_port()
        self.url = f"https://{place.server_address}:{self._port}"
        self.kubeconfig = self.pki.kubeconfig(self.url, ADMINISTRATOR, "system:masters")
        self._reader = self.client("rig-reader", "system:masters")
        self.audit_log = place.logs / "audit.jsonl"
        self._etcd_url = f"http://{place.server_address}:{place.free_port()}"
        self.etcd = self._owned("etcd", self._etcd_command())
        self.api_server = self._owned("kube-apiserver", self._api_server_command())
        self.controller_manager = self._owned("kube-controller-manager", self._controller_manager_command(hpa_sync_s))
        self.scheduler = self._owned("kube-scheduler", self._scheduler_command())

    def start(self) -> None:
        """Start all parts; the API server answers when this returns."""
        self.etcd.start()
        self.start_api_server()
        self.controller_manager.start()
        self.scheduler.start()

    def stop(self) -> None:
        """Stop all parts. Those that do not run are no fault."""
        self._reader.close()
        self.scheduler.stop()
        self.controller_manager.stop()
        # In order it would wait ten seconds for watches, and nothing that it holds is needed any more.
        self.api_server.kill()
        self.etcd.kill()

    def start_api_server(self) -> None:
        """Start the API server and wait until it is ready."""
        self.api_server.start()
        wait_for(self._ready, "the API server's readiness", at_most_s=180)

    def kubectl(self, *arguments: str, stdin: str | None = None, at_most_s: float = 120) -> str:
        """What kubectl prints, as the administrator.

        Raises:
            KubectlError: it failed, or took longer.
        """
        command = [str(program("kubectl")), f"--kubeconfig={self.kubeconfig}", *arguments]
        try:
            done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False, timeout=at_most_s)
        except subprocess.TimeoutExpired as error:
            raise KubectlError(f"kubectl {' '.join(arguments)}: not within {at_most_s:.0f} s") from error
        if done.returncode != 0:
            raise KubectlError(f"kubectl {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout

    def apply(self, *objects: Mapping[str, Any] | Path) -> None:
        """Apply objects, or the files of objects, on the server's side.

        Raises:
            KubectlError: one was refused.
        """
        arguments = ("apply", "--server-side", "--force-conflicts", "-f")
        given = [one for one in objects if not isinstance(one, Path)]
        for path in (one for one in objects if isinstance(one, Path)):
            self.kubectl(*arguments, str(path))
        if given:
            self.kubectl(*arguments, "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": given}))

    def read(self, path: str, **query: str) -> dict[str, Any]:
        """What the API server has at a path; for looks that are repeated, since a kubectl each would cost a core.

        Raises:
            httpx.HTTPError: it cannot be reached, or refused.
        """
        answer = self._reader.get(path, params=query).raise_for_status()
        read: dict[str, Any] = answer.json()
        return read

    def items(self, path: str, **query: str) -> list[dict[str, Any]]:
        """The objects of a list.

        Raises:
            httpx.HTTPError: as for `read`.
        """
        found: list[dict[str, Any]] = self.read(path, **query)["items"]
        return found

    def client(self, user: str, *groups: str) -> httpx.Client:
        """An HTTP client of the API server that is this user, for what kubectl is too slow for."""
        pair = self.pki.user(user, *groups)
        context = ssl.create_default_context(cafile=str(self.pki.authority))
        context.load_cert_chain(pair.certificate, pair.key)
        return httpx.Client(base_url=self.url, verify=context, timeout=httpx.Timeout(10, read=30))

    def audited(self) -> Iterator[dict[str, Any]]:
        """Every request that the API server has answered, oldest first."""
        if self.audit_log.is_file():
            with self.audit_log.open(encoding="utf-8") as lines:
                for line in lines:
                    if line.endswith("\n"):  # the last one may be being written
                        yield json.loads(line)

    def _owned(self, name: str, command: list[str]) -> OwnedProcess:
        return OwnedProcess(name, command, self.place.logs / f"{name}.log")

    def _ready(self) -> bool:
        self.api_server.must_run()
        context = ssl.create_default_context(cafile=str(self.pki.authority))
        try:
            with urllib.request.urlopen(f"{self.url}/readyz", timeout=5, context=context):
                return True
        except (urllib.error.URLError, OSError):
            return False

    def _etcd_command(self) -> list[str]:
        peer_url = f"http://{self.place.server_address}:{self.place.free_port()}"
        return [
            str(program("etcd")),
            f"--data-dir={self.place.folder / 'etcd'}",
            f"--listen-client-urls={self._etcd_url}",
            f"--advertise-client-urls={self._etcd_url}",
            f"--listen-peer-urls={peer_url}",
            f"--initial-advertise-peer-urls={peer_url}",
            f"--initial-cluster=default={peer_url}",
            # A rig's data need not survive the machine.
            "--unsafe-no-fsync",
            "--log-level=warn",
        ]

    def _api_server_command(self) -> list[str]:
        pki, address = self.pki, self.place.server_address
        served = pki.api_server()
        policy = self.place.folder / "audit-policy.json"
        policy.write_text(json.dumps(AUDIT_POLICY), encoding="utf-8")
        return [
            str(program("kube-apiserver")),
            f"--etcd-servers={self._etcd_url}",
            f"--bind-address={address}",
            f"--advertise-address={address}",
            f"--secure-port={self._port}",
            # The address is loopback, which endpoints must not have.
            "--endpoint-reconciler-type=none",
            f"--tls-cert-file={served.certificate}",
            f"--tls-private-key-file={served.key}",
            f"--client-ca-file={pki.authority}",
            f"--service-account-key-file={pki.service_account_key}",
            f"--service-account-signing-key-file={pki.service_account_key}",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-cluster-ip-range={SERVICE_NETWORK}",
            "--authorization-mode=Node,RBAC",
            "--enable-admission-plugins=NodeRestriction",
            "--allow-privileged",
            f"--proxy-client-cert-file={pki.front_proxy.certificate}",
            f"--proxy-client-key-file={pki.front_proxy.key}",
            f"--requestheader-client-ca-file={pki.front_proxy_authority}",
            "--requestheader-allowed-names=front-proxy-client",
            "--requestheader-username-headers=X-Remote-User",
            "--requestheader-group-headers=X-Remote-Group",
            "--requestheader-extra-headers-prefix=X-Remote-Extra-",
            f"--audit-policy-file={policy}",
            f"--audit-log-path={self.audit_log}",
        ]

    def _controller_manager_command(self, hpa_sync_s: int) -> list[str]:
        address = self.place.server_address
        return [
            str(program("kube-controller-manager")),
            f"--kubeconfig={self._own_kubeconfig('system:kube-controller-manager')}",
            "--leader-elect=false",
            f"--bind-address={address}",
            f"--secure-port={self.place.free_port()}",
            f"--service-account-private-key-file={self.pki.service_account_key}",
            f"--root-ca-file={self.pki.authority}",
            # So that the audit log and admission see each controller under its own name.
            "--use-service-account-credentials",
            f"--controllers={','.join(f'{name}-controller' for name in CONTROLLERS)}",
            f"--horizontal-pod-autoscaler-sync-period={hpa_sync_s}s",
        ]

    def _scheduler_command(self) -> list[str]:
        return [
            str(program("kube-scheduler")),
            f"--kubeconfig={self._own_kubeconfig('system:kube-scheduler')}",
            "--leader-elect=false",
            f"--bind-address={self.place.server_address}",
            f"--secure-port={self.place.free_port()}",
        ]

    def _own_kubeconfig(self, user: str) -> Path:
        return self.pki.kubeconfig(self.url, user)
