"""How a fleet's pods leave, as the API tells it."""

from __future__ import annotations

from scaler.web.models import Answer
from scaler.web.state import FleetRetirement, RetiringPod


class Named(Answer):
    """A reason or condition, and what it means."""

    name: str
    sentence: str


class Leaving(Answer):
    """A pod that leaves, or of which nothing is known."""

    name: str
    state: str
    """`active`, `draining`, `drained` or `released`."""
    channels: int | None
    """Null where they could not be counted."""
    since_s: float | None
    """When its drain began; null for a pod that serves."""
    why: str
    """What it waits for."""


class Retirement(Answer):
    """What retirement does with a fleet, and what keeps it from doing more."""

    now_s: float
    mode: str | None
    """The policy's `retirement.mode`; null before the first round, and where no cluster is."""
    at_s: float | None
    """When the last round was."""
    explanation: str
    standstills: list[Named]
    """Why nothing may leave."""
    conditions: list[Named]
    """What somebody should look at."""
    failures: list[str]
    """Writes of the last round that did not go through."""
    pods: list[Leaving]


def retirement_answer(retirement: FleetRetirement | None, now_s: float) -> Retirement:
    """One fleet's."""
    if retirement is None:
        return Retirement(
            now_s=now_s, mode=None, at_s=None, explanation="", standstills=[], conditions=[], failures=[], pods=[]
        )
    return Retirement(
        now_s=now_s,
        mode=retirement.mode,
        at_s=retirement.at_s,
        explanation=retirement.explanation,
        standstills=[Named(name=name, sentence=sentence) for name, sentence in retirement.standstills],
        conditions=[Named(name=name, sentence=sentence) for name, sentence in retirement.conditions],
        failures=list(retirement.failures),
        pods=[_leaving(pod) for pod in retirement.pods],
    )


def _leaving(pod: RetiringPod) -> Leaving:
    return Leaving(name=pod.name, state=pod.state, channels=pod.channels, since_s=pod.since_s, why=pod.why)
