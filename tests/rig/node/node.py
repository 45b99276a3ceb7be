"""One Node: registered, kept alive by its Lease, with the pods that are bound to it; and the ways in which it fails."""

from __future__ import annotations

import asyncio
import logging
import platform
import random
import shutil
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from tests.rig.node.addresses import Addresses
from tests.rig.node.api import RETRY_AT_MOST_S, RETRY_S, ApiError, Object, connect
from tests.rig.node.children import Children
from tests.rig.node.environment import PodSpecError
from tests.rig.node.objects import REFRESH_S, Objects
from tests.rig.node.pod import Host, PodWorker
from tests.rig.node.settings import AgentSettings, NodeSettings
from tests.rig.node.status import timestamp
from tests.rig.node.tasks import supervised
from tests.rig.programs import KUBERNETES_VERSION

HEARTBEAT_S = 10.0
LEASE_S = 40
_REPORT_S = 300.0
# Changes of a pod that follow one another closely are sent as one.
_TOGETHER_S = 0.05
_SENDERS = 4

log = logging.getLogger(__name__)


class Node:
    """One Node and its pods. Made inside the running loop."""

    def __init__(self, settings: AgentSettings, node: NodeSettings, children: Children) -> None:
        self.settings = node
        self._api = connect(settings.api_server, settings.authority, node.identity)
        url = urlsplit(settings.api_server)
        self._host = Host(
            address=node.address,
            api=self._api,
            objects=Objects(self._api),
            children=children,
            folder=settings.folder / "pods",
            hosts=settings.hosts,
            variables={"KUBERNETES_SERVICE_HOST": str(url.hostname), "KUBERNETES_SERVICE_PORT": str(url.port)},
            changed=self._pod_changed,
        )
        self._addresses = Addresses(node.pod_network)
        self._workers: dict[str, PodWorker] = {}
        self._died_with_it: list[PodWorker] = []
        self._running: dict[str, asyncio.Task[None]] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._following: asyncio.Task[None] | None = None
        self._unsent: asyncio.Queue[PodWorker] = asyncio.Queue()
        self._queued: set[str] = set()
        self._reported_s = 0.0

    @property
    def workers(self) -> list[PodWorker]:
        """Its pods."""
        return list(self._workers.values())

    def come_up(self) -> None:
        """Start, or start again after it died."""
        if self._tasks:
            raise RuntimeError(f"node {self.settings.name} is up already")
        self._follow()
        work = [self._beat(), self._refresh(), *(self._send() for _ in range(_SENDERS))]
        self._tasks = [supervised(one) for one in work]

    async def die(self) -> None:
        """All its processes end at once, and it says nothing to anybody."""
        tasks = [*self._tasks, *self._running.values(), *([self._following] if self._following else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*(worker.abandon() for worker in self.workers), *tasks, return_exceptions=True)
        self._died_with_it = self.workers
        for worker in self.workers:
            self._forget(worker)
        self._tasks, self._following, self._unsent = [], None, asyncio.Queue()
        self._queued.clear()

    def partition(self) -> None:
        """Cut it off from the API server; its pods live on."""
        self._api.reachable = False
        self._follow()  # the watch that is open now sees nothing any more

    def heal(self) -> None:
        """Let it reach the API server again."""
        self._api.reachable = True

    def listed(self, items: Sequence[Object]) -> None:
        there = {item["metadata"]["uid"] for item in items}
        for worker in self._died_with_it:
            if worker.uid not in there:
                worker.clean_up()
        self._died_with_it = []
        for worker in self.workers:
            if worker.uid not in there:
                worker.vanished()
        for item in items:
            self.changed(item)

    def changed(self, item: Object) -> None:
        uid = item["metadata"]["uid"]
        if uid in self._workers:
            self._workers[uid].update(item)
            return
        try:
            worker = PodWorker(self._host, item, self._addresses.take())
        except PodSpecError as error:
            log.error("pod %s/%s: %s", item["metadata"]["namespace"], item["metadata"]["name"], error)
            return
        self._workers[uid] = worker
        self._running[uid] = supervised(self._run(worker))

    def deleted(self, item: Object) -> None:
        worker = self._workers.get(item["metadata"]["uid"])
        if worker is not None:
            worker.vanished()

    def _follow(self) -> None:
        if self._following is not None:
            self._following.cancel()
        selector = f"spec.nodeName={self.settings.name}"
        self._following = supervised(self._api.follow("/api/v1/pods", self, fieldSelector=selector))

    async def _run(self, worker: PodWorker) -> None:
        await worker.run()
        self._forget(worker)

    def _forget(self, worker: PodWorker) -> None:
        del self._workers[worker.uid]
        del self._running[worker.uid]
        self._addresses.give_back(worker.pod_ip)

    def _pod_changed(self, worker: PodWorker) -> None:
        if worker.uid not in self._queued:
            self._queued.add(worker.uid)
            asyncio.get_running_loop().call_later(_TOGETHER_S, self._unsent.put_nowait, worker)

    async def _send(self) -> None:
        while True:
            worker = await self._unsent.get()
            self._queued.discard(worker.uid)
            try:
                await worker.send_status()
            except ApiError as error:
                if error.status != 404 and worker.uid in self._workers:
                    log.warning("status of pod %s/%s: %s", worker.namespace, worker.name, error)
                    self._pod_changed(worker)
                    await asyncio.sleep(RETRY_S)

    async def _refresh(self) -> None:
        while True:
            await asyncio.sleep(REFRESH_S)
            try:
                changed = await self._host.objects.refresh(
                    {key for worker in self.workers for key in worker.references()}
                )
            except ApiError as error:
                log.warning("node %s: mounted objects: %s", self.settings.name, error)
                continue
            for worker in self.workers:
                try:
                    await worker.refresh(changed)
                except (ApiError, PodSpecError) as error:
                    log.warning("volumes of pod %s/%s: %s", worker.namespace, worker.name, error)

    async def _beat(self) -> None:
        uid = ""
        while True:
            try:
                uid = uid or await self._register()
                await self._renew_lease(uid)
                await self._report()
                wait_s = HEARTBEAT_S
            except ApiError as error:
                log.warning("heartbeat of node %s: %s", self.settings.name, error)
                wait_s = RETRY_AT_MOST_S
            await asyncio.sleep(wait_s * random.uniform(0.95, 1.05))

    async def _register(self) -> str:
        try:
            made = await self._api.create("/api/v1/nodes", self._node())
        except ApiError as error:
            if error.status != 409:
                raise
            made = await self._api.get(self._path)
        self._reported_s = 0.0
        return str(made["metadata"]["uid"])

    async def _renew_lease(self, node_uid: str) -> None:
        name = self.settings.name
        leases = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
        renewed = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        spec = {"holderIdentity": name, "leaseDurationSeconds": LEASE_S, "renewTime": renewed}
        try:
            await self._api.patch(f"{leases}/{name}", {"spec": spec})
        except ApiError as error:
            if error.status != 404:
                raise
            owner = {"apiVersion": "v1", "kind": "Node", "name": name, "uid": node_uid}
            lease = {"metadata": {"name": name, "ownerReferences": [owner]}, "spec": spec}
            await self._api.create(leases, {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", **lease})

    async def _report(self) -> None:
        """Send the node's status if somebody calls it unready, else now and then."""
        shown = await self._api.get(self._path, resourceVersion="0")
        conditions = {one["type"]: one["status"] for one in shown.get("status", {}).get("conditions", ())}
        if conditions.get("Ready") == "True" and time.monotonic() - self._reported_s < _REPORT_S:
            return
        await self._api.patch(f"{self._path}/status", {"status": self._node()["status"]})
        self._reported_s = time.monotonic()

    @property
    def _path(self) -> str:
        return f"/api/v1/nodes/{self.settings.name}"

    def _node(self) -> dict[str, Any]:
        node, now = self.settings, timestamp(time.time())
        labels = {"kubernetes.io/hostname": node.name, "kubernetes.io/os": "linux", **node.labels}
        resources = {"cpu": "1000", "memory": "4Ti", "ephemeral-storage": "4Ti", "pods": str(node.pods)}
        conditions = [
            {
                "type": kind,
                "status": str(kind == "Ready"),
                "reason": reason,
                "lastHeartbeatTime": now,
                "lastTransitionTime": now,
            }
            for kind, reason in (
                ("Ready", "KubeletReady"),
                ("MemoryPressure", "KubeletHasSufficientMemory"),
                ("DiskPressure", "KubeletHasNoDiskPressure"),
                ("PIDPressure", "KubeletHasSufficientPID"),
            )
        ]
        return {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": node.name, "labels": labels},
            "status": {
                "capacity": resources,
                "allocatable": resources,
                "conditions": conditions,
                "addresses": [
                    {"type": "InternalIP", "address": node.address},
                    {"type": "Hostname", "address": node.name},
                ],
                "nodeInfo": _node_info(),
            },
        }


def _node_info() -> dict[str, str]:
    return {
        "machineID": "rig",
        "systemUUID": "rig",
        "bootID": "rig",
        "kernelVersion": platform.release(),
        "osImage": "calltide rig",
        "containerRuntimeVersion": "rig://1",
        "kubeletVersion": KUBERNETES_VERSION,
        "kubeProxyVersion": "",
        "operatingSystem": "linux",
        "architecture": "amd64",
    }


def sweep(settings: AgentSettings) -> None:
    """Take away what an agent that was killed left of its pods; their logs stay."""
    for pod in (settings.folder / "pods").glob("*"):
        for name in ("containers", "volumes"):
            shutil.rmtree(pod / name, ignore_errors=True)
