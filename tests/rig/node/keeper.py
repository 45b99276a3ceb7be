"""One container of a pod: started, probed, started again when it ends, and stopped in order."""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

from tests.rig.node import probes
from tests.rig.node.container import Running as RunningContainer
from tests.rig.node.status import ContainerState, Running, Terminated, Waiting, restarts, timestamp
from tests.rig.node.tasks import supervised

BACK_OFF_S = 1.0
BACK_OFF_AT_MOST_S = 30.0
_KILLED_S = 30.0
# A kubelet gives a container this much after a preStop hook that used up the grace period.
_AFTER_HOOK_S = 2.0

log = logging.getLogger(__name__)

Launch = Callable[[Mapping[str, Any]], Awaitable[RunningContainer]]
"""Starts a container from its spec."""


class Keeper:
    """One container of a pod."""

    def __init__(
        self,
        spec: Mapping[str, Any],
        *,
        policy: str,
        grace_s: float,
        pod_ip: str,
        launch: Launch,
        changed: Callable[[], None],
        state: ContainerState,
    ) -> None:
        self.spec = spec
        self.state = state
        self.running: RunningContainer | None = None
        self._policy = policy
        self._grace_s = grace_s
        self._pod_ip = pod_ip
        self._launch = launch
        self._changed = changed
        self._stopping = False
        self._halting: RunningContainer | None = None
        """The one that is being ended since a probe found it broken."""

    async def keep(self) -> int:
        """Start it, and again as the restart policy has it; its exit code when it has ended for good."""
        back_off_s = BACK_OFF_S
        while True:
            began_s = time.monotonic()
            code = await self._run_once()
            if not restarts(self._policy, code):
                return code
            if time.monotonic() - began_s > 2 * BACK_OFF_AT_MOST_S:
                back_off_s = BACK_OFF_S
            self._show(before=self._ended(), now=Waiting("CrashLoopBackOff", f"back-off {back_off_s:.0f} s"))
            await asyncio.sleep(back_off_s)
            back_off_s = min(2 * back_off_s, BACK_OFF_AT_MOST_S)
            self._show(restarts=self.state.restarts + 1)

    async def stop(self, grace_s: float) -> None:
        """preStop, SIGTERM, at most the grace period in all, SIGKILL; returns when it has ended."""
        self._stopping = True
        if self.running is None:
            if self.state.before is not None and isinstance(self.state.now, Waiting):
                self._show(now=self.state.before)
            return
        running = self.running
        await self._halt(running, grace_s)
        self._end(running)

    def wait_for(self, reason: str, message: str) -> None:
        """Say why it does not start yet."""
        self._show(now=Waiting(reason, message))

    def kill(self) -> None:
        """End it at once."""
        if self.running is not None:
            self.running.kill()

    async def _run_once(self) -> int:
        running = await self._started()
        if running is None:
            return 128
        watching = asyncio.create_task(self._probe(running))
        try:
            return await asyncio.shield(running.ended)
        finally:
            watching.cancel()
            if running.ended.done() and not self._stopping:
                self._end(running)

    async def _started(self) -> RunningContainer | None:
        container_id = f"rig://{uuid.uuid4().hex}"
        try:
            self.running = await self._launch(self.spec)
        except Exception as error:
            # An image's own preparation may raise anything; whoever looks at the pod has to see it.
            log.exception("container %s cannot start", self.spec["name"])
            now = timestamp(time.time())
            self._show(now=Terminated(128, now, now, container_id, "StartError", str(error)), container_id=container_id)
            return None
        probe, ready = self.spec.get("startupProbe"), self.spec.get("readinessProbe")
        self._show(
            now=Running(timestamp(time.time())),
            container_id=container_id,
            started=probe is None,
            ready=probe is None and ready is None,
        )
        return self.running

    def _end(self, running: RunningContainer) -> None:
        if self.running is not running:
            return
        self.running = None
        began = self.state.now.since if isinstance(self.state.now, Running) else timestamp(time.time())
        code = running.ended.result() if running.ended.done() else 137
        ended = Terminated(code, began, timestamp(time.time()), self.state.container_id)
        self._show(now=ended, started=False, ready=False)
        running.clean_up()

    def _ended(self) -> Terminated:
        assert isinstance(self.state.now, Terminated)
        return self.state.now

    async def _probe(self, running: RunningContainer) -> None:
        """Run the container's probes; liveness and readiness wait for the startup probe."""
        startup = self.spec.get("startupProbe")
        if startup:
            await self._startup(startup, running)
        async with asyncio.TaskGroup() as group:
            if "readinessProbe" in self.spec:
                group.create_task(self._watch("readinessProbe", running, False, lambda ready: self._show(ready=ready)))
            if "livenessProbe" in self.spec:
                group.create_task(
                    self._watch("livenessProbe", running, True, lambda alive: self._judge(alive, running))
                )

    async def _startup(self, probe: Mapping[str, Any], running: RunningContainer) -> None:
        started = asyncio.Event()

        def judged(healthy: bool) -> None:
            if healthy:
                started.set()
            self._judge(healthy, running)

        watching = asyncio.create_task(self._watch("startupProbe", running, False, judged))
        try:
            await started.wait()
        finally:
            watching.cancel()
        self._show(started=True, ready="readinessProbe" not in self.spec)

    async def _watch(self, name: str, running: RunningContainer, healthy: bool, judged: Callable[[bool], None]) -> None:
        probe = self.spec[name]

        async def ask() -> bool:
            return await probes.answers(probe, running, self.spec, self._pod_ip)

        await probes.watch(probe, ask, healthy=healthy, judged=judged)

    def _judge(self, alive: bool, running: RunningContainer) -> None:
        if not alive and not self._stopping and self._halting is not running:
            self._halting = running
            supervised(self._halt(running, self._grace_s))

    async def _halt(self, running: RunningContainer, grace_s: float) -> None:
        began_s = time.monotonic()
        hook = self.spec.get("lifecycle", {}).get("preStop")
        if hook:
            await _first(_hook(hook, running, self.spec, self._pod_ip, grace_s), running.ended, grace_s)
            grace_s = max(grace_s - (time.monotonic() - began_s), _AFTER_HOOK_S)
        running.terminate()
        await asyncio.wait({running.ended}, timeout=grace_s)
        if not running.ended.done():
            running.kill()
            await asyncio.wait({running.ended}, timeout=_KILLED_S)

    def _show(self, **changes: Any) -> None:
        new = replace(self.state, **changes)
        if new != self.state:
            self.state = new
            self._changed()


async def _hook(
    hook: Mapping[str, Any], running: RunningContainer, spec: Mapping[str, Any], pod_ip: str, at_most_s: float
) -> None:
    if "sleep" in hook:
        await asyncio.sleep(hook["sleep"]["seconds"])
        return
    await probes.answers({**hook, "timeoutSeconds": at_most_s}, running, spec, pod_ip)


async def _first(work: Coroutine[Any, Any, None], ended: asyncio.Future[int], at_most_s: float) -> None:
    """Wait for the hook, for the container's end, or for the grace period, whichever is first."""
    task = asyncio.create_task(work)
    waited: set[asyncio.Future[Any]] = {task, ended}
    await asyncio.wait(waited, timeout=at_most_s, return_when=asyncio.FIRST_COMPLETED)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
