"""Leases as an API server keeps them: a write that names an old resourceVersion is refused.

What a network does to writes can be switched on: one that is done and never answered, one that never arrives.
"""

from __future__ import annotations

import copy
import threading
import time
from collections.abc import Callable

LEASES = "/apis/coordination.k8s.io/v1/namespaces/"

Answer = tuple[int, dict | tuple[str, str] | None]


class Leases:
    """Every Lease, and the switches. Any thread may call it."""

    def __init__(self) -> None:
        self.objects: dict[str, dict] = {}
        self.writes: list[dict] = []
        self.unanswered: Callable[[dict], bool] = lambda lease: False
        """Which writes are done and never answered."""
        self.delay_s = 0.0
        self.waiting = 0
        self._version = 5000
        self._lock = threading.Lock()

    def remove(self) -> None:
        """Remove every Lease, as somebody with kubectl may."""
        with self._lock:
            self.objects.clear()

    def answer(self, method: str, path: str, body: dict | None) -> Answer:
        """The status, and an object or a reason with a message; None for an answer that never comes."""
        self.waiting += 1
        time.sleep(self.delay_s)
        self.waiting -= 1
        with self._lock:
            if method == "GET":
                found = self.objects.get(path)
                return (404, ("NotFound", f"leases {path} not found")) if found is None else (200, copy.deepcopy(found))
            assert body is not None
            if method == "POST":
                return self._created(f"{path}/{body['metadata']['name']}", body)
            return self._updated(path, body)

    def _created(self, path: str, body: dict) -> Answer:
        if path in self.objects:
            return 409, ("AlreadyExists", f"leases {path} already exists")
        if "resourceVersion" in body["metadata"]:
            return 400, ("BadRequest", "resourceVersion should not be set on objects to be created")
        return 201, self._stored(path, body)

    def _updated(self, path: str, body: dict) -> Answer:
        before = self.objects.get(path)
        if before is None:
            # The real one may make a Lease by PUT, but not one that bears the UID of another.
            return 409, ("Conflict", f"leases {path}: the UID in the precondition is not that of the object")
        if body["metadata"].get("resourceVersion") != before["metadata"]["resourceVersion"]:
            return 409, ("Conflict", "the object has been modified; please apply your changes to the latest version")
        return 200, self._stored(path, body)

    def _stored(self, path: str, body: dict) -> dict | None:
        self._version += 1
        stored = copy.deepcopy(body)
        stored["metadata"]["resourceVersion"] = str(self._version)
        self.objects[path] = stored
        self.writes.append(copy.deepcopy(stored))
        return None if self.unanswered(stored) else copy.deepcopy(stored)
