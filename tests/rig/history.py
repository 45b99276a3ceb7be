"""What happened to fleets over time: every change of replicas that the API server ever showed, in order.

A test that looks at replicas now and then proves nothing about the moments between. A watch does: the API server sends
each version of each object, so that a fall for a single second is in the record. An API server that was away has
forgotten the versions before, and a list has to do; `metadata.generation`, which each change of a spec raises by one,
then tells whether any was missed.
"""

from __future__ import annotations

import json
import ssl
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import httpx

_KINDS = {"Deployment": "/apis/apps/v1/deployments", "StatefulSet": "/apis/apps/v1/statefulsets"}


@dataclass(frozen=True, slots=True)
class Seen:
    """A workload as one of its versions had it. `at_s` is when the watch told it, wall clock."""

    at_s: float
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
        with self._lock:
            return [one for one in self._seen if (one.namespace, one.name) == (namespace, name) and one.at_s >= since_s]

    def falls(self, namespace: str, *, since_s: float = 0.0) -> list[str]:
        """Each time that somebody lowered the wanted replicas of a namespace's workload, in words."""
        with self._lock:
            seen = [one for one in self._seen if one.namespace == namespace and one.at_s >= since_s]
        falls, last = [], dict[str, int]()
        for one in seen:
            if one.wanted < last.get(one.name, one.wanted):
                falls.append(f"{one.name} from {last[one.name]} to {one.wanted} at {one.at_s:.1f}")
            last[one.name] = one.wanted
        return falls

    def _follow(self, path: str) -> None:
        version = ""
        while not self._stop.is_set():
            try:
                version = version or self._list(path)
                version = self._watch(path, version)
            except (httpx.HTTPError, ssl.SSLError, OSError):
                self._stop.wait(0.5)
            except RuntimeError:
                return  # the client was closed

    def _list(self, path: str) -> str:
        answer = self._client.get(path).raise_for_status().json()
        for item in answer["items"]:
            self._add(item)
        return str(answer["metadata"]["resourceVersion"])

    def _watch(self, path: str, version: str) -> str:
        query = {"watch": "true", "resourceVersion": version, "timeoutSeconds": "20", "allowWatchBookmarks": "true"}
        with self._client.stream("GET", path, params=query) as answer:
            answer.raise_for_status()
            for line in answer.iter_lines():
                event = json.loads(line)
                if event["type"] == "ERROR":
                    return ""  # too old to go on from
                version = event["object"]["metadata"]["resourceVersion"]
                if event["type"] in ("ADDED", "MODIFIED"):
                    self._add(event["object"])
        return version

    def _add(self, item: dict[str, Any]) -> None:
        metadata, status = item["metadata"], item.get("status", {})
        seen = Seen(
            at_s=time.time(),
            namespace=metadata["namespace"],
            name=metadata["name"],
            generation=metadata["generation"],
            wanted=item["spec"]["replicas"],
            standing=status.get("replicas", 0),
            ready=status.get("readyReplicas", 0),
        )
        with self._lock:
            before = self._generations.get(metadata["uid"], seen.generation)
            if seen.generation > before + 1:
                self.gaps.append(f"{seen.namespace}/{seen.name}: from generation {before} to {seen.generation}")
            self._generations[metadata["uid"]] = seen.generation
            self._seen.append(seen)
