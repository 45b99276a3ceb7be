"""A small HTTP server on asyncio: one request per connection, as light as hundreds in one process must be."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from email.utils import formatdate
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl

_REQUEST_S = 10.0
_BODY_AT_MOST = 1 << 20


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked."""

    method: str
    path: str
    """Without the query."""
    headers: Mapping[str, str]
    """By lower-case name."""
    body: bytes
    query: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Response:
    """What is answered."""

    body: bytes
    status: HTTPStatus = HTTPStatus.OK
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


Handler = Callable[[Request], Awaitable[Response]]


def json_response(value: Any, status: HTTPStatus = HTTPStatus.OK) -> Response:
    """A value as compact JSON."""
    return Response(json.dumps(value, separators=(",", ":")).encode(), status)


async def serve(address: str, port: int, handle: Handler) -> asyncio.Server:
    """Answer requests from now on.

    Raises:
        OSError: the address is taken.
    """

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Whoever hangs up or says something else than HTTP gets no answer.
        with suppress(ConnectionError, TimeoutError, ValueError, asyncio.IncompleteReadError):
            request = await asyncio.wait_for(_read(reader), _REQUEST_S)
            writer.write(_written(await handle(request)))
            await writer.drain()
        writer.close()

    return await asyncio.start_server(connected, address, port)


async def _read(reader: asyncio.StreamReader) -> Request:
    method, target, _ = (await reader.readline()).decode("ascii").split(" ", 2)
    headers: dict[str, str] = {}
    while line := (await reader.readline()).decode("latin-1").strip():
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    length = int(headers.get("content-length", 0))
    if length > _BODY_AT_MOST:
        raise ValueError(f"a body of {length} bytes")
    path, _, query = target.partition("?")
    return Request(method, path, headers, await reader.readexactly(length), dict(parse_qsl(query)))


def _written(response: Response) -> bytes:
    head = {
        "Date": formatdate(usegmt=True),
        "Connection": "close",
        "Cache-Control": "no-cache, no-store",
        **response.headers,
        "Content-type": response.content_type,
        "Content-Length": str(len(response.body)),
    }
    lines = [
        f"HTTP/1.1 {response.status.value} {response.status.phrase}",
        *(f"{name}: {value}" for name, value in head.items()),
    ]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + response.body
