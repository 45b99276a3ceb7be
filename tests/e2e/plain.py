"""Containers without a cluster: the node's own way to start one, told by a test instead of by a Pod."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.rig.images.image import Container, Image
from tests.rig.node.children import Child
from tests.rig.node.container import ProcessContainer, Start, new_root, with_path

ENDS_WITHIN_S = 30


class PlainContainer:
    """One container. Each start has a fresh root file system, as after a pod's container restart."""

    def __init__(self, image: Image, address: str, folder: Path, **environment: str) -> None:
        self.address = address
        self.folder = folder
        self._image = image
        self._name = f"{image.name}-{address}"
        self._environment = with_path(environment)
        self._children = _Children()
        self._container: ProcessContainer | None = None

    def start(self) -> None:
        pod = {"metadata": {"name": self._name}}
        container = Container(new_root(self.folder, self._name), pod, {}, self.address, self._environment)
        log = self.folder / f"{self._name}.log"
        start = Start(self._image, container, self._image.entrypoint, "/", (), None, log)
        self._container = ProcessContainer.launch(self._children, start, self._image.tree())

    def run(self, *command: str) -> None:
        """Run a command inside it."""
        entered = ["nsenter", f"--target={self._started().pid}", "--pid", "--mount", "--uts", "--root", "--wd", "--"]
        subprocess.run([*entered, *command], env=self._environment, capture_output=True, timeout=30, check=True)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to its process 1, as the kernel lets it in from outside: SIGSTOP and SIGCONT too."""
        pid = self._started().pid
        assert pid is not None, f"{self._name} has ended"
        os.kill(pid, number)

    def terminate(self) -> None:
        """SIGTERM to its process 1, and wait until it has ended."""
        self._started().terminate()
        self._children.join()

    def kill(self) -> None:
        """SIGKILL, as a crash; one that has ended, or never ran, is no fault."""
        if self._container is not None:
            self._container.kill()
            self._children.join()

    def _started(self) -> ProcessContainer:
        assert self._container is not None, f"{self._name} has not been started"
        return self._container


class _Children:
    """What the node has for child processes, as far as a start needs it."""

    def __init__(self) -> None:
        self._monitor: subprocess.Popen[bytes] | None = None

    def spawn(self, command: Sequence[str], environment: Mapping[str, str], log: Path) -> Child:
        with log.open("ab") as output:
            self._monitor = subprocess.Popen(
                command,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        # Nobody waits for its end by a future here.
        return Child(self._monitor.pid, None)

    def join(self) -> None:
        """Wait until the container has ended."""
        if self._monitor is not None:
            self._monitor.wait(ENDS_WITHIN_S)
