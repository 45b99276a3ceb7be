"""Child processes of the agent, and the reaping of every process that ends in its namespace.

The agent is process 1 of its namespace, so orphans of commands that were cut off become its children. One place waits
for all of them; asyncio's and subprocess's own waiting would compete for the exit codes.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

# Python ignores these; a program that is started expects the defaults.
_RESTORED = (signal.SIGPIPE, signal.SIGXFSZ)


class Child:
    """One process: its id, and its exit code once it has ended (128 + number after a signal, as a kubelet has it)."""

    def __init__(self, pid: int, ended: asyncio.Future[int]) -> None:
        self.pid = pid
        self.ended = ended

    def kill_group(self) -> None:
        """End it and whatever it started in its session."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)

    def first_child(self) -> int | None:
        """The id of the process that it started, if it has."""
        try:
            children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text(encoding="ascii").split()
        except OSError:
            return None
        return int(children[0]) if children else None


class Children:
    """All child processes. Made inside the running loop, once per process."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._ended: dict[int, asyncio.Future[int]] = {}
        self._loop.add_signal_handler(signal.SIGCHLD, self._reap)

    def spawn(self, command: Sequence[str], environment: Mapping[str, str], log: Path) -> Child:
        """Start a command in a session of its own, its output appended to a log.

        Raises:
            FileNotFoundError: there is no such program on the agent's PATH.
        """
        program = shutil.which(command[0])
        if program is None:
            raise FileNotFoundError(f"there is no {command[0]!r} on PATH")
        pid = os.posix_spawn(
            program,
            list(command),
            environment,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_OPEN, 1, str(log), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644),
                (os.POSIX_SPAWN_DUP2, 1, 2),
            ],
            setsid=True,
            setsigdef=_RESTORED,
        )
        ended = self._ended[pid] = self._loop.create_future()
        return Child(pid, ended)

    def _reap(self) -> None:
        with suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid == 0:
                    return
                ended = self._ended.pop(pid, None)  # none: an orphan
                if ended is not None and not ended.done():
                    code = os.waitstatus_to_exitcode(status)
                    ended.set_result(code if code >= 0 else 128 - code)
