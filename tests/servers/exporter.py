"""Things that a real Prometheus can scrape and that can be switched off, one path per target."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Exporters:
    """Scrape targets on one port. `/NAME/metrics` shows the text of `metrics[NAME]` unless NAME is in `off`."""

    def __init__(self, metrics: dict[str, str]) -> None:
        self.metrics = metrics
        self.off: set[str] = set()
        exporters = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                name = self.path.strip("/").split("/")[0]
                known = name in exporters.metrics and name not in exporters.off
                self.send_response(200 if known else 503)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.end_headers()
                if known:
                    self.wfile.write(exporters.metrics[name].encode())

            def log_message(self, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._server.server_address[1]}"

    def scrape_config(self, tenant_of: dict[str, str], interval: str = "1s") -> str:
        """Prometheus' YAML that scrapes every target as job `asterisk` with its tenant as a label."""
        jobs = "".join(
            f"""
- job_name: {name}
  metrics_path: /{name}/metrics
  static_configs:
  - targets: ['{self.address}']
    labels: {{tenant: {tenant}, pod: {name}, service: asterisk}}"""
            for name, tenant in tenant_of.items()
        )
        return f"global: {{scrape_interval: {interval}, scrape_timeout: {interval}}}\nscrape_configs:{jobs}\n"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
