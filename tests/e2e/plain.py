"""Containers without a cluster: the node's own way to start one, told by a test instead of by a Pod."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.rig.images.image import Container, Image
from tests.rig.node.container import ProcessContainer, Start, new_root, with_path
from tests.rig.process import OwnedProcess


class PlainContainer:
    """One container. Each start has a fresh root file system, as after a pod's container restart."""

    def __init__(self, image: Image, address: str, folder: Path, **environment: str) -> None:
        self.address = address
        self._image = image
        self._folder = folder
        self._name = f"{image.name}-{address}"
        self._environment = with_path(environment)
        self._process: OwnedProcess | None = None

    @property
    def log(self) -> Path:
        """What it has written to its standard output."""
        return self._folder / f"{self._name}.log"

    def start(self) -> None:
        container = Container(
            new_root(self._folder, self._name), {"metadata": {"name": self._name}}, {}, self.address, self._environment
        )
        start = Start(self._image, container, self._image.entrypoint, "/", (), None, self.log)
        ProcessContainer.launch(_Spawner(self), start, self._image.tree())

    def run(self, *command: str) -> None:
        """Run a command inside it."""
        entered = [
            "nsenter",
            f"--target={self._first()}",
            "--pid",
            "--mount",
            "--uts",
            "--root",
            "--wd",
            "--",
            *command,
        ]
        subprocess.run(entered, env=self._environment, capture_output=True, timeout=30, check=True)

    def terminate(self) -> None:
        """SIGTERM to its process 1, and wait until it has ended."""
        os.kill(self._first(), signal.SIGTERM)
        self.join()

    def kill(self) -> None:
        """SIGKILL, as a crash; one that has ended is no fault."""
        if self._process is not None:
            self._process.kill()

    def join(self) -> None:
        """Wait until it has ended by itself."""
        process = self._started()
        try:
            os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        finally:
            process.stop()

    def spawn(self, command: Sequence[str], environment: Mapping[str, str], log: Path) -> OwnedProcess:
        self._process = OwnedProcess(self._name, ["env", "--ignore-environment", *_pairs(environment), *command], log)
        self._process.start()
        return self._process

    def _first(self) -> int:
        pid = self._started().pid
        return int(Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()[0])

    def _started(self) -> OwnedProcess:
        assert self._process is not None, f"{self._name} has not been started"
        return self._process


class _Spawner:
    """What the node has for child processes, as far as a start needs it."""

    def __init__(self, owner: PlainContainer) -> None:
        self._owner = owner

    def spawn(self, command: Sequence[str], environment: Mapping[str, str], log: Path) -> _Monitor:
        self._owner.spawn(command, environment, log)
        return _Monitor()


class _Monitor:
    ended = None


def _pairs(environment: Mapping[str, str]) -> list[str]:
    return [f"{name}={value}" for name, value in environment.items()]
