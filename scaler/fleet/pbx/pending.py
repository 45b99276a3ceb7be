"""Work that outlives its channel, as the pod itself tells it, or a command that knows."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import cast

from scaler.fleet.pbx.doubts import NotToldError, asking, shortened
from scaler.fleet.pbx.http_client import LONGEST_ANSWER, TooLongError, http_client, pod_url
from scaler.fleet.pbx.protocol import PodTarget
from scaler.fleet.pbx.settings import PendingWork
from scaler.retirement.readings import Doubt

MOST_NAMED = 5
_ALSO_GIVEN = ("PATH", "LANG", "TZ")
"""What a command finds of calltide's own environment: passwords are in the rest."""
_REAPED_WITHIN_S = 1.0
"""So long a question may outlast its deadline: whoever was killed ends at once, unless the kernel holds it."""


async def pending_work(pod: PodTarget, settings: PendingWork | None) -> tuple[str, ...]:
    """Names of what is pending, a handful; empty when nothing is, or nothing was to be asked.

    Raises:
        NotToldError: it was not told. That is no "nothing".
    """
    if settings is None:
        return ()
    with asking("pending work"):
        if settings.port is not None:
            async with http_client() as client:
                answer = await client.ask_json("GET", pod_url(pod.address, settings.port, settings.path))
        else:
            answer = json.loads(await _printed(settings.command or (), pod))
        return names(answer["pending"] if isinstance(answer, dict) and answer.keys() == {"pending"} else answer)


async def _printed(command: Sequence[str], pod: PodTarget) -> bytes:
    """What a command prints that ends well."""
    async with _started(command, pod) as running:
        await running.silence
    if running.ended_with != 0:
        raise NotToldError(Doubt.UNREADABLE, f"pending work: {command[0]} ended with {running.ended_with}")
    return bytes(running.printed)


class _Running(asyncio.SubprocessProtocol):
    """A command that runs: what it printed, `silence` when all is printed, `end` when its process has ended.

    `asyncio.subprocess` would keep its pipe open, and `wait` waiting, for as long as anybody holds the other end: a
    child that went its own way, or a command that is ended while more lies in the pipe than is read at once.
    """

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.printed = bytearray()
        self.silence: asyncio.Future[None] = loop.create_future()
        self.end: asyncio.Future[None] = loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.SubprocessTransport, transport)

    @property
    def ended_with(self) -> int | None:
        return self.transport.get_returncode()

    @property
    def has_told_all(self) -> bool:
        return self.silence.done() and not self.silence.cancelled() and self.silence.exception() is None

    def pipe_data_received(self, fd: int, data: bytes) -> None:  # noqa: ARG002
        self.printed += data
        if len(self.printed) > LONGEST_ANSWER and not self.silence.done():
            self.silence.set_exception(TooLongError(f"more than {LONGEST_ANSWER:,} bytes"))

    def process_exited(self) -> None:
        self.end.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        if not self.silence.done():
            self.silence.set_result(None)


@asynccontextmanager
async def _started(command: Sequence[str], pod: PodTarget) -> AsyncIterator[_Running]:
    """A command that runs, in a group of its own. Left before it has told all, it is ended with all of its group."""
    given = {name: os.environ[name] for name in _ALSO_GIVEN if name in os.environ}
    starting = asyncio.ensure_future(
        asyncio.get_running_loop().subprocess_exec(
            _Running,
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env=given
            | {"CALLTIDE_POD": pod.name, "CALLTIDE_POD_NAMESPACE": pod.namespace, "CALLTIDE_POD_ADDRESS": pod.address},
            start_new_session=True,
        )
    )
    try:
        # Cancelled while it starts it would be waited for, however long it runs.
        _, running = await asyncio.shield(starting)
        yield running
    finally:
        # To start takes the loop a few turns, whatever is started.
        await asyncio.wait([starting])
        if not starting.cancelled() and starting.exception() is None:
            await _leave(starting.result()[1])


async def _leave(running: _Running) -> None:
    """Close the pipe of a command, and end it with its group unless it has told all."""
    # One that runs as somebody else may not be ended; the question ends all the same.
    if not running.has_told_all:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(running.transport.get_pid(), signal.SIGKILL)
    with suppress(PermissionError):
        running.transport.close()
    # One that the kernel holds would be waited for in vain: it is reaped whenever it ends.
    await asyncio.wait([running.end], timeout=_REAPED_WITHIN_S)


def names(told: object) -> tuple[str, ...]:
    """What is pending, from a list of names or a number.

    Raises:
        ValueError: it is neither.
    """
    if isinstance(told, list) and all(isinstance(one, str) for one in told):
        return several([shortened(one) for one in told])
    if isinstance(told, int) and not isinstance(told, bool) and told >= 0:
        return (f"{told} unnamed",) if told else ()
    raise ValueError("neither a list of names nor how many there are")


def several(named: list[str]) -> tuple[str, ...]:
    """The first few of many names, and how many more there are."""
    more = len(named) - MOST_NAMED
    return (*named[:MOST_NAMED], f"and {more} more") if more > 0 else tuple(named)
