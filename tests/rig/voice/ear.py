"""An ear for one call: hears the RTP that the far side sends, and tells how long there was nothing to hear.

Only arrivals count, not what is in a packet: a call whose media stops is a call that somebody hangs up.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterable

_LARGEST_PACKET = 2048
_LOOK_EVERY_S = 0.5


class Ear:
    """A UDP port and a thread that notes when something comes in, until it is closed."""

    def __init__(self, address: str) -> None:
        self._socket = socket.socket(type=socket.SOCK_DGRAM)
        self._socket.bind((address, 0))
        # Closing a socket wakes nobody who waits on it.
        self._socket.settimeout(_LOOK_EVERY_S)
        self._heard_s: list[float] = []
        self._open = True
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """Where the far side is to speak to."""
        return int(self._socket.getsockname()[1])

    def longest_silence_s(self, since_s: float, until_s: float) -> float:
        """The longest time between two wall-clock moments in which nothing came in."""
        return longest_silence_s(self._heard_s, since_s, until_s)

    def close(self) -> None:
        """Stop listening. What was heard stays."""
        self._open = False
        self._thread.join()
        self._socket.close()

    def _listen(self) -> None:
        while self._open:
            try:
                self._socket.recv(_LARGEST_PACKET)
            except TimeoutError:
                continue
            self._heard_s.append(time.time())


def longest_silence_s(heard_s: Iterable[float], since_s: float, until_s: float) -> float:
    """The longest stretch without a moment in `heard_s`, which is in order, between two moments."""
    longest_s, last_s = 0.0, since_s
    for moment_s in (*(each for each in heard_s if since_s < each < until_s), until_s):
        longest_s, last_s = max(longest_s, moment_s - last_s), moment_s
    return longest_s
