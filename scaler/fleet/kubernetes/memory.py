"""What the watches have told so far, indexed the way it is asked for.

Each shelf has one writer, its watch's thread, and is read from the event loop: what takes long is prepared before the
lock is taken, so that a reader never waits for a list of the whole cluster.
"""

from __future__ import annotations

import threading
from collections import defaultdict, deque
from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Generic, Protocol, TypeVar

from scaler.fleet.kubernetes.objects import (
    Hpa,
    Namespace,
    NamespacedName,
    Node,
    PodSeen,
    ReplicaSet,
    ScaledObject,
    Workload,
    WorkloadName,
)
from scaler.fleet.kubernetes.pods import PodLife, follow, measured_lead_s

Record = TypeVar("Record")
Key = TypeVar("Key", bound=Hashable)
Incoming = TypeVar("Incoming", contravariant=True)

LEADS_KEPT = 200


class Sink(Protocol[Incoming]):
    """Where a watch puts what it sees."""

    def put(self, uid: str, record: Incoming) -> None:
        """An object was added or changed."""
        ...

    def remove(self, uid: str) -> None:
        """An object is gone."""
        ...

    def replace(self, records: Mapping[str, Incoming]) -> None:
        """This is all there is; what is not among it is gone."""
        ...

    def __len__(self) -> int:
        """How many objects are known."""
        ...


class Shelf(Generic[Key, Record]):
    """Records by UID, found by a key that several may share."""

    def __init__(self, lock: threading.RLock, key: Callable[[Record], Key]) -> None:
        self._lock = lock
        self._key = key
        self._by_uid: dict[str, Record] = {}
        self._by_key: dict[Key, dict[str, Record]] = {}

    def __len__(self) -> int:
        return len(self._by_uid)

    def put(self, uid: str, record: Record) -> None:
        """Add or change a record."""
        with self._lock:
            self.remove(uid)
            self._by_uid[uid] = record
            self._by_key.setdefault(self._key(record), {})[uid] = record

    def remove(self, uid: str) -> None:
        """Forget a record; one that is not known is no fault."""
        with self._lock:
            record = self._by_uid.pop(uid, None)
            if record is None:
                return
            group = self._by_key[self._key(record)]
            del group[uid]
            if not group:
                del self._by_key[self._key(record)]

    def replace(self, records: Mapping[str, Record]) -> None:
        """Keep these records and no others."""
        by_uid = dict(records)
        by_key: dict[Key, dict[str, Record]] = {}
        for uid, record in by_uid.items():
            by_key.setdefault(self._key(record), {})[uid] = record
        with self._lock:
            self._by_uid, self._by_key = by_uid, by_key

    def get(self, uid: str) -> Record | None:
        """The record of a UID."""
        return self._by_uid.get(uid)

    def all(self) -> Iterable[Record]:
        """Every record. The caller holds the lock while it iterates."""
        return self._by_uid.values()

    def under(self, key: Key) -> Iterable[Record]:
        """The records of one key. The caller holds the lock while it iterates."""
        return self._by_key.get(key, {}).values()

    def first(self, key: Key) -> Record | None:
        """The record of a key that only one has."""
        return next(iter(self.under(key)), None)


class PodSink:
    """The pods' watch writes here: each event continues the life of a pod, and may complete a lead."""

    def __init__(self, lock: threading.RLock) -> None:
        self._lock = lock
        self.lives: Shelf[str, PodLife] = Shelf(lock, lambda life: life.seen.owner_uid)
        self._leads: dict[str, deque[tuple[float, float]]] = defaultdict(lambda: deque(maxlen=LEADS_KEPT))

    def __len__(self) -> int:
        return len(self.lives)

    def put(self, uid: str, record: PodSeen) -> None:
        """A pod was added or changed."""
        before = self.lives.get(uid)
        life = follow(before, record)
        with self._lock:
            self.lives.put(uid, life)
            self._measure(before, life)

    def remove(self, uid: str) -> None:
        """A pod is gone. Its lead stays."""
        self.lives.remove(uid)

    def replace(self, records: Mapping[str, PodSeen]) -> None:
        """These are all pods. What we remember of each goes on."""
        steps = [(before := self.lives.get(uid), follow(before, seen)) for uid, seen in records.items()]
        self.lives.replace({life.seen.uid: life for _, life in steps})
        with self._lock:
            for before, life in sorted(steps, key=lambda step: step[1].ready_s or 0.0):
                self._measure(before, life)

    def leads(self, owner_uid: str) -> Iterable[tuple[float, float]]:
        """When a pod of this owner became Ready first, and its lead, seconds; oldest first."""
        return self._leads.get(owner_uid, ())

    def forget_leads(self, owner_uids: Iterable[str]) -> None:
        """The owners are gone, with all that was measured on their pods."""
        with self._lock:
            for owner_uid in owner_uids:
                self._leads.pop(owner_uid, None)

    def owners_measured(self) -> tuple[str, ...]:
        """Every owner that has leads."""
        with self._lock:
            return tuple(self._leads)

    def _measure(self, before: PodLife | None, life: PodLife) -> None:
        lead_s = measured_lead_s(before, life)
        if lead_s is not None and life.ready_s is not None:
            self._leads[life.seen.owner_uid].append((life.ready_s, lead_s))


class ClusterMemory:
    """All shelves, under one lock."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.scaled_objects: Shelf[NamespacedName, ScaledObject] = Shelf(self.lock, lambda record: record.name)
        self.hpas: Shelf[NamespacedName, Hpa] = Shelf(self.lock, lambda record: record.name)
        self.deployments: Shelf[WorkloadName, Workload] = Shelf(self.lock, lambda record: record.name)
        self.stateful_sets: Shelf[WorkloadName, Workload] = Shelf(self.lock, lambda record: record.name)
        self.replica_sets: Shelf[str, ReplicaSet] = Shelf(self.lock, lambda record: record.deployment_uid)
        self.nodes: Shelf[str, Node] = Shelf(self.lock, lambda record: record.name)
        self.namespaces: Shelf[str, Namespace] = Shelf(self.lock, lambda record: record.name)
        self.pods = PodSink(self.lock)

    def workload(self, name: WorkloadName) -> Workload | None:
        """The workload of this name, if it exists and is a Deployment or a StatefulSet."""
        return self.deployments.first(name) or self.stateful_sets.first(name)

    def owners(self, workload: Workload) -> Mapping[str, str | None]:
        """The UIDs that the workload's pods name as their owner, with each one's revision where the owner has it."""
        if workload.name[1] == "StatefulSet":
            return {workload.uid: None}
        return {link.uid: link.revision for link in self.replica_sets.under(workload.uid)}

    def drop_leads_of_the_gone(self) -> None:
        """Forget the leads whose owner is in the cluster no more, so that rollouts do not fill the memory."""
        gone = [
            uid
            for uid in self.pods.owners_measured()
            if self.replica_sets.get(uid) is None and self.stateful_sets.get(uid) is None
        ]
        self.pods.forget_leads(gone)
