"""Lists are followed through everything that a connection to an API server may do."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from typing import Any

import httpx
import pytest

from tests.rig.node import api as api_module
from tests.rig.node.api import Api, ApiError

PODS = "/api/v1/pods"


def pod(name: str, version: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "uid": name, "resourceVersion": version}}


def listed(*items: dict[str, Any], version: str) -> httpx.Response:
    return httpx.Response(200, json={"metadata": {"resourceVersion": version}, "items": list(items)})


def watched(*events: tuple[str, dict[str, Any]]) -> httpx.Response:
    return httpx.Response(200, text="".join(json.dumps({"type": kind, "object": each}) + "\n" for kind, each in events))


class Seen:
    """A follower that keeps what is there, and ends the test when it is told to."""

    def __init__(self) -> None:
        self.there: dict[str, str] = {}
        self.lists = 0

    def listed(self, items: Iterable[dict[str, Any]]) -> None:
        self.lists += 1
        self.there = {item["metadata"]["name"]: item["metadata"]["resourceVersion"] for item in items}

    def changed(self, item: dict[str, Any]) -> None:
        self.there[item["metadata"]["name"]] = item["metadata"]["resourceVersion"]

    def deleted(self, item: dict[str, Any]) -> None:
        del self.there[item["metadata"]["name"]]


class _OverError(Exception):
    """The played server has no more answers."""


def follow(*answers: httpx.Response | httpx.HTTPError) -> tuple[Seen, list[httpx.QueryParams]]:
    """Follow a server that gives these answers; what was seen, and what was asked."""
    left, asked, seen = list(answers), [], Seen()

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.params)
        if not left:
            raise _OverError
        given = left.pop(0)
        if isinstance(given, httpx.HTTPError):
            raise given
        return given

    client = httpx.AsyncClient(base_url="http://127.0.0.1", transport=httpx.MockTransport(answer))
    with pytest.raises(_OverError):
        asyncio.run(Api(client).follow(PODS, seen, fieldSelector="spec.nodeName=n"))
    return seen, asked


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch):
    monkeypatch.setattr(api_module, "RETRY_S", 0.0)


def test_a_watch_goes_on_from_the_last_version_when_it_ends():
    seen, asked = follow(
        listed(pod("a", "5"), version="7"),
        watched(("ADDED", pod("b", "8")), ("DELETED", pod("a", "9")), ("BOOKMARK", pod("", "12"))),
    )
    assert seen.there == {"b": "8"}
    assert [params.get("resourceVersion") for params in asked] == [None, "7", "12"]
    assert all(params["fieldSelector"] == "spec.nodeName=n" for params in asked)


def test_a_version_that_is_too_old_means_a_new_list():
    expired = ("ERROR", {"code": 410, "message": "too old resource version"})
    seen, _ = follow(listed(pod("a", "5"), version="7"), watched(expired), listed(pod("c", "90"), version="91"))
    assert (seen.lists, seen.there) == (2, {"c": "90"})


def test_an_api_server_that_is_away_means_a_new_list_when_it_is_back():
    away = httpx.ConnectError("refused")
    seen, _ = follow(listed(pod("a", "5"), version="7"), away, away, listed(version="91"))
    assert (seen.lists, seen.there) == (2, {})


def test_a_node_that_is_cut_off_asks_nothing():
    asked = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(200, json={})

    api = Api(httpx.AsyncClient(base_url="http://127.0.0.1", transport=httpx.MockTransport(answer)))
    api.reachable = False
    with pytest.raises(ApiError, match="cut off from the API server"):
        asyncio.run(api.patch(PODS, {}))
    assert asked == []
