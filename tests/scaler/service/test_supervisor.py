"""The supervisor with real processes: each child writes its process id into a file when it starts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from scaler.service.supervisor import CONFIGURATION_FAULT
from tests.servers.processes import wait_for

CHILD = """
import os, pathlib, signal, sys, time
ids = pathlib.Path(sys.argv[1])
with ids.open("a") as file:
    file.write(f"{os.getpid()}\\n")
if sys.argv[2:] == ["stubborn"]:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if sys.argv[2:]  == ["misconfigured"]:
    sys.exit(78)
time.sleep(3600)
"""

SUPERVISOR = """
import sys
from scaler.service import supervisor
supervisor.FIRST_PAUSE_S = 0.05
supervisor.GRACE_S = 0.5
told = [child.split() for child in sys.argv[1:]]
children = [supervisor.ChildCommand(name, ("child", f"{name}.ids", *words)) for name, *words in told]
sys.exit(supervisor.supervise(children))
"""


@pytest.fixture
def supervise(tmp_path):
    (tmp_path / "child.py").write_text(CHILD)
    started = []

    def start(*children: str) -> subprocess.Popen:
        environment = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{Path.cwd()}"}
        process = subprocess.Popen(
            [sys.executable, "-c", SUPERVISOR, *children], cwd=tmp_path, env=environment, stderr=subprocess.DEVNULL
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
            process.wait()


def ids(folder: Path, name: str) -> list[int]:
    file = folder / f"{name}.ids"
    return [int(line) for line in file.read_text().split()] if file.exists() else []


def test_a_killed_child_is_started_again_while_the_other_goes_on(supervise, tmp_path):
    supervise("keda", "main")
    first = wait_for(lambda: ids(tmp_path, "main"), "main starts")[0]
    keda = wait_for(lambda: ids(tmp_path, "keda"), "keda starts")[0]
    os.kill(first, signal.SIGKILL)
    second = wait_for(lambda: ids(tmp_path, "main")[1:], "main starts again")[0]
    assert second != first
    assert ids(tmp_path, "keda") == [keda]
    assert psutil.pid_exists(keda)


@pytest.mark.parametrize("signal_number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_ends_every_child_and_then_itself_with_zero(supervise, tmp_path, signal_number):
    process = supervise("keda", "main")
    children = [wait_for(lambda name=name: ids(tmp_path, name), name)[0] for name in ("keda", "main")]
    process.send_signal(signal_number)
    assert process.wait(30) == 0
    assert not any(psutil.pid_exists(child) for child in children)


def test_a_child_that_ignores_the_stop_is_killed(supervise, tmp_path):
    process = supervise("main stubborn")
    child = wait_for(lambda: ids(tmp_path, "main"), "main starts")[0]
    process.terminate()
    assert process.wait(30) == 0
    assert not psutil.pid_exists(child)


def test_a_configuration_that_cannot_work_ends_the_service_instead_of_looping(supervise, tmp_path):
    process = supervise("keda", "main misconfigured")
    assert process.wait(30) == CONFIGURATION_FAULT
    assert len(ids(tmp_path, "main")) == 1


def test_children_do_not_outlive_a_killed_supervisor(supervise, tmp_path):
    process = supervise("keda")
    child = wait_for(lambda: ids(tmp_path, "keda"), "keda starts")[0]
    process.kill()
    process.wait()
    wait_for(lambda: not psutil.pid_exists(child), "the child ends")
