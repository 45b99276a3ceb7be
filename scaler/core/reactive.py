"""The floor under every answer: what is measured now, plus headroom, or what was asked for last.

A missing measurement is not a load of zero. As long as one of the policy's measures is missing, the last need is
held; the forecast may add to it, nothing may lower it.
"""

from __future__ import annotations

import numpy as np

from forecasting.load import Measure
from scaler.core import wording
from scaler.core.answer import need_within
from scaler.core.capacity import pods_for_call_rate, pods_for_channels
from scaler.core.inputs import PlanInputs
from scaler.core.need import Level
from scaler.core.plan import Part
from scaler.policy.durations import format_duration

LONGEST_UNSEEN_S = 30.0
"""A last plan older than this may have been followed by answers alone, which rise with the plan's path."""


def reactive_levels(inputs: PlanInputs, *, headroom: bool) -> tuple[Level, ...]:
    """The levels of what is measured, of the headroom on top, and of what is held."""
    levels: list[Level] = []
    loads = inputs.fresh_loads
    if loads:
        levels.extend(_measured_levels(inputs, loads, headroom=headroom))
    missing = [measure for measure in inputs.wanted_measures if measure not in loads]
    if missing:
        levels.append(_hold_level(inputs, missing))
    return tuple(levels)


def held_answer(inputs: PlanInputs) -> int | None:
    """The answer that must not fall while data are missing; None while all of them are there."""
    if len(inputs.fresh_loads) == len(inputs.wanted_measures):
        return None
    standing = inputs.observation.spec_replicas
    if inputs.last is None:
        return standing
    return max(inputs.last.answer, standing) if _was_silent(inputs) else inputs.last.answer


def _was_silent(inputs: PlanInputs) -> bool:
    """Whether KEDA may have been answered alone since the last plan, and then with more than that plan asked for."""
    return inputs.last is not None and inputs.now_s - inputs.last.made_at_s > LONGEST_UNSEEN_S


def _measured_levels(inputs: PlanInputs, loads: dict[Measure, float], *, headroom: bool) -> list[Level]:
    capacity, reactive = inputs.policy.capacity, inputs.policy.reactive
    factors = np.array([1.0, 1.0 + reactive.headroom])
    pods = {
        measure: (
            pods_for_channels(capacity, now * factors)
            if measure is Measure.CHANNELS
            else pods_for_call_rate(capacity, now * factors)
        )
        for measure, now in loads.items()
    }
    largest = max(pods, key=lambda measure: int(pods[measure][0]))
    measured = int(pods[largest][0])
    sentence = (
        f"{wording.load(largest, loads[largest])} now need {wording.pods(measured)} "
        f"{wording.per_pod(capacity, largest)}."
    )
    levels = [Level(Part.MEASURED, measured, sentence)]
    with_headroom = max(int(counts[1]) for counts in pods.values()) + reactive.headroom_pods
    if headroom and with_headroom > measured:
        extra = f" and {wording.pods(reactive.headroom_pods)}" if reactive.headroom_pods else ""
        on_top = f"Headroom of {wording.share(reactive.headroom)}{extra} on what is measured"
        levels.append(Level(Part.HEADROOM, with_headroom, f"{on_top}: {wording.pods(with_headroom)}."))
    return levels


def _hold_level(inputs: PlanInputs, missing: list[Measure]) -> Level:
    what = " and ".join(_missing_sentence(inputs, measure) for measure in missing)
    if inputs.last is not None and not _was_silent(inputs):
        held = inputs.last.need
        return Level(Part.HOLD, held, f"{what}: the last need of {wording.pods(held)} is held.")
    # What does not serve is counted on top of the need, so that the answer comes out as what stands.
    standing = inputs.observation.spec_replicas
    held = need_within(inputs.observation, standing, lead_s=inputs.lead.seconds)
    if inputs.last is None:
        sentence = f"{what}, and nothing was planned before: the {wording.pods(standing)} that are set are held."
        return Level(Part.HOLD, held, sentence)
    held = max(held, inputs.last.need)
    age = format_duration(inputs.now_s - inputs.last.made_at_s)
    sentence = f"{what}, and the last plan is {age} old: the {wording.pods(held)} that are set or were needed are held."
    return Level(Part.HOLD, held, sentence)


def _missing_sentence(inputs: PlanInputs, measure: Measure) -> str:
    name = "channels" if measure is Measure.CHANNELS else "call rate"
    measurement = inputs.measured.get(measure)
    if measurement is None:
        return f"The {name} now cannot be read"
    oldest = inputs.policy.reactive.maximum_data_age
    if measurement.age_s > oldest:
        age = format_duration(measurement.age_s)
        return f"The {name} read last is {age} old, older than the allowed {format_duration(oldest)}"
    return f"The {name} read as {measurement.value}, which is no load"
