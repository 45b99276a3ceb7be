"""Where a rig lives: a folder of its own and a block of loopback addresses that no other rig uses.

The claim on a block is an abstract socket, which the kernel frees when its holder ends, however it ends. A folder
outlives a holder that was killed; the next rig on the machine takes it away (`sweep`).
"""

from __future__ import annotations

import fcntl
import json
import os
import random
import shutil
import socket
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

PREFIX = "calltide-rig-"
ENVIRONMENT = "CALLTIDE_RIG"
"""Inside an enclosure this variable names the rig's folder."""
FIRST_BLOCK, LAST_BLOCK = 16, 250
CALLERS_PART = 1
_LOCK = "lock"
_FACTS = "place.json"
_LOGS = ("logs/*.log", "prometheus/log", "nodes/*.log", "nodes/pods/*/*.log", "plain-voice/*.log")
_PORTS = range(20_001, 32_000)
"""Above those of calls' sound, below those of connections (net.ipv4.ip_local_port_range)."""
_given: set[tuple[str, int]] = set()


class PlaceError(Exception):
    """There is no place for a rig, with what to do about it."""


@dataclass(frozen=True, slots=True)
class Place:
    """A rig's folder, and its addresses 127.BLOCK.0.0/16."""

    folder: Path
    block: int

    def address(self, host: int, part: int = 0) -> str:
        """The address 127.BLOCK.PART.HOST. Part 0 is for servers, 1 for callers, 16 and up for pods."""
        return f"127.{self.block}.{part}.{host}"

    @property
    def server_address(self) -> str:
        """Where the control plane and its like listen."""
        return self.address(1)

    @property
    def hosts(self) -> Path:
        """What is /etc/hosts inside the enclosure: the rig's name service."""
        return self.folder / "hosts"

    @property
    def logs(self) -> Path:
        """A file per process."""
        return self.folder / "logs"

    def log_ends(self, lines: int = 30) -> dict[str, str]:
        """File → the end of it, for the thirty logs of servers and containers that were written to last."""
        found = []
        for file in (file for pattern in _LOGS for file in self.folder.glob(pattern)):
            with suppress(FileNotFoundError):  # a pod may be going away just now
                text = file.read_text(encoding="utf-8", errors="replace")
                if text:
                    found.append((file.stat().st_mtime, str(file.relative_to(self.folder)), text))
        return {name: "\n".join(text.splitlines()[-lines:]) for _, name, text in sorted(found)[-30:]}

    def free_port(self) -> int:
        """A port for a server at the server address, as `free_port` has it."""
        return free_port(self.server_address)


def free_port(address: str, kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """A port that nobody has now, at whatever address, and that this process was not told before.

    Some servers listen at all addresses, and all rigs of a machine share its network. So it is none of those that the
    kernel gives to connections, which come and go on every address.

    Raises:
        PlaceError: there is none.
    """
    # Rigs begin at different ones, so that two that look at the same time see different ports.
    first = random.randrange(len(_PORTS))
    for port in chain(_PORTS[first:], _PORTS[:first]):
        if (address, port) not in _given and _is_free(port, kind):
            _given.add((address, port))
            return port
    raise PlaceError(f"no free port is left at {address}; stop what holds them")


def _is_free(port: int, kind: socket.SocketKind) -> bool:
    # At all addresses it can only be bound when nobody has it at any.
    with socket.socket(type=kind) as listener:
        try:
            listener.bind(("", port))
        except OSError:
            return False
    return True


def current() -> Place:
    """The place of the enclosure that this process runs in.

    Raises:
        PlaceError: it runs in none.
    """
    folder = os.environ.get(ENVIRONMENT)
    if not folder:
        raise PlaceError("this runs outside a rig's enclosure; start it by 'python -m tests.rig.enclosure COMMAND …'")
    facts = json.loads((Path(folder) / _FACTS).read_text(encoding="utf-8"))
    return Place(Path(folder), facts["block"])


class Claim:
    """A place that is held until it is released or its holder ends."""

    def __init__(self) -> None:
        sweep()
        self._socket, block = _claim_block()
        folder = Path(tempfile.mkdtemp(prefix=PREFIX))
        # For containers whose user is not root: they see files of the folder through their mounts.
        folder.chmod(0o755)
        # Named when it is held: a rig that starts at the same time would sweep away a folder whose lock is free.
        unnamed = folder / f"{_LOCK}.new"
        self._lock = unnamed.open("w")
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        unnamed.rename(folder / _LOCK)
        self.place = Place(folder, block)
        (folder / _FACTS).write_text(json.dumps({"block": block}), encoding="utf-8")
        self.place.hosts.write_text("127.0.0.1 localhost\n", encoding="utf-8")
        self.place.logs.mkdir()

    def release(self) -> None:
        """Take the folder away and free the block."""
        shutil.rmtree(self.place.folder, ignore_errors=True)
        self._lock.close()
        self._socket.close()


def sweep() -> None:
    """Take away the folders of rigs whose holder was killed."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        try:
            with (folder / _LOCK).open("r+") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
        except OSError:
            continue  # held by a rig that runs, or being made just now


def _claim_block() -> tuple[socket.socket, int]:
    for block in range(FIRST_BLOCK, LAST_BLOCK + 1):
        claim = socket.socket(socket.AF_UNIX)
        try:
            claim.bind(f"\0{PREFIX}{block}")
        except OSError:
            claim.close()
            continue
        return claim, block
    raise PlaceError(f"all blocks 127.{FIRST_BLOCK}.0.0/16 to 127.{LAST_BLOCK}.0.0/16 are taken; stop a rig")
