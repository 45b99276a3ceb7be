"""The image `pbx-simulator`: what a PBX shows of its channels, without a PBX, for tests with hundreds of them.

It answers as a real Asterisk 22.10.1 did (tests/captures/asterisk): ARI's channels, info, ping and global variables,
and /metrics.
`PUT /simulator/channels` with `{"count": 5}` sets how many channels are up.
"""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from tests.rig.images.asterisk import DEFAULTS
from tests.rig.images.image import Container, Image
from tests.rig.node.http_server import Request, Response, json_response, serve

PORT = 8088
VERSION = "22.10.1"
_BUILT = "2026-11-22 18:21:00 UTC"
_UP = 6  # the code of a channel that is up, in /metrics


@dataclass(frozen=True, slots=True)
class Channel:
    """One channel: an answered call that waits."""

    number: int
    system: str
    created_s: float

    @property
    def id(self) -> str:
        """As Asterisk makes it: system name, second, number."""
        return f"{self.system}-{self.created_s:.0f}.{self.number}"

    @property
    def name(self) -> str:
        """As chan_pjsip makes it."""
        return f"PJSIP/kam-{self.number:08x}"

    def to_ari(self) -> dict[str, Any]:
        """As an entry of /ari/channels."""
        return {
            "id": self.id,
            "name": self.name,
            "state": "Up",
            "protocol_id": f"{self.number}-1@127.0.0.1",
            "caller": {"name": "sipp", "number": "sipp"},
            "connected": {"name": "", "number": ""},
            "accountcode": "",
            "dialplan": {"context": "from-sip", "exten": "100", "priority": 2, "app_name": "Wait", "app_data": "600"},
            "creationtime": _ari_time(self.created_s),
            "language": "en",
        }


class Pbx:
    """The state of one simulated PBX, and its answers."""

    def __init__(self, system: str, address: str, user: str, password: str) -> None:
        self._system = system
        self._entity = "02:fc:" + ":".join(f"{int(part):02x}" for part in address.split("."))
        self._authorization = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
        self._started_s = time.time()
        self._processed = 0
        self._channels: list[Channel] = []
        self._variables = {"CALLTIDE_GATE": "open"}

    def have(self, count: int) -> None:
        """Have this many channels: the newest go last."""
        del self._channels[: max(0, len(self._channels) - count)]
        while len(self._channels) < count:
            self._channels.append(Channel(self._processed, self._system, time.time()))
            self._processed += 1

    async def answer(self, request: Request) -> Response:
        """Answer one request."""
        asked = f"{request.method} {request.path}"
        if asked == "GET /metrics":
            return Response(self.metrics().encode(), content_type="text/plain", headers={"Server": "Asterisk"})
        if asked == "PUT /simulator/channels":
            self.have(int(json.loads(request.body)["count"]))
            return json_response({"count": len(self._channels)})
        if request.headers.get("authorization") != self._authorization:
            realm = {"WWW-Authenticate": 'Basic realm="Asterisk REST Interface"'}
            return _ari({"message": "Authentication required"}, HTTPStatus.UNAUTHORIZED, realm)
        if request.path == "/ari/asterisk/variable":
            return self._ari_variable(request)
        answers = {
            "GET /ari/channels": self._ari_channels,
            "GET /ari/asterisk/info": self._ari_info,
            "GET /ari/asterisk/ping": self._ari_ping,
        }
        if asked not in answers:
            return _ari({"message": "Invalid method or resource"}, HTTPStatus.NOT_FOUND)
        return _ari(answers[asked]())

    def metrics(self) -> str:
        """The text of /metrics."""
        return "".join(f"{line}\n" for family in self._families() for line in family)

    def _ari_variable(self, request: Request) -> Response:
        name = request.query.get("variable", "")
        if request.method == "GET":
            return _ari({"value": self._variables.get(name, "")})
        self._variables[name] = request.query.get("value", "")
        return Response(b"", HTTPStatus.NO_CONTENT, headers={"Server": "Asterisk"})

    def _ari_channels(self) -> Any:
        return [channel.to_ari() for channel in self._channels]

    def _ari_info(self) -> Any:
        started = _ari_time(self._started_s)
        return {
            "build": {
                "os": "Linux",
                "kernel": "6.18",
                "machine": "x86_64",
                "options": "OPTIONAL_API",
                "date": _BUILT,
                "user": "root",
            },
            "system": {"version": VERSION, "entity_id": self._entity},
            "config": {"name": self._system, "default_language": "en", "setid": {"user": "", "group": ""}},
            "status": {"startup_time": started, "last_reload_time": started},
        }

    def _ari_ping(self) -> Any:
        return {"ping": "pong", "timestamp": _ari_time(time.time()), "asterisk_id": self._entity}

    def _families(self) -> Iterator[Sequence[str]]:
        count, uptime_s = len(self._channels), int(time.time() - self._started_s)
        yield self._family("channels_count", "gauge", "Current channel count.", [("", count)])
        yield self._family("calls_sum", "counter", "Total call count.", [("", self._processed)])
        yield self._family("calls_count", "gauge", "Current call count.", [("", count)])
        if self._channels:
            yield self._per_channel("channels_state", _STATES, lambda _channel: _UP)
            yield self._per_channel(
                "channels_duration_seconds",
                "Individual channel durations (in seconds).",
                lambda channel: int(time.time() - channel.created_s),
            )
        endpoint = 'id="PJSIP/kam",tech="PJSIP",resource="kam"'
        yield self._family("endpoints_count", "gauge", "Current endpoint count.", [("", 1)])
        yield self._family("endpoints_state", "gauge", _ENDPOINT_STATES, [(endpoint, 2)])
        yield self._family("endpoints_channels_count", "gauge", _ENDPOINT_CHANNELS, [(endpoint, count)])
        yield self._family("bridges_count", "gauge", "Current bridge count.", [("", 0)])
        built = f'version="{VERSION}",build_options="OPTIONAL_API",build_date="{_BUILT}"'
        built += ',build_os="Linux",build_kernel="6.18",build_host="rig"'
        yield self._family("core_properties", "counter", _PROPERTIES, [(built, 1)])
        yield self._family("core_uptime_seconds", "counter", "Asterisk instance uptime in seconds.", [("", uptime_s)])
        yield self._family(
            "core_last_reload_seconds", "counter", "Time since last Asterisk reload in seconds.", [("", uptime_s)]
        )
        yield self._family(
            "core_scrape_time_ms", "counter", "Total time taken to collect metrics, in milliseconds", [("", 0)]
        )

    def _family(self, name: str, kind: str, text: str, samples: Sequence[tuple[str, int]]) -> Sequence[str]:
        head = (f"# HELP asterisk_{name} {text}", f"# TYPE asterisk_{name} {kind}")
        eid = f'eid="{self._entity}"'
        return (
            *head,
            *(f"asterisk_{name}{{{','.join(filter(None, (eid, labels)))}}} {value}" for labels, value in samples),
        )

    def _per_channel(self, name: str, text: str, value: Any) -> Sequence[str]:
        samples = [
            (f'name="{one.name}",id="{one.id}",type="PJSIP",linkedid="{one.id}"', value(one)) for one in self._channels
        ]
        return self._family(name, "gauge", text, samples)


# The texts are part of the format: a client sees them.
_STATES = (
    "Individual channel states. 0=down; 1=reserved; 2=offhook; 3=dialing; 4=ring; 5=ringing; 6=up; 7=busy; "
    "8=dialing_offhook; 9=prering."
)
_ENDPOINT_STATES = "Individual endpoint states. 0=unknown; 1=offline; 2=online."
_ENDPOINT_CHANNELS = "Count of the number of channels currently existing that are associated with the endpoint."
_PROPERTIES = "Asterisk instance properties. The value of this will always be 1."


def _ari_time(at_s: float) -> str:
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "+0000"


def _ari(value: Any, status: HTTPStatus = HTTPStatus.OK, headers: dict[str, str] | None = None) -> Response:
    response = json_response(value, status)
    return Response(response.body, status, response.content_type, {"Server": "Asterisk", **(headers or {})})


async def _serve(container: Container) -> asyncio.Server:
    user, password = (container.environment.get(name, DEFAULTS[name]) for name in ("ARI_USER", "ARI_PASSWORD"))
    pbx = Pbx(container.pod["metadata"]["name"], container.pod_ip, user, password)
    return await serve(container.pod_ip, PORT, pbx.answer)


PBX_SIMULATOR = Image("pbx-simulator", tree=None, entrypoint=(), serve=_serve)
