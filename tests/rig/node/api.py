"""The API server as one identity sees it: requests with bounded waits, and lists that are followed."""

from __future__ import annotations

import asyncio
import json
import logging
import random
import ssl
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import httpx

from tests.rig.node.settings import Identity

Object = Mapping[str, Any]

RETRY_S = 1.0
RETRY_AT_MOST_S = 5.0
_ANSWER_S = 30.0
# The API server sends a bookmark every minute: a silent watch is a dead one.
_SILENCE_S = 100.0


log = logging.getLogger(__name__)


class ApiError(Exception):
    """The API server refused, or could not be reached (status 0)."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class Follower(Protocol):
    """Who wants to know what is in a list, and what becomes of it."""

    def listed(self, items: Sequence[Object]) -> None:
        """All that is there now."""

    def changed(self, item: Object) -> None:
        """An object is new or changed."""

    def deleted(self, item: Object) -> None:
        """An object is gone."""


def connect(url: str, authority: Path, identity: Identity) -> Api:
    """The API server at a URL, as one identity sees it."""
    context = ssl.create_default_context(cafile=str(authority))
    context.load_cert_chain(identity.certificate, identity.key)
    timeout = httpx.Timeout(_ANSWER_S, pool=2 * _ANSWER_S)
    limits = httpx.Limits(max_connections=16, max_keepalive_connections=8)
    return Api(httpx.AsyncClient(base_url=url, verify=context, timeout=timeout, limits=limits, trust_env=False))


class Api:
    """The API server for one identity. While `reachable` is False it stands behind a broken network."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.reachable = True
        self._client = client

    async def get(self, path: str, **parameters: str) -> dict[str, Any]:
        """An object or a list.

        Raises:
            ApiError: refused, or not to be reached.
        """
        return await self._ask("GET", path, parameters=parameters)

    async def create(self, path: str, value: Object) -> dict[str, Any]:
        """Create an object, or call a subresource such as `token`.

        Raises:
            ApiError: refused, or not to be reached.
        """
        return await self._ask("POST", path, value)

    async def patch(self, path: str, value: Object) -> dict[str, Any]:
        """A strategic merge patch: lists of conditions are merged by their type.

        Raises:
            ApiError: refused, or not to be reached.
        """
        return await self._ask("PATCH", path, value, "application/strategic-merge-patch+json")

    async def delete(self, path: str, options: Object) -> None:
        """Delete an object; the preconditions are in the options.

        Raises:
            ApiError: refused, or not to be reached.
        """
        await self._ask("DELETE", path, options)

    async def follow(self, path: str, follower: Follower, **parameters: str) -> None:
        """List, then watch, for ever: whatever happens to the connection, the follower ends up with what is there."""
        failures = 0
        while True:
            try:
                listed = await self.get(path, **parameters)
                follower.listed(listed.get("items") or ())
                failures = 0
                version = listed["metadata"]["resourceVersion"]
                while True:
                    version = await self._watch(path, follower, version, parameters)
            except ApiError as error:
                # Also where the version is too old by now: a new list is the remedy for everything.
                log.info("list of %s: %s", path, error)
                await asyncio.sleep(min(RETRY_S * 2**failures, RETRY_AT_MOST_S) * random.uniform(0.8, 1.2))
                failures += 1

    async def _watch(self, path: str, follower: Follower, version: str, parameters: Mapping[str, str]) -> str:
        """Follow until the API server ends the watch; the version from which to go on."""
        lasts_s = random.randint(240, 480)
        asked = {
            **parameters,
            "watch": "1",
            "allowWatchBookmarks": "true",
            "resourceVersion": version,
            "timeoutSeconds": str(lasts_s),
        }
        handle: dict[str, Callable[[Object], None]] = {
            "ADDED": follower.changed,
            "MODIFIED": follower.changed,
            "DELETED": follower.deleted,
            "BOOKMARK": lambda _item: None,
        }
        async for event in self._events(path, asked):
            if event["type"] == "ERROR":
                raise ApiError(event["object"].get("code", 500), event["object"].get("message", "watch failed"))
            version = event["object"]["metadata"]["resourceVersion"]
            handle[event["type"]](event["object"])
        return version

    async def _events(self, path: str, parameters: Mapping[str, str]) -> AsyncIterator[dict[str, Any]]:
        self._must_reach(path)
        timeout = httpx.Timeout(_ANSWER_S, read=_SILENCE_S, pool=2 * _ANSWER_S)
        try:
            async with self._client.stream("GET", path, params=dict(parameters), timeout=timeout) as response:
                if response.is_error:
                    raise ApiError(response.status_code, (await response.aread()).decode(errors="replace"))
                async for line in response.aiter_lines():
                    yield json.loads(line)
        except httpx.HTTPError as error:
            raise ApiError(0, f"watch {path}: {type(error).__name__} {error}") from error

    async def _ask(
        self,
        method: str,
        path: str,
        value: Object | None = None,
        kind: str = "application/json",
        parameters: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        self._must_reach(path)
        content = None if value is None else json.dumps(value)
        headers = {"Content-Type": kind} if content else None
        try:
            response = await self._client.request(method, path, params=parameters, content=content, headers=headers)
        except httpx.HTTPError as error:
            raise ApiError(0, f"{method} {path}: {type(error).__name__} {error}") from error
        if response.is_error:
            raise ApiError(response.status_code, f"{method} {path}: {response.status_code} {response.text}")
        answer: dict[str, Any] = response.json()
        return answer

    def _must_reach(self, path: str) -> None:
        if not self.reachable:
            raise ApiError(0, f"{path}: the node is cut off from the API server")
