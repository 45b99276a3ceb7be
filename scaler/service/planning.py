"""The planning step: every fleet planned from what is known now, and the answers written for KEDA.

It runs every few seconds and reads only memory. What it publishes is replaced whole, so that the page never sees half
of a step.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial

import structlog

from forecasting.forecast import QuantileForecast
from forecasting.load import Measure
from scaler.clock import Clock
from scaler.core.book_entries import to_book_entries
from scaler.core.confirm import moved_share, while_unconfirmed
from scaler.core.fleet_forecast import FleetForecast, fleet_forecasts
from scaler.core.fleets import FleetKey, FleetObservation, PodState
from scaler.core.inputs import LastPlan, Measurement, PlanInputs
from scaler.core.lead import Lead, fleet_lead
from scaler.core.need import PLAN_STEP_S
from scaler.core.plan import Plan
from scaler.core.planner import PlanRound, plan_fleets
from scaler.errors import CalltideError, StateError
from scaler.fleet.protocol import FleetAdapter, FleetsSeen
from scaler.policy.model import PolicySpec
from scaler.policy.store import PolicyStore
from scaler.service.answers import Answers
from scaler.service.datasets import Dataset, DatasetUse, dataset_uses, datasets_of
from scaler.service.histories import Histories
from scaler.service.loads import FleetLoad, fleet_load
from scaler.service.plan_keeper import PlanKeeper
from scaler.service.recorder import FleetRecord, Recorder
from scaler.service.roster import RosterEntry, make_roster

_log = structlog.get_logger("planning")

PLAN_EVERY_S = PLAN_STEP_S


@dataclass(frozen=True, slots=True)
class SizedFleet:
    """One fleet after a planning step: who it is, the spec in force, what it carries, its lead, its plan.

    Without a plan it has a fault. The spec in force may differ from the roster's while a change waits.
    """

    entry: RosterEntry
    spec: PolicySpec | None = None
    loads: Mapping[Measure, FleetLoad] = field(default_factory=dict)
    lead: Lead | None = None
    plan: Plan | None = None


@dataclass(frozen=True, slots=True, eq=False)
class _Ready:
    """A fleet with everything that its plan is made from."""

    entry: RosterEntry
    spec: PolicySpec
    loads: Mapping[Measure, FleetLoad]
    lead: Lead
    forecast: FleetForecast | None


class Planning:
    """Plans all fleets, and publishes the result as answers, records and what the page shows."""

    def __init__(
        self,
        *,
        clock: Clock,
        adapter: FleetAdapter,
        policies: PolicyStore,
        histories: Histories,
        recorder: Recorder,
        plan_book: PlanKeeper,
        answers: Answers,
        launch_budget_pods: int | None,
    ) -> None:
        self._clock = clock
        self._adapter = adapter
        self._policies = policies
        self._histories = histories
        self._recorder = recorder
        self._plan_book = plan_book
        self._answers = answers
        self._launch_budget_pods = launch_budget_pods
        self._fleets: Mapping[FleetKey, SizedFleet] = {}
        self._seen_whole = False
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="planning")
        self._term: int | None = None

    def fleets(self) -> Mapping[FleetKey, SizedFleet]:
        """Every fleet after the last step."""
        return self._fleets

    async def follow(self) -> None:
        """Know who is there and which histories they want, and plan nothing: another replica leads.

        Raises:
            CalltideError: nothing has been seen of the fleets yet.
        """
        seen = self._seen()
        run = partial(asyncio.get_running_loop().run_in_executor, self._thread)
        _, _, uses = await run(self._prepare, seen.fleets, self._last_in_force)
        self._histories.use(uses)
        # Whoever leads again holds what others asked for until it has measured, and goes by no load of before.
        self._histories.forget_measurements()
        self._term, self._fleets = None, {}

    async def step(self, term: int) -> None:
        """Plan all fleets once and publish the result, as the leader of this term.

        Raises:
            CalltideError: nothing has been seen of the fleets yet, or the answers could not be written.
            NotLeadingError: the term was over before the answers could be written.
            StateError: the plan book could not be written. The answers were.
        """
        async with self._answers.turn:
            await self._step(term)

    async def _step(self, term: int) -> None:
        seen = self._seen()
        if term != self._term:
            # Others may have led meanwhile: the plan book knows what they asked for last, our own plans do not.
            self._term, self._fleets = term, {}
        # A thread of its own: whatever else waits in threads must not hold up a plan.
        run = partial(asyncio.get_running_loop().run_in_executor, self._thread)
        roster, in_force, uses = await run(self._prepare, seen.fleets, self._in_force)
        self._histories.use(uses)
        fleets = await run(self._plan, roster, in_force, term)
        self._recorder.keep_only(roster)
        if seen.complete:
            self._policies.forget_all_but({str(key) for key in roster})
        self._record(fleets.values())
        self._fleets = fleets
        if self._plan_book.problem is not None:
            raise StateError(self._plan_book.problem)

    def _seen(self) -> FleetsSeen:
        seen = self._adapter.seen()
        self._seen_whole = self._seen_whole or seen.complete
        if not self._seen_whole:
            # A book made from half a list would take away answers of the run before, which still hold.
            raise CalltideError(seen.problem or "the fleets have not been seen yet")
        return seen

    def _in_force(self, fleet: FleetObservation, spec: PolicySpec) -> PolicySpec:
        return self._policies.in_force(str(fleet.key), fleet.policy, spec)

    def _last_in_force(self, fleet: FleetObservation, spec: PolicySpec) -> PolicySpec:
        return self._policies.last_in_force(str(fleet.key), spec)

    def _prepare(
        self, seen: Mapping[FleetKey, FleetObservation], choose: Callable[[FleetObservation, PolicySpec], PolicySpec]
    ) -> tuple[Mapping[FleetKey, RosterEntry], Mapping[FleetKey, PolicySpec], Mapping[Dataset, DatasetUse]]:
        """Who is there, what is in force for each, and the datasets to read for both that and what waits."""
        roster = make_roster(seen.values(), self._policies.book)
        specs = {key: entry.spec for key, entry in roster.items() if entry.spec is not None}
        in_force = {key: choose(roster[key].observation, spec) for key, spec in specs.items()}
        uses = dataset_uses((key, roster[key].tenants, spec) for key, spec in in_force.items())
        changed = ((key, roster[key].tenants, spec) for key, spec in specs.items() if spec != in_force[key])
        # Another history has to be read before anybody can say what it would change.
        return roster, in_force, {**dataset_uses(changed), **uses}

    def _plan(
        self, roster: Mapping[FleetKey, RosterEntry], in_force: Mapping[FleetKey, PolicySpec], term: int
    ) -> Mapping[FleetKey, SizedFleet]:
        now_s = self._clock.now_s()
        ready = self._gather(roster, in_force, now_s)
        done = self._round(ready, now_s, self._launch_budget_pods)
        plans = self._while_unconfirmed(roster, ready, done.plans, now_s)
        self._publish(plans, roster, now_s, term)
        return {
            key: SizedFleet(entry.with_fault(done.faults[key]) if key in done.faults else entry)
            if key not in plans
            else SizedFleet(entry, ready[key].spec, ready[key].loads, ready[key].lead, plans[key])
            for key, entry in roster.items()
        }

    def _gather(
        self, roster: Mapping[FleetKey, RosterEntry], in_force: Mapping[FleetKey, PolicySpec], now_s: float
    ) -> dict[FleetKey, _Ready]:
        forecasts = self._forecasts(in_force)
        leads = self._adapter.pod_leads_s()
        states = self._histories.states()
        ready: dict[FleetKey, _Ready] = {}
        for key, spec in in_force.items():
            loads = {
                measure: fleet_load(states[dataset], roster[key].tenants, now_s)
                for measure, dataset in datasets_of(spec.history).items()
                if dataset in states
            }
            interval_s = roster[key].observation.polling_interval_s
            lead = fleet_lead(spec.lead, leads.get(key, ()), polling_interval_s=interval_s)
            ready[key] = _Ready(roster[key], spec, loads, lead, forecasts.get(str(key)))
        return ready

    def _forecasts(self, in_force: Mapping[FleetKey, PolicySpec]) -> dict[str, FleetForecast]:
        """Every fleet's forecast. Fleets that read the same datasets are looked up together."""
        groups: dict[tuple[int, ...], tuple[list[QuantileForecast], dict[str, float]]] = {}
        states = self._histories.states()
        for key, spec in in_force.items():
            made = [
                state.forecasts.fleets
                for dataset in datasets_of(spec.history).values()
                if (state := states.get(dataset)) is not None and state.forecasts is not None
            ]
            group = groups.setdefault(tuple(map(id, made)), (made, {}))
            group[1][str(key)] = spec.forecast.quantile
        found: dict[str, FleetForecast] = {}
        for made, quantiles in groups.values():
            try:
                found.update(fleet_forecasts(made, quantiles))
            except CalltideError as error:
                # Two measures whose forecasts have drifted apart: the plan book answers until both are issued again.
                _log.warning("forecasts cannot be joined", reason=str(error), fleets=sorted(quantiles))
        return found

    def _round(self, ready: Mapping[FleetKey, _Ready], now_s: float, launch_budget_pods: int | None) -> PlanRound:
        return plan_fleets([self._inputs(key, fleet, now_s) for key, fleet in ready.items()], launch_budget_pods)

    def _inputs(self, key: FleetKey, fleet: _Ready, now_s: float) -> PlanInputs:
        before, book = self._fleets.get(key), self._plan_book.book
        measured = {
            measure: Measurement(load.value, load.age_s)
            for measure, load in fleet.loads.items()
            if load.value is not None and load.age_s is not None
        }
        return PlanInputs(
            now_s=now_s,
            policy=fleet.spec,
            observation=fleet.entry.observation,
            lead=fleet.lead,
            measured=measured,
            forecast=fleet.forecast,
            last=LastPlan.of(before.plan) if before and before.plan else book.last_plan(key),
            book_need=book.need_at(key, now_s),
        )

    def _while_unconfirmed(
        self,
        roster: Mapping[FleetKey, RosterEntry],
        ready: Mapping[FleetKey, _Ready],
        plans: Mapping[FleetKey, Plan],
        now_s: float,
    ) -> Mapping[FleetKey, Plan]:
        """Weigh every policy change that is not in force by what it would do to the fleet's need, and explain it."""
        changed = {key: spec for key in plans if (spec := roster[key].spec) is not None and spec != ready[key].spec}
        if not changed:
            return plans
        # Both without the launch budget: it would make the old policy look smaller than it is.
        changed = {key: spec for key, spec in changed.items() if self._is_known(spec)}
        old = self._round({key: ready[key] for key in changed}, now_s, None).plans
        new = self._round(self._gather(roster, changed, now_s), now_s, None).plans
        explained = dict(plans)
        for key, candidate in changed.items():
            if key not in old or key not in new:
                continue
            share = moved_share(old[key], new[key])
            if self._policies.settle(str(key), roster[key].observation.policy, candidate, share) != candidate:
                explained[key] = while_unconfirmed(plans[key], new[key])
        return explained

    def _is_known(self, spec: PolicySpec) -> bool:
        """Whether every dataset that a spec asks for has been forecast and measured."""
        states = self._histories.states()
        found = [states.get(dataset) for dataset in datasets_of(spec.history).values()]
        return all(one is not None and one.forecasts is not None and one.current is not None for one in found)

    def _publish(
        self, plans: Mapping[FleetKey, Plan], roster: Mapping[FleetKey, RosterEntry], now_s: float, term: int
    ) -> None:
        observations = {key: roster[key].observation for key in plans}
        plan_book = self._plan_book.with_plans(plans.values())
        entries = to_book_entries(plans.values(), observations, plan_book)
        self._answers.publish(term, time.time(), now_s, self._clock.speed, entries)
        self._plan_book.take(plan_book)
        # Last, and no reason to withhold an answer: the book is for worse days.
        self._plan_book.write_if_due()

    def _record(self, fleets: Iterable[SizedFleet]) -> None:
        now_s = self._clock.now_s()
        for fleet in fleets:
            if fleet.plan is None:
                continue
            seen = fleet.entry.observation
            loads = {measure: load.value for measure, load in fleet.loads.items()}
            self._recorder.add(
                seen.key,
                FleetRecord(
                    now_s,
                    fleet.plan.need,
                    fleet.plan.answer,
                    seen.count(PodState.SERVING),
                    seen.status_replicas,
                    loads.get(Measure.CHANNELS),
                    loads.get(Measure.CALL_RATE),
                ),
            )
