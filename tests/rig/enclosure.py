"""A command inside namespaces of its own, so that whatever it starts ends with it.

    python -m tests.rig.enclosure COMMAND …

A rig is dozens of processes and mounts. Cleaning up after a crash by lists of ids goes wrong sooner or later; a process
namespace cannot: when its first process ends, the kernel ends all others, and a mount namespace takes its mounts along.
The network is not enclosed, so that a person can reach the rig's servers from outside.

    outside (this module) ── unshare ── inside (this module again, process 1) ── COMMAND and all that it starts
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType

from scaler.service.parent_death import end_with_parent
from tests.rig.place import ENVIRONMENT, Claim, Place, PlaceError, current

FORWARDED = (signal.SIGTERM, signal.SIGINT)


class EnclosureError(Exception):
    """Namespaces cannot be made here, with what to do about it."""


def run(command: Sequence[str], *, on_place: Callable[[Place], None] = lambda place: None) -> int:
    """Run a command in a new enclosure with a new place; its exit code.

    Raises:
        EnclosureError: not root, not Linux, or no `unshare`.
        PlaceError: no block of addresses is free.
    """
    check()
    claim = Claim()
    try:
        on_place(claim.place)
        process = subprocess.Popen(
            [
                *("unshare", "--pid", "--mount", "--fork", "--kill-child", "--mount-proc", "--"),
                *(sys.executable, "-m", "tests.rig.enclosure", "--inside", *command),
            ],
            env={**os.environ, ENVIRONMENT: str(claim.place.folder)},
            preexec_fn=lambda: end_with_parent(signal.SIGKILL),
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
    if sys.platform != "linux":
        raise EnclosureError("the rig needs Linux: it uses namespaces and overlay file systems")
    if os.geteuid() != 0:
        raise EnclosureError("the rig needs root, for namespaces, mounts and chroot; run it as root, or with sudo")
    if shutil.which("unshare") is None:
        raise EnclosureError("there is no 'unshare' on PATH; install util-linux")


def _only_child(parent: int) -> int | None:
    try:
        children = Path(f"/proc/{parent}/task/{parent}/children").read_text(encoding="ascii").split()
    except OSError:
        return None
    return int(children[0]) if children else None


def _forward_signals(target: Callable[[], int | None]) -> None:
    def forward(number: int, _frame: FrameType | None) -> None:
        pid = target()
        if pid is not None:
            os.kill(pid, number)

    for number in FORWARDED:
        signal.signal(number, forward)


def _inside(command: Sequence[str]) -> int:
    """Be process 1: run the command, reap every orphan, end when the command ends. Returns its exit code."""
    subprocess.run(["mount", "--bind", str(current().hosts), "/etc/hosts"], check=True)
    process = subprocess.Popen(command)
    _forward_signals(lambda: process.pid)
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
