"""What callers shall do: how many calls at which time to which fleet, and how long each is held.

A plan is a value. The same plan gives the same calls every time: lengths that are spread are drawn from its seed.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

ANSWERED = "1001"
"""Answered at once and held until the caller hangs up."""
RINGING = "1002"
"""Rings and is never answered."""
TONE = "1003"
"""Answered at once, with a tone that never pauses."""


class PlanError(Exception):
    """A plan that cannot be carried out, with what is wrong in it."""


@dataclass(frozen=True, slots=True)
class LogNormal:
    """Call lengths as telephone calls have them: many short, few very long."""

    median_s: float
    sigma: float
    """Standard deviation of the logarithm; 0.8 to 1.2 fits conversations."""
    at_most_s: float
    """Longer ones are cut to this, so that a run has an end."""


@dataclass(frozen=True, slots=True)
class Segment:
    """Calls at an even rate over a stretch of time."""

    fleet: str
    start_s: float
    length_s: float
    rate_per_s: float
    hold: float | LogNormal
    """Seconds from the answer to the caller's hanging up. For one who abandons: from the ringing to the giving up."""
    extension: str = ANSWERED
    abandons: bool = False
    """The caller gives up a call that rings (extension 1002)."""
    callee_hangs_up: bool = False
    """A BYE from the far side is as planned, not a cut; the caller hangs up after `hold` at the latest."""

    listens: bool = False
    """The longest silence of each call is measured (extension 1003); for tens of calls at once, not for hundreds."""

    @property
    def calls(self) -> int:
        """How many calls it places."""
        return round(self.rate_per_s * self.length_s)


@dataclass(frozen=True, slots=True)
class CallPlan:
    """Segments, in any order; they may overlap.

    Raises:
        PlanError: a figure is out of range.
    """

    segments: tuple[Segment, ...]
    seed: int = 0

    def __post_init__(self) -> None:
        for number, segment in enumerate(self.segments, start=1):
            _check(f"segment {number}", segment)
        if self.calls == 0:
            raise PlanError("the plan places no call; rate_per_s × length_s must come to at least one")

    @property
    def calls(self) -> int:
        """How many calls it places."""
        return sum(segment.calls for segment in self.segments)

    @property
    def length_s(self) -> float:
        """Seconds from its start to when the last call has been placed."""
        return max(segment.start_s + segment.length_s for segment in self.segments)

    def holds_s(self, index: int) -> tuple[float, ...]:
        """How long each call of a segment is held, in the order in which they are placed."""
        segment = self.segments[index]
        law = segment.hold
        if not isinstance(law, LogNormal):
            return (law,) * segment.calls
        drawn = random.Random(f"{self.seed}/{index}")
        return tuple(
            min(law.at_most_s, drawn.lognormvariate(math.log(law.median_s), law.sigma)) for _ in range(segment.calls)
        )


@dataclass(frozen=True, slots=True)
class Share:
    """What one calling process does: a segment's calls that go through one proxy."""

    segment: Segment
    proxy: str
    start_s: float
    rate_per_s: float
    holds_s: tuple[float, ...]


def rates(values_per_s: Sequence[float], slot_s: float, *, fleet: str, hold: float | LogNormal) -> CallPlan:
    """A plan from rates over time, one per slot. A slot whose rate makes no whole call carries it over to the next."""
    segments, owed = [], 0.0
    for slot, value in enumerate(values_per_s):
        owed += value * slot_s
        calls = math.floor(owed + 1e-9)
        owed -= calls
        if calls:
            segments.append(Segment(fleet, slot * slot_s, slot_s, calls / slot_s, hold))
    return CallPlan(tuple(segments))


def shares(plan: CallPlan, proxies: Sequence[str]) -> list[Share]:
    """A plan's calls dealt out to proxies in turn, by time. A proxy that would get none is left out.

    Raises:
        PlanError: there is no proxy.
    """
    if not proxies:
        raise PlanError("there is no proxy to place calls through")
    dealt = []
    for index, segment in enumerate(plan.segments):
        holds_s = plan.holds_s(index)
        for turn, proxy in enumerate(proxies):
            mine = holds_s[turn :: len(proxies)]
            if mine:
                start_s = segment.start_s + turn / segment.rate_per_s
                dealt.append(Share(segment, proxy, start_s, segment.rate_per_s / len(proxies), mine))
    return sorted(dealt, key=lambda share: share.start_s)


def _check(where: str, segment: Segment) -> None:
    shortest_s = segment.hold.at_most_s if isinstance(segment.hold, LogNormal) else segment.hold
    figures = {"start_s": segment.start_s, "length_s": segment.length_s, "rate_per_s": segment.rate_per_s}
    for name, value in {**figures, "hold": shortest_s}.items():
        if not math.isfinite(value) or value < 0:
            raise PlanError(f"{where}: {name} is {value}; it must be a number from 0 up")
    if not segment.fleet.replace("-", "").replace(".", "").isalnum():
        raise PlanError(
            f"{where}: fleet {segment.fleet!r} cannot stand in a SIP address; letters, digits, '-' and '.' can"
        )
    if segment.abandons and segment.extension != RINGING:
        raise PlanError(f"{where}: only a call that rings can be abandoned: dial {RINGING}, not {segment.extension}")
    if segment.listens and segment.extension != TONE:
        raise PlanError(f"{where}: only a tone has no silence of its own: dial {TONE}, not {segment.extension}")
