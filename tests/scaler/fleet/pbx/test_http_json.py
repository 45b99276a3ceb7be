"""A media server that is no Asterisk: which fields count, and what it is told."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from scaler.fleet.pbx.protocol import PbxAnswer, PodTarget
from scaler.fleet.pbx.settings import PendingWork
from scaler.retirement.readings import Doubt, GatePosition, Reading, Unproved
from tests.scaler.fleet.pbx.conftest import Ask
from tests.scaler.fleet.pbx.made_up_pbx import ADDRESS, MadeUpPbx, raw_http

POD = PodTarget("uid-1", "media-0", ADDRESS, "containerd://1/0")
STATE = {"up": {"since": 17}, "gate": False, "calls": 2}


def told(ask: Ask, state: object, **more: Any) -> PbxAnswer:
    async def answer(question: str) -> bytes | None:
        return raw_http(200, json.dumps(state).encode()) if question == "state" else None

    async def body() -> PbxAnswer:
        async with MadeUpPbx(hook=answer) as pbx:
            return await ask(pbx, **{"open_value": True, "closed_value": False, **more}).read(POD)

    return asyncio.run(body())


def test_a_gate_may_be_true_or_false_and_a_start_a_number(ask_over_http: Ask) -> None:
    found = told(ask_over_http, STATE).reading

    assert isinstance(found, Reading)
    assert (found.gate, found.channels, found.boot.started) == (GatePosition.CLOSED, 2, "17")


def test_a_list_of_channels_is_counted(ask_over_http: Ask) -> None:
    found = told(ask_over_http, STATE | {"calls": [{}, {}, {}]}).reading

    assert isinstance(found, Reading)
    assert found.channels == 3


def test_pending_work_in_the_state_and_beside_it_counts_together(ask_over_http: Ask) -> None:
    async def body() -> PbxAnswer:
        async with MadeUpPbx(pending=["a.wav"]) as pbx:
            return await ask_over_http(pbx, pending="uploads", pending_work=PendingWork(port=pbx.pending_port)).read(
                POD
            )

    found = asyncio.run(body()).reading
    assert isinstance(found, Reading)
    assert found.pending == ("a.wav", "a.wav")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"calls": None}, "calls is neither a count nor a list"),
        ({"calls": "0"}, "calls is neither a count nor a list"),
        ({"calls": 0.0}, "calls is neither a count nor a list"),
        ({"calls": False}, "calls is neither a count nor a list"),
        ({"calls": -1}, "calls is neither a count nor a list"),
        ({"calls": {}}, "calls is neither a count nor a list"),
        ({"gate": 0}, "gate is 0, neither True nor False"),
        ({"gate": None}, "gate is None, neither True nor False"),
        ({"gate": "x" * 500}, "neither True nor False"),
        ({"up": {}}, "the answer has no up.since"),
        ({"up": 17}, "the answer has no up.since"),
        ({"up": {"since": ""}}, "up.since is neither a text nor a number"),
        ({"up": {"since": True}}, "up.since is neither a text nor a number"),
        ({"up": {"since": "x" * 500}}, "up.since is longer than 80 characters"),
    ],
)
def test_a_field_that_cannot_be_what_it_should_is_no_reading(
    ask_over_http: Ask, change: dict[str, Any], why: str
) -> None:
    found = told(ask_over_http, STATE | change).reading

    assert isinstance(found, Unproved)
    assert found.doubt is Doubt.UNREADABLE
    assert why in found.sentence


@pytest.mark.parametrize("field", list(STATE))
def test_a_field_that_is_missing_is_no_reading(ask_over_http: Ask, field: str) -> None:
    found = told(ask_over_http, {name: value for name, value in STATE.items() if name != field}).reading

    assert isinstance(found, Unproved)
    assert f"the answer has no {field}" in found.sentence


def test_a_server_that_counts_before_it_looks_at_its_gate_proves_nothing_by_one_answer(ask_over_http: Ask) -> None:
    """A call is let in after the count and before the gate shuts: the answer has a zero beside a shut gate."""
    answers = iter([STATE | {"gate": True, "calls": 0}, STATE | {"gate": False, "calls": 0}])

    async def answer(_: str) -> bytes:
        return raw_http(200, json.dumps(next(answers)).encode())

    async def body() -> PbxAnswer:
        async with MadeUpPbx(hook=answer) as pbx:
            return await ask_over_http(pbx, open_value=True, closed_value=False).read(POD)

    found = asyncio.run(body()).reading
    assert isinstance(found, Reading)
    assert found.gate is GatePosition.OPEN
