"""The cluster's DNS: names of headless Services in the rig's hosts file, which every resolver of the rig reads.

The API server refuses loopback addresses in EndpointSlices, so the names are made from Services and Pods directly.
The file is mounted in containers, hence written in place; and in one write, since somebody may be reading.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.rig.node.api import Api, Object
from tests.rig.node.tasks import supervised

DOMAIN = "cluster.local"
MARK = "# Below: headless Services, kept by the node agent."
# Changes that follow one another closely are written as one.
_TOGETHER_S = 0.05


def access(user: str) -> tuple[Object, ...]:
    """What the user of `AgentSettings.dns` must be allowed, as objects to apply."""
    name = "rig-cluster-dns"
    kind = {"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": {"name": name}}
    rule = {"apiGroups": [""], "resources": ["services", "pods"], "verbs": ["list", "watch"]}
    return (
        {**kind, "kind": "ClusterRole", "rules": [rule]},
        {
            **kind,
            "kind": "ClusterRoleBinding",
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}],
        },
    )


@dataclass(frozen=True, slots=True)
class Service:
    """A headless Service with a selector."""

    namespace: str
    name: str
    selector: Mapping[str, str]
    unready_too: bool


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A pod as a name service sees it."""

    namespace: str
    labels: Mapping[str, str]
    address: str
    ready: bool


def service(item: Object) -> Service | None:
    """What a Service means for DNS; None if it is not headless or selects nothing."""
    spec, metadata = item["spec"], item["metadata"]
    if spec.get("clusterIP") != "None" or not spec.get("selector"):
        return None
    unready_too = spec.get("publishNotReadyAddresses", False)
    return Service(metadata["namespace"], metadata["name"], spec["selector"], unready_too)


def endpoint(item: Object) -> Endpoint | None:
    """What a Pod means for DNS; None while it has no address, and when it has ended."""
    metadata, status = item["metadata"], item.get("status", {})
    if not status.get("podIP") or status.get("phase") in ("Succeeded", "Failed"):
        return None
    conditions = {condition["type"]: condition["status"] for condition in status.get("conditions", ())}
    ready = conditions.get("Ready") == "True" and "deletionTimestamp" not in metadata
    return Endpoint(metadata["namespace"], metadata.get("labels", {}), status["podIP"], ready)


def lines(services: Sequence[Service], endpoints: Sequence[Endpoint]) -> Iterator[str]:
    """Lines of a hosts file, sorted: one per address of a Service."""
    for one in sorted(services, key=lambda one: (one.namespace, one.name)):
        short = f"{one.name}.{one.namespace}"
        names = f"{short}.svc.{DOMAIN} {short}.svc {short} {short}.{DOMAIN}"
        for address in sorted(pod.address for pod in endpoints if _selected(one, pod)):
            yield f"{address} {names}"


def write_in_place(path: Path, text: str) -> None:
    """Replace a file's content by one write. A shorter text is filled up with empty lines, then cut."""
    content = text.encode()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o644)
    try:
        os.pwrite(descriptor, content.ljust(os.fstat(descriptor).st_size, b"\n"), 0)
        os.ftruncate(descriptor, len(content))
    finally:
        os.close(descriptor)


class ClusterDns:
    """Keeps the hosts file. What the file had before, the rig's own names, stays at its head."""

    def __init__(self, api: Api, path: Path) -> None:
        self._api = api
        self._path = path
        self._head = (
            path.read_text(encoding="utf-8").split(MARK)[0].rstrip("\n") if path.exists() else "127.0.0.1 localhost"
        )
        self._services = _Known(service, self._changed)
        self._endpoints = _Known(endpoint, self._changed)
        self._writing: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Follow Services and Pods."""
        for path, known in (("/api/v1/services", self._services), ("/api/v1/pods", self._endpoints)):
            supervised(self._api.follow(path, known))

    def _changed(self) -> None:
        if self._writing is None:
            self._writing = asyncio.get_running_loop().call_later(_TOGETHER_S, self._write)

    def _write(self) -> None:
        self._writing = None
        rows = lines(list(self._services.known.values()), list(self._endpoints.known.values()))
        text = "\n".join([self._head, MARK, *rows, ""])
        if not self._path.exists() or self._path.read_text(encoding="utf-8") != text:
            write_in_place(self._path, text)


class _Known:
    """Objects of one kind, as far as DNS cares; says when that changes."""

    def __init__(self, read: Callable[[Object], Any], changed: Callable[[], None]) -> None:
        self.known: dict[str, Any] = {}
        self._read = read
        self._changed = changed

    def listed(self, items: Sequence[Object]) -> None:
        self.known = {item["metadata"]["uid"]: read for item in items if (read := self._read(item)) is not None}
        self._changed()

    def changed(self, item: Object) -> None:
        uid, read = item["metadata"]["uid"], self._read(item)
        if read == self.known.get(uid):
            return
        self.known[uid] = read
        if read is None:
            del self.known[uid]
        self._changed()

    def deleted(self, item: Object) -> None:
        if self.known.pop(item["metadata"]["uid"], None) is not None:
            self._changed()


def _selected(one: Service, pod: Endpoint) -> bool:
    return (
        pod.namespace == one.namespace
        and (pod.ready or one.unready_too)
        and all(pod.labels.get(key) == value for key, value in one.selector.items())
    )
