"""The datasets while the service runs: brought up to date, forecast, measured now. Each failure stays its own.

A dataset whose source is dead keeps its last forecast, whose issue age grows; the others go on. Nothing here decides
what missing data mean: it only says what is known and how old it is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable, Mapping
from dataclasses import dataclass, replace

import structlog

from forecasting.backtest import BacktestResult
from forecasting.errors import SourceError
from forecasting.grid import floor_to_step
from forecasting.ingest import IngestReport
from forecasting.sources.protocol import CurrentLoad, HistorySource
from scaler.clock import Clock
from scaler.service import worker
from scaler.service.datasets import Dataset, DatasetUse
from scaler.service.pool import WorkerPool
from scaler.service.worker import ForecastRequest, Forecasts, HistoryRequest, SourceOpener

_log = structlog.get_logger("histories")

LATE_SAMPLES_S = 10
"""A slot is read this long after its end, since scrapes and rules come late."""

SCORE_EVERY_S = 86400


@dataclass(frozen=True, slots=True, eq=False)
class DatasetState:
    """What is known of one dataset. Times are epoch seconds of the plan's clock, 0 for never."""

    use: DatasetUse
    read_until_s: int = 0
    forecast_until_s: int = 0
    forecast_members: frozenset[str] = frozenset()
    report: IngestReport | None = None
    forecasts: Forecasts | None = None
    scored_until_s: int = 0
    scores: BacktestResult | None = None
    current: CurrentLoad | None = None
    read_problem: str | None = None
    measure_problem: str | None = None


class Histories:
    """Every dataset that the policies in force ask for."""

    def __init__(self, clock: Clock, pool: WorkerPool, archive_url: str, opener: SourceOpener) -> None:
        self._clock = clock
        self._pool = pool
        self._archive_url = archive_url
        self._opener = opener
        self._states: dict[Dataset, DatasetState] = {}
        self._sources: dict[str, HistorySource] = {}

    def use(self, uses: Mapping[Dataset, DatasetUse]) -> None:
        """Take over what the policies ask for now; what is known of a dataset stays."""
        self._states = {
            dataset: replace(self._states[dataset], use=use) if dataset in self._states else DatasetState(use)
            for dataset, use in uses.items()
        }

    def states(self) -> Mapping[Dataset, DatasetState]:
        """What is known of each dataset."""
        return self._states

    def _update(self, dataset: Dataset, **changes: object) -> None:
        # The dataset may have gone while its task ran.
        if dataset in self._states:
            self._states[dataset] = replace(self._states[dataset], **changes)  # type: ignore[arg-type]  # by name

    def _request(self, use: DatasetUse) -> HistoryRequest:
        return HistoryRequest(use.dataset, use.look_back_s, self._archive_url, self._opener)

    async def catch_up(self) -> None:
        """Read every dataset that has a finished slot which was not read yet.

        Raises:
            SourceError: at least one source did not answer; the others were read.
        """
        await _all_or_their_problems(self._catch_up_one(dataset) for dataset in list(self._states))

    async def _catch_up_one(self, dataset: Dataset) -> str | None:
        state = self._states[dataset]
        until_s = floor_to_step(self._clock.now_s() - LATE_SAMPLES_S, dataset.step_s)
        if until_s <= state.read_until_s:
            return None
        try:
            report = await self._pool.run(dataset.name, worker.catch_up, self._request(state.use), until_s)
        except SourceError as error:
            self._update(dataset, read_problem=str(error))
            return f"{dataset.source}: {error}"
        self._update(dataset, report=report, read_until_s=until_s, read_problem=None)
        return None

    async def forecast(self) -> None:
        """Forecast every dataset that has been read further, or whose fleets changed, since its last forecast.

        A dataset that was never forecast is forecast from the archive even while its source is dead.
        """
        await asyncio.gather(*(self._forecast_one(dataset) for dataset in list(self._states)))

    async def _forecast_one(self, dataset: Dataset) -> None:
        state = self._states[dataset]
        members = frozenset(f"{key}={tenants}" for key, tenants in state.use.members.items())
        unread = state.read_until_s == 0
        if unread and (state.forecasts is not None or state.read_problem is None):
            return
        if not unread and state.read_until_s <= state.forecast_until_s and members == state.forecast_members:
            return
        until_s = state.read_until_s or floor_to_step(self._clock.now_s(), dataset.step_s)
        request = self._forecast_request(state.use)
        forecasts = await self._pool.run(dataset.name, worker.forecast, request, until_s)
        self._update(dataset, forecasts=forecasts, forecast_until_s=state.read_until_s, forecast_members=members)

    async def score(self) -> None:
        """Backtest every dataset that was not scored within a day.

        Raises:
            ForecastingError: the history is too short for it.
        """
        for dataset, state in list(self._states.items()):
            if state.read_until_s == 0 or state.read_until_s - state.scored_until_s < SCORE_EVERY_S:
                continue
            request = self._forecast_request(state.use)
            scores = await self._pool.run(dataset.name, worker.score, request, state.read_until_s)
            self._update(dataset, scores=scores, scored_until_s=state.read_until_s)

    def _forecast_request(self, use: DatasetUse) -> ForecastRequest:
        return ForecastRequest(
            self._request(use),
            use.horizon_s,
            {str(key): tenants for key, tenants in use.members.items()},
            {str(key): calendar for key, calendar in use.calendars.items()},
            use.tenant_calendars(),
        )

    async def measure(self) -> None:
        """Measure the load of every dataset now, all at once.

        Raises:
            SourceError: at least one source did not answer; its last measurement stays and grows old.
        """
        await _all_or_their_problems(self._measure_one(dataset) for dataset in list(self._states))

    async def _measure_one(self, dataset: Dataset) -> str | None:
        try:
            source = self._source(dataset.source)
            current = await asyncio.to_thread(source.current, dataset.query, self._clock.now_s())
        except SourceError as error:
            self._update(dataset, measure_problem=str(error))
            return f"{dataset.source}: {error}"
        self._update(dataset, current=current, measure_problem=None)
        return None

    def _source(self, name: str) -> HistorySource:
        if name not in self._sources:
            self._sources[name] = self._opener.open(name)
        return self._sources[name]

    def close(self) -> None:
        """Give back the sources' connections."""
        for source in self._sources.values():
            source.close()
        self._sources.clear()


async def _all_or_their_problems(tasks: Iterable[Coroutine[None, None, str | None]]) -> None:
    problems = [problem for problem in await asyncio.gather(*tasks) if problem]
    if problems:
        raise SourceError("; ".join(dict.fromkeys(problems)))
