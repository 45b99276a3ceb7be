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
starts_again = ids.exists()
if sys.argv[2:] == ["stubborn"]:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
with ids.open("a") as file:
    file.write(f"{os.getpid()}\\n")
if sys.argv[2:] == ["misconfigured"] or (sys.argv[2:] == ["misconfigured-later"] and starts_again):
    sys.exit(78)
time.sleep(3600)
"""

SUPERVISOR = """
import errno, os, pathlib, subprocess, sys
from scaler.service import supervisor
from tests.servers.processes import wait_for
supervisor.FIRST_PAUSE_S = 0.05
supervisor.UP_AFTER_S = float(os.environ.get("UP_AFTER_S", "3600"))
supervisor.GRACE_S = 0.5
told = [child.split() for child in sys.argv[1:]]
children = [supervisor.ChildCommand(name, ("child", f"{name}.ids", *words)) for name, *words in told]
starts, popen = 0, subprocess.Popen

def start(*arguments, **options):
    global starts
    starts += 1
    if str(starts) in os.environ.get("FAILING_STARTS", "").split():
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
    return popen(*arguments, **options)

def on_started():
    if "FAULT_ON_STARTED" in os.environ:
        wait_for(lambda: all(pathlib.Path(f"{name}.ids").exists() for name, *_ in told), "all start")
        raise RuntimeError("the terminal is gone")

subprocess.Popen = start
sys.exit(supervisor.supervise(children, on_started=on_started))
"""


@pytest.fixture
def supervise(tmp_path):
    (tmp_path / "child.py").write_text(CHILD)
    started = []

    def start(*children: str, **settings: str) -> subprocess.Popen:
        environment = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{Path.cwd()}", **settings}
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


def test_a_configuration_that_breaks_after_the_process_has_run_leaves_keda_answered(supervise, tmp_path):
    process = supervise("keda", "main misconfigured-later", UP_AFTER_S="0")
    first = wait_for(lambda: ids(tmp_path, "main"), "main starts")[0]
    keda = wait_for(lambda: ids(tmp_path, "keda"), "keda starts")
    os.kill(first, signal.SIGKILL)
    wait_for(lambda: ids(tmp_path, "main")[3:], "main is tried again and again")
    assert process.poll() is None
    assert ids(tmp_path, "keda") == keda
    assert psutil.pid_exists(keda[0])


def test_a_machine_that_cannot_fork_for_a_while_ends_nothing(supervise, tmp_path):
    process = supervise("keda", "main", FAILING_STARTS="2 3 5")
    keda = wait_for(lambda: ids(tmp_path, "keda"), "keda starts")
    first = wait_for(lambda: ids(tmp_path, "main"), "main starts at the third attempt")[0]
    os.kill(first, signal.SIGKILL)
    wait_for(lambda: ids(tmp_path, "main")[1:], "main starts again, at the second attempt")
    assert process.poll() is None
    assert ids(tmp_path, "keda") == keda


def test_a_fault_while_the_service_starts_leaves_no_child_behind(supervise, tmp_path):
    # Children that ignore the signal which they get when their parent is gone.
    process = supervise("keda stubborn", "main stubborn", FAULT_ON_STARTED="yes")
    assert process.wait(60) == 1
    children = [*ids(tmp_path, "keda"), *ids(tmp_path, "main")]
    left = [child for child in children if psutil.pid_exists(child)]
    for child in left:
        os.kill(child, signal.SIGKILL)
    assert len(children) == 2
    assert left == []


def test_children_do_not_outlive_a_killed_supervisor(supervise, tmp_path):
    process = supervise("keda")
    child = wait_for(lambda: ids(tmp_path, "keda"), "keda starts")[0]
    process.kill()
    process.wait()
    wait_for(lambda: not psutil.pid_exists(child), "the child ends")
