"""Which pod carries which call: the least loaded one that serves and has room, or nobody.

Calls are placed one by one in the order of time, because that is how a proxy meets them: a call that finds every pod
full is refused and counted, and does not come back.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count

from scaler.fleet.simulated.calls import Calls


@dataclass(slots=True, eq=False)
class SimulatedPod:
    """A pod of the simulation. It takes calls from `ready_s` on, unless it is `draining`."""

    uid: str
    name: str
    created_s: float
    ready_s: float
    channels: int = 0
    draining: bool = False

    def takes_calls(self, at_s: float) -> bool:
        """Whether a new call may be placed here."""
        return self.ready_s <= at_s and not self.draining


@dataclass(slots=True)
class CallPlacer:
    """The calls on one fleet's pods."""

    channels_per_pod: int
    offered: int = 0
    refused: int = 0
    _ends: list[tuple[int, int, SimulatedPod, int]] = field(default_factory=list)
    _order: Iterator[int] = field(default_factory=count)

    def seat(self, pods: Sequence[SimulatedPod], calls: Calls, now_s: float) -> None:
        """Begin in the middle: these calls are in progress. What finds no room is left out and not counted."""
        self._ends.clear()
        for pod in pods:
            pod.channels = 0
        for _, end_s, channels in _rows(calls):
            self._place(pods, now_s, end_s, channels)

    def advance(self, pods: Sequence[SimulatedPod], calls: Calls, until_s: float) -> None:
        """Place the calls, none of which begins after `until_s`, and end those that are over by then."""
        for start_s, end_s, channels in _rows(calls):
            self._end_until(start_s)
            self.offered += 1
            if not self._place(pods, start_s, end_s, channels):
                self.refused += 1
        self._end_until(until_s)

    def _place(self, pods: Sequence[SimulatedPod], at_s: float, end_s: int, channels: int) -> bool:
        best: SimulatedPod | None = None
        for pod in pods:
            if (best is None or pod.channels < best.channels) and pod.takes_calls(at_s):
                best = pod
        if best is None or best.channels + channels > self.channels_per_pod:
            return False
        best.channels += channels
        heapq.heappush(self._ends, (end_s, next(self._order), best, channels))
        return True

    def _end_until(self, at_s: float) -> None:
        while self._ends and self._ends[0][0] <= at_s:
            _, _, pod, channels = heapq.heappop(self._ends)
            pod.channels -= channels


def _rows(calls: Calls) -> Iterator[tuple[int, int, int]]:
    return zip(calls.start_s.tolist(), calls.end_s.tolist(), calls.channels.tolist(), strict=True)
