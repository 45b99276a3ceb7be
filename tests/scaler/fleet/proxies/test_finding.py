"""Proxies that are every address of a name, and what becomes of it when nobody knows the name."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any

import pytest

from scaler.fleet.proxies import finding
from scaler.fleet.proxies.kamailio import KamailioGates
from scaler.fleet.proxies.settings import KamailioSettings
from scaler.retirement.readings import FrontGate, Steering, Unproved
from tests.scaler.fleet.proxies.asking import (
    ACME,
    HASTY_S,
    OTHER,
    PATIENT_S,
    Start,
    acme,
    read,
    run,
    steerings,
)

NAME = "proxies.voice.svc"


class Resolver:
    """Name service whose answer a test sets: addresses, or what is raised."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
        self.answer: list[str] | Exception = list(addresses)
        self.asked = 0
        monkeypatch.setattr(socket, "getaddrinfo", self._getaddrinfo)
        self._real = socket.getaddrinfo

    def _getaddrinfo(self, host: Any, port: Any, *rest: Any, **more: Any) -> list[Any]:
        if host != NAME:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            return [(family, socket.SOCK_STREAM, 6, "", (host, int(port)))]
        self.asked += 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in self.answer]


class Now:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.s = 100.0

    def __call__(self) -> float:
        return self.s


def by_name(clock: Callable[[], float], port: int = 8090, timeout_s: float = PATIENT_S) -> KamailioGates:
    settings = KamailioSettings.model_validate({"dns": NAME, "port": port, "timeoutSeconds": timeout_s})
    return KamailioGates("edge", settings, clock)


def test_every_address_of_the_name_is_a_proxy_and_one_that_vanished_is_dropped(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = start(acme("DX"))
    port = int(one.name.partition(":")[2])
    two = start(acme(), port=port)
    resolver, now = Resolver(monkeypatch, two.address, one.address, one.address), Now()
    gate = by_name(now, port)

    assert steerings(gate) == [Steering.AWAY, Steering.TOWARDS]
    resolver.answer = [two.address]
    assert steerings(gate) == [Steering.AWAY, Steering.TOWARDS], "the name was resolved a moment ago"
    now.s += finding.REMEMBERED_FOR_S
    ((found,),) = read(gate)
    assert (found.proxy, found.steering) == (two.name, Steering.TOWARDS)
    assert resolver.asked == 2


@pytest.mark.parametrize("answer", [[], socket.gaierror(socket.EAI_NONAME, "unknown"), UnicodeError("label too long")])
def test_proxies_that_cannot_be_found_are_one_doubt_in_the_groups_name(
    start: Start, monkeypatch: pytest.MonkeyPatch, answer: list[str] | Exception
) -> None:
    proxy = start(acme("DX"))
    resolver, now = Resolver(monkeypatch, proxy.address), Now()
    gate = by_name(now, int(proxy.name.partition(":")[2]))
    assert steerings(gate) == [Steering.AWAY]
    now.s += finding.REMEMBERED_FOR_S
    resolver.answer = answer

    of_acme, of_other = read(gate, ACME, OTHER)
    for (found,) in (of_acme, of_other):
        assert found.proxy == "edge"
        assert isinstance(found.steering, Unproved)
        assert NAME in found.steering.sentence


def test_a_resolver_that_hangs_is_a_doubt_in_time_and_is_asked_by_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = by_name(Now(), timeout_s=HASTY_S)
    looks = 0

    async def hang(*_: object, **__: object) -> Any:
        nonlocal looks
        looks += 1
        await asyncio.Event().wait()

    async def ask() -> list[FrontGate]:
        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", hang)
        found = [(await asyncio.wait_for(gate.read([ACME]), 10 * HASTY_S))[ACME.uid][0] for _ in range(2)]
        await gate.close()
        return found

    for one in run(ask()):
        assert one.proxy == "edge"
        assert isinstance(one.steering, Unproved)
        assert "not resolved in time" in one.steering.sentence
    assert looks == 1
