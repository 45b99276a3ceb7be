"""What happened to fleets over time: every change of replicas that the API server ever showed, in order.

A test that looks at replicas now and then proves nothing about the moments between. A watch does: the API server sends
each version of each object, so that a fall for a single second is in the record. An API server that was away has
forgotten the versions before, and a list has to do; `metadata.generation`, which each change of a spec raises by one,
then tells whether any was missed.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import httpx

from tests.servers.processes import wait_for

_KINDS = {"Deployment": "/apis/apps/v1/deployments", "StatefulSet": "/apis/apps/v1/statefulsets"}


@dataclass(frozen=True, slots=True)
class Seen:
    """A workload as one of its versions had it. `at_s` is when the watch told it, wall clock."""

    at_s: float
    uid: str
    namespace: str
    name: str
    generation: int
    wanted: int
    standing: int
    ready: int


class ReplicaHistory:
    """Watches all Deployments and StatefulSets from `start` to `stop`, in a thread for each kind."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client
        self._seen: list[Seen] = []
        self._generations: dict[str, int] = {}
        self._versions: dict[str, str] = {}
        """Path → what its watch goes on from."""
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._follow, args=(path,), daemon=True) for path in _KINDS.values()]
        self.gaps: list[str] = []
        """Changes of a spec that happened and were not seen, in words. Empty means: everything was."""

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._client.close()

    def of(self, namespace: str, name: str, *, since_s: float = 0.0) -> Sequence[Seen]:
        """All versions of one workload that were told since an instant, oldest first."""
        self._catch_up()
        with self._lock:
            return [one for one in self._seen if (one.namespace, one.name) == (namespace, name) and one.at_s >= since_s]

    def falls(self, namespace: str, *, since_s: float = 0.0) -> list[str]:
        """Each time since an instant that somebody lowered the wanted replicas of a namespace's workload, in words."""
        self._catch_up()
        with self._lock:
            seen = [one for one in self._seen if one.namespace == namespace]
        falls, last = [], dict[str, int]()
        for one in seen:
            # From what stood before the instant: the first thing that happens after it may be the fall.
            if one.wanted < last.get(one.uid, one.wanted) and one.at_s >= since_s:
                falls.append(f"{one.name} from {last[one.uid]} to {one.wanted} at {one.at_s:.1f}")
            last[one.uid] = one.wanted
        return falls

    def _catch_up(self) -> None:
        """Wait until every change of a spec that has happened by now is in the record: a watch tells a little later."""
        for path in _KINDS.values():
            items = self._client.get(path).raise_for_status().json()["items"]
            now = {item["metadata"]["uid"]: item["metadata"]["generation"] for item in items}
            wait_for(partial(self._knows, now), f"the record to have what {path} has now")

    def _knows(self, generations: Mapping[str, int]) -> bool:
        with self._lock:
            return all(self._generations.get(uid, 0) >= generation for uid, generation in generations.items())

    def _follow(self, path: str) -> None:
        while not self._stop.is_set():
            try:
                if path not in self._versions:
                    self._list(path)
                self._watch(path)
            except (httpx.HTTPError, OSError):
                self._stop.wait(0.5)
            except Exception as error:
                if not self._stop.is_set():  # else it is the client that was closed
                    self.gaps.append(f"nobody watches {path} any more: {error!r}")
                return

    def _list(self, path: str) -> None:
        answer = self._client.get(path).raise_for_status().json()
        for item in answer["items"]:
            self._add(item)
        self._versions[path] = answer["metadata"]["resourceVersion"]

    def _watch(self, path: str) -> None:
        query = {
            "watch": "true",
            "resourceVersion": self._versions[path],
            "timeoutSeconds": "20",
            "allowWatchBookmarks": "true",
        }
        with self._client.stream("GET", path, params=query) as answer:
            if answer.status_code == httpx.codes.GONE:
                del self._versions[path]
            answer.raise_for_status()
            for line in answer.iter_lines():
                event = json.loads(line)
                if event["type"] == "ERROR":
                    del self._versions[path]  # too old to go on from
                    return
                if event["type"] in ("ADDED", "MODIFIED"):
                    self._add(event["object"])
                # Kept with each event: a watch that breaks must not tell the same changes again.
                self._versions[path] = event["object"]["metadata"]["resourceVersion"]

    def _add(self, item: dict[str, Any]) -> None:
        metadata, status = item["metadata"], item.get("status", {})
        seen = Seen(
            at_s=time.time(),
            uid=metadata["uid"],
            namespace=metadata["namespace"],
            name=metadata["name"],
            generation=metadata["generation"],
            wanted=item["spec"]["replicas"],
            standing=status.get("replicas", 0),
            ready=status.get("readyReplicas", 0),
        )
        with self._lock:
            before = self._generations.get(seen.uid, seen.generation)
            if seen.generation > before + 1:
                self.gaps.append(f"{seen.namespace}/{seen.name}: from generation {before} to {seen.generation}")
            self._generations[seen.uid] = seen.generation
            self._seen.append(seen)
