"""HTTP servers inside the main process: where they listen, and that they leave its signals alone."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from scaler.errors import CalltideError


class AddressError(CalltideError):
    """Nothing can listen at a configured address."""


class Server(uvicorn.Server):
    """Leaves the signals to us: uvicorn's own way ends the process by the signal, before anything could be ended."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


class BackgroundServer:
    """A server that runs beside what the process does, until it is stopped."""

    def __init__(self, config: uvicorn.Config) -> None:
        self._server = Server(config)
        self._task: asyncio.Task[None] | None = None

    def start(self, sockets: list[socket.socket]) -> None:
        """Begin to answer, on the running event loop."""
        self._task = asyncio.create_task(self._server.serve(sockets), name="replica-server")

    async def stop(self, within_s: float) -> None:
        """Answer no more; what is under way gets so long."""
        if self._task is None:
            return
        self._server.should_exit = True
        _, late = await asyncio.wait({self._task}, timeout=within_s)
        for task in late:
            task.cancel()


def listen(field: str, address: str) -> list[socket.socket]:
    """Sockets that listen at an address of the configuration.

    Raises:
        AddressError: it cannot be used; the text names the field.
    """
    host, _, port = address.rpartition(":")
    sockets: list[socket.socket] = []
    absent: OSError | None = None
    try:
        found = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, place in dict.fromkeys((family, place) for family, _, _, _, place in found):
            try:
                sockets.append(socket.create_server((str(place[0]), int(place[1])), family=family))
            except OSError as error:
                # `localhost` names ::1 also where IPv6 is switched off.
                if error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                    raise
                absent = error
        if absent is not None and not sockets:
            raise absent
    except OSError as error:
        for opened in sockets:
            opened.close()
        raise AddressError(
            f"{field}: {address} cannot be used: {error.strerror}. Free it, or choose another address."
        ) from error
    return sockets
