from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import httpx
import pytest

from scaler.web.app import create_app
from tests.scaler.web.sample_state import SampleState

Ask = Callable[..., httpx.Response]


def asking(state: SampleState) -> Ask:
    """Ask the application in this process, as a browser would over a socket."""
    # A fault of the application has to show as its own answer, not as an exception in the test.
    transport = httpx.ASGITransport(create_app(state), raise_app_exceptions=False)

    def ask(path: str, method: str = "GET", headers: Mapping[str, str] | None = None) -> httpx.Response:
        async def send() -> httpx.Response:
            async with httpx.AsyncClient(transport=transport, base_url="http://calltide") as client:
                return await client.request(method, path, headers=headers)

        return asyncio.run(send())

    return ask


@pytest.fixture
def state() -> SampleState:
    return SampleState()


@pytest.fixture
def ask(state: SampleState) -> Ask:
    return asking(state)


@pytest.fixture
def ask_of() -> Callable[[SampleState], Ask]:
    return asking
