"""Proxies as deploy/kamailio has them, in front of real PBXs or of ones made of a few lines, without a cluster."""

from __future__ import annotations

import asyncio
import re
import socket
import socketserver
import threading
import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from scaler.fleet.pbx.protocol import PodTarget
from scaler.fleet.proxies.opening import open_front_gates
from scaler.fleet.proxies.protocol import FrontGates
from scaler.fleet.proxies.settings import KamailioSettings
from scaler.retirement.readings import Doubt, Steering, Unproved
from tests.e2e.plain import PlainContainer
from tests.rig.images.image import Container, Image
from tests.rig.place import Place
from tests.rig.voice.proxy import Proxy, ProxyError
from tests.rig.voice_tree import voice_tree
from tests.servers.processes import wait_for

DEPLOY = Path(__file__).parents[2] / "deploy" / "kamailio"
PART = 4
"""Of the addresses: what these tests start is in nobody's way there."""
SET = 1
SIP_PORT = 5060


def edge_image(pbxs: Sequence[str], **defined: str) -> Image:
    """A proxy with the files of deploy/kamailio, whose list has these PBXs; `defined` goes before its configuration."""

    def prepare(container: Container) -> None:
        folder = container.root / "etc" / "kamailio"
        folder.mkdir(parents=True, exist_ok=True)
        for file in DEPLOY.glob("*.cfg"):
            text = file.read_text(encoding="utf-8").replace("127.0.0.1", container.pod_ip)
            (folder / file.name).write_text(text, encoding="utf-8")
        (folder / "dispatcher.list").write_text("".join(f"{SET} sip:{one}:{SIP_PORT}\n" for one in pbxs))
        (container.root / "run" / "kamailio").mkdir(parents=True, exist_ok=True)

    defines = [word for name, value in defined.items() for word in ("-A", f'{name}="{value}"')]
    command = ("kamailio", "-DD", "-E", "-m", "64", "-M", "8", "-f", "/etc/kamailio/kamailio.cfg", *defines)
    return Image(name="kamailio", tree=voice_tree, entrypoint=command, prepare=prepare)


@dataclass
class Edge:
    """One proxy, and what it says of itself."""

    box: PlainContainer
    proxy: Proxy

    @property
    def name(self) -> str:
        return f"{self.box.address}:8090"

    def start(self) -> None:
        """Start it, and wait until it has pinged everybody."""
        self.box.start()
        wait_for(self.has_pinged, f"proxy {self.box.address} to have pinged its destinations")

    def has_pinged(self) -> bool:
        try:
            return set(self.proxy.states().values()) == {"AP"}
        except ProxyError:
            return False


@contextmanager
def edges(place: Place, hosts: Sequence[int], pbxs: Sequence[str], **defined: str) -> Iterator[tuple[Edge, ...]]:
    """Proxies at these hosts, none of them started."""
    folder = place.folder / f"edge-{uuid.uuid4().hex[:6]}"
    folder.mkdir()
    image = edge_image(pbxs, **defined)
    addresses = [place.address(host, PART) for host in hosts]
    found = tuple(Edge(PlainContainer(image, address, folder), Proxy(address)) for address in addresses)
    try:
        yield found
    finally:
        for edge in found:
            edge.proxy.close()
            edge.box.kill()


def shared_memory(place: Place) -> dict[str, str]:
    """What lets proxies know of each other's rooms: each finds the others by one of them."""
    return {"CALLTIDE_DMQ": f"sip:{place.address(21, PART)}:5060", "CALLTIDE_PROXIES": f"{place.address(0, PART)}/24"}


def target(address: str) -> PodTarget:
    """A PBX as retirement knows it."""
    return PodTarget(f"uid-{address}", f"pbx-{address}", address, "1")


class Gates:
    """The front gates under test. Each call has an event loop of its own, as a test has none."""

    def __init__(self, **settings: object) -> None:
        settings = {"timeoutSeconds": 3.9} | settings
        self._gates: FrontGates = open_front_gates("edge", KamailioSettings.model_validate(settings), time.monotonic)

    def read(self, pbx: str) -> dict[str, Steering | Doubt]:
        """By proxy, what it does with the PBX at this address."""
        found = asyncio.run(self._gates.read([target(pbx)]))[target(pbx).uid]
        return {one.proxy: one.steering.doubt if isinstance(one.steering, Unproved) else one.steering for one in found}

    def steer(self, edges: Iterable[Edge], pbx: str, steering: Steering) -> None:
        for edge in edges:
            asyncio.run(self._gates.steer(edge.name, target(pbx), steering))


def landed(pbx: str) -> int:
    """How many calls a PBX has taken since it booted."""
    metrics = httpx.get(f"http://{pbx}:8088/metrics", trust_env=False).raise_for_status().text
    (count,) = re.findall(r"^asterisk_calls_sum(?:\{[^}]*\})? (\d+)", metrics, re.MULTILINE)
    return int(count)


@dataclass
class MadeUpPbx:
    """A PBX of a few lines: it answers pings, and takes calls or refuses them with `code`.

    One with `code` 503 takes those all the same that say they are a last resort, as a shut pod gate does.
    """

    address: str
    code: int = 200
    invites: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._server = socketserver.UDPServer((self.address, SIP_PORT), self._answer_to)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _answer_to(self, asked: tuple[bytes, socket.socket], peer: tuple[str, int], _server: object) -> None:
        data, own = asked
        text = data.decode()
        method = text.split(" ", 1)[0]
        code = 200
        if method == "INVITE":
            self.invites.append(text)
            resort = re.search(r"^X-Calltide-Last-Resort: yes\r$", text, re.MULTILINE)
            code = 200 if resort else self.code
        if method != "ACK":
            own.sendto(_answer(text, code, self.address), peer)


def call(edge: Edge, caller: str, number: str, *more: str, method: str = "INVITE") -> int:
    """The final status of a request to this number, 0 if there is none. Whoever answered hears no more of it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as phone:
        phone.bind((caller, 0))
        phone.settimeout(15)
        here = f"{caller}:{phone.getsockname()[1]}"
        request = [
            f"{method} sip:{number}@acme.example SIP/2.0",
            f"Via: SIP/2.0/UDP {here};branch=z9hG4bK{uuid.uuid4().hex}",
            f"From: <sip:caller@{here}>;tag=1",
            f"To: <sip:{number}@acme.example>",
            f"Call-ID: {uuid.uuid4().hex}",
            f"CSeq: 1 {method}",
            f"Contact: <sip:caller@{here}>",
            "Max-Forwards: 70",
            *more,
            "Content-Length: 0",
        ]
        phone.sendto("\r\n".join([*request, "", ""]).encode(), (edge.box.address, SIP_PORT))
        try:
            while True:
                code = int(phone.recv(65536).split(b" ", 2)[1])
                if code >= 200:
                    return code
        except TimeoutError:
            return 0


def _answer(request: str, code: int, address: str) -> bytes:
    kept = [line for line in request.split("\r\n") if re.match(r"(Via|Record-Route|From|To|Call-ID|CSeq):", line)]
    lines = [f"{line};tag=pbx" if line.startswith("To:") and ";tag=" not in line else line for line in kept]
    contact = f"Contact: <sip:pbx@{address}:{SIP_PORT}>"
    return "\r\n".join([f"SIP/2.0 {code} Made Up", *lines, contact, "Content-Length: 0", "", ""]).encode()
