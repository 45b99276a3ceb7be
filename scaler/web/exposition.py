"""What `/metrics` shows, made afresh from the service's state at each scrape.

No instrument is kept up to date on the side: a fleet or a policy that is gone leaves no series behind, and what is
not known is left out instead of being shown as the last value or as zero.
"""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum

import numpy as np
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from forecasting.forecast import Trust
from forecasting.load import Measure
from scaler import metrics
from scaler.core.fleets import FleetKey, PodState
from scaler.core.plan import Part, Plan
from scaler.metrics import Metric, MetricType
from scaler.policy.model import Mode
from scaler.web.state import FleetRetirement, FleetStatus, MeasureForecast, ReplicaRole, StateReader

MOST_FORECAST_FLEETS = 500
"""Each fleet's forecast is up to 100 series; beyond this many fleets a scrape would hold up the service."""

Family = GaugeMetricFamily | CounterMetricFamily


class StateCollector(Collector):
    """Turns the state into metric families at each scrape."""

    def __init__(self, state: StateReader) -> None:
        self._state = state

    def describe(self) -> Iterable[Family]:
        """Every family of the catalogue, empty: a registry asks once, before there is any state."""
        return _Families().all()

    def collect(self) -> Iterator[Family]:
        """Every family of the catalogue with the samples that are known now."""
        families = _Families()
        _add_service(families, self._state)
        if not self._state.replica().follows:
            # One that leads no more knows its last plans for some seconds: a sum would count every fleet twice.
            _add_fleets(families, self._state)
        yield from families.all()


def registry_of(state: StateReader) -> CollectorRegistry:
    """A registry of our own, so that two applications in one process do not share metrics."""
    registry = CollectorRegistry()
    registry.register(StateCollector(state))
    ProcessCollector(registry=registry)
    return registry


class _Families:
    """One family per entry of the catalogue; a metric that is not in it cannot be added."""

    def __init__(self) -> None:
        self._families = {metric: _family(metric) for metric in metrics.CATALOGUE}

    def add(self, metric: Metric, value: float | None, *labels: str) -> None:
        """Add a sample, unless the value is not known."""
        if value is not None:
            self._families[metric].add_metric(labels, float(value))

    def add_states(self, metric: Metric, states: type[StrEnum], now: Iterable[StrEnum | None], *labels: str) -> None:
        """Add one sample per state: 1 for those that hold now."""
        holding = set(now)
        for state in states:
            self.add(metric, state in holding, *labels, state.value)

    def all(self) -> Iterable[Family]:
        """The families in the catalogue's order."""
        return self._families.values()


def _family(metric: Metric) -> Family:
    kind = CounterMetricFamily if metric.type is MetricType.COUNTER else GaugeMetricFamily
    return kind(metric.full_name, metric.help, labels=metric.labels)


def _before(now_s: float, age_s: float | None) -> float | None:
    return None if age_s is None else now_s - age_s


def _add_service(families: _Families, state: StateReader) -> None:
    add = families.add
    add(metrics.BUILD_INFO, 1, state.version, platform.python_version())
    add(metrics.CLOCK_TIMESTAMP, state.now_s())
    add(metrics.CLOCK_SPEED, state.speed)
    policies = state.policies()
    add(metrics.POLICIES_IN_FORCE, len(policies.in_force))
    add(metrics.POLICY_PROBLEMS, len(policies.problems))
    add(metrics.POLICY_CHANGES_PENDING, len(policies.pending))
    for job in state.jobs():
        add(metrics.JOB_LAST_SUCCESS, job.last_success_s, job.name)
        add(metrics.JOB_LAST_DURATION, job.last_duration_s, job.name)
        add(metrics.JOB_RUNS, job.runs, job.name)
        add(metrics.JOB_FAILURES, job.failures, job.name)
    for source in state.sources():
        add(metrics.SOURCE_UP, source.up, source.name)
        add(metrics.SOURCE_NEWEST_OBSERVATION, source.newest_observation_s, source.name)
    add(metrics.ARCHIVE_BYTES, state.archive_bytes())
    replica = state.replica()
    families.add_states(metrics.REPLICA_ROLE, ReplicaRole, [replica.role])
    add(metrics.REPLICA_INFO, 1, replica.name, replica.leader or "")
    add(metrics.REPLICA_TERM, replica.term)
    add(metrics.REPLICA_COPIED_TIMESTAMP, replica.copied_at_s)
    keda = state.keda_stats()
    add(metrics.KEDA_UP, keda.alive)
    add(metrics.KEDA_BOOK_AGE, keda.book_age_s)
    add(metrics.KEDA_BOOK_FLEETS, keda.book_fleets)
    add(metrics.KEDA_ANSWERS, keda.answers - keda.alone, "planned")
    add(metrics.KEDA_ANSWERS, keda.alone, "alone")
    add(metrics.KEDA_ANSWERS, keda.refused, "refused")


def _add_fleets(families: _Families, state: StateReader) -> None:
    now_s = state.now_s()
    # By name, so that the same fleets are shown at each scrape.
    fleets = sorted(state.fleets(), key=lambda fleet: fleet.key)
    for rank, fleet in enumerate(fleets):
        _add_fleet(families, fleet, now_s)
        plan = state.plan(fleet.key)
        if plan is not None:
            _add_plan(families, plan)
        _add_scores(families, fleet.key, state)
        retirement = state.retirement(fleet.key)
        if retirement is not None:
            _add_retirement(families, fleet.key, retirement)
        if rank < MOST_FORECAST_FLEETS:
            _add_forecast(families, fleet, state.forecast(fleet.key), now_s)
    families.add(metrics.FORECAST_FLEETS_LEFT_OUT, max(0, len(fleets) - MOST_FORECAST_FLEETS))


def _add_fleet(families: _Families, fleet: FleetStatus, now_s: float) -> None:
    add, key = families.add, (fleet.key.namespace, fleet.key.name)
    tenant = fleet.tenants[0] if len(fleet.tenants) == 1 else ""
    add(metrics.FLEET_INFO, 1, *key, fleet.policy, fleet.pool or "", tenant)
    add(metrics.FLEET_NEED, fleet.need, *key)
    add(metrics.FLEET_ANSWER, fleet.answer, *key)
    add(metrics.FLEET_MEASURED, fleet.measured_pods, *key)
    if fleet.peak is not None:
        add(metrics.FLEET_PEAK, fleet.peak.need, *key)
        add(metrics.FLEET_PEAK_TIMESTAMP, fleet.peak.at_s, *key)
        add(metrics.FLEET_UNMET_PEAK, fleet.peak.unmet, *key)
    for pod_state in PodState:
        add(metrics.FLEET_PODS, fleet.pods.get(pod_state, 0), *key, pod_state.value)
    add(metrics.FLEET_SPEC_REPLICAS, fleet.spec_replicas, *key)
    add(metrics.FLEET_STATUS_REPLICAS, fleet.status_replicas, *key)
    if fleet.spec is not None:
        add(metrics.FLEET_MINIMUM, fleet.spec.min_pods, *key)
        add(metrics.FLEET_MAXIMUM, fleet.spec.max_pods, *key)
        families.add_states(metrics.FLEET_MODE, Mode, [fleet.spec.mode], *key)
    families.add_states(metrics.FLEET_EFFECTIVE_MODE, Mode, [fleet.effective_mode], *key)
    families.add_states(metrics.FLEET_TRUST, Trust, [fleet.trust], *key)
    add(metrics.FLEET_HELD, fleet.held is not None, *key)
    add(metrics.FLEET_FAULT, fleet.fault is not None, *key)
    add(metrics.FLEET_UNCONFIRMED, fleet.pending is not None, *key)
    add(metrics.LEAD, fleet.lead_s, *key)
    add(metrics.OBSERVED_TIMESTAMP, _before(now_s, fleet.observed_age_s), *key)
    add(metrics.FORECAST_ISSUED, _before(now_s, fleet.issue_age_s), *key)
    add(metrics.NEWEST_OBSERVATION, _before(now_s, fleet.data_age_s), *key)
    add(metrics.LOAD_CHANNELS, fleet.load_now.get(Measure.CHANNELS), *key)
    add(metrics.LOAD_CALL_RATE, fleet.load_now.get(Measure.CALL_RATE), *key)


def _add_plan(families: _Families, plan: Plan) -> None:
    key, explanation = (plan.fleet.namespace, plan.fleet.name), plan.explanation
    families.add(metrics.FLEET_ALONE, plan.alone, *key)
    # Only the parts that there are: with all of them, thousands of fleets would be mostly zeros.
    pods: Counter[Part] = Counter()
    for step in explanation.contributions:
        pods[step.part] += step.pods
    for part, moved in pods.items():
        families.add(metrics.FLEET_CONTRIBUTION, moved, *key, part.value)
    families.add(metrics.FLEET_BINDING, 1, *key, explanation.binding.value)


def _add_retirement(families: _Families, fleet: FleetKey, retirement: FleetRetirement) -> None:
    key = (fleet.namespace, fleet.name)
    # Only those that hold: a reason that nobody has heard of yet is a new series, never a wrong one.
    for reason in dict.fromkeys(reason for reason, _ in retirement.standstills):
        families.add(metrics.FLEET_STANDSTILL, 1, *key, reason)
    for condition in dict.fromkeys(condition for condition, _ in retirement.conditions):
        families.add(metrics.FLEET_RETIREMENT_CONDITION, 1, *key, condition)
    families.add(metrics.FLEET_UNPROVED, retirement.unproved, *key)
    began = [pod.since_s for pod in retirement.pods if pod.since_s is not None]
    families.add(metrics.FLEET_DRAIN_BEGAN, min(began, default=None), *key)


def _add_scores(families: _Families, fleet: FleetKey, state: StateReader) -> None:
    for measure, by_model in state.scores(fleet).items():
        for model, scores in by_model.items():
            labels = (fleet.namespace, fleet.name, measure.value, model)
            families.add(metrics.BACKTEST_WAPE, _known(scores.wape), *labels)
            families.add(metrics.BACKTEST_PINBALL, _known(scores.pinball95), *labels)
            families.add(metrics.BACKTEST_COVERAGE, _known(scores.coverage95), *labels)
    for measure, quality in state.quality(fleet).items():
        for live in quality.live:
            labels = (fleet.namespace, fleet.name, measure.value, live.lead)
            families.add(metrics.LIVE_WAPE, _known(live.wape), *labels)
            families.add(metrics.LIVE_NAIVE_WAPE, _known(live.naive_wape), *labels)
            families.add(metrics.LIVE_PINBALL, _known(live.pinball95), *labels)
            families.add(metrics.LIVE_COVERAGE, _known(live.coverage95), *labels)
            families.add(metrics.LIVE_BIAS, _known(live.bias), *labels)


def _known(value: float) -> float | None:
    return value if np.isfinite(value) else None


def _add_forecast(
    families: _Families, fleet: FleetStatus, forecasts: Mapping[Measure, MeasureForecast], now_s: float
) -> None:
    metric_of = {Measure.CHANNELS: metrics.FORECAST_CHANNELS, Measure.CALL_RATE: metrics.FORECAST_CALL_RATE}
    for measure, forecast in forecasts.items():
        for horizon, ahead_s in metrics.HORIZONS_S.items():
            slot = forecast.grid.index_of(now_s + ahead_s)
            if not 0 <= slot < forecast.grid.slots:
                continue
            for quantile, value in zip(forecast.quantiles, forecast.values[slot].tolist(), strict=True):
                families.add(
                    metric_of[measure], _known(value), fleet.key.namespace, fleet.key.name, f"{quantile:g}", horizon
                )
