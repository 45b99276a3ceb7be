"""Work that outlives its channel: named when it is told, over HTTP or by a command, and otherwise never "nothing"."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from pydantic import ValidationError

from scaler.fleet.pbx.doubts import NotToldError
from scaler.fleet.pbx.pending import pending_work
from scaler.fleet.pbx.settings import PendingWork
from scaler.retirement.readings import Doubt
from tests.scaler.fleet.pbx.asked import CALL, HASTY_S, POD, doubt, instead, never, reading, run
from tests.scaler.fleet.pbx.conftest import Ask
from tests.scaler.fleet.pbx.made_up_pbx import MadeUpPbx, http


@pytest.mark.parametrize(
    ("told", "pending"),
    [
        ([], ()),
        (0, ()),
        ({"pending": []}, ()),
        (["a.wav", "b.wav"], ("a.wav", "b.wav")),
        ({"pending": ["a.wav"]}, ("a.wav",)),
        (3, ("3 unnamed",)),
        ([f"{n}.wav" for n in range(8)], ("0.wav", "1.wav", "2.wav", "3.wav", "4.wav", "and 3 more")),
        (["two\nlines\x1b[31m" + "x" * 200], ("two\ufffdlines\ufffd[31m" + "x" * 66,)),
    ],
)
def test_work_that_outlives_its_channel_is_named(ask: Ask, told: object, pending: tuple[str, ...]) -> None:
    async def body() -> None:
        async with MadeUpPbx(pending=told) as pbx:
            found = reading(await ask(pbx, pending_work=PendingWork(port=pbx.pending_port)).read(POD))

        assert found.pending == pending

    run(body)


@pytest.mark.parametrize(
    "told", [None, True, False, -1, 0.0, "", "none", {}, {"pending": None}, {"pending": 0, "error": "x"}, [1], [None]]
)
def test_pending_work_that_is_in_doubt_is_no_reading(ask: Ask, told: object) -> None:
    async def body() -> None:
        async with MadeUpPbx(pending=told) as pbx:
            found = doubt(await ask(pbx, pending_work=PendingWork(port=pbx.pending_port)).read(POD))

        assert found.sentence == "unreadable: pending work: neither a list of names nor how many there are"

    run(body)


def test_pending_work_that_is_not_told_is_no_reading(ask: Ask) -> None:
    async def body() -> None:
        async with MadeUpPbx(hook=instead("pending", http(404, {}))) as pbx:
            work = PendingWork(port=pbx.pending_port)
            found = doubt(await ask(pbx, pending_work=work).read(POD))
            pbx.hook = never("pending")
            hung = doubt(await ask(pbx, pending_work=work, timeout_seconds=HASTY_S).read(POD))

        assert found.sentence == "unreadable: pending work: answered 404"
        assert hung.doubt is Doubt.TIMED_OUT

    run(body)


def test_work_that_the_last_channel_leaves_behind_is_seen(ask: Ask) -> None:
    """The last call ends just after it was counted as gone: its recording is asked for later, never before."""

    async def body() -> None:
        pbx = MadeUpPbx(channels=[CALL])

        async def hook(question: str) -> None:
            if question in ("channels", "state"):
                pbx.channels, pbx.pending = [], ["call.wav"]

        pbx.hook = hook
        async with pbx:
            found = reading(await ask(pbx, pending_work=PendingWork(port=pbx.pending_port)).read(POD))

        assert found.channels > 0 or found.pending == ("call.wav",)

    run(body)


def command(body: str, *arguments: str) -> PendingWork:
    return PendingWork(command=(sys.executable, "-c", body, *arguments))


@pytest.mark.parametrize(
    ("printed", "pending"), [("[]", ()), ("0", ()), ('["a.wav"]', ("a.wav",)), ('{"pending": 2}', ("2 unnamed",))]
)
def test_a_command_tells_what_is_pending(ask: Ask, printed: str, pending: tuple[str, ...]) -> None:
    async def body() -> None:
        async with MadeUpPbx() as pbx:
            found = reading(await ask(pbx, pending_work=command(f"print({printed!r})")).read(POD))

        assert found.pending == pending

    run(body)


def test_a_command_knows_the_pod_and_no_secret_and_no_shell_reads_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PBX_PASSWORD", "secret")
    script = (
        "import json, os, sys\n"
        "given = [f'{name}={value}' for name, value in os.environ.items() if name.startswith(('CALLTIDE', 'PBX'))]\n"
        "print(json.dumps(sys.argv[1:] + sorted(given)))"
    )

    told = asyncio.run(pending_work(POD, command(script, "$(id); *")))

    assert told == (
        "$(id); *",
        f"CALLTIDE_POD={POD.name}",
        f"CALLTIDE_POD_ADDRESS={POD.address}",
        f"CALLTIDE_POD_NAMESPACE={POD.namespace}",
    )


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("print('[]'); raise SystemExit(3)", "ended with 3"),
        ("import os; print('[]', flush=True); os.kill(os.getpid(), 9)", "ended with -9"),
        ("pass", "Expecting value"),
        ("print('none')", "Expecting value"),
        ("print('[1]')", "neither a list of names"),
        ("print('[' * 100_000)", "RecursionError"),
        ("print('x' * 9_000_000)", "more than 8,388,608 bytes"),
    ],
)
def test_a_command_that_does_not_tell_makes_no_reading(script: str, why: str) -> None:
    # Without a deadline: how long a program takes to start says nothing of what it tells.
    with pytest.raises(NotToldError, match=r"^pending work: ") as told:
        asyncio.run(pending_work(POD, command(script)))

    assert told.value.doubt is Doubt.UNREADABLE
    assert why in str(told.value)


def test_a_command_that_is_not_there_makes_no_reading(ask: Ask) -> None:
    async def body() -> None:
        async with MadeUpPbx() as pbx:
            work = PendingWork(command=("/nowhere/pending",))
            found = doubt(await ask(pbx, pending_work=work).read(POD))

        assert "/nowhere/pending" in found.sentence

    run(body)


HOLDS = "import os, sys, time; open(sys.argv[1], 'w').write(str(os.getpid())); time.sleep(600)"
"""Tells its number into a pipe, and stays."""
CHILD = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {HOLDS!r}, sys.argv[1]]"


async def told_into(pipe: Path, asked: asyncio.Task[object]) -> int:
    """The number that a process tells into a pipe while the question is open."""
    telling = asyncio.ensure_future(asyncio.to_thread(pipe.read_text))
    await asyncio.wait([telling, asked], return_when=asyncio.FIRST_COMPLETED)
    if not telling.done():
        # Nobody will tell any more: whoever reads would do so for ever.
        pipe.open("w").close()
        raise AssertionError(f"not told: {asked}")
    return int(await telling)


async def is_cancelled(asked: asyncio.Task[object]) -> None:
    asked.cancel()
    assert await asyncio.wait([asked], timeout=60) == ({asked}, set())
    assert asked.cancelled()


def gone(pid: int) -> bool:
    """Whether a process that was ended is gone, as soon as it is."""
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        for _ in range(600):
            if process.status() == psutil.STATUS_ZOMBIE:
                return True
            with suppress(psutil.TimeoutExpired):
                process.wait(0.1)
        return False
    return True


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    os.mkfifo(tmp_path / "pipe")
    return tmp_path / "pipe"


@pytest.mark.parametrize("body", [HOLDS, f"{CHILD}); import time; time.sleep(600)", f"{CHILD})"])
def test_a_command_that_does_not_end_is_ended_with_all_that_it_started(pipe: Path, body: str) -> None:
    async def scene() -> None:
        asked = asyncio.create_task(pending_work(POD, command(body, str(pipe))))
        pid = await told_into(pipe, asked)
        await is_cancelled(asked)
        assert await asyncio.to_thread(gone, pid)

    run(scene)


def test_a_command_is_ended_with_all_that_it_started_while_it_starts(pipe: Path) -> None:
    async def scene() -> None:
        body = f"{CHILD}); import time; time.sleep(600)"
        asked = asyncio.create_task(pending_work(POD, command(body, str(pipe))))
        while not any(str(pipe) in child.cmdline() for child in psutil.Process().children()):
            assert not asked.done()
            await asyncio.sleep(0)
        # It runs, and the loop has not turned since: here it stands still until there is a child too.
        child = int(pipe.read_text())  # noqa: ASYNC240
        await is_cancelled(asked)
        assert await asyncio.to_thread(gone, child)

    run(scene)


def test_a_child_that_went_its_own_way_holds_nobody_up(pipe: Path) -> None:
    async def scene() -> None:
        asked = asyncio.create_task(
            pending_work(POD, command(f"{CHILD}, start_new_session=True); import time; time.sleep(600)", str(pipe)))
        )
        child = await told_into(pipe, asked)
        try:
            await is_cancelled(asked)
        finally:
            os.kill(child, signal.SIGKILL)

    run(scene)


def test_a_command_that_nobody_may_end_holds_nobody_up(pipe: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    kill = os.kill
    monkeypatch.setattr("os.killpg", denied)
    monkeypatch.setattr("subprocess.Popen.kill", denied)

    async def scene() -> None:
        asked = asyncio.create_task(pending_work(POD, command(HOLDS, str(pipe))))
        pid = await told_into(pipe, asked)
        try:
            await is_cancelled(asked)
        finally:
            kill(pid, signal.SIGKILL)
            assert await asyncio.to_thread(gone, pid)

    run(scene)


@pytest.mark.parametrize(
    ("written", "why"),
    [
        ({}, "name one of port and command"),
        ({"port": 80, "command": ["/usr/bin/true"]}, "name one of port and command"),
        ({"command": []}, "at least 1 item"),
        ({"command": ["pending", "--all"]}, "write the program's whole path"),
    ],
)
def test_who_tells_is_an_address_or_a_command(written: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        PendingWork.model_validate(written)
