"""HTTP to a pod or a proxy: no connection is kept, nothing is followed, and no answer is longer than it may be.

Thousands of pods are asked some questions each: aiohttp answers that with a quarter of httpx's work.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

import aiohttp
from yarl import URL

from scaler.fleet.pbx.settings import Login, Tls

LONGEST_ANSWER = 8 * 1024 * 1024
"""Twenty thousand channels. Whatever is longer is no answer of a PBX."""
_SUCCESS = range(200, 300)


class TooLongError(Exception):
    """An answer was longer than any that makes sense."""


class StatusError(Exception):
    """An answer had another status than one of success."""

    def __init__(self, status: int) -> None:
        super().__init__(f"answered {status}")
        self.status = status


@dataclass(frozen=True, slots=True)
class HttpClient:
    """Asks servers, as whom they know us by, and those only that are who they should be."""

    session: aiohttp.ClientSession
    authorization: Mapping[str, str]
    trust: ssl.SSLContext | bool
    server_name: str | None

    async def ask(
        self,
        method: str,
        url: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        also: int | None = None,
    ) -> bytes:
        """The body of a successful answer, or of one with the status `also`: some servers say there what went wrong.

        A `body` is sent as JSON, and None as none at all.

        Raises:
            StatusError: it was answered with another status.
            aiohttp.ClientError: no answer, or none in HTTP.
            TooLongError: it is too long.
        """
        address = URL(url, encoded=True)
        async with self.session.request(
            method,
            address.with_query(query) if query else address,
            json=body,
            headers=self.authorization,
            allow_redirects=False,
            ssl=self.trust,
            server_hostname=self.server_name,
        ) as answer:
            if answer.status not in _SUCCESS and answer.status != also:
                raise StatusError(answer.status)
            told = bytearray()
            async for chunk in answer.content.iter_any():
                told += chunk
                if len(told) > LONGEST_ANSWER:
                    raise TooLongError(f"more than {LONGEST_ANSWER:,} bytes")
            return bytes(told)

    async def ask_json(self, method: str, url: str, *, body: Any = None, also: int | None = None) -> Any:
        """The JSON of an answer that `ask` takes.

        Raises:
            StatusError, aiohttp.ClientError, TooLongError: as `ask`.
            ValueError: it is not JSON, or nested deeper than anything that a server says.
        """
        told = await self.ask(method, url, body=body, also=also)
        try:
            return json.loads(told)
        except RecursionError as error:
            raise ValueError("JSON that is nested too deeply") from error


@asynccontextmanager
async def http_client(tls: Tls | None = None, login: Login | None = None) -> AsyncIterator[HttpClient]:
    """A client whose every request has a connection of its own: one that is kept may be closing just now.

    Whoever asks sets the deadline. User, password and whom to trust are read as they are now.

    Raises:
        SecretMissingError: the password or the file of authorities cannot be read.
    """
    authorization = (
        {} if login is None else {"Authorization": aiohttp.encode_basic_auth(login.username, login.password())}
    )
    trust = True if tls is None else tls.context()
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(force_close=True, limit=0, use_dns_cache=False),
        timeout=aiohttp.ClientTimeout(),
        cookie_jar=aiohttp.DummyCookieJar(),
        # What is packed can be small on the wire and large in memory.
        headers={"Accept-Encoding": "identity"},
        auto_decompress=False,
        trust_env=False,
    ) as session:
        yield HttpClient(session, authorization, trust, None if tls is None else tls.server_name)


def pod_url(address: str, port: int, path: str, tls: Tls | None = None) -> str:
    """The URL of something on a pod.

    Raises:
        ValueError: the address is none.
    """
    host = ip_address(address)
    scheme = "http" if tls is None else "https"
    return f"{scheme}://{f'[{host}]' if host.version == 6 else host}:{port}{path}"
