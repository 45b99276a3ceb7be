"""One container: started, started again, and stopped in order."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from tests.rig.node import keeper as keeper_module
from tests.rig.node.keeper import Keeper
from tests.rig.node.status import ContainerState, Running, Terminated

HOOK = {"lifecycle": {"preStop": {"exec": {"command": ["drain"]}}}}


class Played:
    """A container that does what a test says, and remembers what was done to it."""

    def __init__(self, *, stubborn: bool = False) -> None:
        self.ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.did: list[str] = []
        self._stubborn = stubborn

    @property
    def pid(self) -> int | None:
        return None

    def terminate(self) -> None:
        self.did.append("SIGTERM")
        if not self._stubborn:
            self.ended.set_result(0)

    def kill(self) -> None:
        self.did.append("SIGKILL")
        if not self.ended.done():
            self.ended.set_result(137)

    async def run(self, command: Sequence[str], at_most_s: float) -> int:
        self.did.append(" ".join(command))
        return 0

    def clean_up(self) -> None:
        self.did.append("cleaned")


class Changes:
    """Told of every change of a keeper's state; lets a test wait for one."""

    def __init__(self) -> None:
        self._happened = asyncio.Event()

    def __call__(self) -> None:
        self._happened.set()

    async def until(self, look: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not look():
                self._happened.clear()
                await self._happened.wait()


def kept(*containers: Played, changed: Callable[[], None], policy: str = "Always", **spec: Any) -> Keeper:
    starts = iter(containers)

    async def launch(_spec: Any) -> Played:
        return next(starts)

    return Keeper(
        {"name": "main", "image": "pause", **spec},
        policy=policy,
        grace_s=30,
        pod_ip="127.16.16.1",
        launch=launch,
        changed=changed,
        state=ContainerState("main", "pause"),
    )


async def stopped(container: Played, grace_s: float, **spec: Any) -> Keeper:
    changes = Changes()
    keeper = kept(container, changed=changes, **spec)
    keeping = asyncio.create_task(keeper.keep())
    await changes.until(lambda: keeper.running is not None)
    await keeper.stop(grace_s)
    keeping.cancel()
    return keeper


def test_stop_runs_the_hook_then_asks_and_cleans_up():
    async def play() -> tuple[Played, Keeper]:
        container = Played()
        return container, await stopped(container, 30, **HOOK)

    container, keeper = asyncio.run(play())
    assert container.did == ["drain", "SIGTERM", "cleaned"]
    assert isinstance(keeper.state.now, Terminated)
    assert keeper.state.now.exit_code == 0


def test_a_container_that_ignores_sigterm_is_killed_after_the_grace_period():
    async def play() -> tuple[Played, Keeper]:
        container = Played(stubborn=True)
        return container, await stopped(container, 0)

    container, keeper = asyncio.run(play())
    assert container.did == ["SIGTERM", "SIGKILL", "cleaned"]
    assert keeper.state.now.exit_code == 137


def test_a_crash_is_followed_by_a_restart_that_remembers_it(monkeypatch):
    monkeypatch.setattr(keeper_module, "BACK_OFF_S", 0.0)

    async def play() -> ContainerState:
        first, second, changes = Played(), Played(), Changes()
        keeper = kept(first, second, changed=changes)
        keeping = asyncio.create_task(keeper.keep())
        await changes.until(lambda: keeper.running is first)
        first.ended.set_result(3)
        await changes.until(lambda: keeper.running is second and isinstance(keeper.state.now, Running))
        keeping.cancel()
        return keeper.state

    state = asyncio.run(play())
    assert isinstance(state.now, Running)
    assert (state.restarts, state.before.exit_code) == (1, 3)


def test_a_container_that_has_done_its_work_is_not_started_again():
    async def play() -> tuple[int, ContainerState]:
        container = Played()
        container.ended.set_result(0)
        keeper = kept(container, changed=Changes(), policy="OnFailure")
        return await keeper.keep(), keeper.state

    code, state = asyncio.run(play())
    assert code == 0
    assert isinstance(state.now, Terminated)


def test_a_container_with_a_readiness_probe_is_not_ready_before_it_answers():
    async def play() -> None:
        container, changes = Played(), Changes()
        keeper = kept(container, changed=changes, readinessProbe={"exec": {"command": ["ready?"]}})
        keeping = asyncio.create_task(keeper.keep())
        await changes.until(lambda: isinstance(keeper.state.now, Running))
        assert not keeper.state.ready
        await changes.until(lambda: keeper.state.ready)
        assert container.did == ["ready?"]
        keeping.cancel()

    asyncio.run(play())


def test_a_startup_probe_that_fails_too_often_ends_the_container():
    async def play() -> list[str]:
        container = Played()

        async def refuse(_command: Sequence[str], _at_most_s: float) -> int:
            return 1

        container.run = refuse  # type: ignore[method-assign]
        probe = {"exec": {"command": ["up?"]}, "failureThreshold": 2, "periodSeconds": 0}
        keeper = kept(container, changed=Changes(), startupProbe=probe)
        keeping = asyncio.create_task(keeper.keep())
        await asyncio.wait_for(asyncio.shield(container.ended), 10)
        keeping.cancel()
        return container.did

    assert asyncio.run(play())[0] == "SIGTERM"
