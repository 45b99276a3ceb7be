"""A real Prometheus on a free port of this machine: from PATH, or Debian's, unpacked without being installed.

It can be killed, paused and started again on the same data and port, and its history is written as blocks, so that
weeks of data stand in seconds.
"""

from __future__ import annotations

import os
import signal
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.servers.processes import free_port, wait_for
from tools.debian_package import program

Labels = Mapping[str, str]


@dataclass(slots=True)
class PrometheusServer:
    """One Prometheus over one data directory.

    `config` is its YAML, `web_config` the YAML of its own TLS and users, `flags` further command line flags.
    """

    folder: Path
    config: str = ""
    web_config: str | None = None
    flags: Sequence[str] = ()
    port: int = field(default_factory=free_port)
    host: str = "127.0.0.1"
    _process: subprocess.Popen[bytes] | None = None

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def url(self) -> str:
        scheme = "https" if self.web_config and "tls_server_config" in self.web_config else "http"
        return f"{scheme}://{self.host}:{self.port}"

    def start(self) -> None:
        """Start and wait until it answers queries (a locked server: until it listens)."""
        self.data.mkdir(parents=True, exist_ok=True)
        config = self.folder / "prometheus.yml"
        config.write_text(self.config)
        command = [
            str(program("prometheus", "prometheus")),
            f"--config.file={config}",
            f"--storage.tsdb.path={self.data}",
            "--storage.tsdb.retention.time=100y",
            f"--web.listen-address={self.host}:{self.port}",
            *self.flags,
        ]
        if self.web_config is not None:
            (self.folder / "web.yml").write_text(self.web_config)
            command.append(f"--web.config.file={self.folder / 'web.yml'}")
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        wait_for(self._ready, f"Prometheus did not get ready, see {self.folder / 'log'}")

    def kill(self) -> None:
        """End it at once, as a crash does."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End it in order. Does nothing when it does not run."""
        # A paused process takes no SIGTERM.
        self.resume()
        self._end(signal.SIGTERM)

    def pause(self) -> None:
        """Connections are accepted from now on and never answered."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Go on after a pause. One that does not run is no fault."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.kill(self._process.pid, signal.SIGCONT)

    def _end(self, how: signal.Signals) -> None:
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.kill(self._process.pid, how)
            self._process.wait(timeout=60)
            self._process = None

    def _ready(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise AssertionError(f"Prometheus ended: {(self.folder / 'log').read_text()[-2000:]}")
        if self.web_config is not None:
            return b"Server is ready" in (self.folder / "log").read_bytes()
        try:
            with urllib.request.urlopen(f"{self.url}/-/ready", timeout=5):
                return True
        except (urllib.error.URLError, OSError):
            return False


def write_blocks(
    data: Path, metric: str, series: Sequence[Labels], times_s: Sequence[int], values: Iterable[Sequence[float | None]]
) -> None:
    """Write history as TSDB blocks, to be read by a server that is not running yet.

    `values` has a row per series with a value per time; None leaves the sample out.
    """
    data.mkdir(parents=True, exist_ok=True)
    source = data.parent / f"{metric}.openmetrics"
    with source.open("w", encoding="utf-8") as text:
        text.write(f"# TYPE {metric} gauge\n")
        for labels, row in zip(series, values, strict=True):
            name = f"{metric}{{{','.join(f'{label}={_quoted(value)}' for label, value in labels.items())}}}"
            text.writelines(
                f"{name} {value!r} {at_s}\n" for at_s, value in zip(times_s, row, strict=True) if value is not None
            )
        text.write("# EOF\n")
    # The file is read once per block, so blocks of two hours would take minutes; they may be as long as one likes.
    subprocess.run(
        [
            str(program("promtool", "prometheus")),
            "tsdb",
            "create-blocks-from",
            "--max-block-duration=1440h",
            "openmetrics",
            "-q",
            str(source),
            str(data),
        ],
        check=True,
        capture_output=True,
    )
    source.unlink()


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
