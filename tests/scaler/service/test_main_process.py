"""The main process as the supervisor runs it: how it ends when told to, and what it says when it cannot run."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest
import yaml

from scaler.cli.demo import POLICIES
from scaler.policy.confirmations import KEPT_IN
from scaler.policy.standing import FILE_NAME
from scaler.service import main_process
from scaler.service.demo_parts import DemoPlan
from scaler.service.supervisor import CONFIGURATION_FAULT
from tests.servers.processes import free_port, wait_for

RUN = "import sys\nfrom scaler.service import main_process\n{before}\nsys.exit(main_process.main())"

TERMINATED_WHILE_IT_STARTS = """
import os, signal
start = main_process.Service.start
async def terminated(service):
    os.kill(os.getpid(), signal.SIGTERM)
    await start(service)
main_process.Service.start = terminated
"""

FLEETS_THAT_CANNOT_BE_LEFT = """
from scaler.fleet.simulated.adapter import SimulatedFleets
async def stop(adapter):
    raise ConnectionError("the cluster is gone")
SimulatedFleets.stop = stop
"""


@dataclass
class Main:
    """A folder that a main process can run in, and its process."""

    folder: Path
    web_port: int
    process: subprocess.Popen[bytes] | None = None

    @property
    def arguments(self) -> list[str]:
        demo = DemoPlan(time.time(), time.time(), 60.0, 1).to_json()
        return ["--config", str(self.folder / "calltide.yaml"), "--demo", demo]

    @property
    def plan_book(self) -> Path:
        return self.folder / "state" / "plan-book.bin"

    def start(self, before: str = "") -> None:
        command = [sys.executable, "-c", RUN.format(before=before), *self.arguments]
        with (self.folder / "log").open("wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)

    def shows_fleets(self) -> bool:
        # Not whether it is ready: that is asked of the KEDA process too, which does not run here.
        try:
            answer = httpx.get(f"http://127.0.0.1:{self.web_port}/api/v1/fleets", timeout=20)
        except httpx.HTTPError:
            return False
        return answer.status_code == 200 and bool(answer.json()["fleets"])

    def wait_until_it_plans(self) -> None:
        wait_for(self.shows_fleets, f"the page, see {self.folder / 'log'}")

    def end(self, number: signal.Signals) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(60)

    def log(self) -> str:
        return (self.folder / "log").read_text()


@pytest.fixture
def main(tmp_path):
    shutil.copytree(POLICIES, tmp_path / "policies")
    (tmp_path / "state").mkdir()
    web_port = free_port()
    document = {
        "apiVersion": "calltide.io/v1",
        "kind": "Configuration",
        "policies": "policies",
        "state": "state",
        "keda": {"listen": f"127.0.0.1:{free_port()}"},
        "web": {"listen": f"127.0.0.1:{web_port}"},
    }
    (tmp_path / "calltide.yaml").write_text(yaml.safe_dump(document))
    made = Main(tmp_path, web_port)
    yield made
    if made.process is not None and made.process.poll() is None:
        made.process.kill()
        made.process.wait()


def test_a_stop_hands_over_first_and_leaves_the_plan_book_before_what_may_hang():
    done: list[str] = []

    def step(name: str) -> Callable[[], None]:
        return lambda: done.append(name)

    def awaited(name: str) -> Callable[..., Awaitable[None]]:
        async def run(**_: object) -> None:
            done.append(name)

        return run

    service = object.__new__(main_process.Service)
    service._jobs = SimpleNamespace(stop=awaited("jobs"))
    service._replication = SimpleNamespace(
        hand_over=awaited("followers"), give_back=step("lease"), stop=awaited("replicas")
    )
    service._plan_book = SimpleNamespace(write=step("plan book"))
    service._pool = SimpleNamespace(close=step("workers"))
    service._adapter = SimpleNamespace(stop=awaited("fleets"))
    service._histories = SimpleNamespace(close=step("sources"))
    asyncio.run(service.stop())
    assert done == ["jobs", "followers", "lease", "plan book", "workers", "fleets", "sources", "replicas"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_told_to_end_it_leaves_the_last_plans_on_disk_and_no_trace(main, number):
    main.start()
    main.wait_until_it_plans()
    wait_for(main.plan_book.exists, "the first plans are written")
    main.plan_book.unlink()
    assert main.end(number) == 0
    assert main.plan_book.exists()
    assert "Traceback" not in main.log()
    assert '"level": "error"' not in main.log()


def test_told_to_end_while_it_starts_it_ends(main):
    main.start(TERMINATED_WHILE_IT_STARTS)
    assert main.process.wait(120) == 0
    assert main.plan_book.exists()
    assert "Traceback" not in main.log()


def test_a_part_that_cannot_be_ended_keeps_the_plans_from_no_disk(main):
    main.start(FLEETS_THAT_CANNOT_BE_LEFT)
    main.wait_until_it_plans()
    wait_for(main.plan_book.exists, "the first plans are written")
    main.plan_book.unlink()
    assert main.end(signal.SIGTERM) == 0
    assert main.plan_book.exists()
    assert "the cluster is gone" in main.log()


def test_policies_that_cannot_be_kept_are_told_and_in_force(main):
    kept = main.folder / "state" / KEPT_IN / "accepted.json"
    # A folder of that name cannot be replaced by a file, also not by root.
    (kept / "in the way").mkdir(parents=True)
    main.start()
    main.wait_until_it_plans()
    assert main.end(signal.SIGTERM) == 0
    told = [line for line in main.log().splitlines() if "could not be kept" in line]
    assert len(told) == 1
    assert str(kept) in told[0]


def test_a_state_directory_that_hides_the_policies_is_a_fault_of_the_configuration(main, capsys):
    standings = main.folder / "state" / KEPT_IN / FILE_NAME
    standings.mkdir(parents=True)
    assert main_process.main(main.arguments) == CONFIGURATION_FAULT
    assert str(standings) in capsys.readouterr().err


def test_an_address_of_the_page_that_is_taken_is_one_line_and_no_trace(main):
    with socket.create_server(("127.0.0.1", main.web_port)):
        main.start()
        code = main.process.wait(120)
    assert code not in (0, CONFIGURATION_FAULT)
    (line,) = [line for line in main.log().splitlines() if "web.listen" in line]
    assert f"127.0.0.1:{main.web_port}" in line
    assert "Traceback" not in main.log()
    assert main.log().count('"level": "error"') == 1


def test_serve_ends_with_the_code_of_invalid_input_when_its_policies_cannot_be_used(main):
    for policy in (main.folder / "policies").iterdir():
        policy.write_text("kind: Nonsense\n")
    calltide = str(Path(sys.executable).with_name("calltide"))
    told = subprocess.run(
        [calltide, "serve", "--config", str(main.folder / "calltide.yaml")],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "COLUMNS": "200"},
    )
    assert told.returncode == 3, told.stderr
    assert "policies" in told.stderr
    assert "Traceback" not in told.stderr
