from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.servers.replay import Answer, Asked, ReplayServer


@pytest.fixture
def replay() -> Iterator[Callable[[Callable[[Asked], Answer]], ReplayServer]]:
    """Start servers that answer by a function; they are closed at the end."""
    servers: list[ReplayServer] = []

    def start(answer: Callable[[Asked], Answer]) -> ReplayServer:
        servers.append(ReplayServer(answer))
        return servers[-1]

    yield start
    for server in servers:
        server.close()
