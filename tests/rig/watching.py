"""Every version of every object of one kind, in the order in which the API server had them.

Whoever looks now and then knows nothing of the moments between. A watch tells each version, so that what lasted a
single second is seen. An API server that was away has forgotten the versions before, and a list has to do.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any

import httpx

Object = dict[str, Any]
See = Callable[[str, Object], None]
"""Takes `ADDED`, `MODIFIED` or `DELETED`, and the object as it was. Called in the watch's thread."""


class Watch:
    """Follows one path of the API server from `start` to `stop`, in a thread of its own, through all interruptions."""

    def __init__(self, client: httpx.Client, path: str, see: See) -> None:
        self._client, self._path, self._see = client, path, see
        self._version = ""
        """What the watch goes on from; empty when a list has to be got first."""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self.failure = ""
        """Why nobody watches any more, in words."""

    def start(self) -> None:
        """Watch from now on: what stands is told first, as added."""
        self._thread.start()

    def stop(self) -> None:
        """Watch no more. A watch that waits for news ends with its client, or a little later."""
        self._stop.set()

    def _follow(self) -> None:
        while not self._stop.is_set():
            try:
                if not self._version:
                    self._list()
                self._watch()
            except (httpx.HTTPError, OSError):
                self._stop.wait(0.5)
            except Exception as error:
                if not self._stop.is_set():  # else it is the client that was closed
                    self.failure = f"nobody watches {self._path} any more: {error!r}"
                return

    def _list(self) -> None:
        answer = self._client.get(self._path).raise_for_status().json()
        for item in answer["items"]:
            self._see("ADDED", item)
        self._version = answer["metadata"]["resourceVersion"]

    def _watch(self) -> None:
        query = {
            "watch": "true",
            "resourceVersion": self._version,
            "timeoutSeconds": "20",
            "allowWatchBookmarks": "true",
        }
        with self._client.stream("GET", self._path, params=query) as answer:
            if answer.status_code == httpx.codes.GONE:
                self._version = ""
            answer.raise_for_status()
            for line in answer.iter_lines():
                event = json.loads(line)
                if event["type"] == "ERROR":
                    self._version = ""  # too old to go on from
                    return
                if event["type"] != "BOOKMARK":
                    self._see(event["type"], event["object"])
                # Kept with each event: a watch that breaks must not tell the same changes again.
                self._version = event["object"]["metadata"]["resourceVersion"]
