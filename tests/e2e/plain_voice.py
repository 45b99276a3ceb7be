"""Two Asterisk of one fleet behind two Kamailio, without a cluster, and what tests ask of them."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from tests.e2e.plain import PlainContainer
from tests.rig.images.asterisk import ASTERISK
from tests.rig.images.kamailio import KAMAILIO
from tests.rig.place import CALLERS_PART, Place
from tests.rig.voice.callers import Callers, Running
from tests.rig.voice.dispatcher import Destination, Wanted
from tests.rig.voice.ledger import Ledger
from tests.rig.voice.pbx import OPEN, Pbx
from tests.rig.voice.plan import CallPlan, LogNormal, Segment
from tests.rig.voice.proxy import Proxy, ProxyError
from tests.servers.processes import wait_for

PART = 3
"""Of the addresses: what this test starts is in nobody's way there."""
FLEET, SET = "plain", 7
MAXCALLS = 40


@dataclass
class Voice:
    """Two PBXs of one fleet behind two proxies, and callers."""

    boxes: tuple[PlainContainer, ...]
    pbxs: tuple[Pbx, ...]
    """What answers in each box."""
    proxies: tuple[Proxy, ...]
    callers: Callers

    def pbx(self, number: int) -> Pbx:
        return self.pbxs[number]

    def channels(self) -> tuple[int, ...]:
        return tuple(len(pbx.channels()) for pbx in self.pbxs)

    def serve_from(self, *numbers: int, disabled: tuple[int, ...] = ()) -> None:
        """Have these boxes, and no others, in both proxies."""
        destinations = frozenset(
            Destination(SET, f"sip:{self.boxes[number].address}:5060", number in disabled) for number in numbers
        )
        for proxy in self.proxies:
            proxy.bring_to(Wanted({FLEET: SET}, destinations))

    def fresh(self) -> None:
        """Every box up, empty, open, and active in both proxies."""
        for box, pbx in zip(self.boxes, self.pbxs, strict=True):
            if not pbx.ready():
                box.kill()
                box.start()
        for pbx in self.pbxs:
            wait_for(pbx.ready, f"PBX {pbx.address} to boot")
            pbx.set_gate(OPEN)
        self.serve_from(0, 1)
        wait_for(self._all_active, "both proxies to find both PBXs active")
        wait_for(lambda: self.channels() == (0, 0), "all calls to have ended")

    def _all_active(self) -> bool:
        return all(sorted(proxy.states().values()) == ["AP", "AP"] for proxy in self.proxies)


@contextmanager
def standing(place: Place, calls: Path) -> Iterator[Voice]:
    """All four servers, up; what the callers write goes to the folder `calls`."""
    # Below the rig's folder, not a test's: root file systems are no results to keep.
    folder = place.folder / "plain-voice"
    folder.mkdir()
    boxes = tuple(
        PlainContainer(ASTERISK, place.address(host, PART), folder, ASTERISK_MAXCALLS=str(MAXCALLS), IVR_SECONDS="2")
        for host in (11, 12)
    )
    proxies = tuple(PlainContainer(KAMAILIO, place.address(host, PART), folder) for host in (21, 22))
    pbxs = tuple(Pbx(box.address) for box in boxes)
    clients = tuple(Proxy(proxy.address) for proxy in proxies)
    callers = Callers([proxy.address for proxy in proxies], place.address(1, part=CALLERS_PART), calls)
    try:
        for server in (*boxes, *proxies):
            server.start()
        for pbx in pbxs:
            wait_for(pbx.ready, f"PBX {pbx.address} to boot")
        for client in clients:
            wait_for(lambda client=client: _answers(client), f"proxy {client.address} to answer")
        yield Voice(boxes, pbxs, clients, callers)
    finally:
        for client in (*pbxs, *clients):
            client.close()
        for server in (*boxes, *proxies):
            server.kill()


def plan(calls: int, *, rate_per_s: float = 10.0, hold: float | LogNormal = 1.0, **more: object) -> CallPlan:
    """So many calls at an even rate from now on; `more` are fields of the segment."""
    segment = Segment(FLEET, 0.0, calls / rate_per_s, rate_per_s, hold)
    return CallPlan((replace(segment, **more),))


def _answers(proxy: Proxy) -> bool:
    try:
        return proxy.call("core.uptime", ()) is not None
    except ProxyError:
        return False


def up(run: Running, calls: int) -> None:
    """Wait until so many calls of a run are up at the same time."""
    wait_for(lambda: run.so_far().up == calls, f"{calls} calls to be up")


def assert_all_went_well(ledger: Ledger, calls: int) -> None:
    """Every call was placed, answered, and ended by its caller."""
    assert (ledger.offered, ledger.completed, ledger.cut) == (calls, calls, 0), ledger.table()


def ami(address: str, *lines: str) -> str:
    """What the manager interface says to one action."""
    login = ("Action: Login", "Username: calltide", "Secret: rig", "Events: off")
    script = "".join("\r\n".join((*action, "", "")) for action in (login, lines, ("Action: Logoff",)))
    with socket.create_connection((address, 5038), timeout=10) as manager:
        manager.sendall(script.encode())
        return b"".join(iter(lambda: manager.recv(65536), b"")).decode()
