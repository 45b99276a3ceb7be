"""Waiting for what another process does: bounded, and with a message that says what did not come."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from typing import TypeVar

_Seen = TypeVar("_Seen")


def wait_for(look: Callable[[], _Seen | None], what: str, *, at_most_s: float = 60.0) -> _Seen:
    """The first true thing that `look` returns. The bound is generous: it only ends a test that cannot succeed."""
    deadline_s = time.monotonic() + at_most_s
    while time.monotonic() < deadline_s:
        seen = look()
        if seen:
            return seen
        time.sleep(0.05)
    raise AssertionError(f"{what}: not within {at_most_s:.0f} s")


def free_port() -> int:
    """A port on 127.0.0.1 that nobody listens on now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
