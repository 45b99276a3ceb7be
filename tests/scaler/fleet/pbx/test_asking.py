"""What holds for every way to ask: a number only when it was understood, a gate only in the run that was looked at."""

from __future__ import annotations

import asyncio
import json
import re
import ssl
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scaler.fleet.pbx.protocol import PbxError, PodTarget
from scaler.fleet.pbx.settings import Login, Tls
from scaler.retirement.readings import Boot, Doubt, GatePosition, Reading, Unproved
from tests.scaler.fleet.pbx.asked import CALL, HASTY_S, POD, doubt, instead, never, reading, run
from tests.scaler.fleet.pbx.conftest import Ask
from tests.scaler.fleet.pbx.made_up_pbx import PASSWORD, STARTED, USER, MadeUpPbx, raw_http
from tests.servers.certificates import Authority

GATES = pytest.mark.parametrize("position", list(GatePosition))


def test_an_idle_pbx_is_read_as_open_and_empty(ask: Ask) -> None:
    async def body() -> None:
        async with MadeUpPbx() as pbx:
            found = reading(await ask(pbx).read(POD))

        assert (found.gate, found.channels, found.pending, found.held) == (GatePosition.OPEN, 0, (), ())
        assert found.boot.container == POD.container
        assert found.boot.started[:10] == STARTED[:10]
        assert found.answered_at_s > found.asked_at_s

    run(body)


def test_a_pbx_with_calls_behind_a_shut_gate_is_read_so(ask: Ask) -> None:
    async def body() -> None:
        async with MadeUpPbx(channels=[CALL] * 3, variables={"CALLTIDE_GATE": "closed"}) as pbx:
            found = reading(await ask(pbx).read(POD))

        assert (found.gate, found.channels) == (GatePosition.CLOSED, 3)

    run(body)


@pytest.mark.parametrize("value", ["", "Open", "open ", " closed", "shut", "0"])
def test_a_gate_that_is_neither_open_nor_closed_is_no_reading(ask: Ask, value: str) -> None:
    async def body() -> None:
        async with MadeUpPbx(variables={"CALLTIDE_GATE": value}) as pbx:
            found = doubt(await ask(pbx).read(POD))

        assert found.doubt is Doubt.UNREADABLE
        assert "neither 'open' nor 'closed'" in found.sentence

    run(body)


def test_a_gate_that_is_shut_while_it_is_asked_does_not_vouch_for_the_count(ask: Ask) -> None:
    """A call is let in before the gate shuts; whoever reads the gate last would see it shut beside the older count."""

    async def body() -> None:
        pbx = MadeUpPbx()
        counted = asyncio.Event()

        async def hook(question: str) -> None:
            if counted.is_set():
                pbx.variables["CALLTIDE_GATE"] = "closed"
                pbx.channels = [CALL]
            if question in ("channels", "state"):
                counted.set()

        pbx.hook = hook
        async with pbx:
            found = (await ask(pbx).read(POD)).reading

        assert not (isinstance(found, Reading) and found.gate is GatePosition.CLOSED and found.channels == 0), found

    run(body)


@pytest.mark.parametrize("turn", range(6))
def test_a_restart_in_the_middle_never_gives_a_reading_of_two_runs(ask: Ask, turn: int) -> None:
    async def body() -> None:
        pbx = MadeUpPbx(channels=[CALL], variables={"CALLTIDE_GATE": "closed"})

        async def hook(question: str) -> bytes | None:
            if len(pbx.asked) == turn + 1:
                pbx.restart()
                # A conversation of AMI ends with the process.
                return b"" if question not in ("run", "gate", "channels", "state") or ami else None
            return None

        pbx.hook = hook
        async with pbx:
            server = ask(pbx)
            ami = type(server).__name__ == "Ami"
            found = (await server.read(POD)).reading

        if isinstance(found, Reading):
            of_one = {(STARTED[:10], GatePosition.CLOSED, 1), ("2026-11-23", GatePosition.OPEN, 0)}
            assert (found.boot.started[:10], found.gate, found.channels) in of_one
        else:
            assert "restarted while it was asked" in found.sentence or ami

    run(body)


def test_a_wrong_password_is_refused_and_nobody_is_told_it(ask: Ask) -> None:
    async def body() -> None:
        async with MadeUpPbx(password="another") as pbx:
            server = ask(pbx)
            found = doubt(await server.read(POD))
            with pytest.raises(PbxError) as failure:
                await server.set_gate(POD, Boot(STARTED, POD.container), GatePosition.CLOSED)

        assert found.doubt is Doubt.REFUSED
        assert PASSWORD not in found.sentence + str(failure.value)
        assert pbx.gate == "open"

    run(body)


def test_a_password_that_was_rotated_is_used_at_the_next_question(ask: Ask, password_file: Path) -> None:
    rotate = password_file.write_text

    async def body() -> None:
        async with MadeUpPbx() as pbx:
            server = ask(pbx)
            reading(await server.read(POD))
            pbx.password = "new one"
            doubt(await server.read(POD))
            rotate("new one")

            assert reading(await server.read(POD)).channels == 0

    run(body)


def test_a_password_file_that_is_not_there_is_named(ask: Ask, password_file: Path) -> None:
    async def body() -> None:
        async with MadeUpPbx() as pbx:
            login = Login(username=USER, password_file=password_file.with_name("nowhere"))
            found = doubt(await ask(pbx, login=login).read(POD))

        assert found.doubt is Doubt.REFUSED
        assert str(password_file.with_name("nowhere")) in found.sentence
        assert pbx.asked == []

    run(body)


@pytest.mark.parametrize("question", ["login", "run", "gate", "channels", "state"])
def test_a_pbx_that_hangs_is_timed_out_whichever_question_it_hangs_at(ask: Ask, question: str) -> None:
    async def body() -> None:
        async with MadeUpPbx(hook=never(question)) as pbx:
            found = (await ask(pbx, timeout_seconds=HASTY_S).read(POD)).reading
            hung = question in pbx.asked

        assert isinstance(found, Unproved) is hung
        assert not hung or found.doubt is Doubt.TIMED_OUT  # type: ignore[union-attr]

    run(body)


def test_a_pbx_that_takes_no_connection_gives_no_answer(ask: Ask) -> None:
    async def body() -> None:
        async with MadeUpPbx() as pbx:
            server = ask(pbx)
        found = doubt(await server.read(POD))
        with pytest.raises(PbxError):
            await server.set_gate(POD, Boot(STARTED, POD.container), GatePosition.CLOSED)

        assert found.doubt is Doubt.NO_ANSWER

    run(body)


def test_an_address_that_is_none_is_no_reading(ask: Ask) -> None:
    async def body() -> None:
        async with MadeUpPbx() as pbx:
            found = doubt(await ask(pbx).read(PodTarget("uid", "acme-0", "no address", "c")))

        assert found.doubt in (Doubt.UNREADABLE, Doubt.NO_ANSWER)

    run(body)


QUESTIONS = ("run", "gate", "channels", "state")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(garbage=st.binary(max_size=300), question=st.sampled_from(QUESTIONS), http_head=st.booleans())
def test_garbage_is_never_a_reading(ask: Ask, garbage: bytes, question: str, http_head: bool) -> None:
    async def body() -> None:
        answer = raw_http(200, garbage) if http_head else garbage
        async with MadeUpPbx(channels=[CALL], hook=instead(question, answer)) as pbx:
            found = (await ask(pbx).read(POD)).reading
            told = question in pbx.asked

        assert isinstance(found, Unproved) is told, found

    run(body)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["name", "creationtime", "value", "status", "startup_time", "calls", "gate", "up", "since", "x"]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(told=JSON, question=st.sampled_from(QUESTIONS))
@pytest.mark.parametrize("kind", ["ari", "http"])
def test_json_that_is_no_answer_is_never_a_count_that_nobody_told(
    request: pytest.FixtureRequest, kind: str, told: object, question: str
) -> None:
    async def body() -> None:
        answer = raw_http(200, json.dumps(told).encode())
        async with MadeUpPbx(channels=[CALL], hook=instead(question, answer)) as pbx:
            found = (await request.getfixturevalue(f"ask_over_{kind}")(pbx).read(POD)).reading

        if isinstance(found, Reading):
            expected = len(told) if question == "channels" and isinstance(told, list) and kind == "ari" else 1
            assert found.channels == expected

    run(body)


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        pytest.param(raw_http(200, b"[" * 5_000_000), "recursion limit|nested too deeply", id="nested without end"),
        pytest.param(raw_http(200, b'["' + b"x" * 9_000_000), "more than", id="longer than any answer"),
        pytest.param(raw_http(200, b"[]", length=100), "", id="half an answer"),
        pytest.param(raw_http(500, b"[]"), "answered 500", id="an error with a body that looks well"),
        pytest.param(raw_http(302, b"[]"), "answered 302", id="a redirection"),
        pytest.param(raw_http(204, b""), "", id="no body"),
        pytest.param(b"", "", id="a connection that ends"),
    ],
)
@pytest.mark.parametrize(("kind", "question"), [("ari", "channels"), ("http", "state")])
def test_an_answer_that_cannot_be_used_is_no_reading(
    request: pytest.FixtureRequest, kind: str, question: str, answer: bytes, why: str
) -> None:
    async def body() -> None:
        async with MadeUpPbx(hook=instead(question, answer)) as pbx:
            found = doubt(await request.getfixturevalue(f"ask_over_{kind}")(pbx).read(POD))

        assert found.doubt in (Doubt.UNREADABLE, Doubt.NO_ANSWER)
        assert re.search(why, found.sentence)
        assert len(found.sentence) < 250

    run(body)


@GATES
def test_the_gate_is_set_in_the_run_that_was_looked_at(ask: Ask, position: GatePosition) -> None:
    async def body() -> None:
        async with MadeUpPbx(
            variables={"CALLTIDE_GATE": "open" if position is GatePosition.CLOSED else "closed"}
        ) as pbx:
            server = ask(pbx)
            await server.set_gate(POD, reading(await server.read(POD)).boot, position)

            assert reading(await server.read(POD)).gate is position
            assert pbx.gate == position.value

    run(body)


def test_the_gate_of_another_run_is_left_alone(ask: Ask) -> None:
    async def body() -> None:
        async with MadeUpPbx() as pbx:
            server = ask(pbx)
            boot = reading(await server.read(POD)).boot
            pbx.restart()
            with pytest.raises(PbxError, match="acme-0 has restarted"):
                await server.set_gate(POD, boot, GatePosition.CLOSED)

            assert pbx.gate == "open"

    run(body)


def test_the_gate_of_another_container_is_left_alone_without_asking(ask: Ask) -> None:
    async def body() -> None:
        async with MadeUpPbx() as pbx:
            server = ask(pbx)
            boot = reading(await server.read(POD)).boot
            pbx.asked.clear()
            with pytest.raises(PbxError, match="acme-0 has restarted"):
                await server.set_gate(POD, Boot(boot.started, "containerd://1/1"), GatePosition.CLOSED)

            assert (pbx.gate, pbx.asked) == ("open", [])

    run(body)


def test_a_user_that_may_not_set_the_gate_is_told_so(ask: Ask) -> None:
    async def body() -> None:
        async with MadeUpPbx(may_write=False) as pbx:
            server = ask(pbx)
            boot = reading(await server.read(POD)).boot
            with pytest.raises(PbxError, match=r"the gate was not set.*(403|permission denied)"):
                await server.set_gate(POD, boot, GatePosition.CLOSED)

            assert pbx.gate == "open"

    run(body)


def test_setting_a_gate_ends_within_its_deadline(ask: Ask) -> None:
    async def body() -> None:
        async with MadeUpPbx() as pbx:
            server = ask(pbx, timeout_seconds=HASTY_S)
            boot = reading(await ask(pbx).read(POD)).boot
            pbx.asked.clear()
            pbx.hook = never("set")
            with pytest.raises(PbxError, match=r"acme-0: no answer within 0\.3 s"):
                await server.set_gate(POD, boot, GatePosition.CLOSED)

            assert pbx.asked[-1] == "set"

    run(body)


@pytest.mark.parametrize("name", ["pbx.acme", "pbx.other"])
def test_over_tls_only_a_pbx_with_the_right_name_is_believed(ask: Ask, tmp_path: Path, name: str) -> None:
    authority = Authority("acme")
    (tmp_path / "ca.pem").write_bytes(authority.certificate)
    leaf = authority.issue(name)
    (tmp_path / "leaf.pem").write_bytes(leaf.certificate + leaf.key)
    certificate = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.load_cert_chain(tmp_path / "leaf.pem")

    async def body() -> None:
        async with MadeUpPbx(certificate=certificate) as pbx:
            server = ask(pbx, tls=Tls(server_name="pbx.acme", ca_file=tmp_path / "ca.pem"))
            found = (await server.read(POD)).reading

        assert isinstance(found, Reading) is (name == "pbx.acme")
        assert name == "pbx.acme" or pbx.asked == []

    run(body)


def test_authorities_that_cannot_be_read_are_named(ask: Ask, tmp_path: Path) -> None:
    async def body() -> None:
        async with MadeUpPbx() as pbx:
            tls = Tls(server_name="pbx.acme", ca_file=tmp_path / "nowhere.pem")
            found = doubt(await ask(pbx, tls=tls).read(POD))

        assert f"caFile {tmp_path / 'nowhere.pem'}" in found.sentence

    run(body)
