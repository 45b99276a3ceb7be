"""The parent of calltide's processes: it starts them, starts them again when they die, and ends them.

Nothing else runs here, so that there is nothing here that could fail. The KEDA process and the main process live
side by side: either may die while the other goes on.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog

from scaler.service.parent_death import end_with_parent

_log = structlog.get_logger("supervisor")

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0
STABLE_AFTER_S = 60.0
UP_AFTER_S = 10.0
"""A process that has lived this long has run with the configuration, so that it is known to work."""
GRACE_S = 25.0
"""Kubernetes grants 30 s by default before it kills; the children must be gone before that."""

CONFIGURATION_FAULT = 78
"""Exit code (EX_CONFIG) with which a child says that starting it again cannot help."""


@dataclass(frozen=True, slots=True)
class ChildCommand:
    """What to run, by a name for the log."""

    name: str
    arguments: Sequence[str]


@dataclass(slots=True)
class _Child:
    command: ChildCommand
    pause_s: float
    process: subprocess.Popen[bytes] | None = None
    started_s: float = 0.0
    start_again_s: float = 0.0
    was_up: bool = False
    """Whether an earlier run lived longer than `UP_AFTER_S`."""


def _die_with_parent() -> None:
    # A child that outlives a killed supervisor would hold the port against its successor.
    end_with_parent(signal.SIGTERM)


def _start(child: _Child) -> None:
    child.started_s = time.monotonic()
    try:
        child.process = subprocess.Popen(
            [sys.executable, "-P", "-m", *child.command.arguments],
            stdin=subprocess.DEVNULL,
            preexec_fn=_die_with_parent,
        )
    except (OSError, subprocess.SubprocessError) as error:
        # No memory or no process left on the machine: that passes, and the other child goes on meanwhile.
        _pause(child, reason=f"it cannot be started: {error}")
    else:
        _log.info("process started", process=child.command.name, pid=child.process.pid)


def _pause(child: _Child, **why: object) -> None:
    child.start_again_s = time.monotonic() + child.pause_s
    _log.error("process ended, starts again", process=child.command.name, pause_s=child.pause_s, **why)
    child.pause_s = min(2 * child.pause_s, LONGEST_PAUSE_S)


def _look_after(child: _Child) -> int | None:
    """Start a dead child again once its pause is over. Returns an exit code when the service must end."""
    now_s = time.monotonic()
    if child.process is None:
        if now_s >= child.start_again_s:
            _start(child)
        return None
    code = child.process.poll()
    if code is None:
        return None
    child.process = None
    lived_s = now_s - child.started_s
    # Once it has run, a fault of the configuration came later: it can be mended while the other child goes on.
    if code == CONFIGURATION_FAULT and not child.was_up:
        _log.error("process cannot run with this configuration", process=child.command.name)
        return CONFIGURATION_FAULT
    if lived_s > UP_AFTER_S:
        child.was_up = True
    if lived_s > STABLE_AFTER_S:
        child.pause_s = FIRST_PAUSE_S
    _pause(child, exit_code=code)
    return None


def _stop(children: Sequence[_Child]) -> None:
    running = [child.process for child in children if child.process is not None]
    for process in running:
        process.terminate()
    deadline_s = time.monotonic() + GRACE_S
    for process in running:
        try:
            process.wait(max(0.1, deadline_s - time.monotonic()))
        except subprocess.TimeoutExpired:
            _log.error("process did not end in time and is killed", pid=process.pid)
            process.kill()
            process.wait()


def supervise(commands: Sequence[ChildCommand], *, on_started: Callable[[], None] = lambda: None) -> int:
    """Run the commands until SIGTERM or SIGINT.

    Returns the exit code of the service: 0, or `CONFIGURATION_FAULT` when a child that never ran before says so.
    """
    stopping = False

    def stop(_signal: int, _frame: object) -> None:
        nonlocal stopping
        stopping = True

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    children = [_Child(command, FIRST_PAUSE_S) for command in commands]
    exit_code = 0
    try:
        for child in children:
            _start(child)
        on_started()
        while not stopping:
            faults = [code for child in children if (code := _look_after(child)) is not None]
            if faults:
                exit_code = faults[0]
                break
            _reap_orphans({child.process.pid for child in children if child.process is not None})
            time.sleep(0.1)
    finally:
        _stop(children)
    _log.info("stopped", exit_code=exit_code)
    return exit_code


def _reap_orphans(own: set[int]) -> None:
    # As PID 1 of a container this process inherits every orphan; unreaped they fill the process table.
    if os.getpid() != 1:
        return
    while True:
        try:
            info = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return
        if info is None or info.si_pid in own:
            return
        os.waitpid(info.si_pid, 0)
