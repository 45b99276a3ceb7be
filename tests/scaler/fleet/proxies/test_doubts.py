"""Proxies that hang, talk nonsense or are not there: a doubt each, and never away."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scaler.fleet.proxies.protocol import FrontGateError
from scaler.retirement.readings import Doubt, FrontGate, Steering, Unproved
from tests.scaler.fleet.proxies.asking import (
    ACME,
    HASTY_S,
    Start,
    acme,
    gates,
    made,
    raw,
    run,
    steerings,
)
from tests.scaler.fleet.proxies.made_up_proxy import Answer, failed, listed


def test_one_proxy_that_hangs_is_a_doubt_and_holds_up_no_other(start: Start) -> None:
    one, two = start(acme("DX")), start(acme("DX"))
    one.hangs.set()
    gate = gates(one, two, timeoutSeconds=HASTY_S)
    began_s = time.monotonic()

    assert steerings(gate) == [Doubt.TIMED_OUT, Steering.AWAY]
    with pytest.raises(FrontGateError, match="timed out"):
        run(gate.steer(one.name, ACME, Steering.AWAY))
    assert time.monotonic() - began_s < 10 * HASTY_S


def test_a_proxy_that_answers_byte_by_byte_does_not_hold_us_longer(start: Start) -> None:
    listener = socket.create_server(("127.0.9.200", 0))
    gate = made({"addresses": [f"127.0.9.200:{listener.getsockname()[1]}"], "timeoutSeconds": HASTY_S})

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        while not writer.is_closing():
            writer.write(b" ")
            await asyncio.sleep(HASTY_S / 10)

    async def ask() -> FrontGate:
        async with await asyncio.start_server(drip, sock=listener):
            return (await asyncio.wait_for(gate.read([ACME]), 10 * HASTY_S))[ACME.uid][0]

    found = run(ask())
    assert isinstance(found.steering, Unproved)
    assert found.steering.doubt is Doubt.TIMED_OUT


def test_a_proxy_for_the_web_in_the_environment_is_not_asked(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.9.199:1")

    assert steerings(gates(start(acme("DX")))) == [Steering.AWAY]


def test_nobody_at_the_address_is_a_doubt(start: Start) -> None:
    proxy = start(acme("DX"))
    gate = gates(proxy)
    proxy.stop()

    assert steerings(gate) == [Doubt.NO_ANSWER]


NONSENSE = {
    "no JSON": raw(b"<html>"),
    "nothing": raw(b""),
    "no text": raw(b"\xff\xfe"),
    "a null result": raw(b'{"jsonrpc": "2.0", "id": 1, "result": null}'),
    "no sets in a good answer": raw(b'{"jsonrpc": "2.0", "id": 1, "result": {"NRSETS": 0, "RECORDS": []}}'),
    "neither result nor error": raw(b'{"jsonrpc": "2.0", "id": 1}'),
    "both": raw(b'{"jsonrpc": "2.0", "id": 1, "result": null, "error": {"message": "No Destination Sets"}}'),
    "the answer to another question": lambda request: listed([acme("DX")], 2),
    "an error without words": raw(b'{"jsonrpc": "2.0", "id": 1, "error": null}', 500),
    "an error of another kind": lambda request: failed("Internal error creating dest struct"),
    "unknown flags": lambda request: listed([acme("D?")]),
    "no flags": lambda request: listed([acme("")]),
    "deeper than anything": raw(b"[" * 200_000),
    "longer than anything": raw(b" " * (9 * 1024 * 1024)),
    "another page": raw(b"{}", 404),
    "a redirection": raw(b"{}", 302),
}


@pytest.mark.parametrize("instead", NONSENSE.values(), ids=NONSENSE.keys())
def test_what_makes_no_sense_is_a_doubt_and_never_away(start: Start, instead: Callable[[Any], Answer]) -> None:
    proxy = start(instead=instead)

    assert steerings(gates(proxy)) == [Doubt.UNREADABLE]
    with pytest.raises(FrontGateError, match="unreadable"):
        run(gates(proxy).steer(proxy.name, ACME, Steering.AWAY))


@given(
    body=st.binary(max_size=60)
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["jsonrpc", "id", "result", "error", "message", "RECORDS", "SET"]), inner)
        ),
        max_leaves=8,
    ).map(lambda one: json.dumps(one).encode()),
    status=st.sampled_from([200, 500]),
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_answer_that_is_not_understood_says_away(start: Start, body: bytes, status: int) -> None:
    proxy = start(instead=raw(body, status))

    assert steerings(gates(proxy)) == [Doubt.UNREADABLE]
    proxy.stop()
