"""The `FleetAdapter` without a cluster: every 15 seconds of its clock, calls move on and each fleet asks once."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping, Sequence
from contextlib import suppress

import structlog

from scaler.clock import Clock
from scaler.core.fleets import FleetKey
from scaler.errors import FleetError
from scaler.fleet.protocol import FleetsSeen
from scaler.fleet.simulated.answers import Answers
from scaler.fleet.simulated.calls import LiveCalls
from scaler.fleet.simulated.fleet import FleetCalls, SimulatedFleet, SimulatedFleetSpec

SYNC_S = 15.0
"""The HPA's own period, by the simulation's clock."""
LONGEST_STEP_S = 600.0
"""After a longer pause (a laptop that slept) the time between is not played: no fleet could have grown in it."""

_log = structlog.get_logger("simulated-fleets")


class SimulatedFleets:
    """Plays the fleets of `specs`, whose tenants make `calls`, with the numbers that `answers` gives."""

    def __init__(
        self,
        specs: Sequence[SimulatedFleetSpec],
        calls: LiveCalls,
        answers: Answers,
        clock: Clock,
        *,
        seed: int = 1,
    ) -> None:
        self._calls, self._answers, self._clock = calls, answers, clock
        self._fleets = {spec.listing.key: SimulatedFleet(spec, seed) for spec in specs}
        self._played_until_s: float | None = None
        self._task: asyncio.Task[None] | None = None
        self.unanswered: dict[FleetKey, str] = {}
        """Why a fleet's last question got no answer."""

    async def start(self) -> None:
        """Begin to play."""
        self._task = asyncio.create_task(self._run(), name="simulated-fleets")

    async def stop(self) -> None:
        """Stop playing and give back connections."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        await self._answers.close()

    async def step(self) -> None:
        """Play up to now, then one sync of every HPA."""
        now_s = self._clock.now_s()
        self._play_until(now_s)
        await asyncio.gather(*(self._sync(fleet) for fleet in self._fleets.values()))

    def seen(self) -> FleetsSeen:
        """The fleets as they stand. The observation is as old as the last step."""
        seen_s = self._clock.now_s() if self._played_until_s is None else self._played_until_s
        fleets = {key: fleet.observation(seen_s) for key, fleet in self._fleets.items()}
        problem = None if self._played_until_s is not None else "the simulation has not begun"
        if self._task is not None and self._task.done() and not self._task.cancelled():
            problem = f"the simulation has ended: {self._task.exception()!r}"
        return FleetsSeen(fleets, seen_s, complete=problem is None, problem=problem)

    def pod_leads_s(self) -> Mapping[FleetKey, tuple[float, ...]]:
        """Seconds from creation to Ready of each fleet's newest pods, oldest first."""
        return {key: fleet.leads_s for key, fleet in self._fleets.items()}

    def calls(self) -> Mapping[FleetKey, FleetCalls]:
        """What the callers of each fleet met so far: offered, refused, and the channels on each pod now."""
        return {key: fleet.calls() for key, fleet in self._fleets.items()}

    async def _run(self) -> None:
        while True:
            await self.step()
            await asyncio.sleep(SYNC_S / self._clock.speed)

    def _play_until(self, now_s: float) -> None:
        # Calls begin and end on whole seconds, and one that begins at the instant of a measurement is in it: what is
        # played is (from_s, now_s].
        now_s = math.floor(now_s)
        from_s = self._played_until_s
        for fleet in self._fleets.values():
            tenants = fleet.spec.listing.tenants
            if from_s is None:
                fleet.begin(self._calls.in_progress(tenants, now_s), now_s)
            elif now_s - from_s > LONGEST_STEP_S:
                fleet.resume(self._calls.in_progress(tenants, now_s), from_s, now_s)
            else:
                fleet.advance(self._calls.starting(tenants, from_s + 1, now_s + 1), from_s, now_s)
        self._played_until_s = now_s

    async def _sync(self, fleet: SimulatedFleet) -> None:
        key = fleet.spec.listing.key
        try:
            wanted = await self._answers.wanted(fleet.spec.listing)
        except FleetError as error:
            if key not in self.unanswered:
                _log.warning("no_answer", fleet=str(key), error=str(error))
            self.unanswered[key] = str(error)
            return
        if self.unanswered.pop(key, None) is not None:
            _log.info("answered_again", fleet=str(key))
        fleet.take_answer(wanted, self._clock.now_s())
