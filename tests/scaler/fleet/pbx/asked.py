"""What the tests of every way to ask say in the same words: a pod, its call, an answer that is a number or a doubt."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from scaler.fleet.pbx.protocol import PbxAnswer, PodTarget
from scaler.retirement.readings import Reading, Unproved
from tests.scaler.fleet.pbx.made_up_pbx import ADDRESS, STARTED, Hook

POD = PodTarget("uid-1", "acme-0", ADDRESS, "containerd://1/0")
CALL: dict[str, Any] = {"name": "PJSIP/kam-00000001", "creationtime": STARTED}
HASTY_S = 0.3
"""For a PBX that does not answer."""


def reading(answer: PbxAnswer) -> Reading:
    found = answer.reading
    assert isinstance(found, Reading), found
    return found


def doubt(answer: PbxAnswer) -> Unproved:
    found = answer.reading
    assert isinstance(found, Unproved), found
    return found


def run(body: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(body())


def never(*questions: str) -> Hook:
    async def hook(question: str) -> bytes | None:
        if question in questions:
            await asyncio.Event().wait()
        return None

    return hook


def instead(question: str, answer: bytes) -> Hook:
    async def hook(asked: str) -> bytes | None:
        return answer if asked == question else None

    return hook
