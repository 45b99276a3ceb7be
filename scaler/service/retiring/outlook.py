"""From a plan to the need that retirement goes by: what is needed now, was needed just now, and will be needed.

A pod is let go on the word of a forecast, or on that of the past when there is none. It is never let go on a number
that stands in for missing data: a held answer keeps pods, and says nothing of whether they can be spared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from scaler.core.plan import Part, Plan
from scaler.policy.durations import format_duration
from scaler.policy.model import Mode
from scaler.retirement.outlook import Outlook, OutlookStep
from scaler.retirement.readings import Doubt, Unproved

OLDEST_PLAN_S = 60.0
"""Plans are made every 15 s. One that is older than this was not followed by another: somebody is stuck."""
LULL_S = 300.0
"""A need that was there this recently may be back as soon: loads are counted in calls, and calls come by chance."""
UNFORECAST_S = 86400.0
"""How long a valley is taken to last where nothing forecasts its end. A drain that was begun in vain costs a recall."""
_STAND_INS = frozenset({Part.HOLD, Part.PLAN_BOOK, Part.OBSERVE})


@dataclass(frozen=True, slots=True)
class NeedSeen:
    """The need that a plan had at `at_s` (epoch seconds)."""

    at_s: float
    pods: int


def outlook_of(
    plan: Plan, seen: Sequence[NeedSeen], look_ahead_s: float, now_s: float, clock_s: float
) -> Outlook | Unproved:
    """The need from now on, on the leader's clock, which shows `clock_s` at the epoch second `now_s`.

    `seen` are the needs of this leader's plans, oldest first. Without a forecast they must reach back over the look
    ahead: what was not needed for so long is taken not to be needed for as long.
    """
    doubt = _doubt(plan, now_s)
    if doubt is not None:
        return Unproved(Doubt.NOT_YET, clock_s, doubt)
    if not plan.sized_ahead:
        return _by_the_past(plan, seen, look_ahead_s, now_s, clock_s)
    steps = [OutlookStep(clock_s, plan.need), OutlookStep(clock_s, _most(plan, seen, now_s - LULL_S))]
    steps += _to_come(plan, now_s, clock_s)
    return Outlook(tuple(steps), clock_s + max(0.0, plan.grid.end_s - now_s))


def _doubt(plan: Plan, now_s: float) -> str | None:
    """Why the plan's need is nothing to let pods go by."""
    age_s = now_s - plan.made_at_s
    if age_s > OLDEST_PLAN_S:
        return f"the last plan is {format_duration(age_s)} old"
    if plan.explanation.mode is Mode.OBSERVE:
        return "the policy only observes"
    stand_in = next((step for step in plan.explanation.contributions if step.part in _STAND_INS), None)
    return None if stand_in is None else stand_in.sentence.rstrip(".")


def _by_the_past(
    plan: Plan, seen: Sequence[NeedSeen], look_ahead_s: float, now_s: float, clock_s: float
) -> Outlook | Unproved:
    known_for_s = now_s - seen[0].at_s if seen else 0.0
    if known_for_s < look_ahead_s:
        why = f"there is no forecast, and the need was seen for {known_for_s:.0f} s of {look_ahead_s:.0f} s so far"
        return Unproved(Doubt.NOT_YET, clock_s, why)
    steps = [OutlookStep(clock_s, plan.need), OutlookStep(clock_s, _most(plan, seen, now_s - look_ahead_s))]
    # What is scheduled is known without a forecast.
    steps += [step for step in _to_come(plan, now_s, clock_s) if step.start_s < clock_s + UNFORECAST_S]
    return Outlook(tuple(steps), clock_s + UNFORECAST_S)


def _most(plan: Plan, seen: Sequence[NeedSeen], since_s: float) -> int:
    return max([plan.need, *(one.pods for one in seen if one.at_s >= since_s)])


def _to_come(plan: Plan, now_s: float, clock_s: float) -> list[OutlookStep]:
    """The plan's path from now on, one step for each change."""
    first = max(0, plan.grid.index_of(now_s))
    path = plan.path[first:]
    if not path.size:
        return []
    changes = np.flatnonzero(np.diff(path, prepend=path[0] - 1))
    starts_s = plan.grid.start_s + (first + changes) * plan.grid.step_s
    return [
        OutlookStep(clock_s + max(0.0, float(start_s) - now_s), int(path[change]))
        for start_s, change in zip(starts_s, changes, strict=True)
    ]
