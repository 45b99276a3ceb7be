"""A rig that goes on by itself after the command that started it has ended: `make rig` and `make rig-down`.

What there is to know about it is in one file per rig. Its process is known by id *and* start, in the kernel's own ticks
(a wall clock may be set), so that an id that was given to somebody else meanwhile is never signalled.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

from tests.rig import enclosure
from tests.rig.place import sweep

STATE = "CALLTIDE_RIG_STATE"
"""Names the rig's file to the process that serves it."""
START_WITHIN_S = 300.0
STOP_WITHIN_S = 120.0


class DetachedError(Exception):
    """A rig cannot be started or stopped, with why."""


def state_file(name: str) -> Path:
    """The file of the rig of this name.

    Raises:
        DetachedError: no file can have it.
    """
    if not name or "/" in name:
        raise DetachedError(f"{name!r} cannot be a rig's name; use letters, digits and '-'")
    return Path(tempfile.gettempdir()) / f"calltide-{name}.rig"


def up(name: str, serve: list[str]) -> str:
    """Start a rig by the command `serve` in an enclosure; what it has to say when it stands.

    Raises:
        DetachedError: one of this name runs already, or it did not start.
        EnclosureError: this machine or user cannot.
    """
    enclosure.check()
    path = state_file(name)
    if _process(path) is not None:
        raise DetachedError(
            f"rig {name!r} runs already; 'RIG={name} make rig-down' stops it, another name is one beside it"
        )
    log = path.with_suffix(".log")
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.rig.enclosure", *serve],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, STATE: str(path)},
            start_new_session=True,
        )
    path.write_text(json.dumps({"pid": process.pid, "born": _born(process.pid)}))
    deadline_s = time.monotonic() + START_WITHIN_S
    try:
        while process.poll() is None and time.monotonic() < deadline_s:
            if "instructions" in _read(path):
                return instructions(name)
            time.sleep(0.5)
    except KeyboardInterrupt:
        down(name)
        raise DetachedError(f"rig {name!r} was stopped while it was starting") from None
    how = f"did not stand within {START_WITHIN_S:.0f} s" if process.poll() is None else "did not start"
    said = log.read_text(encoding="utf-8", errors="replace")[-4000:]
    down(name)
    raise DetachedError(f"rig {name!r} {how}:\n{said}")


def announce(**known: object) -> None:
    """Called by the process that serves a rig when it stands: what there is to know about it."""
    path = Path(os.environ[STATE])
    _replace(path, {**_read(path), **known})


def facts(name: str) -> dict[str, Any]:
    """What is known of a rig: `pid`, and once it stands `folder`, `block`, `instructions`, and more if it has it."""
    return _read(state_file(name))


def files(name: str) -> Iterator[Path]:
    """The files about a rig that exist."""
    path = state_file(name)
    return (file for file in (path, path.with_suffix(".log"), path.with_suffix(".new")) if file.exists())


def instructions(name: str) -> str:
    """How to use a rig that runs.

    Raises:
        DetachedError: it does not run.
    """
    path = state_file(name)
    if _process(path) is None:
        raise DetachedError(f"no rig {name!r} runs ({running()}); 'RIG={name} make rig' starts it")
    said = _read(path).get("instructions", "it is starting")
    return f"  export RIG={name}    # every command then means this rig\n\n{said}"


def running() -> str:
    """The names of the rigs that run, in words."""
    paths = sorted(Path(tempfile.gettempdir()).glob("calltide-*.rig"))
    names = [path.stem.removeprefix("calltide-") for path in paths if _process(path) is not None]
    return f"those that run: {', '.join(names)}" if names else "none does"


def down(name: str) -> bool:
    """Stop a rig in order, by force if it does not end; whether one ran. Its files go with it.

    Raises:
        DetachedError: it is somebody else's.
    """
    path = state_file(name)
    process = _process(path)
    if process is not None:
        try:
            process.send_signal(signal.SIGTERM)
        except psutil.AccessDenied:
            raise DetachedError(f"rig {name!r} is root's; run it as root, or with sudo") from None
        try:
            process.wait(STOP_WITHIN_S)
        except psutil.TimeoutExpired:
            # The kernel ends everything in the enclosure with it.
            process.kill()
            process.wait()
    for file in files(name):
        file.unlink()
    sweep()
    return process is not None


def _read(path: Path) -> dict[str, Any]:
    try:
        read = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return read if isinstance(read, dict) else {}


def _process(path: Path) -> psutil.Process | None:
    known = _read(path)
    try:
        process = psutil.Process(int(known["pid"]))
        return process if _born(process.pid) == known["born"] and process.is_running() else None
    except (KeyError, ValueError, OSError, psutil.NoSuchProcess):
        return None


def _born(pid: int) -> int:
    """When a process was started: field 22 of proc_pid_stat(5), counted behind the name, which may have spaces."""
    return int(Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[19])


def _replace(path: Path, known: dict[str, object]) -> None:
    beside = path.with_suffix(".new")
    beside.write_text(json.dumps(known), encoding="utf-8")
    beside.replace(path)
