"""The running service as the web layer reads it: the state of its parts, put into the words of `scaler.web.state`."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version

import numpy as np

from forecasting.forecast import Trust
from forecasting.grid import SlotGrid
from forecasting.load import Float32Array, Measure
from scaler.clock import Clock
from scaler.core.fleets import FleetKey, FleetObservation, PodState
from scaler.core.plan import Part, Plan
from scaler.policy.store import PolicyStore
from scaler.retirement.audit import AuditRecord
from scaler.service.answers import Answers
from scaler.service.datasets import datasets_of
from scaler.service.forecast_quality import quality_of
from scaler.service.histories import DatasetState, Histories
from scaler.service.jobs import Jobs
from scaler.service.planning import Planning, SizedFleet
from scaler.service.policy_status import pending_sentence, policies_status
from scaler.service.recorder import Recorder
from scaler.service.retiring.audit_log import AuditLog
from scaler.service.retiring.showing import retirement_of
from scaler.service.retiring.state import FleetRound
from scaler.service.surroundings import Surroundings
from scaler.web.state import (
    FleetHistory,
    FleetRetirement,
    FleetStatus,
    ForecastQuality,
    ForecastScores,
    JobStatus,
    KedaStats,
    MeasureForecast,
    PeakAhead,
    PoliciesStatus,
    RecordedPods,
    ReplicaStatus,
    SourceStatus,
)

PEAK_AHEAD_S = 24 * 3600


class ServiceReader:
    """Implements `scaler.web.state.StateReader` over the parts of the service."""

    def __init__(
        self,
        *,
        clock: Clock,
        demo: bool,
        planning: Planning,
        answers: Answers,
        replica: Callable[[], ReplicaStatus],
        histories: Histories,
        recorder: Recorder,
        policies: PolicyStore,
        jobs: Jobs,
        source_kinds: Mapping[str, str],
        surroundings: Surroundings,
        audit: AuditLog,
        rounds: Callable[[], Mapping[FleetKey, FleetRound]] = dict,
        stale_after_s: float = 30.0,
    ) -> None:
        self._clock = clock
        self._demo = demo
        self._planning = planning
        self._answers = answers
        self._replica = replica
        self._histories = histories
        self._recorder = recorder
        self._policies = policies
        self._jobs = jobs
        self._source_kinds = source_kinds
        self._surroundings = surroundings
        self._audit = audit
        self._rounds = rounds
        self._stale_after_s = stale_after_s
        self._started_s = clock.now_s()
        self._version = version("calltide")

    @property
    def version(self) -> str:
        """Calltide's version."""
        return self._version

    @property
    def started_s(self) -> float:
        """When the service started."""
        return self._started_s

    @property
    def demo(self) -> bool:
        """Whether calls and pods are simulated."""
        return self._demo

    @property
    def speed(self) -> float:
        """Seconds of the plan's clock per second of the wall clock."""
        return self._clock.speed

    def now_s(self) -> float:
        """Epoch seconds of the plan's clock."""
        return self._clock.now_s()

    def fleets(self) -> Sequence[FleetStatus]:
        """Every fleet on the roster."""
        return [self._status(fleet) for fleet in self._planning.fleets().values()]

    def fleet(self, key: FleetKey) -> FleetStatus | None:
        """One fleet of the roster."""
        fleet = self._planning.fleets().get(key)
        return self._status(fleet) if fleet else None

    def _status(self, fleet: SizedFleet) -> FleetStatus:
        now_s = self._clock.now_s()
        seen, plan = fleet.entry.observation, fleet.plan
        why = plan.explanation if plan else None
        return FleetStatus(
            key=seen.key,
            policy=seen.policy,
            tenants=fleet.entry.tenants,
            pool=seen.pool,
            spec=fleet.spec,
            effective_mode=why.effective_mode if why else None,
            trust=why.trust if why else Trust.COLD,
            trust_reason=why.trust_reason if why else "no plan yet",
            spec_replicas=seen.spec_replicas,
            status_replicas=seen.status_replicas,
            pods={state: count for state in PodState if (count := seen.count(state))},
            load_now={measure: load.value for measure, load in fleet.loads.items() if load.value is not None},
            measured_pods=plan.measured_pods if plan else None,
            need=plan.need if plan else None,
            answer=plan.answer if plan else None,
            peak=_peak_ahead(plan, now_s),
            lead_s=fleet.lead.seconds if fleet.lead else None,
            lead_is_measured=fleet.lead.measured if fleet.lead else False,
            issue_age_s=why.issue_age_s if why else None,
            data_age_s=why.data_age_s if why else None,
            observed_age_s=max(0.0, now_s - seen.observed_at_s),
            held=_held(fleet),
            fault=fleet.entry.fault,
            pending=pending_sentence(self._policies.pending(str(seen.key))),
            summary=why.summary if why else "",
        )

    def plan(self, key: FleetKey) -> Plan | None:
        """The fleet's last plan."""
        fleet = self._planning.fleets().get(key)
        return fleet.plan if fleet else None

    def observation(self, key: FleetKey) -> FleetObservation | None:
        """The fleet as it was last seen."""
        fleet = self._planning.fleets().get(key)
        return fleet.entry.observation if fleet else None

    def _datasets(self, key: FleetKey) -> dict[Measure, DatasetState]:
        fleet = self._planning.fleets().get(key)
        if fleet is None or fleet.spec is None:
            return {}
        states = self._histories.states()
        wanted = datasets_of(fleet.spec.history)
        return {measure: states[dataset] for measure, dataset in wanted.items() if dataset in states}

    def history(self, key: FleetKey) -> FleetHistory | None:
        """The fleet's past load and its recorded pods."""
        loads: dict[Measure, Float32Array] = {}
        grid: SlotGrid | None = None
        for measure, state in self._datasets(key).items():
            recent = state.forecasts.recent if state.forecasts else None
            if recent is not None and str(key) in recent.series and grid in (None, recent.grid):
                loads[measure] = recent.row(str(key))
                grid = recent.grid
        return None if grid is None else FleetHistory(grid, loads, self._recorded(key))

    def _recorded(self, key: FleetKey) -> RecordedPods:
        records = self._recorder.of(key)
        return RecordedPods(
            np.array([record.at_s for record in records], dtype=np.float64),
            np.array([record.need for record in records], dtype=np.float32),
            np.array([record.answer for record in records], dtype=np.float32),
            np.array([record.serving for record in records], dtype=np.float32),
        )

    def forecast(self, key: FleetKey) -> Mapping[Measure, MeasureForecast]:
        """The fleet's forecast per measure."""
        found: dict[Measure, MeasureForecast] = {}
        for measure, state in self._datasets(key).items():
            fleets = state.forecasts.fleets if state.forecasts else None
            if fleets is None or str(key) not in fleets.series:
                continue
            row = fleets.series.index(str(key))
            newest_s = float(fleets.newest_observation_s[row])
            found[measure] = MeasureForecast(
                fleets.grid,
                fleets.quantiles,
                fleets.values[row],
                fleets.issued_at_s,
                newest_s or None,
                fleets.trust[row],
                fleets.trust_reasons[row],
                fleets.model,
            )
        return found

    def policies(self) -> PoliciesStatus:
        """Policies in force and what is not."""
        return policies_status(self._policies)

    def jobs(self) -> Sequence[JobStatus]:
        """The service's jobs."""
        return self._jobs.status()

    def sources(self) -> Sequence[SourceStatus]:
        """The sources that the policies in force ask."""
        by_name: dict[str, list[DatasetState]] = {}
        for dataset, state in self._histories.states().items():
            by_name.setdefault(dataset.source, []).append(state)
        return [self._source_status(name, states) for name, states in sorted(by_name.items())]

    def _source_status(self, name: str, states: Sequence[DatasetState]) -> SourceStatus:
        problems = [problem for state in states for problem in (state.read_problem, state.measure_problem) if problem]
        newest = [
            float(state.forecasts.tenants.newest_observation_s.max(initial=0)) for state in states if state.forecasts
        ]
        return SourceStatus(
            name,
            self._source_kinds.get(name, "unknown"),
            not problems and any(state.report or state.current for state in states),
            problems[0] if problems else None,
            max(newest, default=0.0) or None,
        )

    def retirement(self, key: FleetKey) -> FleetRetirement | None:
        """Retirement of the fleet after its last round."""
        last = self._rounds().get(key)
        return None if last is None else retirement_of(last)

    def evidence(self, pod: str) -> list[AuditRecord]:
        """What this replica's audit log says of a pod."""
        return self._audit.of_pod(pod)

    def replica(self) -> ReplicaStatus:
        """What this calltide is among its replicas."""
        return self._replica()

    def keda_stats(self) -> KedaStats:
        """What the KEDA process last reported, and how old its book is."""
        book, said = self._answers.in_use, self._surroundings.keda
        book_age_s = None if book is None else max(0.0, time.time() - book.written_at_s)
        fleets = 0 if book is None else book.fleets
        if said is None:
            return KedaStats(False, book_age_s, fleets, stale_after_s=self._stale_after_s, has_book=False)
        return KedaStats(
            self._surroundings.keda_is_alive,
            book_age_s,
            fleets,
            said.answers_live + said.answers_alone,
            said.answers_alone,
            said.answers_refused,
            self._stale_after_s,
            said.book_written_at_s is not None,
        )

    def archive_bytes(self) -> int | None:
        """Size of the archive if it is a local folder."""
        return self._surroundings.archive_bytes

    def scores(self, key: FleetKey) -> Mapping[Measure, Mapping[str, ForecastScores]]:
        """The fleet's last daily backtest."""
        found: dict[Measure, Mapping[str, ForecastScores]] = {}
        for measure, state in self._datasets(key).items():
            if state.scores is None:
                continue
            found[measure] = {
                model: ForecastScores(
                    one.wape, one.pinball[0.95], one.coverage[0.95], one.first_hour_wape, state.scored_until_s
                )
                for model, scored in state.scores.models.items()
                if (one := scored.series.get(str(key))) is not None
            }
        return found

    def quality(self, key: FleetKey) -> Mapping[Measure, ForecastQuality]:
        """What the fleet's forecasts are made of and how they did."""
        return {
            measure: quality_of(state.forecasts, str(key))
            for measure, state in self._datasets(key).items()
            if state.forecasts is not None and str(key) in state.forecasts.fleets.series
        }


def _held(fleet: SizedFleet) -> str | None:
    """Why the answer is held, with what is missing of the load."""
    if fleet.plan is None:
        return None
    steps = fleet.plan.explanation.contributions
    why = next((step.sentence for step in steps if step.part is Part.HOLD), None)
    missing = [f"{measure.value}: {load.missing}." for measure, load in fleet.loads.items() if load.missing]
    return None if why is None else " ".join([why, *missing])


def _peak_ahead(plan: Plan | None, now_s: float) -> PeakAhead | None:
    if plan is None or not plan.grid.slots:
        return None
    first = min(max(0, plan.grid.index_of(now_s)), plan.grid.slots - 1)
    ahead = slice(first, first + max(1, PEAK_AHEAD_S // plan.grid.step_s))
    peak = first + int(np.argmax(plan.path[ahead]))
    unmet = 0 if plan.unmet is None else int(plan.unmet[ahead].max())
    return PeakAhead(int(plan.path[peak]), float(plan.grid.start_s + peak * plan.grid.step_s), unmet)
