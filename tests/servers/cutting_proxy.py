"""A TCP proxy that breaks off at a stated place of the request stream, so that "in the middle" is no matter of luck."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import suppress

_CHUNK = 16384


class CuttingProxy:
    """Passes connections on to a port of 127.0.0.1 until a client has sent `after_bytes` from `method` on; then `cut`
    is called once, and these bytes are the last that the server has seen of that request."""

    def __init__(self, to_port: int, method: bytes, after_bytes: int, cut: Callable[[], None]) -> None:
        self._to_port = to_port
        self._method = method + b" /"
        self._after_bytes = after_bytes
        self._cut = cut
        self._cutting = threading.Lock()
        self.has_cut = False
        self._listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def close(self) -> None:
        """Take no more connections."""
        # A thread that waits in accept() keeps a socket that is only closed alive.
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, suppress(OSError), socket.create_connection(("127.0.0.1", self._to_port), timeout=60) as server:
            back = threading.Thread(target=_pass_on, args=(server, client), daemon=True)
            back.start()
            self._pass_requests(client, server)
            _shut(server)
            back.join(timeout=60)

    def _pass_requests(self, client: socket.socket, server: socket.socket) -> None:
        seen = b""
        while chunk := client.recv(_CHUNK):
            seen += chunk
            begins = -1 if self.has_cut else seen.find(self._method)
            if begins >= 0 and len(seen) - begins >= self._after_bytes:
                surplus = len(seen) - begins - self._after_bytes
                server.sendall(chunk[: len(chunk) - min(surplus, len(chunk))])
                self._cut_once()
                return
            server.sendall(chunk)

    def _cut_once(self) -> None:
        with self._cutting:
            if not self.has_cut:
                self._cut()
                self.has_cut = True


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while chunk := source.recv(_CHUNK):
            target.sendall(chunk)
    _shut(target)


def _shut(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
