"""What a pod and the proxies say of themselves, or that they did not.

A count that could not be read must never pass for zero. So there is no number to mistake: a reading has channels, and
`Unproved` has a reason and nothing else. Whoever wants the count has to say first what happens without one.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from scaler.retirement.errors import RetirementError


class Doubt(StrEnum):
    """Why nothing is known of a pod or a proxy."""

    NEVER_ASKED = "never-asked"
    NO_ANSWER = "no-answer"
    TIMED_OUT = "timed-out"
    REFUSED = "refused"
    """It answered that we may not ask: a changed password, for one."""
    UNREADABLE = "unreadable"
    """It answered what cannot be understood."""
    STALE = "stale"
    """It answered, but too long ago."""
    NOT_YET = "not-yet"
    """It answers, and what it said does not prove it empty so far."""


@dataclass(frozen=True, slots=True)
class Unproved:
    """Nothing is known: busy, as far as leaving goes. `asked_at_s` is when it was asked last."""

    doubt: Doubt
    asked_at_s: float
    detail: str = ""

    @property
    def sentence(self) -> str:
        """Why, for people."""
        if self.doubt is Doubt.NOT_YET:
            return self.detail
        return f"{self.doubt.value.replace('-', ' ')}{f': {self.detail}' if self.detail else ''}"


@dataclass(frozen=True, slots=True)
class Boot:
    """One run of a media server: a restart in the same container, or in a new one, is another."""

    started: str
    """The start time as the media server itself tells it."""
    container: str


class GatePosition(StrEnum):
    """Whether a pod refuses calls that are new to it."""

    OPEN = "open"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Reading:
    """What one pod said, asked at `asked_at_s` and answered by `answered_at_s` (the leader's clock, seconds).

    `channels` is the pod's own count; `pending` names work that outlives its channel; `held` what a pod may hold
    without any channel (registrations, dynamic queue members, parked calls). `gate` is that of the pod itself.

    Raises:
        RetirementError: a count below zero, or an answer before its question.
    """

    asked_at_s: float
    answered_at_s: float
    boot: Boot
    gate: GatePosition
    channels: int
    pending: tuple[str, ...] = ()
    held: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.channels < 0:
            raise RetirementError(f"channels: {self.channels} is no count; a reading that failed is Unproved")
        if self.answered_at_s < self.asked_at_s:
            raise RetirementError(
                f"answered_at_s: {self.answered_at_s:g} is before asked_at_s {self.asked_at_s:g}; take both from one "
                "clock that never goes back"
            )


PodReading = Reading | Unproved


class Steering(StrEnum):
    """Where a proxy sends calls that it has not sent yet."""

    TOWARDS = "towards"
    AWAY = "away"


@dataclass(frozen=True, slots=True)
class FrontGate:
    """What one proxy, verified by asking it, does with one pod. Read at `read_at_s`."""

    proxy: str
    steering: Steering | Unproved
    read_at_s: float


def as_of(reading: PodReading, now_s: float, fresh_s: float) -> PodReading:
    """The reading if it is fresh at `now_s`; what was said longer than `fresh_s` ago is not known any more."""
    if isinstance(reading, Reading) and now_s - reading.asked_at_s > fresh_s:
        return Unproved(Doubt.STALE, reading.asked_at_s, f"last answer {now_s - reading.asked_at_s:.0f} s ago")
    return reading
