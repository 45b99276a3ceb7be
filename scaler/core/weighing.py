"""A fleet weighed by itself: every level that its need is the highest of, before the cluster's budget is shared out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from forecasting.forecast import Trust
from forecasting.grid import SlotGrid, floor_to_step
from scaler.core import wording
from scaler.core.ahead import Ahead, forecast_ahead
from scaler.core.capacity import IntArray
from scaler.core.inputs import PlanInputs
from scaler.core.launch_budget import LaunchRequest
from scaler.core.need import Level, Limit, Need, launch_limit, max_step_limit, weigh
from scaler.core.plan import Part
from scaler.core.reactive import reactive_levels
from scaler.core.schedule import scheduled_minimum, scheduled_path
from scaler.policy.model import Mode


@dataclass(frozen=True, slots=True, eq=False)
class Weighed:
    """One fleet's levels and limits; `before` is the reactive floor, `after` schedule and minimum.

    `path` (slots,) holds the highest need of each slot before the maximum.
    """

    inputs: PlanInputs
    mode: Mode
    before: tuple[Level, ...]
    ahead: Level | None
    after: tuple[Level, ...]
    step_limits: tuple[Limit, ...]
    cap: Limit
    grid: SlotGrid
    path: IntArray
    sized_ahead: bool

    def need(self, launch_grant: int | None) -> Need:
        """The need with so many pods granted to the forecast, None without a budget."""
        limits = self.step_limits
        if launch_grant is not None:
            limits = (*limits, launch_limit(launch_grant, self._standing))
        return weigh(self.before, self.ahead, self.after, limits, self.cap)

    @property
    def launch_request(self) -> LaunchRequest:
        """What the forecast wants launched; nothing in `observe`, which launches nothing."""
        wanted = 0 if self.mode is Mode.OBSERVE else max(0, self.need(None).pods - self._standing)
        inputs = self.inputs
        return LaunchRequest(inputs.observation.key, inputs.policy.guardrails.priority, wanted)

    @property
    def _standing(self) -> int:
        """What is not the forecast's doing, stands already or was asked for already."""
        base = max(level.pods for level in (*self.before, *self.after))
        return max(base, self.inputs.observation.spec_replicas, _asked_before(self.inputs))


def weighed(inputs: PlanInputs) -> Weighed:
    """Weigh one fleet."""
    ahead = forecast_ahead(inputs)
    mode = effective_mode(inputs, ahead)
    grid, path = _path(inputs, ahead)
    return Weighed(
        inputs=inputs,
        mode=mode,
        before=reactive_levels(inputs, headroom=mode is not Mode.PRIMARY),
        ahead=_ahead_level(inputs, ahead),
        after=_after_levels(inputs),
        step_limits=_step_limits(inputs),
        cap=_cap(inputs),
        grid=grid,
        path=path,
        sized_ahead=ahead is not None,
    )


def effective_mode(inputs: PlanInputs, ahead: Ahead | None) -> Mode:
    """The policy's mode, except that `primary` without a trusted forecast of this hour acts as `assist`."""
    mode = inputs.policy.mode
    if mode is not Mode.PRIMARY:
        return mode
    trusted = ahead is not None and inputs.forecast is not None and inputs.forecast.trust is Trust.TRUSTED
    return Mode.PRIMARY if trusted else Mode.ASSIST


def _ahead_level(inputs: PlanInputs, ahead: Ahead | None) -> Level | None:
    if ahead is not None:
        return Level(Part.FORECAST, ahead.pods, ahead.sentence)
    if inputs.book_need is not None:
        sentence = f"No forecast may size this hour; the last good plan asks for {wording.pods(inputs.book_need)}."
        return Level(Part.PLAN_BOOK, inputs.book_need, sentence)
    return None


def _after_levels(inputs: PlanInputs) -> tuple[Level, ...]:
    policy = inputs.policy
    zone = policy.calendar.time_zone
    window = scheduled_minimum(policy.schedule, zone, inputs.now_s, inputs.now_s + inputs.lead.seconds)
    levels = []
    if window is not None:
        when = f"{wording.civil_time(window.opens_s, zone)} to {wording.civil_time(window.closes_s, zone)}"
        owner = f", ask {window.owner}" if window.owner else ""
        sentence = f"Schedule '{window.name}' keeps {wording.pods(window.min_pods)} from {when}{owner}."
        levels.append(Level(Part.SCHEDULE, window.min_pods, sentence))
    named = "minPods of the policy" if inputs.minimum == policy.min_pods else "minReplicaCount of the ScaledObject"
    levels.append(Level(Part.MINIMUM, inputs.minimum, f"{named} keeps {wording.pods(inputs.minimum)}."))
    return tuple(levels)


def _asked_before(inputs: PlanInputs) -> int:
    return inputs.last.need if inputs.last else inputs.observation.spec_replicas


def _step_limits(inputs: PlanInputs) -> tuple[Limit, ...]:
    max_step = inputs.policy.guardrails.max_step
    if max_step is None:
        return ()
    elapsed_s = inputs.now_s - inputs.last.made_at_s if inputs.last else 0.0
    return (max_step_limit(max_step, _asked_before(inputs), elapsed_s),)


def _cap(inputs: PlanInputs) -> Limit:
    by_policy = inputs.maximum == inputs.policy.max_pods
    named = "maxPods of the policy" if by_policy else "maxReplicaCount of the ScaledObject"
    return Limit(Part.MAXIMUM, inputs.maximum, f"{named} allows {wording.pods(inputs.maximum)} at most.")


def _path(inputs: PlanInputs, ahead: Ahead | None) -> tuple[SlotGrid, IntArray]:
    """The need of each slot to come before the maximum: forecast, schedule and minimum."""
    policy = inputs.policy
    if ahead is not None:
        grid, pods = ahead.grid, ahead.path
    else:
        step_s = policy.history.step
        grid = SlotGrid(floor_to_step(inputs.now_s, step_s), step_s, policy.forecast.horizon // step_s)
        pods = np.zeros(grid.slots, dtype=np.int64)
    schedule = scheduled_path(policy.schedule, policy.calendar.time_zone, grid, inputs.lead.seconds)
    return grid, np.maximum(np.maximum(pods, schedule), inputs.minimum)
