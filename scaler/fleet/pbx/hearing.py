"""Whether anything at all lives at a pod's address, however unwilling: the second sign that a node is dead or not."""

from __future__ import annotations

import asyncio

from scaler.fleet.pbx.sip_options import answers_sip


async def is_anything_heard(address: str, port: int, sip_port: int, within_s: float) -> bool:
    """Whether a connection to the port is taken, or a SIP OPTIONS answered. Both are tried at the same time.

    A connection that is taken says that the host lives, even where its process hangs. One that is refused says nothing:
    the address may be another pod's by now.
    """
    return any(
        await asyncio.gather(_takes_connection(address, port, within_s), answers_sip(address, sip_port, within_s))
    )


async def _takes_connection(address: str, port: int, within_s: float) -> bool:
    try:
        async with asyncio.timeout(within_s):
            _, writer = await asyncio.open_connection(address, port)
    except OSError:  # a TimeoutError is one
        return False
    writer.close()
    return True
