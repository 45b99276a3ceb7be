"""How many serving pods a fleet needs now, and which part said so.

Each part names a level, and the need is the highest: the reactive floor, then what lies ahead, then schedule and
minimum. Limits come last. Those of the forecast (maxStep, launch budget) lower the forecast's level alone and can
therefore never reach the floor under it; the maximum caps everything, as the HPA would do anyway.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from scaler.core import wording
from scaler.core.plan import Contribution, Part

PLAN_STEP_S = 15.0
"""How often plans are made; `maxStep` counts in these."""


@dataclass(frozen=True, slots=True)
class Level:
    """Pods that a part asks for in all, with the sentence that says why."""

    part: Part
    pods: int
    sentence: str


@dataclass(frozen=True, slots=True)
class Limit:
    """The highest level that a limit allows."""

    part: Part
    pods: int
    sentence: str


@dataclass(frozen=True, slots=True)
class Need:
    """The need, the waterfall that leads to it, the part that set it, and the limits that lowered it."""

    pods: int
    contributions: tuple[Contribution, ...]
    binding: Part
    cut_by: tuple[Part, ...]


def weigh(
    before: Sequence[Level], ahead: Level | None, after: Sequence[Level], ahead_limits: Sequence[Limit], cap: Limit
) -> Need:
    """The need of these levels under these limits. `before` is the reactive floor, `after` schedule and minimum."""
    steps: list[Contribution] = []
    total = 0
    # The floor's and the forecast's levels are shown even where they add nothing: that is news, too.
    for level in (*before, *([ahead] if ahead else [])):
        total = _step(steps, total, level, max(0, level.pods - total))
    for level in after:
        if level.pods > total:
            total = _step(steps, total, level, level.pods - total)
    base = max((level.pods for level in (*before, *after)), default=0)
    allowed = ahead.pods if ahead else 0
    cut_by = []
    for limit in ahead_limits:
        allowed = min(allowed, limit.pods)
        if max(base, allowed) < total:
            total = _step(steps, total, limit, max(base, allowed) - total)
            cut_by.append(limit.part)
    if cap.pods < total:
        total = _step(steps, total, cap, cap.pods - total)
        cut_by.append(cap.part)
    heard = (*before, *([Level(ahead.part, allowed, "")] if ahead else []), *after)
    binding = next((level.part for level in heard if level.pods >= total), cap.part)
    return Need(total, tuple(steps), binding, tuple(cut_by))


def _step(steps: list[Contribution], total: int, cause: Level | Limit, pods: int) -> int:
    steps.append(Contribution(cause.part, pods, total + pods, cause.sentence))
    return total + pods


def max_step_limit(max_step: int, asked_before: int, elapsed_s: float) -> Limit:
    """What the forecast may ask for: so many pods more than was asked before, for each step that has passed."""
    steps = max(1, int(elapsed_s // PLAN_STEP_S))
    more = max_step * steps
    sentence = (
        f"maxStep allows the forecast {wording.pods(max_step)} more per {PLAN_STEP_S:.0f} s: "
        f"{asked_before:,} + {more:,} = {asked_before + more:,}."
    )
    return Limit(Part.MAX_STEP, asked_before + more, sentence)


def launch_limit(grant: int, standing: int) -> Limit:
    """What the forecast may ask for: what stands or was asked for already, and the pods granted in this step."""
    sentence = (
        f"The cluster's launch budget grants the forecast {wording.pods(grant)} in this step, on top of {standing:,}; "
        "fleets of higher priority or greater shortage go first."
    )
    return Limit(Part.LAUNCH_BUDGET, standing + grant, sentence)
