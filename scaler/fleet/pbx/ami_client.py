"""One conversation with Asterisk's manager interface (AMI): log in, ask, read what belongs to the answer.

No library for it is kept well enough to depend on, and what is needed is small. Values that come from elsewhere never
hold a line break, so that nobody can add an action of their own. A list is believed only when it is complete: as many
entries as its end says.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

LONGEST_LINE = 64 * 1024
LONGEST_CONVERSATION = 8 * 1024 * 1024
"""Bytes: twenty thousand channels. Whoever says more is no PBX."""
_SHUTTING_DOWN = "Asterisk is shutting down"
_NO_RIGHT = "Permission denied"
Message = Mapping[str, str]
"""Field → value; names of fields are in small letters."""


class AmiError(Exception):
    """The manager interface did not say what it should have."""


class AmiRefusedError(AmiError):
    """The user or its password is wrong, or it may not ask this."""


class AmiActionError(AmiError):
    """The answer to an action is an error. `reason` is Asterisk's own text."""

    def __init__(self, action: str, reason: str) -> None:
        super().__init__(f"{action} was answered {reason!r:.120}")
        self.reason = reason


class AmiConversation:
    """An open connection, one action after the other. Whoever calls sets the deadline around all of it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._asked = 0
        self._heard_bytes = 0

    async def login(self, username: str, secret: str) -> None:
        """Greet and log in. No events are wanted.

        Raises:
            AmiRefusedError: user or password is wrong.
            AmiError: it is no manager interface, or shuts down.
        """
        banner = await self._line()
        if not banner.startswith("Asterisk Call Manager"):
            raise AmiError(f"it greets with {banner!r:.60}")
        try:
            await self.ask("Login", {"Username": username, "Secret": secret, "Events": "off"})
        except AmiActionError as error:
            # While it shuts down even a login is answered with an error: that is no wrong password.
            if error.reason == _SHUTTING_DOWN:
                raise
            raise AmiRefusedError(str(error)) from error

    async def ask(self, action: str, values: Mapping[str, str] | None = None) -> Message:
        """The response to one action.

        Raises:
            AmiRefusedError: the user may not ask this.
            AmiActionError: it is an error.
            AmiError: it is no response.
        """
        await self._send(action, values or {})
        while True:
            message = await self._message()
            if message.get("actionid") == str(self._asked) and "response" in message:
                break
        if message["response"] == "Success":
            return message
        reason = message.get("message", "no reason given")
        if reason == _NO_RIGHT:
            raise AmiRefusedError(f"{action}: permission denied; look at the user's write classes in manager.conf")
        raise AmiActionError(action, reason)

    async def ask_list(self, action: str, entry: str) -> Sequence[Message]:
        """The events named `entry` of an action that answers with a list, in their order.

        Raises:
            AmiError: it is an error, or not all of the list has come. As `ask`.
        """
        response = await self.ask(action)
        if response.get("eventlist", "").lower() != "start":
            raise AmiError(f"{action} was not answered with a list")
        heard: list[Message] = []
        while True:
            message = await self._message()
            if message.get("actionid") != str(self._asked):
                continue
            if message.get("eventlist", "").lower() == "complete":
                break
            heard.append(message)
        found = [one for one in heard if one.get("event") == entry]
        # Some actions count every event, some not what they add to explain an entry.
        if message.get("listitems") not in (str(len(heard)), str(len(found))):
            raise AmiError(
                f"{action}: {len(heard)} entries came of {message.get('listitems', 'an unknown number')!s:.20}"
            )
        return found

    async def _send(self, action: str, values: Mapping[str, str]) -> None:
        self._asked += 1
        lines = {"Action": action, "ActionID": str(self._asked), **values}
        broken = [name for name, value in lines.items() if "\r" in value or "\n" in value]
        if broken:
            raise AmiError(f"{action}: the value of {broken[0]} holds a line break")
        self._writer.write("".join(f"{name}: {value}\r\n" for name, value in lines.items()).encode() + b"\r\n")
        await self._writer.drain()

    async def _message(self) -> Message:
        message: dict[str, str] = {}
        while True:
            line = await self._line()
            if line:
                name, _, value = line.partition(":")
                message[name.lower()] = value.removeprefix(" ")
            elif message:
                return message

    async def _line(self) -> str:
        try:
            raw = await self._reader.readuntil(b"\n")
        except asyncio.IncompleteReadError as error:
            raise AmiError("the connection ended in the middle of an answer") from error
        except asyncio.LimitOverrunError as error:
            raise AmiError(f"a line of more than {LONGEST_LINE:,} bytes") from error
        self._heard_bytes += len(raw)
        if self._heard_bytes > LONGEST_CONVERSATION:
            raise AmiError(f"more than {LONGEST_CONVERSATION:,} bytes")
        return raw.decode("utf-8", errors="replace").rstrip("\r\n")


@asynccontextmanager
async def conversation(
    address: str, port: int, tls: ssl.SSLContext | None = None, server_name: str | None = None
) -> AsyncIterator[AmiConversation]:
    """A conversation that is over, however it ends, when the block is left.

    Raises:
        OSError: nobody takes the connection, or not as who it should be.
    """
    reader, writer = await asyncio.open_connection(
        address, port, limit=LONGEST_LINE, ssl=tls, server_hostname=server_name
    )
    try:
        yield AmiConversation(reader, writer)
    finally:
        writer.close()
