"""One kind of object, listed once and watched from there, for ever.

The loop of client-go's reflector, with an end to every wait: list in pages, watch from the list's resourceVersion with
bookmarks, resume where a watch ended, list anew when the server says 410 Gone, back off with jitter when it is away.
What was seen last stays throughout; only whether it can be relied on changes.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from http import HTTPStatus
from typing import Generic, TypeVar

import numpy as np
import structlog

from scaler.clock import Clock
from scaler.fleet.kubernetes.api import ApiError, ApiRefusedError, GoneError, JsonObject, KubernetesApi
from scaler.fleet.kubernetes.memory import Sink
from scaler.fleet.kubernetes.objects import continue_of, items_of, namespace_of, uid_of, version_of

Record = TypeVar("Record")

JSON = "application/json"
METADATA_ONLY = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
METADATA_ONLY_WATCH = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Resource(Generic[Record]):
    """What to watch, and what to keep of it. `strip` returns None for an object that is of no use.

    `may_be_missing` is for a kind whose CRD may not be installed: none of them is then the truth.
    """

    title: str
    path: str
    strip: Callable[[JsonObject], Record | None]
    metadata_only: bool = False
    may_be_missing: bool = False


@dataclass(frozen=True, slots=True)
class Health:
    """Whether what a watch has told can be relied on. `heard_s` is the plan clock's time of its last sign of life."""

    listed: bool
    heard_s: float | None
    problem: str | None


class Reflector(Generic[Record]):
    """Keeps a sink equal to what the API server has of one resource. `run` is the body of a thread.

    With `namespaces`, what lies in others is dropped as it arrives.
    """

    def __init__(
        self,
        api: KubernetesApi,
        resource: Resource[Record],
        sink: Sink[Record],
        clock: Clock,
        namespaces: Collection[str] = (),
    ) -> None:
        self.resource = resource
        self._namespaces = frozenset(namespaces)
        self._api, self._sink, self._clock = api, sink, clock
        self._stop = threading.Event()
        self._version: str | None = None
        self._listed = False
        self._problem: str | None = None
        self._heard_s: float | None = None
        self._heard_monotonic_s = time.monotonic()
        self._failures = 0
        # Jitter only: no decision depends on it, and all reflectors of all replicas must differ.
        self._jitter = np.random.default_rng()

    def run(self) -> None:
        """List and watch until `stop`."""
        while not self._stop.is_set():
            try:
                version = self._version or self._list()
                if version is not None:
                    self._watch(version)
            except GoneError as error:
                # Only a list can tell what was missed. The first one is made at once, since this is routine.
                self._version = None
                self._failed(str(error), wait=self._failures > 0)
            except ApiError as error:
                self._failed(str(error))
            except Exception as error:  # noqa: BLE001 - a watch that dies silently is worse than any error
                self._version = None
                self._failed(f"{type(error).__name__}: {error}")

    def stop(self) -> None:
        """Let the loop end; a read that is under way is woken by closing the API."""
        self._stop.set()

    def health(self) -> Health:
        """The state now, with a bound that holds even if the thread hangs where no time-out reaches."""
        silent_s = time.monotonic() - self._heard_monotonic_s
        problem = self._problem
        if problem is None and silent_s > self._api.timings.noticed_within_s:
            problem = f"nothing was heard of {self.resource.title} for {silent_s:.0f} s"
        return Health(self._listed, self._heard_s, problem)

    def _list(self) -> str | None:
        """Fill the sink; the resourceVersion to watch from, or None where the kind is not served."""
        records: dict[str, Record] = {}
        accept = METADATA_ONLY if self.resource.metadata_only else JSON
        token = ""
        while True:
            query = {"limit": "500"} | ({"continue": token} if token else {})
            try:
                page = self._api.get(self.resource.path, query, accept)
            except ApiRefusedError as error:
                if error.status == HTTPStatus.NOT_FOUND and self.resource.may_be_missing:
                    self._not_served(error)
                    return None
                raise
            self._heard()
            for item in items_of(page):
                record = self._strip(item)
                if record is not None:
                    records[uid_of(item)] = record
            token = continue_of(page)
            if not token:
                break
        self._sink.replace(records)
        self._version = version_of(page)
        self._listed = True
        return self._version

    def _watch(self, version: str) -> None:
        accept = METADATA_ONLY_WATCH if self.resource.metadata_only else JSON
        began_s, events = time.monotonic(), 0
        with self._api.watch(self.resource.path, {"resourceVersion": version}, accept) as lines:
            self._recovered()
            for line in lines:
                self._take(json.loads(line))
                self._heard()
                # Not before: a server that says 410 to each new watch must meet the back-off.
                self._failures = 0
                events += 1
        self._failures = 0
        if events == 0 and time.monotonic() - began_s < 1.0:
            # A server that ends each watch at once must not be asked in a busy loop.
            self._wait()

    def _take(self, event: JsonObject) -> None:
        kind, item = event["type"], event["object"]
        if not isinstance(item, dict):
            raise ApiError(f"a watch event of {self.resource.title} has no object")
        if kind == "ERROR":
            text = f"watch of {self.resource.title}: {item.get('message')}"
            if item.get("code") == HTTPStatus.GONE:
                raise GoneError(text)
            # client-go, too, lists anew: what a server that reports an error has sent before it is not certain.
            self._version = None
            raise ApiError(text)
        if kind in ("ADDED", "MODIFIED"):
            record = self._strip(item)
            if record is None:
                self._sink.remove(uid_of(item))
            else:
                self._sink.put(uid_of(item), record)
        elif kind == "DELETED":
            self._sink.remove(uid_of(item))
        self._version = version_of(item) or self._version

    def _strip(self, item: JsonObject) -> Record | None:
        if self._namespaces and namespace_of(item) not in self._namespaces:
            return None
        try:
            return self.resource.strip(item)
        except (KeyError, TypeError, ValueError) as error:
            # One object that the schema should have refused must not blind us for all others.
            _log.error("object_unreadable", resource=self.resource.title, uid=uid_of(item), error=str(error))
            return None

    def _not_served(self, error: ApiRefusedError) -> None:
        # A server that starts up says 404 before its CRDs are loaded: what was seen once is not given up for that.
        if len(self._sink):
            raise ApiError(f"{error}; is KEDA still installed?") from error
        self._listed = True
        self._recovered()
        self._wait(self._api.timings.longest_retry_s)

    def _heard(self) -> None:
        self._heard_s = self._clock.now_s()
        self._heard_monotonic_s = time.monotonic()

    def _recovered(self) -> None:
        self._heard()
        if self._problem is not None:
            _log.info("watch_recovered", resource=self.resource.title)
        self._problem = None

    def _failed(self, problem: str, *, wait: bool = True) -> None:
        if self._stop.is_set():
            return
        self._failures += 1
        if problem != self._problem:
            _log.warning("watch_failed", resource=self.resource.title, problem=problem, failures=self._failures)
        self._problem = problem
        if wait:
            self._wait()

    def _wait(self, longest_s: float | None = None) -> None:
        timings = self._api.timings
        bound_s = min(timings.longest_retry_s, timings.first_retry_s * 2 ** min(self._failures, 16))
        self._stop.wait(self._jitter.uniform(0.5, 1.0) * (bound_s if longest_s is None else longest_s))
