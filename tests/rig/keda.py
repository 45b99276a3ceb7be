"""KEDA's operator and metrics adapter beside a control plane, with the roles that its own manifests give them.

Both run as the ServiceAccount `keda/keda-operator`, as in a real installation: what admission lets KEDA do, and what
the audit log says that it did, would mean nothing if it ran as an administrator.
"""

from __future__ import annotations

import base64
import shutil
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from tests.rig.control_plane import ControlPlane, has
from tests.rig.process import OwnedProcess
from tests.rig.programs import files_of, program
from tests.servers.processes import wait_for

NAMESPACE = "keda"
_USER = f"system:serviceaccount:{NAMESPACE}:keda-operator"
_GROUPS = ("system:serviceaccounts", f"system:serviceaccounts:{NAMESPACE}")
_API_SERVICE = "v1beta1.external.metrics.k8s.io"
ADAPTER_HOST = "keda-adapter.rig"
"""The adapter's name in the rig's hosts file: an ExternalName Service must not name an address."""
_SERVED_NAMES = ("keda-operator.keda.svc", "keda-metrics-apiserver.keda.svc", "localhost", "127.0.0.1")


class Keda:
    """KEDA in one cluster. `operator` and `adapter` can be stopped and started again by themselves."""

    def __init__(self, control_plane: ControlPlane) -> None:
        self._control_plane = control_plane
        self._place = place = control_plane.place
        self._adapter_port = place.free_port()
        metrics_service = f"{place.server_address}:{place.free_port()}"
        operator_metrics, operator_health = (f"{place.server_address}:{place.free_port()}" for _ in range(2))
        self.operator_metrics_url = f"http://{operator_metrics}/metrics"
        self._operator_health_url = f"http://{operator_health}/healthz"
        self._certificates = self._make_certificates()
        kubeconfig = control_plane.pki.kubeconfig(control_plane.url, _USER, *_GROUPS)
        environment = {
            "WATCH_NAMESPACE": "",
            "POD_NAMESPACE": NAMESPACE,
            "KEDA_CLUSTER_OBJECT_NAMESPACE": NAMESPACE,
            "KUBECONFIG": str(kubeconfig),
        }
        self.operator = OwnedProcess(
            "keda-operator",
            [
                program("keda-operator"),
                f"--cert-dir={self._certificates}",
                "--leader-elect=false",
                f"--metrics-bind-address={operator_metrics}",
                f"--health-probe-bind-address={operator_health}",
                f"--metrics-service-bind-address={metrics_service}",
                # With the default of 20 a second, 500 ScaledObjects would measure this limit and nothing else.
                "--kube-api-qps=200",
                "--kube-api-burst=300",
            ],
            place.logs / "keda-operator.log",
            environment=environment,
        )
        self.adapter = OwnedProcess(
            "keda-adapter",
            [
                program("keda-adapter"),
                f"--secure-port={self._adapter_port}",
                f"--bind-address={place.server_address}",
                f"--cert-dir={self._certificates}",
                f"--tls-cert-file={self._certificates / 'tls.crt'}",
                f"--tls-private-key-file={self._certificates / 'tls.key'}",
                f"--client-ca-file={self._certificates / 'ca.crt'}",
                f"--metrics-service-address={metrics_service}",
                "--metrics-service-grpc-authority=keda-operator.keda.svc",
                f"--lister-kubeconfig={kubeconfig}",
                f"--authentication-kubeconfig={kubeconfig}",
                f"--authorization-kubeconfig={kubeconfig}",
                f"--port={place.free_port()}",
                "--zap-log-level=error",
            ],
            place.logs / "keda-adapter.log",
            environment=environment,
        )

    def start(self) -> None:
        """Install KEDA's definitions and roles, start both processes; external metrics are served when this returns."""
        control_plane, files = self._control_plane, files_of("keda") / "config"
        control_plane.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
        # The file of roles that are aggregated into admin and edit serves people in a shared cluster, not KEDA.
        control_plane.apply(
            files / "crd" / "bases",
            *(files / name for name in ("service_account/service_account.yaml", "rbac/role.yaml")),
            *(files / name for name in ("rbac/role_binding.yaml", "metrics-server/role.yaml")),
            files / "metrics-server/role_binding.yaml",
        )
        control_plane.apply(self._service())
        self.start_operator()
        self.adapter.start()
        control_plane.apply(self._api_service())
        wait_for(self.serves_metrics, "the external metrics API to be available", at_most_s=120)

    def start_operator(self) -> None:
        """Start the operator and wait for its health."""
        self.operator.start()
        wait_for(self._operator_lives, "KEDA's operator", at_most_s=120)

    def stop(self) -> None:
        """Stop both processes."""
        self.adapter.stop()
        self.operator.stop()

    def serves_metrics(self) -> bool:
        """Whether the API server finds the adapter."""
        self.adapter.must_run()
        service = self._control_plane.read(f"/apis/apiregistration.k8s.io/v1/apiservices/{_API_SERVICE}")
        return has(service, "Available")

    def _operator_lives(self) -> bool:
        self.operator.must_run()
        try:
            with urllib.request.urlopen(self._operator_health_url, timeout=5):
                return True
        except (urllib.error.URLError, OSError):
            return False

    def _make_certificates(self) -> Path:
        # One directory serves all of KEDA's own connections, as its certificate rotation would fill it.
        pki, folder = self._control_plane.pki, self._place.folder / "keda"
        folder.mkdir()
        pair = pki.server("keda", *_SERVED_NAMES, ADAPTER_HOST, self._place.server_address)
        sources = {"ca.crt": pki.authority, "tls.crt": pair.certificate, "tls.key": pair.key}
        for name, source in sources.items():
            shutil.copyfile(source, folder / name)
        return folder

    def _service(self) -> dict[str, Any]:
        # The API server dials the name of an ExternalName Service itself: no kube-proxy is needed.
        return {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "keda-metrics-apiserver", "namespace": NAMESPACE},
            "spec": {"type": "ExternalName", "externalName": ADAPTER_HOST},
        }

    def _api_service(self) -> dict[str, Any]:
        group, version = "external.metrics.k8s.io", "v1beta1"
        return {
            "apiVersion": "apiregistration.k8s.io/v1",
            "kind": "APIService",
            "metadata": {"name": _API_SERVICE},
            "spec": {
                "group": group,
                "version": version,
                "groupPriorityMinimum": 100,
                "versionPriority": 100,
                "service": {"namespace": NAMESPACE, "name": "keda-metrics-apiserver", "port": self._adapter_port},
                "caBundle": base64.b64encode(self._control_plane.pki.authority_pem).decode("ascii"),
            },
        }
