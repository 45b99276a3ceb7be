"""The dispatcher feeder: runs beside a proxy and keeps its lists as the cluster's pods are.

    python -m tests.rig.voice.feeder          (in a pod: POD_IP, and the service account that a pod has)

It watches the pods with a fleet's label, and on every change, and once a second anyway, compares what the proxy has
with what it should have. It looks at levels, not at edges: a proxy that was restarted, or that somebody told otherwise,
is put right within a second. While the API server is away the last known pods stay.
"""

from __future__ import annotations

import json
import os
import signal
import ssl
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any

import httpx

from tests.rig.voice.dispatcher import FLEET_LABEL, DispatcherError, wanted
from tests.rig.voice.proxy import Proxy, ProxyError

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
SYNCED = Path("/run/dispatcher-feeder/synced")
"""Written when the proxy has been right once: the container's readiness."""
RECHECK_S = 1.0
WATCH_S = 240
RETRY_S = 1.0

Pod = dict[str, Any]


class Pods:
    """The cluster's pods that are in a fleet, kept as they are by a thread that lists and watches."""

    def __init__(self, api: httpx.Client) -> None:
        self._api = api
        self._pods: dict[str, Pod] | None = None
        self.changed = threading.Event()

    def now(self) -> list[Pod] | None:
        """All of them, or None before the first list."""
        return None if self._pods is None else list(self._pods.values())

    def keep(self) -> None:
        """List, watch, and start over whenever that ends; never returns."""
        version = ""
        while True:
            try:
                version = self._watch(version or self._list())
            except (httpx.HTTPError, OSError, ValueError, KeyError) as error:
                _say(f"pods cannot be watched, listing anew: {str(error) or type(error).__name__}")
                version = ""
                time.sleep(RETRY_S)

    def _list(self) -> str:
        answer = self._api.get("/api/v1/pods", params={"labelSelector": FLEET_LABEL}).raise_for_status().json()
        self._replace({pod["metadata"]["uid"]: pod for pod in answer["items"]})
        version: str = answer["metadata"]["resourceVersion"]
        return version

    def _watch(self, version: str) -> str:
        """Follow changes until the server ends the watch; the version to go on from, empty to list anew."""
        question: dict[str, str | int] = {
            "labelSelector": FLEET_LABEL,
            "watch": "1",
            "allowWatchBookmarks": "true",
            "timeoutSeconds": WATCH_S,
            "resourceVersion": version,
        }
        # A server that dies without a word is noticed a little after it should have ended the watch.
        limits = httpx.Timeout(10.0, read=WATCH_S + 30.0)
        with self._api.stream("GET", "/api/v1/pods", params=question, timeout=limits) as response:
            response.raise_for_status()
            for event in _events(response):
                if event["type"] == "ERROR":
                    return ""
                version = event["object"]["metadata"]["resourceVersion"]
                self._take(event["type"], event["object"])
        return version

    def _take(self, kind: str, pod: Pod) -> None:
        if kind == "BOOKMARK":
            return
        # A new mapping each time: the other thread may be reading the old one.
        pods = {uid: known for uid, known in (self._pods or {}).items() if uid != pod["metadata"]["uid"]}
        self._replace(pods if kind == "DELETED" else {**pods, pod["metadata"]["uid"]: pod})

    def _replace(self, pods: dict[str, Pod]) -> None:
        self._pods = pods
        self.changed.set()


def feed(proxy: Proxy, pods: Callable[[], list[Pod] | None]) -> bool:
    """Bring the proxy to the pods of now; whether it is right afterwards."""
    current = pods()
    if current is None:
        return False
    try:
        for step in proxy.bring_to(wanted(current)):
            _say(f"{step.method} {' '.join(map(str, step.params))}")
    except (ProxyError, DispatcherError) as error:
        _say(str(error))
        return False
    return True


def api_client(environment: Mapping[str, str], account: Path = ACCOUNT) -> httpx.Client:
    """A client of the API server as a pod has it. The token is read for each request: it is rotated.

    Raises:
        SystemExit: this is no pod with a service account.
    """
    try:
        host, port = environment["KUBERNETES_SERVICE_HOST"], environment["KUBERNETES_SERVICE_PORT"]
        context = ssl.create_default_context(cafile=str(account / "ca.crt"))
    except (KeyError, OSError) as error:
        sys.exit(f"no API server to ask: {error!r}; the feeder runs in a pod with a service account")

    def with_token(request: httpx.Request) -> None:
        request.headers["Authorization"] = f"Bearer {(account / 'token').read_text(encoding='utf-8').strip()}"

    return httpx.Client(
        base_url=f"https://{host}:{port}",
        verify=context,
        timeout=10.0,
        trust_env=False,
        event_hooks={"request": [with_token]},
    )


def _events(response: httpx.Response) -> Iterator[dict[str, Any]]:
    for line in response.iter_lines():
        if line.strip():
            yield json.loads(line)


def _say(text: str) -> None:
    print(f"{datetime.now(UTC):%F %T.%f} {text}", flush=True)


def _end(_number: int, _frame: FrameType | None) -> None:
    # As process 1 it has no default action for SIGTERM; there is nothing to put in order.
    os._exit(0)


def main() -> None:
    """Run until the pod ends."""
    signal.signal(signal.SIGTERM, _end)
    pods = Pods(api_client(os.environ))
    proxy = Proxy(os.environ["POD_IP"])
    threading.Thread(target=pods.keep, daemon=True).start()
    while True:
        pods.changed.wait(RECHECK_S)
        pods.changed.clear()
        if feed(proxy, pods.now) and not SYNCED.exists():
            SYNCED.parent.mkdir(parents=True, exist_ok=True)
            SYNCED.touch()


if __name__ == "__main__":
    main()
