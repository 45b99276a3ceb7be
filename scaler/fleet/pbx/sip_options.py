"""One SIP OPTIONS: whether anything answers at a pod's own address when all else is silent."""

from __future__ import annotations

import asyncio
import contextlib
from uuid import uuid4


async def answers_sip(address: str, port: int, within_s: float) -> bool:
    """Whether a SIP response of any kind comes back. The question is asked twice: a datagram may be lost."""
    loop = asyncio.get_running_loop()
    heard: asyncio.Future[bool] = loop.create_future()
    try:
        transport, _ = await loop.create_datagram_endpoint(lambda: _Ear(heard), remote_addr=(address, port))
    except OSError:
        return False
    try:
        local, local_port = transport.get_extra_info("sockname")[:2]
        question = _options(address, port, local, local_port)
        for _ in range(2):
            transport.sendto(question)
            with contextlib.suppress(TimeoutError):
                return await asyncio.wait_for(asyncio.shield(heard), within_s / 2)
        return False
    finally:
        transport.close()


class _Ear(asyncio.DatagramProtocol):
    """Listens for the first answer. A refused port is no answer yet: the host may be another's by now."""

    def __init__(self, heard: asyncio.Future[bool]) -> None:
        self._heard = heard

    def datagram_received(self, data: bytes, addr: object) -> None:
        """Something came back; only a SIP response counts."""
        del addr
        if data.startswith(b"SIP/2.0 ") and not self._heard.done():
            self._heard.set_result(True)


def _options(address: str, port: int, local: str, local_port: int) -> bytes:
    token = uuid4().hex
    here, there = (f"[{host}]" if ":" in host else host for host in (local, address))
    lines = (
        f"OPTIONS sip:{there}:{port} SIP/2.0",
        f"Via: SIP/2.0/UDP {here}:{local_port};branch=z9hG4bK{token};rport",
        "Max-Forwards: 1",
        f"From: <sip:calltide@{here}>;tag={token[:10]}",
        f"To: <sip:{there}:{port}>",
        f"Call-ID: {token}@calltide",
        "CSeq: 1 OPTIONS",
        "Content-Length: 0",
        "",
        "",
    )
    return "\r\n".join(lines).encode()
