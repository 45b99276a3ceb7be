"""The plan of a fleet: need, answer, path and explanation from one value of inputs.

In two steps, since the launch budget lies between them: every fleet is weighed by itself, the cluster's budget is
shared out, and then each plan is made with what it was granted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from forecasting.errors import ForecastingError
from forecasting.forecast import Trust
from keda_external_scaler.band import band_aware
from scaler.core import wording
from scaler.core.answer import PodsApart, pods_apart
from scaler.core.fleets import FleetKey
from scaler.core.inputs import PlanInputs
from scaler.core.launch_budget import share_launches
from scaler.core.need import Need
from scaler.core.plan import Contribution, Explanation, Part, Plan
from scaler.core.reactive import held_answer
from scaler.core.weighing import Weighed, weighed
from scaler.errors import CalltideError
from scaler.policy.model import Mode


@dataclass(frozen=True, slots=True)
class PlanRound:
    """The plans of one step, and why some fleets got none."""

    plans: Mapping[FleetKey, Plan]
    faults: Mapping[FleetKey, str]


def plan_fleet(inputs: PlanInputs) -> Plan:
    """The plan of one fleet, with the launch grant that its inputs name.

    Raises:
        CalltideError: the fleet has a fault, or its inputs do not fit each other.
    """
    return _finished(_weighed_without_fault(inputs), inputs.launch_grant)


def plan_fleets(fleets: Iterable[PlanInputs], launch_budget_pods: int | None) -> PlanRound:
    """The plans of all fleets of a cluster, with its launch budget (None: unlimited) shared out among them.

    A fleet that cannot be planned is told with its reason and disturbs no other. Launch grants in the inputs are
    ignored.
    """
    sized: list[Weighed] = []
    plans: dict[FleetKey, Plan] = {}
    faults: dict[FleetKey, str] = {}
    for inputs in fleets:
        try:
            sized.append(_weighed_without_fault(inputs))
        except (CalltideError, ForecastingError) as error:
            faults[inputs.observation.key] = str(error)
    grants: Mapping[FleetKey, int | None] = {}
    if launch_budget_pods is not None:
        grants = share_launches((fleet.launch_request for fleet in sized), launch_budget_pods)
    for fleet in sized:
        key = fleet.inputs.observation.key
        plans[key] = _finished(fleet, grants.get(key))
    return PlanRound(plans, faults)


def _weighed_without_fault(inputs: PlanInputs) -> Weighed:
    if inputs.observation.fault is not None:
        raise CalltideError(f"{inputs.observation.key}: {inputs.observation.fault}")
    return weighed(inputs)


def _finished(fleet: Weighed, launch_grant: int | None) -> Plan:
    inputs = fleet.inputs
    observing = fleet.mode is Mode.OBSERVE
    need = fleet.need(None if observing else launch_grant)
    apart = pods_apart(inputs.observation, need.pods, lead_s=inputs.lead.seconds)
    to_answer = _observed(inputs, need) if observing else _answered(inputs, need, apart)
    contributions = (*need.contributions, *to_answer)
    answer = contributions[-1].total
    return Plan(
        fleet=inputs.observation.key,
        policy=inputs.observation.policy,
        made_at_s=inputs.now_s,
        need=need.pods,
        answer=answer,
        alone=answer if observing else _alone(inputs, need, apart),
        grid=fleet.grid,
        path=np.minimum(fleet.path, fleet.cap.pods).astype(np.int32),
        explanation=_explanation(fleet, need, apart, contributions),
        sized_ahead=fleet.sized_ahead,
        unmet=np.maximum(0, fleet.path - fleet.cap.pods).astype(np.int32),
        measured_pods=next((step.total for step in need.contributions if step.part is Part.MEASURED), None),
    )


def _observed(inputs: PlanInputs, need: Need) -> list[Contribution]:
    standing = inputs.observation.spec_replicas
    sentence = f"The policy only observes: KEDA is told the {wording.pods(standing)} that are set."
    return [Contribution(Part.OBSERVE, standing - need.pods, standing, sentence)]


def _answered(inputs: PlanInputs, need: Need, apart: PodsApart) -> list[Contribution]:
    """What turns the need into the answer: pods that do not serve, what is held, the cap, the HPA's tolerance."""
    steps: list[Contribution] = []
    observation, total = inputs.observation, need.pods

    def move(part: Part, to: int, sentence: str) -> int:
        if to != total:
            steps.append(Contribution(part, to - total, to, sentence))
        return to

    total = move(Part.NOT_SERVING, total + apart.not_serving, apart.sentence if apart.not_serving else "")
    held = held_answer(inputs)
    if held is not None:
        total = move(Part.HOLD, max(total, held), f"The last answer of {held:,} is held while data are missing.")
    frozen = _frozen_answer(inputs)
    if frozen is not None:
        total = move(Part.FREEZE, max(total, frozen), f"Frozen, so that the last answer stays: {observation.frozen}.")
    most = observation.maximum_replicas
    if most is not None:
        total = move(Part.MAXIMUM, min(total, most), f"maxReplicaCount of the ScaledObject allows {most:,} at most.")
    if not observation.exact_tolerance and total > observation.spec_replicas:
        told = band_aware(total, observation.status_replicas)
        sentence = f"An HPA with tolerance moves from {observation.status_replicas:,} pods only when told {told:,}."
        move(Part.BAND, told, sentence)
    return steps


def _frozen_answer(inputs: PlanInputs) -> int | None:
    """The answer that must not fall while the fleet is frozen; None while it is not."""
    if inputs.observation.frozen is None:
        return None
    return inputs.observation.spec_replicas if inputs.last is None else inputs.last.answer


def _alone(inputs: PlanInputs, need: Need, apart: PodsApart) -> int:
    """The answer when nobody can recall a draining pod, before any rule for the HPA's tolerance."""
    kept = max(held_answer(inputs) or 0, _frozen_answer(inputs) or 0)
    total = max(need.pods + apart.not_serving + apart.recallable, kept)
    most = inputs.observation.maximum_replicas
    return total if most is None else min(total, most)


def _explanation(fleet: Weighed, need: Need, apart: PodsApart, contributions: tuple[Contribution, ...]) -> Explanation:
    inputs, forecast = fleet.inputs, fleet.inputs.forecast
    newest_s = forecast.newest_observation_s if forecast else None
    return Explanation(
        contributions=contributions,
        need_after=len(need.contributions) - 1,
        binding=need.binding,
        cut_by=need.cut_by,
        mode=inputs.policy.mode,
        effective_mode=fleet.mode,
        trust=forecast.trust if forecast else Trust.COLD,
        trust_reason=forecast.trust_reason if forecast else "There is no forecast.",
        issue_age_s=inputs.now_s - forecast.issued_at_s if forecast else None,
        data_age_s=inputs.now_s - newest_s if newest_s is not None else None,
        lead_s=inputs.lead.seconds,
        summary=_summary(inputs, need, contributions),
        warnings=_warnings(fleet, need, apart),
    )


def _summary(inputs: PlanInputs, need: Need, contributions: tuple[Contribution, ...]) -> str:
    """The need with the sentence of what set it and of what cut it, and the answer where it differs."""
    told = {step.part: step.sentence for step in need.contributions}
    sentences = [f"{inputs.observation.key.name} needs {wording.pods(need.pods)}."]
    if need.binding in told:
        sentences.append(told[need.binding])
    sentences.extend(told[part] for part in need.cut_by if part is not need.binding)
    answer = contributions[-1].total
    if answer != need.pods:
        why = " ".join(step.sentence for step in contributions[len(need.contributions) :])
        sentences.append(f"KEDA is told {answer:,}: {why}")
    return " ".join(sentences)


def _warnings(fleet: Weighed, need: Need, apart: PodsApart) -> tuple[str, ...]:
    inputs, found = fleet.inputs, []
    observation, policy = inputs.observation, inputs.policy
    most = observation.maximum_replicas
    if most is not None and most < policy.max_pods and Part.MAXIMUM in need.cut_by:
        found.append(
            f"maxReplicaCount {most} of the ScaledObject is below maxPods {policy.max_pods} of the policy and cuts the "
            "need; raise it in the ScaledObject, or lower maxPods."
        )
    if inputs.minimum > inputs.maximum:
        found.append(
            f"The minimum of {wording.pods(inputs.minimum)} is above the maximum of {inputs.maximum:,}; "
            "the maximum holds until policy and ScaledObject agree."
        )
    if apart.failed_waiting:
        found.append(
            f"{wording.pods(apart.failed_waiting)} more failed and are not replaced yet: one or a tenth at a time, and "
            "the next when these serve, so that a bad image cannot double the fleet. Look at their logs."
        )
    if observation.paused:
        found.append("The ScaledObject is paused: KEDA changes nothing until the annotation is removed.")
    if policy.mode is Mode.PRIMARY and fleet.mode is Mode.ASSIST:
        found.append("The policy says primary, but without a trusted forecast the fleet is treated as in assist.")
    if inputs.forecast is not None and inputs.forecast.trust is not Trust.COLD and not fleet.sized_ahead:
        found.append("The forecast does not reach this hour: it was issued too long ago. Look at the forecast job.")
    return tuple(found)
