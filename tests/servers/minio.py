"""A real MinIO on a free port of 127.0.0.1, and a client of its own to look into a bucket past calltide."""

from __future__ import annotations

import os
import signal
import subprocess
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.rig.programs import program
from tests.servers.processes import free_port, wait_for

ACCESS_KEY, SECRET_KEY = "calltide-archive", "correct-horse-battery"
BUCKET = "voice"


@dataclass(slots=True)
class MinioServer:
    """One MinIO over one folder; it may be stopped, killed and started again on the same port."""

    folder: Path
    port: int = field(default_factory=free_port)
    _process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start and wait until it takes requests; the bucket is made where it is missing."""
        (self.folder / "data").mkdir(exist_ok=True)
        environment = {
            **os.environ,
            "MINIO_ROOT_USER": ACCESS_KEY,
            "MINIO_ROOT_PASSWORD": SECRET_KEY,
            "MINIO_BROWSER": "off",  # its console would listen on every address
            "MINIO_UPDATE": "off",
        }
        command = [program("minio"), "server", self.folder / "data", f"--address=127.0.0.1:{self.port}"]
        command += [f"--certs-dir={self.folder / 'certs'}", "--quiet"]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)
        wait_for(self._ready, f"MinIO did not get ready, see {self.folder / 'log'}", at_most_s=120)

    def stop(self) -> None:
        """End it in order. Does nothing when it does not run."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(timeout=60)
            self._process = None

    def kill(self) -> None:
        """End it at once, as a crash does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(timeout=60)
            self._process = None

    def pause(self) -> None:
        """Connections are accepted from now on and never answered."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Go on after a pause."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGCONT)

    def client(self) -> Any:
        """A plain S3 client, of another library than the archive's own."""
        import botocore.session  # here, so that only who starts a MinIO needs it

        return botocore.session.get_session().create_client(
            "s3",
            region_name="us-east-1",
            endpoint_url=self.url,
            aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=SECRET_KEY,
        )

    def objects(self) -> dict[str, int]:
        """Size in bytes of every object in the bucket, by its key."""
        listed = self.client().list_objects_v2(Bucket=BUCKET)
        return {entry["Key"]: entry["Size"] for entry in listed.get("Contents", ())}

    def _ready(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise AssertionError(f"MinIO ended: {(self.folder / 'log').read_text()[-2000:]}")
        try:
            with urllib.request.urlopen(f"{self.url}/minio/health/cluster", timeout=5) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False
