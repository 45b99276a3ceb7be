"""From the service's values to the API's answers: only shapes change here, nothing is decided."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from forecasting.load import Measure
from scaler.core.fleets import FleetObservation
from scaler.core.plan import Plan
from scaler.policy.model import PolicySpec
from scaler.web import models
from scaler.web.health import readiness_of
from scaler.web.state import ForecastScores, JobStatus, PendingChange, ReplicaStatus, SourceStatus, StateReader
from scaler.web.urgency import Ranked, Urgency, ranked

TENANTS_IN_A_LIST = 5
_AHEAD_S = 86400
_AHEAD_STEP_S = 1800
_OLD_SLOTS = 3


def numbers(values: npt.NDArray[np.floating[Any]]) -> models.Numbers:
    """A JSON list: NaN becomes null, and digits that nobody measured are dropped."""
    return [round(value, 3) if np.isfinite(value) else None for value in values.tolist()]


def fleet_answer(entry: Ranked, plan: Plan | None, now_s: float) -> models.Fleet:
    """A fleet in a list."""
    return models.Fleet(**_fleet_fields(entry, plan, now_s, TENANTS_IN_A_LIST))


def fleet_detail(
    entry: Ranked, plan: Plan | None, observation: FleetObservation | None, now_s: float
) -> models.FleetDetail:
    """A fleet by itself."""
    spec = entry.fleet.spec
    return models.FleetDetail(
        **_fleet_fields(entry, plan, now_s, len(entry.fleet.tenants)),
        workload=observation.workload if observation else None,
        paused=observation.paused if observation else False,
        pod_rows=[
            models.PodRow(
                name=pod.name, state=pod.state.value, created_s=pod.created_s, ready_s=pod.ready_s, node=pod.node
            )
            for pod in sorted(observation.pods if observation else (), key=lambda pod: pod.created_s)
        ],
        time_zone=spec.calendar.time_zone if spec else None,
        quantile=_sizing_quantile(spec),
        data_old_after_s=_OLD_SLOTS * spec.history.step if spec else None,
        pod_capacity=_pod_capacity(spec),
    )


def _fleet_fields(entry: Ranked, plan: Plan | None, now_s: float, tenants: int) -> dict[str, Any]:
    fleet, peak = entry.fleet, entry.fleet.peak
    return {
        "namespace": fleet.key.namespace,
        "name": fleet.key.name,
        "policy": fleet.policy,
        "tenants": list(fleet.tenants[:tenants]),
        "tenant_count": len(fleet.tenants),
        "pool": fleet.pool,
        "urgency": entry.urgency,
        "reason": entry.reason,
        "summary": fleet.summary,
        "mode": fleet.spec.mode if fleet.spec else None,
        "effective_mode": fleet.effective_mode,
        "trust": fleet.trust,
        "trust_reason": fleet.trust_reason,
        "spec_replicas": fleet.spec_replicas,
        "status_replicas": fleet.status_replicas,
        "serving": fleet.serving,
        "pods": {state.value: count for state, count in fleet.pods.items()},
        "load_now": {measure.value: load for measure, load in fleet.load_now.items()},
        "measured_pods": fleet.measured_pods,
        "headroom_pods": fleet.headroom_pods,
        "need": fleet.need,
        "answer": fleet.answer,
        "minimum_pods": fleet.spec.min_pods if fleet.spec else None,
        "maximum_pods": fleet.spec.max_pods if fleet.spec else None,
        "peak": models.Peak(need=peak.need, at_s=peak.at_s, unmet=peak.unmet) if peak else None,
        "need_ahead": _need_ahead(plan, now_s),
        "lead_s": fleet.lead_s,
        "lead_is_measured": fleet.lead_is_measured,
        "issue_age_s": fleet.issue_age_s,
        "data_age_s": fleet.data_age_s,
        "observed_age_s": fleet.observed_age_s,
        "held": fleet.held,
        "fault": fleet.fault,
        "pending": fleet.pending,
    }


def _sizing_quantile(spec: PolicySpec | None) -> float | None:
    if spec is None:
        return None
    return 0.5 if spec.capacity.grade_of_service is not None else spec.forecast.quantile


def _pod_capacity(spec: PolicySpec | None) -> dict[str, float]:
    if spec is None:
        return {}
    capacity = spec.capacity
    carried = {
        Measure.CHANNELS.value: capacity.channels_per_pod,
        Measure.CALL_RATE.value: capacity.call_setups_per_second_per_pod,
    }
    return {measure: float(most) for measure, most in carried.items() if most is not None}


def _need_ahead(plan: Plan | None, now_s: float) -> models.Path | None:
    """The highest need of each half hour of the next 24 hours, as far as the plan reaches."""
    if plan is None:
        return None
    grid = plan.grid
    first = max(0, grid.index_of(now_s))
    path = plan.path[first : grid.index_of(now_s + _AHEAD_S)]
    per_group = max(1, _AHEAD_STEP_S // grid.step_s)
    pods = [int(path[at : at + per_group].max()) for at in range(0, len(path), per_group)]
    start_s = grid.start_s + first * grid.step_s
    return models.Path(start_s=start_s, step_s=per_group * grid.step_s, pods=pods)


def plan_answer(plan: Plan, now_s: float) -> models.PlanAnswer:
    """The whole plan."""
    path = models.Path(start_s=plan.grid.start_s, step_s=plan.grid.step_s, pods=plan.path.tolist())
    return models.PlanAnswer(
        now_s=now_s,
        made_at_s=plan.made_at_s,
        policy=plan.policy,
        need=plan.need,
        answer=plan.answer,
        alone=plan.alone,
        path=path,
    )


def explanation_answer(plan: Plan, now_s: float) -> models.ExplanationAnswer:
    """The waterfall and what it was made from."""
    why = plan.explanation
    return models.ExplanationAnswer(
        now_s=now_s,
        made_at_s=plan.made_at_s,
        summary=why.summary,
        contributions=[
            models.Contribution(part=step.part, pods=step.pods, total=step.total, sentence=step.sentence)
            for step in why.contributions
        ],
        need_after=why.need_after,
        need=plan.need,
        answer=plan.answer,
        binding=why.binding,
        cut_by=list(why.cut_by),
        mode=why.mode,
        effective_mode=why.effective_mode,
        trust=why.trust,
        trust_reason=why.trust_reason,
        issue_age_s=why.issue_age_s,
        data_age_s=why.data_age_s,
        lead_s=why.lead_s,
        warnings=list(why.warnings),
    )


def pending_answers(pending: Iterable[PendingChange]) -> list[models.Pending]:
    """Changes that wait to be confirmed."""
    return [
        models.Pending(
            policy=change.policy,
            namespace=change.fleet.namespace,
            name=change.fleet.name,
            sentence=change.sentence,
            since_s=change.since_s,
        )
        for change in pending
    ]


def policies_answer(state: StateReader) -> models.Policies:
    """What is in force, and what is not."""
    policies = state.policies()
    sized = Counter(fleet.policy for fleet in state.fleets())
    lines = [
        models.PolicyLine(name=name, file=policy.file, mode=policy.spec.mode, fleets=sized[name])
        for name, policy in sorted(policies.in_force.items())
    ]
    return models.Policies(
        policies=lines,
        problems=list(policies.problems),
        rejected_at_s=policies.rejected_at_s,
        pending=pending_answers(policies.pending),
    )


def job_answer(job: JobStatus) -> models.Job:
    """One job."""
    return models.Job(
        name=job.name,
        last_success_s=job.last_success_s,
        last_duration_s=job.last_duration_s,
        runs=job.runs,
        failures=job.failures,
        error=job.error,
        error_at_s=job.error_at_s,
    )


def _source_answer(source: SourceStatus) -> models.Source:
    return models.Source(
        name=source.name,
        kind=source.kind,
        up=source.up,
        problem=source.problem,
        newest_observation_s=source.newest_observation_s,
    )


def _replica_answer(replica: ReplicaStatus) -> models.Replica:
    return models.Replica(
        role=replica.role,
        name=replica.name,
        leader=replica.leader,
        term=replica.term,
        copied_at_s=replica.copied_at_s,
        problem=replica.problem,
    )


def status_answer(state: StateReader) -> models.Status:
    """The service at a glance."""
    readiness, policies, keda = readiness_of(state), state.policies(), state.keda_stats()
    counts = Counter(entry.urgency for entry in ranked(state.fleets()))
    return models.Status(
        version=state.version,
        now_s=state.now_s(),
        started_s=state.started_s,
        demo=state.demo,
        speed=state.speed,
        ready=readiness.ready,
        checks=readiness.checks,
        fleets={urgency.value: counts[urgency] for urgency in Urgency},
        policies=len(policies.in_force),
        policy_problems=list(policies.problems),
        pending=pending_answers(policies.pending),
        sources=[_source_answer(source) for source in state.sources()],
        failing_jobs=[job_answer(job) for job in state.jobs() if job.error is not None],
        keda=models.Keda(
            alive=keda.alive,
            book_age_s=keda.book_age_s,
            book_fleets=keda.book_fleets,
            answers=keda.answers,
            alone=keda.alone,
            refused=keda.refused,
        ),
        replica=_replica_answer(state.replica()),
        archive_bytes=state.archive_bytes(),
    )


def scores_answer(scores: ForecastScores) -> models.Scores:
    """One model's scores."""
    return models.Scores(
        wape=_finite(scores.wape),
        first_hour_wape=_finite(scores.first_hour_wape),
        pinball95=_finite(scores.pinball95),
        coverage95=_finite(scores.coverage95),
        scored_until_s=scores.scored_until_s,
    )


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
