"""What happens when: a heap of events beside the calls, whose instants are known from the start."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Sequence
from typing import Any

_Event = tuple[float, int, Callable[..., None], tuple[Any, ...]]


class Timeline:
    """Simulated seconds. Events of the same instant happen in the order in which they were asked for."""

    __slots__ = ("_heap", "_number", "now_s")

    def __init__(self) -> None:
        self.now_s = 0.0
        self._heap: list[_Event] = []
        self._number = 0

    def after(self, delay_s: float, do: Callable[..., None], *about: Any) -> None:
        """Have something done so many seconds from now."""
        self._number += 1
        heapq.heappush(self._heap, (self.now_s + delay_s, self._number, do, about))

    def run(self, starts_s: Sequence[float], arrive: Callable[[int], None], until_s: float) -> None:
        """Let time pass; the call of each index arrives at its instant (seconds, rising)."""
        heap, call, calls = self._heap, 0, len(starts_s)
        while True:
            next_s = starts_s[call] if call < calls else math.inf
            if heap and heap[0][0] < next_s:
                at_s, _, do, about = heapq.heappop(heap)
                if at_s > until_s:
                    break
                self.now_s = at_s
                do(*about)
            elif next_s <= until_s:
                self.now_s = next_s
                arrive(call)
                call += 1
            else:
                break
        self.now_s = until_s
