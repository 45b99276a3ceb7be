"""What happened to fleets over time: every change of replicas that the API server ever showed, in order.

A fall for a single second is in the record, since it comes from a watch. Where a list had to do, because the API server
was away, `metadata.generation`, which each change of a spec raises by one, tells whether any was missed.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import httpx

from tests.rig.watching import Watch
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
        self._lock = threading.Lock()
        self._watches = [Watch(client, path, self._see) for path in _KINDS.values()]
        self._gaps: list[str] = []

    @property
    def gaps(self) -> Sequence[str]:
        """Changes of a spec that happened and were not seen, in words. Empty means: everything was."""
        return [*self._gaps, *(watch.failure for watch in self._watches if watch.failure)]

    def start(self) -> None:
        for watch in self._watches:
            watch.start()

    def stop(self) -> None:
        for watch in self._watches:
            watch.stop()
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

    def _see(self, kind: str, item: dict[str, Any]) -> None:
        if kind != "DELETED":
            self._add(item)

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
                self._gaps.append(f"{seen.namespace}/{seen.name}: from generation {before} to {seen.generation}")
            self._generations[seen.uid] = seen.generation
            self._seen.append(seen)
