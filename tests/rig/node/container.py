"""The container runtime: a process in its own process and mount namespaces, with its own root file system.

    agent ── unshare, sh (the monitor) ── process 1 of the container: mounts, chroot, then the pod's command

The monitor ends with process 1 and has its exit code; the kernel ends all others of the container with process 1.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tests.rig.images.image import Container, Image
from tests.rig.node.children import Child, Children
from tests.rig.node.mounts import Bind, Root

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# Stays as the parent of process 1, whose exit code it passes on: unshare's own --fork turns a SIGKILL into 1.
# What it says itself of that signal does not belong into the container's log.
_MONITOR = 'exec 3>&2 2>/dev/null; (exec /bin/sh -ec "$0" launch "$@" 2>&3 3>&-); exit $?'
# Runs with the container's environment, whose PATH is not for this.
_LAUNCH = f"""
PATH={PATH} mount --all --fstab "$1"
echo "$2" > /proc/sys/kernel/hostname
root=$3 folder=$4
shift 4
exec /usr/bin/unshare --root="$root" --wd="$folder" -- "$@"
"""


class Running(Protocol):
    """A container that runs, whatever it is made of."""

    ended: asyncio.Future[int]
    """Its exit code."""

    @property
    def pid(self) -> int | None:
        """Its process 1, if it has processes."""

    def terminate(self) -> None:
        """Ask it to end."""

    def kill(self) -> None:
        """End it."""

    async def run(self, command: Sequence[str], at_most_s: float) -> int:
        """Run a command inside it; its exit code, or 137 when it took too long."""

    def clean_up(self) -> None:
        """Take away what it leaves behind, once it has ended."""


@dataclass(frozen=True, slots=True)
class Start:
    """How a container starts."""

    image: Image
    container: Container
    """As the image's `prepare` sees it."""
    command: tuple[str, ...]
    working_directory: str
    binds: tuple[Bind, ...]
    user: tuple[int, int] | None
    """User and group id, where the pod gives them."""
    log: Path


class ProcessContainer:
    """One start of a container that is a process."""

    def __init__(self, children: Children, start: Start, monitor: Child, root: Root) -> None:
        self.ended = monitor.ended
        self._children = children
        self._start = start
        self._monitor = monitor
        self._root = root

    @classmethod
    def launch(cls, children: Children, start: Start, lower: Path) -> ProcessContainer:
        """Prepare the root file system and start the process.

        Raises:
            OSError: the root file system cannot be made.
            Exception: whatever the image's `prepare` raises.
        """
        root = Root(start.container.root.parent, lower)
        root.make()
        table = root.folder / "fstab"
        with root.mounted():
            start.image.prepare(start.container)
            text = root.table(start.binds)
        table.write_text(text, encoding="utf-8")
        command = [
            *("unshare", "--pid", "--mount", "--uts", "--", "/bin/sh", "-c", _MONITOR, _LAUNCH, str(table)),
            *(start.container.pod["metadata"]["name"], str(root.merged), start.working_directory),
            *_as_user(start.user),
            *start.command,
        ]
        return cls(children, start, children.spawn(command, start.container.environment, start.log), root)

    @property
    def pid(self) -> int | None:
        return self._monitor.first_child()

    def terminate(self) -> None:
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        self._signal(signal.SIGKILL)

    async def run(self, command: Sequence[str], at_most_s: float) -> int:
        pid = self.pid
        if pid is None:
            return 137
        user = self._start.user
        as_user = () if user is None else (f"--setuid={user[0]}", f"--setgid={user[1]}")
        namespaces = ("--pid", "--mount", "--uts", "--root", "--wd")
        entered = ["nsenter", f"--target={pid}", *namespaces, *as_user, "--", *command]
        child = self._children.spawn(entered, self._start.container.environment, self._start.log)
        try:
            return await asyncio.wait_for(asyncio.shield(child.ended), at_most_s)
        except TimeoutError:
            return 137
        finally:
            if not child.ended.done():
                child.kill_group()

    def clean_up(self) -> None:
        shutil.rmtree(self._root.folder, ignore_errors=True)

    def _signal(self, number: signal.Signals) -> None:
        pid = self.pid
        if pid is None:
            # Before it has a process 1 there is nothing that could end in an orderly way.
            self._monitor.kill_group()
            return
        with suppress(ProcessLookupError):
            os.kill(pid, number)


class ServedContainer:
    """A container without a process: nothing at all, or a server inside the agent."""

    def __init__(self, server: asyncio.Server | None) -> None:
        self.ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._server = server

    @property
    def pid(self) -> int | None:
        return None

    def terminate(self) -> None:
        self._end(0)

    def kill(self) -> None:
        self._end(137)

    async def run(self, command: Sequence[str], at_most_s: float) -> int:
        return 0

    def clean_up(self) -> None:
        """It leaves nothing behind."""

    def _end(self, code: int) -> None:
        if self._server is not None:
            self._server.close()
        if not self.ended.done():
            self.ended.set_result(code)


async def launch(children: Children, start: Start) -> Running:
    """Start a container.

    Raises:
        Exception: it cannot be started; the text says why.
    """
    if start.image.tree is not None:
        return ProcessContainer.launch(children, start, start.image.tree())
    await asyncio.sleep(start.image.start_delay_s)
    return ServedContainer(await start.image.serve(start.container) if start.image.serve else None)


def new_root(folder: Path, container_name: str) -> Path:
    """Where the root file system of one start of a container goes."""
    return folder / "containers" / f"{container_name}-{uuid.uuid4().hex[:8]}" / "root"


def with_path(environment: Mapping[str, str]) -> dict[str, str]:
    """An environment in which programs are found."""
    return {"PATH": PATH, **environment}


def _as_user(user: tuple[int, int] | None) -> tuple[str, ...]:
    if user is None:
        return ()
    return ("setpriv", f"--reuid={user[0]}", f"--regid={user[1]}", "--clear-groups", "--")
