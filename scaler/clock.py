"""Time as a value that is passed in, so that a demo can run it fast and a test can stand still."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Protocol


class Clock(Protocol):
    """Tells the time that plans are made by."""

    @property
    def speed(self) -> float:
        """Seconds of this clock per second of the wall clock."""
        ...

    def now_s(self) -> float:
        """Epoch seconds."""
        ...


@dataclass(frozen=True, slots=True)
class SystemClock:
    """The machine's own clock."""

    speed: float = 1.0

    def now_s(self) -> float:
        """Epoch seconds."""
        return time.time()


@dataclass(frozen=True, slots=True)
class ScaledClock:
    """A clock that began at `start_s` and runs `speed` times as fast as the wall clock since `wall_start_s`."""

    start_s: float
    speed: float
    wall_start_s: float = field(default_factory=time.time)

    def now_s(self) -> float:
        """Epoch seconds of the simulated time."""
        return self.start_s + (time.time() - self.wall_start_s) * self.speed
