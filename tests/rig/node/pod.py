"""One pod on a node, from its binding to its last delete."""

from __future__ import annotations

import asyncio
import logging
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.rig.node import environment, volumes
from tests.rig.node.api import RETRY_AT_MOST_S, Api, ApiError, Object
from tests.rig.node.children import Children
from tests.rig.node.container import Running, launch
from tests.rig.node.environment import PodSpecError, Reference, Surroundings
from tests.rig.node.keeper import Keeper
from tests.rig.node.objects import Objects, Token, request_token
from tests.rig.node.starting import image, start, start_delay_s
from tests.rig.node.status import PodState, initial_state, needs_sending, status, timestamp
from tests.rig.node.tasks import supervised

_FIRST_RETRY_S = 0.1
# Statuses of answers that may be better the next time; 0: there was none.
_TRY_AGAIN = (0, 429, 500, 502, 503, 504)
# A kubelet's least grace period, also for a pod whose object is gone already.
_LEAST_GRACE_S = 1.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Host:
    """What a pod needs of its node."""

    address: str
    api: Api
    objects: Objects
    children: Children
    folder: Path
    hosts: Path
    variables: Mapping[str, str]
    """Environment variables of every container."""
    changed: Callable[[PodWorker], None]
    """Told that a pod's status may have to be sent."""


class PodWorker:
    """Runs one pod."""

    def __init__(self, host: Host, pod: Object, pod_ip: str) -> None:
        metadata, spec, shown = pod["metadata"], pod["spec"], pod.get("status", {})
        self.host = host
        self.pod = pod
        self.uid: str = metadata["uid"]
        self.namespace: str = metadata["namespace"]
        self.name: str = metadata["name"]
        self.pod_ip = pod_ip
        self.folder = host.folder / f"{self.namespace}_{self.name}_{self.uid}"
        self.over = shown.get("phase") in ("Succeeded", "Failed")
        self._start_time = shown.get("startTime") or timestamp(time.time())
        self._written = {
            volume["name"]: volumes.WrittenFolder(self.folder / "volumes" / volume["name"])
            for volume in spec.get("volumes", ())
            if volumes.is_written(volume)
        }
        self._tokens: dict[volumes.TokenRequest, Token] = {}
        self._sent: dict[str, Any] | None = None
        self._gone = asyncio.Event()
        self._living: asyncio.Task[None] | None = None
        self._evicted = False
        self._mounted = False
        self._stale = False
        """Labels or annotations changed, which volumes may show."""
        self._deletion = asyncio.Event()
        self._grace_s = float("inf")
        reason = "PodInitializing" if spec.get("initContainers") else "ContainerCreating"
        policy = spec.get("restartPolicy", "Always")
        initial_policy = "Never" if policy == "Never" else "OnFailure"
        self.initial = [
            self._keeper(one, initial_policy, shown.get("initContainerStatuses", ()), reason)
            for one in spec.get("initContainers", ())
        ]
        self.keepers = [
            self._keeper(one, policy, shown.get("containerStatuses", ()), reason) for one in spec["containers"]
        ]
        if "deletionTimestamp" in metadata:
            self.update(pod)

    def update(self, pod: Object) -> None:
        """Take over the pod as it is now."""
        if int(pod["metadata"]["resourceVersion"]) < int(self.pod["metadata"]["resourceVersion"]):
            return  # the watch is behind the answer to our own patch
        before, self.pod = self.pod["metadata"], pod
        metadata = pod["metadata"]
        if "deletionTimestamp" in metadata:
            self._delete(metadata.get("deletionGracePeriodSeconds", 0))
        elif any(before.get(name) != metadata.get(name) for name in ("labels", "annotations")):
            self._stale = True
        self.host.changed(self)

    def vanished(self) -> None:
        """Its object is gone: end what still runs."""
        self._gone.set()
        self._delete(0)

    async def run(self) -> None:
        """Run it until it is deleted, and see the deletion through."""
        living = self._living = supervised(self._live())
        try:
            await self._deletion.wait()
        finally:
            living.cancel()
        await asyncio.wait({living})
        await asyncio.gather(*(keeper.stop(self._grace_s) for keeper in (*self.initial, *self.keepers)))
        await self._farewell()
        self.clean_up()
        # Not before: an older event of the watch must not look like a new pod.
        await self._gone.wait()

    async def evict(self) -> None:
        """Its node runs short of something: its containers end at once, and it has failed for good."""
        self._evicted = True
        if self._living is not None:
            self._living.cancel()
        await asyncio.gather(*(keeper.stop(0) for keeper in self.keepers))
        self.host.changed(self)

    async def abandon(self) -> None:
        """The node has died: end its processes and say nothing. Its volumes stay, as on a disk."""
        running = [keeper.running for keeper in (*self.initial, *self.keepers) if keeper.running is not None]
        for one in running:
            one.kill()
        if running:
            await asyncio.wait({one.ended for one in running}, timeout=30)
        for one in running:
            one.clean_up()

    def references(self) -> set[tuple[str, str, str]]:
        """The ConfigMaps and Secrets that it needs, now or when a container is started again."""
        return {(self.namespace, one.resource, one.name) for one in self._references()}

    async def refresh(self, changed: set[tuple[str, str, str]]) -> None:
        """Renew tokens that grow old, and show in its volumes what has changed.

        Raises:
            ApiError: the API server refused a token, or cannot be reached.
            PodSpecError: something that it needs is not there any more; the volumes stay as they are.
        """
        if not self._mounted:
            return
        old = [wanted for wanted, token in self._tokens.items() if token.renew_s < time.monotonic()]
        for wanted in old:
            self._tokens[wanted] = await request_token(self.host.api, self.pod, wanted)
        if old or self._stale or changed & self.references():
            self._stale = False
            self._write_volumes()

    async def send_status(self) -> None:
        """Send its status if it says something new.

        Raises:
            ApiError: the API server refused, or cannot be reached.
        """
        new = status(self.pod, self._state(), timestamp(time.time()))
        if self.over or self._gone.is_set() or not needs_sending(new, self._sent, self.pod):
            return
        # The uid guards against a new pod of the same name.
        answer = await self.host.api.patch(f"{self._path}/status", {"metadata": {"uid": self.uid}, "status": new})
        self._sent = new
        self.update(answer)

    @property
    def _path(self) -> str:
        return f"/api/v1/namespaces/{self.namespace}/pods/{self.name}"

    def _keeper(self, spec: Object, policy: str, shown: Any, reason: str) -> Keeper:
        return Keeper(
            spec,
            policy=policy,
            grace_s=self.pod["spec"].get("terminationGracePeriodSeconds", 30),
            pod_ip=self.pod_ip,
            launch=self._launch,
            changed=lambda: self.host.changed(self),
            state=initial_state(spec, shown, reason),
        )

    def _state(self) -> PodState:
        containers, initial = ([keeper.state for keeper in keepers] for keepers in (self.keepers, self.initial))
        return PodState(containers, initial, self.pod_ip, self.host.address, self._start_time, self._evicted)

    def _delete(self, grace_s: float) -> None:
        grace_s = max(grace_s, _LEAST_GRACE_S)
        if self._deletion.is_set() and grace_s < self._grace_s:
            for keeper in (*self.initial, *self.keepers):
                asyncio.get_running_loop().call_later(grace_s, keeper.kill)
        self._grace_s = min(grace_s, self._grace_s)
        self._deletion.set()

    async def _live(self) -> None:
        if self.over:
            return
        await self._get_ready()
        for keeper in self.initial:
            if await keeper.keep() != 0:
                return
        await asyncio.gather(*(keeper.keep() for keeper in self.keepers))

    async def _get_ready(self) -> None:
        """Have all that the containers need; as long as something is missing, say so and try again."""
        begun_s, retry_s = time.monotonic(), _FIRST_RETRY_S
        while True:
            try:
                delay_s = start_delay_s(self.pod)
                if delay_s:
                    self.host.changed(self)  # else its first status comes with the start, to spare a request
                await asyncio.sleep(begun_s + delay_s - time.monotonic())
                await self._fetch()
                self._write_volumes()
                self._mounted = True
                return
            except (ApiError, PodSpecError) as error:
                # Short at first: the API server may not know yet that this node needs the pod's objects.
                if retry_s > 1:
                    self.keepers[0].wait_for("CreateContainerConfigError", str(error))
                await asyncio.sleep(retry_s)
                retry_s = min(2 * retry_s, RETRY_AT_MOST_S)

    def _references(self) -> list[Reference]:
        specs = [keeper.spec for keeper in (*self.initial, *self.keepers)]
        named = [one for spec in specs for one in environment.references(spec)]
        return [*named, *(volumes.references(self.pod) if self._written else ())]

    async def _fetch(self) -> None:
        images = [image(keeper.spec["image"]) for keeper in (*self.initial, *self.keepers)]
        if all(one.tree is None for one in images):
            self._written.clear()  # nobody would read them
        else:
            for wanted in volumes.token_requests(self.pod) - self._tokens.keys():
                self._tokens[wanted] = await request_token(self.host.api, self.pod, wanted)
        await self.host.objects.fetch(self.namespace, self._references())
        for reference in self._references():
            self._look_up(reference)

    def _write_volumes(self) -> None:
        tokens = {wanted: token.value for wanted, token in self._tokens.items()}
        for volume in self.pod["spec"].get("volumes", ()):
            if volume["name"] in self._written:
                self._written[volume["name"]].write(volumes.files(volume, self._surroundings, self._look_up, tokens))

    @property
    def _surroundings(self) -> Surroundings:
        return Surroundings(self.pod, self.pod_ip, self.host.address)

    def _look_up(self, reference: Reference) -> environment.Data | None:
        return self.host.objects.look_up(self.namespace, reference)

    async def _launch(self, spec: Object) -> Running:
        self.folder.mkdir(parents=True, exist_ok=True)
        how = start(
            spec,
            self._surroundings,
            self._look_up,
            variables=self.host.variables,
            hosts=self.host.hosts,
            folder=self.folder,
        )
        return await launch(self.host.children, how)

    async def _farewell(self) -> None:
        """Send the final status, then delete the pod for good; the API server may be away for as long as it likes."""
        options = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "gracePeriodSeconds": 0,
            "preconditions": {"uid": self.uid},
        }
        retry_s = _FIRST_RETRY_S
        while not self._gone.is_set():
            try:
                await self._send_last_status()
                await self.host.api.delete(self._path, options)
                return
            except ApiError as error:
                if error.status in (404, 409):  # it is gone, or another pod has its name
                    return
                log.warning("deletion of pod %s/%s: %s", self.namespace, self.name, error)
            await asyncio.sleep(retry_s)
            retry_s = min(2 * retry_s, RETRY_AT_MOST_S)

    async def _send_last_status(self) -> None:
        try:
            await self.send_status()
        except ApiError as error:
            if error.status in _TRY_AGAIN:
                raise
            # It is refused, as it will be the next time: no reason for the pod to stay.
            log.warning("last status of pod %s/%s: %s", self.namespace, self.name, error)

    def clean_up(self) -> None:
        """Take away all but its logs."""
        for name in ("volumes", "containers"):
            shutil.rmtree(self.folder / name, ignore_errors=True)
