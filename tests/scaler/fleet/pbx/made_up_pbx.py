"""A PBX that answers as a real Asterisk did, over ARI, over AMI and as plain JSON, and misbehaves on demand."""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

from tests.scaler.fleet.pbx import captures

ADDRESS = "127.0.0.1"
USER, PASSWORD = "calltide", "correct horse"
STARTED = captures.ari("01-idle-ari-asterisk-info.txt")["status"]["startup_time"]
Hook = Callable[[str], Awaitable[bytes | None]]
_QUESTIONS = {
    ("GET", "/ari/asterisk/info"): "run",
    ("GET", "/ari/asterisk/variable"): "gate",
    ("GET", "/ari/channels"): "channels",
    ("POST", "/ari/asterisk/variable"): "set",
    ("GET", "/state"): "state",
    ("PUT", "/gate"): "set",
    ("GET", "/pending"): "pending",
    ("Action", "Login"): "login",
    ("Action", "Getvar"): "gate",
    ("Action", "CoreStatus"): "run",
    ("Action", "CoreShowChannels"): "channels",
    ("Action", "Setvar"): "set",
}


@dataclass
class MadeUpPbx:
    """One PBX; `async with` starts and stops it.

    Before it answers a question it calls `hook` with the question's name. What the hook returns is sent instead of the
    answer, and ends the connection; None lets the answer be.
    """

    started: str = STARTED
    variables: dict[str, str] = field(default_factory=lambda: {"CALLTIDE_GATE": "open"})
    channels: list[dict[str, Any]] = field(default_factory=list)
    current_calls: int | None = None
    """What CoreStatus says, where it is not what the list says."""
    lists: dict[str, list[str]] = field(default_factory=dict)
    """AMI action → the messages that answer it, in place of its own."""
    pending: object = field(default_factory=list)
    password: str = PASSWORD
    may_write: bool = True
    certificate: ssl.SSLContext | None = None
    hook: Hook | None = None
    asked: list[str] = field(default_factory=list)
    """Every question by its name, in their order."""

    async def __aenter__(self) -> Self:
        self._http = await asyncio.start_server(self._serve_http, ADDRESS, 0, ssl=self.certificate)
        self._ami = await asyncio.start_server(self._serve_ami, ADDRESS, 0, ssl=self.certificate)
        self._pending = await asyncio.start_server(self._serve_http, ADDRESS, 0)
        servers = (self._http, self._ami, self._pending)
        self.http_port, self.ami_port, self.pending_port = (one.sockets[0].getsockname()[1] for one in servers)
        self._busy: set[asyncio.Task[None]] = set()
        return self

    async def __aexit__(self, *_: object) -> None:
        for server in (self._http, self._ami, self._pending):
            server.close()
        for task in self._busy:
            task.cancel()
        await asyncio.gather(*self._busy, return_exceptions=True)

    @property
    def gate(self) -> str:
        return self.variables.get("CALLTIDE_GATE", "")

    def restart(self) -> None:
        """Another run, empty and open. Its connections would end; those to ARI do after each answer."""
        self.started = "2026-11-23T07:00:00.000+0000"
        self.variables = {"CALLTIDE_GATE": "open"}
        self.channels = []

    def state(self) -> dict[str, Any]:
        """As the JSON of a media server that is no Asterisk."""
        return {"up": {"since": self.started}, "gate": self.gate, "calls": len(self.channels), "uploads": self.pending}

    async def _instead(self, question: str) -> bytes | None:
        self.asked.append(question)
        return None if self.hook is None else await self.hook(question)

    async def _serve_http(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._note_task()
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            method, target, _ = head[0].split(" ")
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:])}
            body = await reader.readexactly(int(headers.get("content-length", 0)))
            path, query = urlsplit(target).path, dict(parse_qsl(urlsplit(target).query))
            instead = await self._instead(_QUESTIONS.get((method, path), path))
            writer.write(instead if instead is not None else self._http_answer(method, path, query, headers, body))
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    def _http_answer(
        self, method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str], body: bytes
    ) -> bytes:
        login = "Basic " + base64.b64encode(f"{USER}:{self.password}".encode()).decode()
        if path != "/pending" and headers.get("authorization") != login:
            return http(401, {"message": "Authentication required"})
        if method != "GET" and not self.may_write:
            return http(403, {"message": "Write access denied"})
        match method, path:
            case "GET", "/ari/asterisk/info":
                return http(200, {"status": {"startup_time": self.started, "last_reload_time": self.started}})
            case "GET", "/ari/asterisk/variable":
                return http(200, {"value": self.variables.get(query["variable"], "")})
            case "POST", "/ari/asterisk/variable":
                self.variables[query["variable"]] = query["value"]
                return b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"
            case "GET", "/ari/channels":
                return http(200, self.channels)
            case "GET", "/state":
                return http(200, self.state())
            case "PUT", "/gate":
                self.variables["CALLTIDE_GATE"] = json.loads(body)["gate"]
                return http(200, {})
            case "GET", "/pending":
                return http(200, self.pending)
        return http(404, {"message": "Resource not found"})

    async def _serve_ami(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._note_task()
        try:
            writer.write(b"Asterisk Call Manager/11.0.0\r\n")
            while action := await _action(reader):
                instead = await self._instead(_QUESTIONS.get(("Action", action["action"]), action["action"]))
                if instead is not None:
                    writer.write(instead.replace(b"%ID", action["actionid"].encode()))
                    await writer.drain()
                    break
                for message in self._ami_answer(action):
                    first, *others = message.split("\n")
                    lines = [first, f"ActionID: {action['actionid']}", *others, "", ""]
                    writer.write("\r\n".join(lines).encode())
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    def _ami_answer(self, action: Mapping[str, str]) -> list[str]:
        name = action["action"]
        if name in self.lists:
            return self.lists[name]
        match name:
            case "Login" if (action["username"], action["secret"]) == (USER, self.password):
                return ["Response: Success\nMessage: Authentication accepted"]
            case "Login":
                return ["Response: Error\nMessage: Authentication failed"]
            case "Getvar":
                value = self.variables.get(action["variable"], "")
                return [f"Response: Success\nVariable: {action['variable']}\nValue: {value}"]
            case "Setvar" if not self.may_write:
                return ["Response: Error\nMessage: Permission denied"]
            case "Setvar":
                self.variables[action["variable"]] = action["value"]
                return ["Response: Success\nMessage: Variable Set"]
            case "CoreStatus":
                date, _, time = self.started.partition("T")
                count = len(self.channels) if self.current_calls is None else self.current_calls
                started = f"CoreStartupDate: {date}\nCoreStartupTime: {time[:8]}"
                return [f"Response: Success\n{started}\nCoreCurrentCalls: {count}"]
            case "CoreShowChannels":
                return listed(
                    [f"Event: CoreShowChannel\nChannel: {one['name']}\nDuration: 00:01:00" for one in self.channels]
                )
            case "PJSIPShowRegistrationsOutbound" | "QueueStatus" | "ParkedCalls":
                return listed([])
        return [f"Response: Error\nMessage: Invalid/unknown command: {name}."]

    def _note_task(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._busy.add(task)
        task.add_done_callback(self._busy.discard)


def listed(events: list[str], claimed: int | None = None) -> list[str]:
    """AMI messages of a list; `claimed` is how many entries its end says."""
    count = len(events) if claimed is None else claimed
    return [
        "Response: Success\nEventList: start",
        *events,
        f"Event: Complete\nEventList: Complete\nListItems: {count}",
    ]


def http(status: int, body: object) -> bytes:
    """An answer in the shape of Asterisk's."""
    return raw_http(status, json.dumps(body).encode())


def raw_http(status: int, body: bytes, length: int | None = None) -> bytes:
    """An answer with any body; `length` is what it claims."""
    size = len(body) if length is None else length
    head = f"HTTP/1.1 {status} X\r\nServer: Asterisk\r\nConnection: close\r\nContent-Length: {size}\r\n\r\n"
    return head.encode() + body


async def _action(reader: asyncio.StreamReader) -> dict[str, str]:
    lines: dict[str, str] = {}
    while line := (await reader.readuntil(b"\r\n")).decode().rstrip("\r\n"):
        name, _, value = line.partition(": ")
        lines[name.lower()] = value
    return lines
