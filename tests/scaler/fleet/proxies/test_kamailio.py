"""The front gates of Kamailio: what is read of proxies that answer, and what they are told."""

from __future__ import annotations

import ssl
import time
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from scaler.fleet.proxies.protocol import FrontGateError
from scaler.fleet.proxies.settings import KamailioSettings
from scaler.retirement.readings import Doubt, Steering, Unproved
from tests.scaler.fleet.proxies.asking import (
    ACME,
    OTHER,
    Start,
    acme,
    gates,
    other,
    raw,
    read,
    run,
    steerings,
)
from tests.scaler.fleet.proxies.made_up_proxy import Answer, Line, failed, listed
from tests.servers.certificates import Authority


def test_every_proxy_says_for_itself_what_it_does_with_each_pod(start: Start) -> None:
    one, two = start(acme("DX"), other()), start(acme(), other("DX"))

    of_acme, of_other = read(gates(one, two), ACME, OTHER)

    assert [(gate.proxy, gate.steering) for gate in of_acme] == [
        (one.name, Steering.AWAY),
        (two.name, Steering.TOWARDS),
    ]
    assert [gate.steering for gate in of_other] == [Steering.TOWARDS, Steering.AWAY]


def test_a_reading_is_as_old_as_its_question(start: Start) -> None:
    gate = gates(start(acme()))
    before_s = time.monotonic()
    ((one,),) = read(gate)

    assert before_s <= one.read_at_s <= time.monotonic()


def test_steering_away_and_back_changes_every_line_of_the_pod_and_no_other(start: Start) -> None:
    proxy = start(acme(), acme(set_id=2), other(), Line(3, "sip:10.9.9.9", "DX"), Line(3, "sip:carrier.example", "AP"))
    gate = gates(proxy, sets=[1, 2])

    async def there_and_back() -> None:
        await gate.read([ACME])
        await gate.steer(proxy.name, ACME, Steering.AWAY)
        assert proxy.flags() == ["DX", "DX", "AP", "DX", "AP"]
        assert (await gate.read([ACME]))[ACME.uid][0].steering is Steering.AWAY
        await gate.steer(proxy.name, ACME, Steering.TOWARDS)

    run(there_and_back())
    assert proxy.flags() == ["AP", "AP", "AP", "DX", "AP"]
    assert proxy.told[:2] == [
        ["dispatcher.set_state", "d", 1, "sip:10.0.0.7:5060"],
        ["dispatcher.set_state", "d", 2, "sip:10.0.0.7:5060"],
    ]


def test_what_is_as_it_should_be_is_not_told_again(start: Start) -> None:
    proxy = start(acme("DX"))
    run(gates(proxy).steer(proxy.name, ACME, Steering.AWAY))

    assert proxy.told == []


def test_a_reload_that_forgets_shows_at_once_and_is_told_again(start: Start) -> None:
    proxy = start(acme("DX"))
    gate = gates(proxy)
    proxy.reload()

    assert steerings(gate) == [Steering.TOWARDS]
    run(gate.steer(proxy.name, ACME, Steering.AWAY))
    assert steerings(gate) == [Steering.AWAY]


def test_an_empty_list_sends_the_pod_nothing(start: Start) -> None:
    assert steerings(gates(start())) == [Steering.AWAY]


def test_a_uri_that_stands_twice_is_disabled_by_both_duids(start: Start) -> None:
    proxy = start(Line(1, "sip:10.0.0.7", duid="udp"), Line(1, "sip:10.0.0.7", duid="tcp"))
    run(gates(proxy).steer(proxy.name, ACME, Steering.AWAY))

    assert proxy.flags() == ["DX", "DX"]


def test_lines_that_cannot_be_told_apart_are_an_error_with_the_remedy(start: Start) -> None:
    proxy = start(Line(1, "sip:10.0.0.7"), Line(1, "sip:10.0.0.7"))

    with pytest.raises(FrontGateError, match=r"proxy .* acme-0 was not told away: .* duid of its own"):
        run(gates(proxy).steer(proxy.name, ACME, Steering.AWAY))
    assert proxy.flags() == ["AP", "AP"]


def test_a_name_in_the_list_is_a_doubt_that_says_how_to_mend_it(start: Start) -> None:
    ((found,),) = read(gates(start(Line(1, "sip:acme-0.pbx.acme.svc:5060"))))

    assert isinstance(found.steering, Unproved)
    assert "list pods by address" in found.steering.sentence


@pytest.mark.parametrize("message", ["Ongoing reload", "State Update Failed"])
def test_a_refused_change_is_an_error_and_the_caller_may_try_again(start: Start, message: str) -> None:
    proxy = start(acme())

    def refusing(request: Any) -> Answer:
        return failed(message) if request["method"] != "dispatcher.list" else listed(proxy.lines)

    proxy.instead = refusing
    with pytest.raises(FrontGateError, match=message):
        run(gates(proxy).steer(proxy.name, ACME, Steering.AWAY))
    proxy.instead = None
    run(gates(proxy).steer(proxy.name, ACME, Steering.AWAY))
    assert proxy.flags() == ["DX"]


def test_a_proxy_that_was_not_found_is_not_spoken_to(start: Start) -> None:
    stranger = start(acme())

    for name in (stranger.name, "edge"):
        with pytest.raises(FrontGateError, match="none of the proxies that were found"):
            run(gates(start(acme())).steer(name, ACME, Steering.AWAY))
    assert not stranger.asked.is_set()


def test_the_password_is_read_at_each_use_and_told_to_nobody(start: Start, tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text("first\n")
    proxy = start(acme())
    gate = gates(proxy, login={"username": "calltide", "passwordFile": str(secret)}, path="/json/rpc")
    assert steerings(gate) == [Steering.TOWARDS]
    secret.write_text("second")
    assert steerings(gate) == [Steering.TOWARDS]
    secret.unlink()
    ((found,),) = read(gate)

    assert proxy.authorizations == ["Basic Y2FsbHRpZGU6Zmlyc3Q=", "Basic Y2FsbHRpZGU6c2Vjb25k"]
    assert set(proxy.paths) == {"/json/rpc"}
    assert isinstance(found.steering, Unproved)
    assert found.steering.doubt is Doubt.REFUSED
    assert str(secret) in found.steering.sentence


@pytest.mark.parametrize("status", [401, 403])
def test_a_proxy_that_lets_us_not_in_refuses(start: Start, status: int) -> None:
    assert steerings(gates(start(instead=raw(b"no", status)))) == [Doubt.REFUSED]


def test_tls_believes_the_name_of_the_proxies_and_its_own_authority_alone(start: Start, tmp_path: Path) -> None:
    authority = Authority("proxies")
    leaf = authority.issue("proxy.example")
    for name, text in {"ca": authority.certificate, "cert": leaf.certificate, "key": leaf.key}.items():
        (tmp_path / name).write_bytes(text)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tmp_path / "cert", tmp_path / "key")
    proxy = start(acme("DX"), certificate=context)

    def found(server_name: str, ca_file: Path) -> list[Steering | Doubt]:
        return steerings(gates(proxy, tls={"serverName": server_name, "caFile": str(ca_file)}))

    assert found("proxy.example", tmp_path / "ca") == [Steering.AWAY]
    assert found("other.example", tmp_path / "ca") == [Doubt.NO_ANSWER]
    assert found("proxy.example", tmp_path / "missing") == [Doubt.REFUSED]
    (tmp_path / "ca").write_bytes(Authority("others").certificate)
    assert found("proxy.example", tmp_path / "ca") == [Doubt.NO_ANSWER]


def test_settings_name_the_proxies_one_way_and_by_address() -> None:
    for known in ({}, {"dns": "proxies.voice.svc", "addresses": ["10.0.0.1:8090"]}):
        with pytest.raises(ValidationError, match="name one of dns, service and addresses"):
            KamailioSettings.model_validate(known)
    for address in ("proxy.example:8090", "10.0.0.1", "10.0.0.1:8090/x", "10.0.0.1:8090@evil"):
        with pytest.raises(ValidationError, match="addresses"):
            KamailioSettings.model_validate({"addresses": [address]})
