"""A real Loki on free ports of 127.0.0.1: the rig's, or the program that the environment names as CALLTIDE_LOKI."""

from __future__ import annotations

import os
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from tests.rig.programs import program
from tests.servers.loki_calls import Line
from tests.servers.processes import free_port, wait_for

TENANT, SHORT_TENANT, FEW_TENANT = "voice", "short", "few"
"""Loki tenants: without limits of note; with a range of at most six hours; with at most two series."""

_CONFIG = """
auth_enabled: true
analytics: {{reporting_enabled: false}}
server:
  http_listen_address: 127.0.0.1
  http_listen_port: {port}
  grpc_listen_address: 127.0.0.1
  grpc_listen_port: {grpc_port}
  log_level: warn
common:
  path_prefix: {folder}/data
  instance_addr: 127.0.0.1
  replication_factor: 1
  ring: {{instance_addr: 127.0.0.1, kvstore: {{store: inmemory}}}}
  storage: {{filesystem: {{chunks_directory: {folder}/data/chunks, rules_directory: {folder}/data/rules}}}}
schema_config:
  configs:
  - {{from: 2024-01-01, store: tsdb, object_store: filesystem, schema: v13, index: {{prefix: index_, period: 24h}}}}
limits_config: {{reject_old_samples: false, unordered_writes: true, max_global_streams_per_user: 100}}
runtime_config: {{file: {folder}/runtime.yaml}}
"""
_OVERRIDES = f"""
overrides:
  {SHORT_TENANT}: {{max_query_length: 6h, reject_old_samples: false}}
  {FEW_TENANT}: {{max_query_series: 2, reject_old_samples: false}}
"""


@dataclass(slots=True)
class LokiServer:
    """One Loki over one folder."""

    folder: Path
    port: int = field(default_factory=free_port)
    _process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start and wait until it takes lines and answers queries."""
        binary = os.environ.get("CALLTIDE_LOKI") or program("loki")
        (self.folder / "runtime.yaml").write_text(_OVERRIDES)
        config = self.folder / "loki.yaml"
        config.write_text(_CONFIG.format(port=self.port, grpc_port=free_port(), folder=self.folder))
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen([binary, f"-config.file={config}"], stdout=log, stderr=subprocess.STDOUT)
        wait_for(self._ready, f"Loki did not get ready, see {self.folder / 'log'}", at_most_s=120)

    def stop(self) -> None:
        """End it in order."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(timeout=60)
            self._process = None

    def push(self, lines: Iterable[Line], tenant: str) -> None:
        """Store lines, back-dated as they are."""
        streams: dict[str, list[list[str]]] = {}
        for line in sorted(lines, key=lambda line: line.at_s):
            streams.setdefault(line.log, []).append([str(round(line.at_s * 1e9)), line.text])
        payload = [{"stream": {"app": "asterisk", "log": log}, "values": values} for log, values in streams.items()]
        pushed = httpx.post(
            f"{self.url}/loki/api/v1/push", json={"streams": payload}, headers={"X-Scope-OrgID": tenant}, timeout=30
        )
        assert pushed.status_code == 204, pushed.text

    def flush(self) -> None:
        """Write to the store what was pushed: old lines are not looked for in the ingester."""
        assert httpx.post(f"{self.url}/flush", timeout=30).status_code == 204
        wait_for(lambda: list((self.folder / "data" / "chunks").glob("*/*/*")), "Loki wrote no chunks")

    def _ready(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise AssertionError(f"Loki ended: {(self.folder / 'log').read_text()[-2000:]}")
        try:
            with urllib.request.urlopen(f"{self.url}/ready", timeout=5) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False
