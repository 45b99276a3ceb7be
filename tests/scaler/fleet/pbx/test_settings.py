"""How media servers are configured: what is refused, and that no secret is shown."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from scaler.fleet.pbx.ami import Ami
from scaler.fleet.pbx.ari import Ari
from scaler.fleet.pbx.http_json import HttpJson
from scaler.fleet.pbx.opening import open_media_server
from scaler.fleet.pbx.settings import AnyMediaServer, AriSettings, Login, SecretMissingError

LOGIN = {"username": "calltide", "passwordEnv": "PBX_PASSWORD"}
HTTP: dict[str, Any] = {"type": "http", "port": 8080, "openGate": {"path": "/open"}, "closeGate": {"path": "/close"}}


def parsed(written: dict[str, Any]) -> Any:
    return TypeAdapter(AnyMediaServer).validate_python(written)


@pytest.mark.parametrize(
    ("written", "kind"),
    [({"type": "ari", "login": LOGIN}, Ari), ({"type": "ami", "login": LOGIN}, Ami), (HTTP, HttpJson)],
)
def test_the_type_says_how_it_is_asked(written: dict[str, Any], kind: type) -> None:
    assert type(open_media_server(parsed(written), lambda: 0.0)) is kind


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"timeoutSeconds": 4}, "less than 4"),
        ({"timeoutSeconds": 0}, "greater than 0"),
        ({"gateVariable": "GATE)\r\nAction: x"}, "pattern"),
        ({"openValue": "open", "closedValue": "open"}, "give the gate two values"),
        ({"path": "/../x?y"}, "pattern"),
        ({"port": 0}, "greater than or equal to 1"),
        ({"login": {"username": "calltide", "passwordFile": "/a", "passwordEnv": "B"}}, "name one of"),
        ({"login": {"username": "calltide"}}, "name one of"),
        ({"login": {"username": "a\r\nb", "passwordEnv": "B"}}, "pattern"),
        ({"password": "here"}, "Extra inputs"),
        ({"tls": {"serverName": "a b"}}, "pattern"),
    ],
)
def test_what_makes_no_sense_is_refused(change: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        parsed({"type": "ari", "login": LOGIN} | change)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"channels": "a..b"}, "pattern"),
        ({"openValue": True, "closedValue": True}, "give the gate two values"),
        ({"closeGate": {"path": "/x", "method": "GET"}}, "POST"),
        ({"closeGate": {"path": "/x y"}}, "pattern"),
        ({"openValue": 1}, "openValue"),
    ],
)
def test_what_makes_no_sense_of_a_generic_server_is_refused(change: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        parsed(HTTP | change)


def test_a_password_is_read_at_each_use_and_one_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    login = Login(username="calltide", password_env="PBX_PASSWORD")
    monkeypatch.setenv("PBX_PASSWORD", "one")
    first = login.password()
    monkeypatch.setenv("PBX_PASSWORD", "two")

    assert (first, login.password()) == ("one", "two")
    monkeypatch.delenv("PBX_PASSWORD")
    with pytest.raises(SecretMissingError, match="passwordEnv PBX_PASSWORD is not set"):
        login.password()


def test_a_password_does_not_show_in_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PBX_PASSWORD", "correct horse")

    assert "correct horse" not in repr(AriSettings(login=Login(username="calltide", password_env="PBX_PASSWORD")))
