from collections.abc import Mapping

import numpy as np
import pytest

from scaler.core.fleets import FleetKey
from scaler.errors import FleetError
from scaler.fleet.listing import FleetListing
from scaler.fleet.simulated.adapter import SimulatedFleets
from scaler.fleet.simulated.calls import Calls
from scaler.fleet.simulated.fleet import SimulatedFleetSpec

KEY = FleetKey("demo", "acme")
LISTING = FleetListing(KEY, "voice", ("acme",))
START_S = 1_767_600_000.0


class HandClock:
    """Stands still until it is moved."""

    speed = 60.0

    def __init__(self, now_s: float = START_S) -> None:
        self.time_s = now_s

    def now_s(self) -> float:
        return self.time_s


class SteadyCalls:
    """Each `every_s` a call of so many seconds and channels, from the beginning of time."""

    def __init__(self, every_s: int = 2, holding_s: int = 180, channels: int = 1) -> None:
        self.every_s, self.holding_s, self.channels = every_s, holding_s, channels

    def starting(self, tenants, from_s: float, until_s: float) -> Calls:
        if self.every_s == 0:
            return self._calls(np.zeros(0, dtype=np.int64))
        first = -(-int(from_s) // self.every_s)
        last = -(-int(until_s) // self.every_s)
        return self._calls(self.every_s * np.arange(first, last, dtype=np.int64))

    def in_progress(self, tenants, at_s: float) -> Calls:
        return self.starting(tenants, at_s - self.holding_s + 1, at_s + 1)

    def _calls(self, start_s) -> Calls:
        return Calls(start_s, start_s + self.holding_s, np.full(start_s.shape, self.channels, dtype=np.int64))


class Told:
    """Answers with the number that it was told, and fails when it was told None."""

    def __init__(self, wanted: int | None = 1) -> None:
        self.number = wanted

    async def wanted(self, listing: FleetListing) -> int:
        if self.number is None:
            raise FleetError("no answer today")
        return self.number

    async def close(self) -> None:
        pass


class Played:
    """A simulated fleet, its clock and whoever answers it."""

    def __init__(self, calls, channels_per_pod: int = 50, answer: int | None = 1, **spec: float) -> None:
        self.clock, self.answers = HandClock(), Told(answer)
        self.spec = SimulatedFleetSpec(LISTING, channels_per_pod, **spec)
        self.fleets = SimulatedFleets([self.spec], calls, self.answers, self.clock)

    async def play(self, seconds: float, step_s: float = 15.0) -> None:
        end_s = self.clock.time_s + seconds
        await self.fleets.step()
        while self.clock.time_s < end_s:
            self.clock.time_s += step_s
            await self.fleets.step()

    @property
    def fleet(self):
        return self.fleets.seen().fleets[KEY]

    @property
    def calls(self) -> Mapping[FleetKey, object]:
        return self.fleets.calls()[KEY]


@pytest.fixture
def played():
    return Played


@pytest.fixture
def steady_calls():
    return SteadyCalls


@pytest.fixture
def hand_clock():
    return HandClock
