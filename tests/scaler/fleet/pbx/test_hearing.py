"""Whether anything lives at an address, for the question whether a node is dead."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable

import pytest

from scaler.fleet.pbx.protocol import PodTarget
from scaler.fleet.pbx.sip_options import answers_sip
from tests.scaler.fleet.pbx.conftest import Ask
from tests.scaler.fleet.pbx.made_up_pbx import ADDRESS, MadeUpPbx

POD = PodTarget("uid-1", "acme-0", ADDRESS, "containerd://1/0")
HASTY_S, PATIENT_S = 0.3, 3.9


async def with_sip(answer: Callable[[bytes], bytes | None], ask: Callable[[int], Awaitable[bool]]) -> bool:
    """What `ask` returns of a SIP port whose every datagram is answered by `answer`."""
    loop = asyncio.get_running_loop()
    with socket.socket(type=socket.SOCK_DGRAM) as sip:
        sip.bind((ADDRESS, 0))
        sip.setblocking(False)

        async def serve() -> None:
            while True:
                question, whom = await loop.sock_recvfrom(sip, 4096)
                if told := answer(question):
                    await loop.sock_sendto(sip, told, whom)

        serving = asyncio.create_task(serve())
        try:
            return await ask(sip.getsockname()[1])
        finally:
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)


def response(status: str) -> Callable[[bytes], bytes]:
    return lambda question: f"SIP/2.0 {status}\r\nContent-Length: 0\r\n\r\n".encode()


@pytest.mark.parametrize("status", ["200 OK", "401 Unauthorized", "503 Service Unavailable"])
def test_any_sip_response_is_heard(status: str) -> None:
    assert asyncio.run(with_sip(response(status), lambda port: answers_sip(ADDRESS, port, PATIENT_S)))


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 OK\r\n\r\n", b"OPTIONS sip:x SIP/2.0\r\n\r\n"])
def test_what_is_no_sip_response_is_not_heard(answer: bytes) -> None:
    assert not asyncio.run(with_sip(lambda _: answer, lambda port: answers_sip(ADDRESS, port, HASTY_S)))


def test_a_question_that_is_lost_is_asked_again() -> None:
    questions: list[bytes] = []

    def answer(question: bytes) -> bytes | None:
        questions.append(question)
        return b"SIP/2.0 200 OK\r\n\r\n" if len(questions) == 2 else None

    assert asyncio.run(with_sip(answer, lambda port: answers_sip(ADDRESS, port, PATIENT_S)))
    assert questions[0] == questions[1]


def test_the_question_is_an_options_that_a_pbx_can_answer_to_us() -> None:
    questions: list[bytes] = []

    def answer(question: bytes) -> bytes:
        questions.append(question)
        return b"SIP/2.0 200 OK\r\n\r\n"

    asyncio.run(with_sip(answer, lambda port: answers_sip(ADDRESS, port, PATIENT_S)))
    first, *lines = questions[0].decode().removesuffix("\r\n\r\n").split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)

    assert first.startswith(f"OPTIONS sip:{ADDRESS}:")
    assert headers["Via"].startswith(f"SIP/2.0/UDP {ADDRESS}:")
    assert {"From", "To", "Call-ID", "CSeq", "Max-Forwards", "Content-Length"} <= headers.keys()


@pytest.mark.parametrize("port", [9])
def test_a_port_where_nobody_is_or_an_address_that_is_none_is_not_heard(port: int) -> None:
    assert not asyncio.run(answers_sip(ADDRESS, port, HASTY_S))
    assert not asyncio.run(answers_sip("no address", port, HASTY_S))


def test_a_pbx_that_hangs_is_heard_as_its_host_takes_the_connection(ask: Ask) -> None:
    async def never(_: str) -> None:
        await asyncio.Event().wait()

    async def body() -> bool:
        async with MadeUpPbx(hook=never) as pbx:
            return await ask(pbx, timeout_seconds=HASTY_S, sip_port=9).is_heard(POD)

    assert asyncio.run(body())


def test_a_pbx_of_which_only_sip_answers_is_heard(ask: Ask) -> None:
    async def body() -> bool:
        async with MadeUpPbx() as pbx:
            pass
        return await with_sip(response("200 OK"), lambda port: ask(pbx, sip_port=port).is_heard(POD))

    assert asyncio.run(body())


def test_a_pbx_that_is_gone_is_not_heard(ask: Ask) -> None:
    async def body() -> bool:
        async with MadeUpPbx() as pbx:
            pass
        return await ask(pbx, timeout_seconds=HASTY_S, sip_port=9).is_heard(POD)

    assert not asyncio.run(body())
