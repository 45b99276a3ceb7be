"""The JSON API under `/api/v1`: everything that the page shows, for programs."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from scaler.core.fleets import FleetKey
from scaler.core.plan import Plan
from scaler.errors import CalltideError
from scaler.retirement.audit import ELSEWHERE, in_namespace
from scaler.web import evidence, models, quality, ranges, retirement, views
from scaler.web.problems import ProblemError, not_found, responses
from scaler.web.state import FleetStatus, StateReader
from scaler.web.urgency import rank, ranked

_DAY_S = 86400

Name = Annotated[str, Path(min_length=1, max_length=253)]
_FOLLOWS = responses(HTTPStatus.SERVICE_UNAVAILABLE)
_MISSING = responses(HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.SERVICE_UNAVAILABLE)
_INVALID = responses(HTTPStatus.UNPROCESSABLE_ENTITY)


class FleetsQuery(BaseModel):
    """Which fleets."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    limit: int = Field(500, ge=1, le=1000)
    """How many at most, the most urgent first."""
    offset: int = Field(0, ge=0, le=1_000_000)
    """How many of the most urgent to leave out: the start of the next page."""
    search: str = Field("", max_length=253)
    """Only fleets whose namespace, name, policy, pool or tenant contains this text."""


class EvidenceQuery(BaseModel):
    """Which of the pods of a name."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    namespace: str = Field("", max_length=253)
    """Only pods of this namespace."""


def api_router(state: StateReader) -> APIRouter:
    """All endpoints. They run on the event loop, so that what they read cannot change under them; but for the log."""
    router = APIRouter(prefix="/api/v1", tags=["calltide"])
    _add_fleets(router, state)
    _add_one_fleet(router, state)
    _add_evidence(router, state)
    _add_policies(router, state)
    _add_service(router, state)
    return router


def _add_fleets(router: APIRouter, state: StateReader) -> None:
    @router.get("/fleets", responses=_FOLLOWS | _INVALID)
    async def fleets(asked: Annotated[FleetsQuery, Query()]) -> models.Fleets:
        """Fleets, the most urgent first."""
        _not_on_a_follower(state)
        now_s, text = state.now_s(), asked.search.casefold()
        found = ranked(fleet for fleet in state.fleets() if _matches(fleet, text))
        page = found[asked.offset : asked.offset + asked.limit]
        shown = [views.fleet_answer(entry, state.plan(entry.fleet.key), now_s) for entry in page]
        return models.Fleets(now_s=now_s, total=len(found), fleets=shown)


def _matches(fleet: FleetStatus, text: str) -> bool:
    named = (str(fleet.key), fleet.policy, fleet.pool or "", *fleet.tenants)
    return not text or any(text in name.casefold() for name in named)


def _add_one_fleet(router: APIRouter, state: StateReader) -> None:
    path = "/fleets/{namespace}/{name}"

    @router.get(path, responses=_MISSING)
    async def fleet(namespace: Name, name: Name) -> models.FleetDetail:
        """One fleet with its pods and what it is sized by."""
        found = _fleet(state, namespace, name)
        return views.fleet_detail(rank(found), state.plan(found.key), state.observation(found.key), state.now_s())

    @router.get(path + "/forecast", responses=_MISSING)
    async def forecast(namespace: Name, name: Name, asked: Annotated[ranges.ForecastQuery, Query()]) -> models.Forecast:
        """What is to come: quantile paths from `from` (now) to `to` (the forecast's end)."""
        key, now_s = _fleet(state, namespace, name).key, state.now_s()
        measures = {
            measure.value: ranges.forecast_answer(made, asked, now_s) for measure, made in state.forecast(key).items()
        }
        return models.Forecast(now_s=now_s, measures=measures)

    @router.get(path + "/scores", responses=_MISSING)
    async def scores(namespace: Name, name: Name) -> models.FleetScores:
        """How the forecasts of the newest week would have done, per measure and model: the last daily backtest."""
        key = _fleet(state, namespace, name).key
        return models.FleetScores(
            now_s=state.now_s(),
            measures={
                measure.value: {model: views.scores_answer(one) for model, one in by_model.items()}
                for measure, by_model in state.scores(key).items()
            },
        )

    @router.get(path + "/quality", responses=_MISSING)
    async def fleet_quality(namespace: Name, name: Name) -> quality.FleetQuality:
        """What the fleet's forecasts are made of, how far they are trusted, and how those that were published did."""
        known = state.quality(_fleet(state, namespace, name).key)
        measures = {measure.value: quality.quality_answer(one) for measure, one in known.items()}
        return quality.FleetQuality(now_s=state.now_s(), measures=measures)

    @router.get(path + "/retirement", responses=_MISSING)
    async def fleet_retirement(namespace: Name, name: Name) -> retirement.Retirement:
        """Which pods leave, what they wait for, and why nothing may leave."""
        key = _fleet(state, namespace, name).key
        return retirement.retirement_answer(state.retirement(key), state.now_s())

    @router.get(path + "/plan", responses=_MISSING)
    async def plan(namespace: Name, name: Name) -> models.PlanAnswer:
        """The need per slot."""
        return views.plan_answer(_plan(state, namespace, name), state.now_s())

    @router.get(path + "/explanation", responses=_MISSING)
    async def explanation(namespace: Name, name: Name) -> models.ExplanationAnswer:
        """Why the fleet gets its number, as a sum and in words."""
        return views.explanation_answer(_plan(state, namespace, name), state.now_s())

    @router.get(path + "/history", responses=_MISSING)
    async def history(namespace: Name, name: Name, asked: Annotated[ranges.TimeRange, Query()]) -> models.History:
        """The load that was measured and the pods that stood, from `from` (24 hours ago) to `to` (now)."""
        key, now_s = _fleet(state, namespace, name).key, state.now_s()
        start_s, end_s = ranges.resolve(asked, now_s - _DAY_S, now_s)
        past = state.history(key)
        if past is None:
            nothing = models.Recorded(at_s=[], need=[], answer=[], ready=[])
            return models.History(now_s=now_s, measures={}, recorded=nothing)
        grid, where = ranges.cut(past.grid, start_s, end_s)
        measures = {
            measure.value: models.LoadPath(
                start_s=grid.start_s, step_s=grid.step_s, values=views.numbers(values[where])
            )
            for measure, values in past.load.items()
        }
        recorded = ranges.recorded_answer(past.recorded, start_s, end_s)
        return models.History(now_s=now_s, measures=measures, recorded=recorded)


def _add_evidence(router: APIRouter, state: StateReader) -> None:
    # A log may go back for years. One question is answered after the other, in a thread: plans go first.
    one_at_a_time = asyncio.Lock()

    @router.get("/evidence/{pod}", responses=_MISSING | responses(HTTPStatus.INTERNAL_SERVER_ERROR))
    async def pod_evidence(pod: Name, asked: Annotated[EvidenceQuery, Query()]) -> evidence.Evidence:
        """Every write of retirement about a pod, by name or UID, and on what ground it was released."""
        try:
            async with one_at_a_time:
                found = in_namespace(await asyncio.to_thread(state.evidence, pod), asked.namespace)
        except CalltideError as unreadable:
            remedy = "Restore the file from a copy, or take the line out."
            raise ProblemError(HTTPStatus.INTERNAL_SERVER_ERROR, str(unreadable), None, remedy) from unreadable
        if not found:
            _not_on_a_follower(state)
            raise ProblemError(
                HTTPStatus.NOT_FOUND, f"Nothing was written about the pod {pod!r} here.", "pod", ELSEWHERE
            )
        return evidence.evidence_answer(pod, found, state.now_s())


def _not_on_a_follower(state: StateReader) -> None:
    replica = state.replica()
    if not replica.follows:
        return
    if replica.leader is None:
        error = f"No replica of calltide leads now, and this one ({replica.name}) plans nothing."
        remedy = "Ask again in some seconds. /api/v1/status says what hinders; KEDA gets the last answers meanwhile."
    else:
        error = f"This replica ({replica.name}) follows {replica.leader}, and answers KEDA as that one does."
        remedy = f"Fleets and explanations are on the leader's page: kubectl port-forward pod/{replica.leader} 8080"
    raise ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, error, None, remedy)


def _fleet(state: StateReader, namespace: str, name: str) -> FleetStatus:
    _not_on_a_follower(state)
    found = state.fleet(FleetKey(namespace, name))
    if found is None:
        known = sorted(str(fleet.key) for fleet in state.fleets())
        raise not_found("fleet", f"{namespace}/{name}", known, "name")
    return found


def _plan(state: StateReader, namespace: str, name: str) -> Plan:
    fleet = _fleet(state, namespace, name)
    plan = state.plan(fleet.key)
    if plan is None:
        remedy = fleet.fault or "Ask again in some seconds: the first plan is made as soon as the fleet was seen."
        raise ProblemError(HTTPStatus.NOT_FOUND, f"There is no plan for {fleet.key} yet.", None, remedy)
    return plan


def _add_policies(router: APIRouter, state: StateReader) -> None:
    @router.get("/policies")
    async def policies() -> models.Policies:
        """Policies in force, errors of a rejected directory, changes that wait to be confirmed."""
        return views.policies_answer(state)

    @router.get("/policies/{name}", responses=_MISSING)
    async def policy(name: Name) -> models.Policy:
        """One policy as it is in force, after inheritance."""
        in_force = state.policies().in_force
        found = in_force.get(name)
        if found is None:
            raise not_found("policy", name, sorted(in_force), "name")
        sized = sorted(str(fleet.key) for fleet in state.fleets() if fleet.policy == name)
        pools = {pool: list(tenants) for pool, tenants in found.pools.items()}
        return models.Policy(name=name, file=found.file, spec=found.spec, pools=pools, fleets=sized)


def _add_service(router: APIRouter, state: StateReader) -> None:
    @router.get("/jobs")
    async def jobs() -> models.Jobs:
        """The service's jobs: when each last succeeded, and what the last run failed with."""
        return models.Jobs(now_s=state.now_s(), jobs=[views.job_answer(job) for job in state.jobs()])

    @router.get("/status")
    async def status() -> models.Status:
        """The service at a glance."""
        return views.status_answer(state)
