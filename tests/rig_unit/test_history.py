"""The record of what happened to fleets: what it must not miss, since tests believe it that nothing fell."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator

import httpx
import pytest

from tests.rig.history import ReplicaHistory
from tests.servers.processes import wait_for


class ApiServer:
    """One Deployment, of which every version is remembered and told to whoever watches."""

    def __init__(self) -> None:
        self.watched_from: list[str] = []
        self.breaks_with: Exception | None = None
        """How each watch ends once it has told everything, instead of going on."""
        self._versions: list[dict[str, object]] = []
        self._changed = threading.Condition()

    def have(self, replicas: int, *, generation: int | None = None) -> None:
        with self._changed:
            version = len(self._versions) + 1
            metadata = {
                "uid": "1",
                "namespace": "pbx",
                "name": "acme",
                "resourceVersion": str(version),
                "generation": generation or version,
            }
            self._versions.append({"metadata": metadata, "spec": {"replicas": replicas}})
            self._changed.notify_all()

    def answer(self, request: httpx.Request) -> httpx.Response:
        with self._changed:
            mine = self._versions if request.url.path.endswith("/deployments") else []
            if "watch" not in request.url.params:
                return httpx.Response(200, json={"metadata": {"resourceVersion": str(len(mine))}, "items": mine[-1:]})
        if request.url.path.endswith("/deployments"):
            self.watched_from.append(request.url.params["resourceVersion"])
        return httpx.Response(200, stream=_Stream(self._tell(mine, int(request.url.params["resourceVersion"]))))

    def _tell(self, mine: list[dict[str, object]], after: int) -> Iterator[bytes]:
        with self._changed:
            self._changed.wait_for(lambda: len(mine) > after, timeout=0.05)
            news = mine[after:]
        for one in news:
            yield json.dumps({"type": "MODIFIED", "object": one}).encode() + b"\n"
        if news and self.breaks_with is not None:
            raise self.breaks_with


class _Stream(httpx.SyncByteStream):
    def __init__(self, lines: Iterator[bytes]) -> None:
        self._lines = lines

    def __iter__(self) -> Iterator[bytes]:
        return self._lines


@pytest.fixture
def api_server() -> ApiServer:
    server = ApiServer()
    server.have(5)
    return server


@pytest.fixture
def history(api_server: ApiServer) -> Iterator[ReplicaHistory]:
    client = httpx.Client(base_url="https://api", transport=httpx.MockTransport(api_server.answer))
    history = ReplicaHistory(client)
    history.start()
    assert history.of("pbx", "acme"), "it has what was there at its start"
    yield history
    history.stop()


def test_a_fall_is_seen_also_where_it_is_the_first_thing_that_happens(
    api_server: ApiServer, history: ReplicaHistory
) -> None:
    began_s = time.time()
    api_server.have(4)
    api_server.have(6)

    (fall,) = history.falls("pbx", since_s=began_s)
    assert fall.startswith("acme from 5 to 4")


def test_a_fall_before_the_instant_is_not_held_against_what_comes_after(
    api_server: ApiServer, history: ReplicaHistory
) -> None:
    api_server.have(4)
    assert history.falls("pbx")

    assert history.falls("pbx", since_s=time.time()) == []


def test_what_was_changed_just_now_is_in_the_record(api_server: ApiServer, history: ReplicaHistory) -> None:
    for replicas in range(6, 30):
        api_server.have(replicas)
        assert history.of("pbx", "acme")[-1].wanted == replicas


def test_a_watch_that_breaks_goes_on_where_it_was_and_tells_nothing_twice(
    api_server: ApiServer, history: ReplicaHistory
) -> None:
    api_server.breaks_with = httpx.ReadError("connection reset")
    api_server.have(6)
    api_server.have(7)
    wait_for(lambda: "3" in api_server.watched_from, "the watch to go on")

    assert [seen.wanted for seen in history.of("pbx", "acme")] == [5, 6, 7]
    assert (history.falls("pbx"), history.gaps) == ([], [])


def test_a_change_that_was_not_seen_is_a_gap(api_server: ApiServer, history: ReplicaHistory) -> None:
    api_server.have(6, generation=4)
    history.of("pbx", "acme")

    assert history.gaps == ["pbx/acme: from generation 1 to 4"]


def test_a_watch_that_nobody_goes_on_with_is_a_gap(api_server: ApiServer, history: ReplicaHistory) -> None:
    api_server.breaks_with = ValueError("no JSON")
    api_server.have(6)
    wait_for(lambda: history.gaps, "the gap")

    assert history.gaps == ["nobody watches /apis/apps/v1/deployments any more: ValueError('no JSON')"]
