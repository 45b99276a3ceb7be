"""The feeder's view of the cluster, with an API server that is played to it, and what it tells its proxy."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.rig.voice import feeder
from tests.rig.voice.dispatcher import Rpc, Wanted
from tests.rig.voice.feeder import Pods, api_client, feed
from tests.rig.voice.proxy import ProxyError
from tests.servers.processes import wait_for

Answer = Callable[[httpx.Request], httpx.Response]


def pod(name: str, version: str = "1") -> dict[str, Any]:
    return {
        "metadata": {"uid": name, "name": name, "resourceVersion": version, "labels": {"calltide.io/fleet": "acme"}},
        "status": {"podIP": f"127.9.16.{len(name)}", "conditions": [{"type": "Ready", "status": "True"}]},
    }


def listed(*pods: dict[str, Any], version: str) -> httpx.Response:
    return httpx.Response(200, json={"metadata": {"resourceVersion": version}, "items": list(pods)})


def changes(*events: tuple[str, dict[str, Any]]) -> httpx.Response:
    return httpx.Response(200, text="".join(json.dumps({"type": kind, "object": each}) + "\n" for kind, each in events))


class Played:
    """An API server that gives its answers one after the other, and then none for ever."""

    def __init__(self, *answers: httpx.Response) -> None:
        self._answers = list(answers)
        self.asked: list[httpx.QueryParams] = []
        self._never = threading.Event()

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request.url.params)
        if not self._answers:
            self._never.wait()
        return self._answers.pop(0)

    def ended(self) -> bool:
        return not self._answers


@pytest.fixture
def followed(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[Pods, Played]]:
    monkeypatch.setattr(feeder, "RETRY_S", 0.01)

    def follow(*answers: httpx.Response) -> tuple[Pods, Played]:
        played = Played(*answers)
        pods = Pods(httpx.Client(transport=httpx.MockTransport(played), base_url="https://api"))
        threading.Thread(target=pods.keep, daemon=True).start()
        wait_for(lambda: played.ended() and len(played.asked) > len(answers), "all answers to have been taken")
        return pods, played

    return follow


def names(pods: Pods) -> set[str]:
    return {each["metadata"]["name"] for each in pods.now() or ()}


def test_pods_are_listed_and_then_followed(followed: Callable[..., tuple[Pods, Played]]) -> None:
    pods, played = followed(
        listed(pod("a"), pod("bb"), version="10"),
        changes(("ADDED", pod("ccc", "11")), ("DELETED", pod("a", "12")), ("MODIFIED", pod("bb", "13"))),
    )

    assert names(pods) == {"bb", "ccc"}
    assert [question.get("resourceVersion") for question in played.asked] == [None, "10", "13"]


def test_a_watch_that_ended_goes_on_from_the_last_bookmark(followed: Callable[..., tuple[Pods, Played]]) -> None:
    pods, played = followed(
        listed(pod("a"), version="10"), changes(("BOOKMARK", {"metadata": {"resourceVersion": "40"}})), changes()
    )

    assert names(pods) == {"a"}
    assert played.asked[-1]["resourceVersion"] == "40"


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param(changes(("ERROR", {"code": 410, "metadata": {}})), id="version too old"),
        pytest.param(httpx.Response(410), id="gone"),
        pytest.param(httpx.Response(503), id="unavailable"),
        pytest.param(httpx.Response(200, text="half a li"), id="cut off"),
    ],
)
def test_after_a_watch_that_broke_everything_is_listed_anew(
    followed: Callable[..., tuple[Pods, Played]], broken: httpx.Response
) -> None:
    pods, _ = followed(listed(pod("a"), version="10"), broken, listed(pod("bb"), version="20"))

    assert names(pods) == {"bb"}


class Told:
    """A proxy that notes what it should be brought to."""

    def __init__(self, failure: Exception | None = None) -> None:
        self.wanted: list[Wanted] = []
        self._failure = failure

    def bring_to(self, want: Wanted) -> list[Rpc]:
        if self._failure is not None:
            raise self._failure
        self.wanted.append(want)
        return []


def test_before_the_first_list_the_proxy_is_told_nothing() -> None:
    proxy = Told()

    assert feed(proxy, lambda: None) is False  # type: ignore[arg-type]
    assert proxy.wanted == []


def test_an_empty_cluster_is_something_to_tell() -> None:
    proxy = Told()

    assert feed(proxy, list) is True  # type: ignore[arg-type]
    assert proxy.wanted == [Wanted({}, frozenset())]


def test_a_proxy_that_does_not_answer_is_tried_again_later(capsys: pytest.CaptureFixture[str]) -> None:
    assert feed(Told(ProxyError("proxy 127.9.0.1: no answer")), list) is False  # type: ignore[arg-type]
    assert "proxy 127.9.0.1: no answer" in capsys.readouterr().out


def test_outside_a_pod_it_says_where_it_belongs(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="the feeder runs in a pod with a service account"):
        api_client({}, tmp_path)
