"""Processes that the rig owns: each has a log of its own, is stopped by its id, and never outlives the rig.

What keeps a crash from leaving processes behind is not here but in enclosure.py: the kernel ends everything in the
rig's process namespace when its first process ends.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path


class ProcessEndedError(Exception):
    """A process of the rig ended by itself; the text has the end of its log."""


class OwnedProcess:
    """One child process. It can be started again after it was stopped or killed; the log goes on in the same file."""

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        log: Path,
        *,
        environment: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        self.name = name
        self.log = log
        self._command = [str(part) for part in command]
        self._environment = dict(environment or {})
        self._cwd = cwd
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The id of the running process.

        Raises:
            ProcessEndedError: it does not run.
        """
        if self._process is None:
            raise ProcessEndedError(f"{self.name} has not been started")
        self.must_run()
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it. Whether it is ready is for its owner to see."""
        if self.running:
            raise RuntimeError(f"{self.name} runs already")
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **self._environment},
                cwd=self._cwd,
                # Ctrl-C at the terminal is for the rig, which then stops its processes in order.
                start_new_session=True,
            )

    def must_run(self) -> None:
        """Raise if it has ended by itself.

        Raises:
            ProcessEndedError: with the end of its log.
        """
        if self._process is not None and (code := self._process.poll()) is not None:
            raise ProcessEndedError(f"{self.name} ended with {code}; the end of {self.log}:\n{self.log_tail()}")

    def stop(self, *, at_most_s: float = 20) -> None:
        """SIGTERM, and SIGKILL for one that does not end in time. One that does not run is no fault."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(at_most_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def kill(self) -> None:
        """SIGKILL, as a crash."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def pause(self) -> None:
        """Stop it from running, with its connections open."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let a paused one go on."""
        os.kill(self.pid, signal.SIGCONT)

    def log_tail(self, lines: int = 20) -> str:
        """The last lines of its log."""
        if not self.log.is_file():
            return "(no log)"
        return "\n".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])
