"""A rig that was stopped, or killed, leaves no process, port, mount or file behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil

from tests.rig import detached
from tests.rig.place import ENVIRONMENT, Place, current
from tests.servers.processes import wait_for

TIMES = 10
KILLED = (3, 8)
"""In these rounds the rig is killed instead of stopped."""


def test_ten_rigs_leave_nothing_behind() -> None:
    for number in range(TIMES):
        name = _own(f"left-over-{number}")
        place = _up(name)
        assert _traces(place) == {"processes", "ports", "files"}, "what is looked for is there while the rig runs"
        if number in KILLED:
            os.kill(detached.facts(name)["pid"], signal.SIGKILL)
            wait_for(lambda place=place: not _processes(place), "the kernel to end what the killed rig had started")
        _command("down", name)
        assert _traces(place) == set(), f"round {number}"
        assert not list(detached.files(name))


def test_two_rigs_side_by_side() -> None:
    names = _own("side"), _own("by-side")
    try:
        first, second = map(_up, names)
        assert first.block != second.block
        _command("down", names[0])
        assert _traces(first) == set()
        # The other one does not notice.
        assert "The rig stands" in _command("how", names[1])
        assert _traces(second) == {"processes", "ports", "files"}
    finally:
        for name in names:
            _command("down", name)


def _own(name: str) -> str:
    """A rig's name that no other run of this test on the same machine takes."""
    return f"{name}-of-{current().block}"


def _up(name: str) -> Place:
    said = _command("up", name, "--bare")
    facts = detached.facts(name)
    assert facts["folder"] in said
    return Place(Path(facts["folder"]), facts["block"])


def _command(command: str, name: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "tests.rig", "--name", name, command, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def _traces(place: Place) -> set[str]:
    mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8")
    found = {
        "processes": bool(_processes(place)),
        "ports": any(
            one.laddr.ip.startswith(f"127.{place.block}.")
            for one in psutil.net_connections("inet")
            # What is bound. Closed connections are remembered by the kernel for a while, and keep nobody from binding.
            if one.status in (psutil.CONN_LISTEN, psutil.CONN_NONE)
        ),
        "mounts": str(place.folder) in mounts,
        "files": place.folder.exists(),
    }
    return {name for name, there in found.items() if there}


def _processes(place: Place) -> list[psutil.Process]:
    """Every process that was started in the rig: its environment says so, and containers run below its folder."""
    found = []
    for process in psutil.process_iter():
        try:
            inside = process.environ().get(ENVIRONMENT) == str(place.folder)
            if inside or str(place.folder) in " ".join(process.cmdline()):
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found
