"""The rig's Prometheus: it finds pods through the API server, as in a cluster, and scrapes loads that a test sets.

A pod is scraped when it is annotated `prometheus.io/scrape: "true"` (port from `prometheus.io/port`); its label
`calltide.io/tenant` becomes the label `tenant`. History of weeks before now is written as blocks.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from tests.rig.control_plane import ControlPlane
from tests.servers.exporter import Exporters
from tests.servers.prometheus import Labels, PrometheusServer, write_blocks

_USER = "system:serviceaccount:monitoring:prometheus"
SCRAPE_EVERY = "2s"


class Monitoring:
    """One Prometheus over the cluster. `set_load` is what a simulated tenant's PBX would report."""

    def __init__(self, control_plane: ControlPlane) -> None:
        self._control_plane = control_plane
        self._loads: dict[str, float] = {}
        self._exporters = Exporters({"loads": ""})
        self.server = PrometheusServer(control_plane.place.folder / "prometheus", config=self._config())
        self.server.folder.mkdir()

    @property
    def url(self) -> str:
        return self.server.url

    def start(self) -> None:
        """Let it read pods, and start it."""
        self._control_plane.apply(
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "monitoring"}},
            {
                "apiVersion": "rbac.authorization.k8s.io/v1",
                "kind": "ClusterRoleBinding",
                "metadata": {"name": "rig-prometheus"},
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"},
                "subjects": [{"kind": "ServiceAccount", "namespace": "monitoring", "name": "prometheus"}],
            },
        )
        self.server.start()

    def stop(self) -> None:
        self.server.stop()
        self._exporters.close()

    def set_load(self, tenant: str, channels: float) -> None:
        """From the next scrape on the tenant has so many channels in use: `rig_channels{tenant="…"}`."""
        self._loads[tenant] = channels
        self._exporters.metrics["loads"] = "# TYPE rig_channels gauge\n" + "".join(
            f"rig_channels{{tenant={json.dumps(name)}}} {value}\n" for name, value in self._loads.items()
        )

    def write_history(
        self, metric: str, series: Sequence[Labels], times_s: Sequence[int], values: Iterable[Sequence[float | None]]
    ) -> None:
        """Add samples of the past. The server is down for the moment in which they are added."""
        self.server.stop()
        write_blocks(self.server.data, metric, series, times_s, values)
        self.server.start()

    def _config(self) -> str:
        kubeconfig: Path = self._control_plane.pki.kubeconfig(self._control_plane.url, _USER)
        annotation = "__meta_kubernetes_pod_annotation_prometheus_io"
        relabelings: list[dict[str, Any]] = [
            {"source_labels": [f"{annotation}_scrape"], "regex": "true", "action": "keep"},
            {"source_labels": ["__meta_kubernetes_pod_phase"], "regex": "Running", "action": "keep"},
            {
                "source_labels": ["__meta_kubernetes_pod_ip", f"{annotation}_port"],
                "separator": ":",
                "target_label": "__address__",
            },
            *(
                {"source_labels": [source], "target_label": target}
                for source, target in (
                    ("__meta_kubernetes_pod_label_calltide_io_tenant", "tenant"),
                    ("__meta_kubernetes_namespace", "namespace"),
                    ("__meta_kubernetes_pod_name", "pod"),
                )
            ),
        ]
        jobs = [
            {
                "job_name": "loads",
                "metrics_path": "/loads/metrics",
                "static_configs": [{"targets": [self._exporters.address]}],
            },
            {
                "job_name": "pods",
                "kubernetes_sd_configs": [{"role": "pod", "kubeconfig_file": str(kubeconfig)}],
                "relabel_configs": relabelings,
            },
        ]
        every = {"scrape_interval": SCRAPE_EVERY, "scrape_timeout": SCRAPE_EVERY}
        # JSON is YAML.
        return json.dumps({"global": every, "scrape_configs": jobs})
