"""A command inside namespaces of its own, so that whatever it starts ends with it.

    python -m tests.rig.enclosure COMMAND …

A rig is dozens of processes and mounts. Cleaning up after a crash by lists of ids goes wrong sooner or later; a process
namespace cannot: when its first process ends, the kernel ends all others, and a mount namespace takes its mounts along.
The network is not enclosed, so that a person can reach the rig's servers from outside.

    outside (this module) ── unshare ── inside (this module again, process 1) ── COMMAND and all that it starts
"""

from __future__ import annotations

import os
import platform
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType

from scaler.service.parent_death import end_with_parent
from tests.rig.place import ENVIRONMENT, Claim, Place, PlaceError, current

FORWARDED = (signal.SIGTERM, signal.SIGINT)
PROXIES = frozenset({"http_proxy", "https_proxy", "all_proxy"})
"""Variables that stay outside: everything of a rig is on this machine, where no proxy finds it."""
NAMESPACES = ("unshare", "--pid", "--mount", "--fork", "--kill-child", "--mount-proc", "--")
"""Before a command: it is process 1 of namespaces of its own, and is killed with the `unshare` before it."""
_CHILD_WITHIN_S = 5.0


class EnclosureError(Exception):
    """Namespaces cannot be made here, with what to do about it."""


def run(command: Sequence[str], *, on_place: Callable[[Place], None] = lambda place: None) -> int:
    """Run a command in a new enclosure with a new place; its exit code.

    Raises:
        EnclosureError: not root, not Linux, no `unshare`, or no right to make namespaces.
        PlaceError: no block of addresses is free.
    """
    check()
    environment = {name: value for name, value in os.environ.items() if name.lower() not in PROXIES}
    claim = Claim()
    try:
        on_place(claim.place)
        process = subprocess.Popen(
            [*NAMESPACES, sys.executable, "-m", "tests.rig.enclosure", "--inside", *command],
            env={**environment, ENVIRONMENT: str(claim.place.folder)},
            preexec_fn=_before_inside,
            start_new_session=True,
        )
        _forward_signals(lambda: _only_child(process.pid))
        return process.wait()
    finally:
        claim.release()


def check() -> None:
    """Raise unless this machine and user can make an enclosure.

    Raises:
        EnclosureError: with what to do.
    """
    if sys.platform != "linux" or platform.machine() != "x86_64":
        raise EnclosureError(
            "the rig needs Linux on x86-64: it uses namespaces, overlay file systems and Debian's amd64"
        )
    if os.geteuid() != 0:
        raise EnclosureError("the rig needs root, for namespaces, mounts and chroot; run it as root, or with sudo")
    if shutil.which("unshare") is None:
        raise EnclosureError("there is no 'unshare' on PATH; install util-linux")
    tried = subprocess.run([*NAMESPACES, "true"], capture_output=True, text=True, check=False)
    if tried.returncode != 0:
        raise EnclosureError(
            f"root may not make namespaces here ({tried.stderr.strip()}); "
            "inside a container, start that with the capability CAP_SYS_ADMIN, as 'docker run --privileged' does"
        )


def _before_inside() -> None:
    end_with_parent(signal.SIGKILL)
    # Until it has its handlers: process 1 of a namespace ignores what it does not handle, unless it is blocked.
    signal.pthread_sigmask(signal.SIG_BLOCK, FORWARDED)


def _before_command() -> None:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, FORWARDED)


def _only_child(parent: int) -> int | None:
    try:
        children = Path(f"/proc/{parent}/task/{parent}/children").read_text(encoding="ascii").split()
    except OSError:
        return None
    return int(children[0]) if children else None


def _forward_signals(target: Callable[[], int | None]) -> None:
    def forward(number: int, _frame: FrameType | None) -> None:
        until_s = time.monotonic() + _CHILD_WITHIN_S
        while (pid := target()) is None and time.monotonic() < until_s:
            time.sleep(0.01)  # it is being started
        if pid is not None:
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    for number in FORWARDED:
        signal.signal(number, forward)


def _inside(command: Sequence[str]) -> int:
    """Be process 1: run the command, reap every orphan, end when the command ends. Returns its exit code."""
    subprocess.run(["mount", "--bind", str(current().hosts), "/etc/hosts"], check=True)
    try:
        process = subprocess.Popen(command, preexec_fn=_before_command)
    except OSError as error:
        print(f"{command[0]} cannot be started: {error}", file=sys.stderr)
        return 127
    _forward_signals(lambda: process.pid)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, FORWARDED)
    while True:
        pid, status = os.wait()
        if pid == process.pid:
            return os.waitstatus_to_exitcode(status)


def main(arguments: Sequence[str]) -> int:
    """Run from the command line."""
    if arguments[:1] == ["--inside"]:
        return abs(_inside(arguments[1:]))
    if not arguments:
        print("usage: python -m tests.rig.enclosure COMMAND …", file=sys.stderr)
        return 2
    try:
        return run(arguments)
    except (EnclosureError, PlaceError) as error:
        print(error, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
