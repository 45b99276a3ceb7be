"""Work that outlives its channel, as the pod itself tells it, or a command that knows."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

from scaler.fleet.pbx.doubts import NotToldError, asking, shortened
from scaler.fleet.pbx.http_client import LONGEST_ANSWER, TooLongError, http_client, pod_url
from scaler.fleet.pbx.protocol import PodTarget
from scaler.fleet.pbx.settings import PendingWork
from scaler.retirement.readings import Doubt

MOST_NAMED = 5
_ALSO_GIVEN = ("PATH", "LANG", "TZ")
"""What a command finds of calltide's own environment: passwords are in the rest."""


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
    async with _started(command, pod) as process:
        printed = bytearray()
        while process.stdout is not None and (chunk := await process.stdout.read(65536)):
            printed += chunk
            if len(printed) > LONGEST_ANSWER:
                raise TooLongError(f"more than {LONGEST_ANSWER:,} bytes")
        ended = await process.wait()
    if ended != 0:
        raise NotToldError(Doubt.UNREADABLE, f"pending work: {command[0]} ended with {ended}")
    return bytes(printed)


@asynccontextmanager
async def _started(command: Sequence[str], pod: PodTarget) -> AsyncIterator[asyncio.subprocess.Process]:
    """A command that runs, in a group of its own. Left before it has ended, it is ended with all that it started."""
    given = {name: os.environ[name] for name in _ALSO_GIVEN if name in os.environ}
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env=given
        | {"CALLTIDE_POD": pod.name, "CALLTIDE_POD_NAMESPACE": pod.namespace, "CALLTIDE_POD_ADDRESS": pod.address},
        start_new_session=True,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()


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
