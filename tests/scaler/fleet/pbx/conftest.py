"""Three ways to ask the same made-up PBX."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scaler.fleet.pbx.opening import open_media_server
from scaler.fleet.pbx.protocol import MediaServer
from scaler.fleet.pbx.settings import AmiSettings, AriSettings, HttpSettings, Login
from tests.scaler.fleet.pbx.made_up_pbx import PASSWORD, USER, MadeUpPbx

PATIENT_S = 3.9
"""For a PBX that answers, however busy the machine is."""
Ask = Callable[..., MediaServer]


@pytest.fixture
def password_file(tmp_path: Path) -> Path:
    path = tmp_path / "password"
    path.write_text(PASSWORD + "\n")
    return path


@pytest.fixture
def ask_over_ari(password_file: Path) -> Ask:
    return _asking(password_file, lambda pbx, more: AriSettings(port=pbx.http_port, **more))


@pytest.fixture
def ask_over_ami(password_file: Path) -> Ask:
    return _asking(password_file, lambda pbx, more: AmiSettings(port=pbx.ami_port, **more))


@pytest.fixture
def ask_over_http(password_file: Path) -> Ask:
    return _asking(password_file, _http)


@pytest.fixture(params=["ari", "ami", "http"])
def ask(request: pytest.FixtureRequest) -> Ask:
    """Any of them: what they have in common."""
    return request.getfixturevalue(f"ask_over_{request.param}")


def _asking(password_file: Path, settings: Callable[[MadeUpPbx, dict[str, Any]], Any]) -> Ask:
    def ask(pbx: MadeUpPbx, **more: Any) -> MediaServer:
        defaults = {"login": Login(username=USER, password_file=password_file), "timeout_seconds": PATIENT_S}
        return open_media_server(settings(pbx, defaults | more), clock=_Ticks())

    return ask


def _http(pbx: MadeUpPbx, more: dict[str, Any]) -> HttpSettings:
    written = {
        "type": "http",
        "port": pbx.http_port,
        "started": "up.since",
        "channels": "calls",
        "openGate": {"method": "PUT", "path": "/gate", "body": {"gate": "open"}},
        "closeGate": {"method": "PUT", "path": "/gate", "body": {"gate": "closed"}},
    }
    return HttpSettings.model_validate(written | more)


class _Ticks:
    """A clock of its own: every look at it is a second later."""

    def __init__(self) -> None:
        self._now_s = 1000.0

    def __call__(self) -> float:
        self._now_s += 1.0
        return self._now_s
