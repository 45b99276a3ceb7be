"""The PBX simulator answers in the shape of a real Asterisk (tests/captures/asterisk)."""

from __future__ import annotations

import asyncio
import json
import re
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from scaler.fleet.pbx.ari import Ari
from scaler.fleet.pbx.protocol import PodTarget
from scaler.fleet.pbx.settings import AriSettings
from scaler.retirement.readings import GatePosition, Reading
from tests.rig.images.asterisk import DEFAULTS
from tests.rig.images.pbx_simulator import Pbx
from tests.rig.node.http_server import serve

CAPTURES = Path(__file__).parents[2] / "captures" / "asterisk"
LOGIN = (DEFAULTS["ARI_USER"], DEFAULTS["ARI_PASSWORD"])
_LABEL = re.compile(r'(\w+)="')


def capture(name: str) -> tuple[int, str]:
    head, _, body = (CAPTURES / name).read_text(encoding="utf-8").partition("\n\n")
    return int(head.split()[1]), body


def shape(value: Any) -> Any:
    """Names and kinds of a JSON value, without what differs from one PBX to the next."""
    if isinstance(value, dict):
        return {name: shape(each) for name, each in value.items()}
    if isinstance(value, list):
        return [shape(each) for each in value]
    if isinstance(value, str) and re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+0000", value):
        return "time"
    return type(value).__name__


def families(text: str) -> dict[str, Any]:
    """Each metric's help and type, and the label names of its first sample."""
    found: dict[str, Any] = {}
    for line in text.splitlines():
        if line.startswith("#"):
            _, kind, name, rest = line.split(" ", 3)
            found.setdefault(name, {})[kind] = rest
        else:
            name = line.partition("{")[0]
            found[name].setdefault("labels", _LABEL.findall(line))
    return found


def answers(channels: int, *asked: str, login: tuple[str, str] | None = LOGIN) -> list[httpx.Response]:
    async def ask() -> list[httpx.Response]:
        server = await serve("127.0.0.1", 0, Pbx("pbx-0", "127.16.16.1", *LOGIN).answer)
        port = server.sockets[0].getsockname()[1]
        async with server, httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", auth=login) as client:
            await client.put("/simulator/channels", json={"count": channels})
            return [await client.get(path) for path in asked]

    return asyncio.run(ask())


@pytest.mark.parametrize(
    ("path", "name"),
    [("/ari/asterisk/info", "01-idle-ari-asterisk-info.txt"), ("/ari/asterisk/ping", "01-idle-ari-ping.txt")],
)
def test_ari_answers_have_the_real_shape(path, name):
    (answer,) = answers(0, path)
    status, body = capture(name)
    assert (answer.status_code, shape(answer.json())) == (status, shape(json.loads(body)))


def test_channels_have_the_real_shape():
    (answer,) = answers(10, "/ari/channels")
    _, body = capture("02-5calls-ari-channels.txt")
    assert shape(answer.json()) == shape(json.loads(body))
    assert len({channel["id"] for channel in answer.json()}) == 10


@pytest.mark.parametrize(("channels", "name"), [(0, "01-idle-metrics.txt"), (10, "02-5calls-metrics.txt")])
def test_metrics_have_the_real_families_labels_and_order(channels, name):
    (answer,) = answers(channels, "/metrics", login=None)
    _, body = capture(name)
    assert list(families(answer.text).items()) == list(families(body).items())
    assert re.search(rf"^asterisk_channels_count\{{.*\}} {channels}$", answer.text, re.MULTILINE)


@pytest.mark.parametrize("login", [None, (LOGIN[0], "wrong")])
def test_ari_wants_a_password_as_the_real_one(login):
    (answer,) = answers(0, "/ari/channels", login=login)
    status, body = capture("01-ari-no-auth.txt")
    assert (answer.status_code, answer.json()) == (status, json.loads(body))
    assert answer.headers["WWW-Authenticate"] == 'Basic realm="Asterisk REST Interface"'


def test_channels_end_oldest_first_and_stay_counted():
    pbx = Pbx("pbx-0", "127.16.16.1", *LOGIN)
    pbx.have(3)
    pbx.have(1)
    pbx.have(2)
    text = pbx.metrics()
    assert 'name="PJSIP/kam-00000002"' in text
    assert 'name="PJSIP/kam-00000000"' not in text
    assert re.search(r"^asterisk_calls_sum\{.*\} 4$", text, re.MULTILINE)


def test_calltide_reads_it_and_shuts_its_gate(monkeypatch):
    monkeypatch.setenv("PBX_PASSWORD", LOGIN[1])

    async def ask() -> list[Reading]:
        pbx = Pbx("pbx-0", "127.0.0.1", *LOGIN)
        pbx.have(2)
        server = await serve("127.0.0.1", 0, pbx.answer)
        login = {"username": LOGIN[0], "passwordEnv": "PBX_PASSWORD"}
        settings = AriSettings(type="ari", port=server.sockets[0].getsockname()[1], login=login)
        ari, pod = Ari(settings, time.monotonic), PodTarget("uid", "pbx-0", "127.0.0.1", "c#0")
        async with server:
            before = (await ari.read(pod)).reading
            await ari.set_gate(pod, before.boot, GatePosition.CLOSED)
            return [before, (await ari.read(pod)).reading]

    before, after = asyncio.run(ask())
    assert (before.channels, before.gate, after.gate) == (2, GatePosition.OPEN, GatePosition.CLOSED)
    assert after.boot == before.boot
