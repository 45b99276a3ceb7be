"""The rig's Prometheus: it scrapes the cluster's pods and loads that a test sets.

Debian builds Prometheus without its Kubernetes discovery, so the rig discovers by HTTP from the same list of pods: a
pod with the label `calltide.io/scrape-port` is scraped there, and its label `calltide.io/tenant` becomes the label
`tenant`. History of weeks before now is written as blocks.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx

from tests.rig.control_plane import ControlPlane
from tests.servers.exporter import Exporters
from tests.servers.prometheus import Labels, PrometheusServer, write_blocks

SCRAPE_EVERY = "2s"
PORT_LABEL, TENANT_LABEL = "calltide.io/scrape-port", "calltide.io/tenant"


class Monitoring:
    """One Prometheus over the cluster. `set_load` is what a simulated tenant's PBX would report."""

    def __init__(self, control_plane: ControlPlane) -> None:
        self._control_plane = control_plane
        self._loads: dict[str, float] = {}
        self._exporters = Exporters({"loads": ""})
        self._discovery = PodDiscovery(control_plane)
        place = control_plane.place
        self.server = PrometheusServer(
            place.folder / "prometheus", config=self._config(), port=place.free_port(), host=place.server_address
        )
        self.server.folder.mkdir()

    @property
    def url(self) -> str:
        return self.server.url

    def start(self) -> None:
        """Start it; it answers when this returns."""
        self._discovery.start()
        self.server.start()

    def stop(self) -> None:
        self.server.stop()
        self._discovery.stop()
        self._exporters.close()

    def set_load(self, tenant: str, channels: float) -> None:
        """From the next scrape on the tenant has so many channels in use: `rig_channels{tenant="…"}`."""
        self._loads[tenant] = channels
        self._exporters.metrics["loads"] = "# TYPE rig_channels gauge\n" + "".join(
            f"rig_channels{{tenant={json.dumps(name)}}} {value}\n" for name, value in self._loads.items()
        )

    @contextmanager
    def outage(self) -> Iterator[None]:
        """Nobody has a channel, as when the trunk that all calls come by fails; afterwards all are back at once."""
        before = dict(self._loads)
        for tenant in before:
            self.set_load(tenant, 0.0)
        try:
            yield
        finally:
            for tenant, channels in before.items():
                self.set_load(tenant, channels)

    def write_history(
        self, metric: str, series: Sequence[Labels], times_s: Sequence[int], values: Iterable[Sequence[float | None]]
    ) -> None:
        """Add samples of the past. The server is down for the moment in which they are added."""
        self.server.stop()
        write_blocks(self.server.data, metric, series, times_s, values)
        self.server.start()

    def _config(self) -> str:
        targets = [{"targets": [self._exporters.address]}]
        loads = {"job_name": "loads", "metrics_path": "/loads/metrics", "static_configs": targets}
        pods = {"job_name": "pods", "http_sd_configs": [{"url": self._discovery.url, "refresh_interval": SCRAPE_EVERY}]}
        every = {"scrape_interval": SCRAPE_EVERY, "scrape_timeout": SCRAPE_EVERY}
        # JSON is YAML.
        return json.dumps({"global": every, "scrape_configs": [loads, pods]})


class PodDiscovery:
    """Answers Prometheus' HTTP discovery from the API server's pods. While that is away, Prometheus keeps its list."""

    def __init__(self, control_plane: ControlPlane) -> None:
        self._client = control_plane.client("rig-discovery", "system:masters")
        discovery = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                try:
                    status, content = 200, json.dumps(discovery.targets())
                except httpx.HTTPError as error:
                    status, content = 503, str(error)
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.end_headers()
                self.wfile.write(content.encode())

            def log_message(self, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/"

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        if self._thread.is_alive():
            self._server.shutdown()
        self._server.server_close()
        self._client.close()

    def targets(self) -> list[dict[str, Any]]:
        """Every running pod that wants to be scraped.

        Raises:
            httpx.HTTPError: the API server cannot be asked.
        """
        query = {"labelSelector": PORT_LABEL, "fieldSelector": "status.phase=Running"}
        answer = self._client.get("/api/v1/pods", params=query).raise_for_status()
        return [_target(pod) for pod in answer.json()["items"] if pod["status"].get("podIP")]


def _target(pod: dict[str, Any]) -> dict[str, Any]:
    metadata = pod["metadata"]
    return {
        "targets": [f"{pod['status']['podIP']}:{metadata['labels'][PORT_LABEL]}"],
        "labels": {
            "tenant": metadata["labels"].get(TENANT_LABEL, ""),
            "namespace": metadata["namespace"],
            "pod": metadata["name"],
        },
    }
