"""The datasets while the service runs: brought up to date, forecast, measured now. Each failure stays its own.

Every dataset has a task of its own for each kind of work. A job waits for them for a moment and then lets those that
are slow go on by themselves, so that a source that hangs or a long backfill makes nobody else late. A dataset whose
source is dead keeps its last forecast, whose issue age grows. Nothing here decides what missing data mean: it only
says what is known and how old it is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from enum import StrEnum

from forecasting.backtest import BacktestResult
from forecasting.errors import ForecastingError
from forecasting.grid import floor_to_step
from forecasting.ingest import IngestReport
from forecasting.sources.protocol import CurrentLoad, HistorySource
from scaler.clock import Clock
from scaler.errors import CalltideError
from scaler.service import worker
from scaler.service.datasets import Dataset, DatasetUse
from scaler.service.pool import WorkerPool
from scaler.service.worker import ForecastRequest, Forecasts, HistoryRequest, SourceOpener

LATE_SAMPLES_S = 10
"""A slot is read this long after its end, since scrapes and rules come late."""

SCORE_EVERY_S = 86400

WAIT_S = 10.0
"""A job waits so many seconds of wall time for its datasets; those that take longer finish by themselves."""

THREADS_PER_SOURCE = 8
"""Datasets of one source that are measured at once. The threads are the source's own: one that hangs takes no more."""


class HistoriesError(CalltideError):
    """One or more datasets could not be read, forecast, scored or measured. The others were."""


class _Work(StrEnum):
    READ = "read"
    FORECAST = "forecast"
    SCORE = "score"
    MEASURE = "measure"


@dataclass(frozen=True, slots=True, eq=False)
class DatasetState:
    """What is known of one dataset. Times are epoch seconds of the plan's clock, 0 for never.

    The problems are those of the last attempt, None after one that went well.
    """

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
    forecast_problem: str | None = None
    score_problem: str | None = None
    measure_problem: str | None = None


@dataclass(frozen=True, slots=True)
class _OpenSource:
    source: HistorySource
    threads: ThreadPoolExecutor


class Histories:
    """Every dataset that the policies in force ask for.

    `may_archive` says whether the archive is ours to write now: one that replicas share has one writer.
    """

    def __init__(
        self,
        clock: Clock,
        pool: WorkerPool,
        archive_url: str,
        opener: SourceOpener,
        may_archive: Callable[[], bool] = lambda: True,
    ) -> None:
        self._clock = clock
        self._pool = pool
        self._archive_url = archive_url
        self._opener = opener
        self._may_archive = may_archive
        self._states: dict[Dataset, DatasetState] = {}
        self._sources: dict[str, _OpenSource] = {}
        self._tasks: dict[tuple[Dataset, _Work], asyncio.Task[str | None]] = {}

    def use(self, uses: Mapping[Dataset, DatasetUse]) -> None:
        """Take over what the policies ask for now; what is known of a dataset stays."""
        self._states = {
            dataset: replace(self._states[dataset], use=use) if dataset in self._states else DatasetState(use)
            for dataset, use in uses.items()
        }

    def states(self) -> Mapping[Dataset, DatasetState]:
        """What is known of each dataset."""
        return self._states

    def forget_measurements(self) -> None:
        """Know no load of now, while nobody measures here: what is old but not too old would pass for it later."""
        self._states = {dataset: replace(state, current=None) for dataset, state in self._states.items()}

    def _update(self, dataset: Dataset, **changes: object) -> None:
        # The dataset may have gone while its task ran.
        if dataset in self._states:
            self._states[dataset] = replace(self._states[dataset], **changes)  # type: ignore[arg-type]  # by name

    async def _each(self, work: _Work, one: Callable[[Dataset, DatasetState], Awaitable[None]]) -> None:
        """Do this work for every dataset, save those whose last such task still runs.

        Raises:
            HistoriesError: what failed since the last time, by dataset.
        """
        over = self._take_over(work)
        for dataset in list(self._states):
            if (dataset, work) not in self._tasks:
                self._tasks[dataset, work] = asyncio.create_task(self._guarded(work, dataset, one))
        if running := [task for (_, kind), task in self._tasks.items() if kind is work]:
            await asyncio.wait(running, timeout=WAIT_S)
        over += self._take_over(work)
        # A fault in the code ends no other dataset's task either; it is raised here as it is.
        problems = [problem for task in over if (problem := task.result())]
        if work is _Work.MEASURE:
            problems += self._note_unmeasured()
        if problems:
            raise HistoriesError("; ".join(problems))

    def _note_unmeasured(self) -> list[str]:
        # Reading or scoring may take long; a load that is not there yet is missing.
        late = [dataset for dataset, kind in self._tasks if kind is _Work.MEASURE and dataset in self._states]
        for dataset in late:
            self._update(dataset, measure_problem=f"no answer within {WAIT_S:g} s")
        return [f"{dataset.name}: no answer within {WAIT_S:g} s" for dataset in late]

    def _take_over(self, work: _Work) -> list[asyncio.Task[str | None]]:
        over = [name for name, task in self._tasks.items() if name[1] is work and task.done()]
        return [self._tasks.pop(name) for name in over]

    async def _guarded(
        self, work: _Work, dataset: Dataset, one: Callable[[Dataset, DatasetState], Awaitable[None]]
    ) -> str | None:
        state = self._states.get(dataset)
        if state is None:
            return None
        try:
            await one(dataset, state)
        except (CalltideError, ForecastingError) as error:
            self._update(dataset, **{f"{work}_problem": str(error)})
            return f"{dataset.name}: {error}"
        self._update(dataset, **{f"{work}_problem": None})
        return None

    def _request(self, use: DatasetUse) -> HistoryRequest:
        return HistoryRequest(use.dataset, use.look_back_s, self._archive_url, self._opener)

    async def catch_up(self) -> None:
        """Read every dataset that has a finished slot which was not read yet, if the archive is ours to write.

        Raises:
            HistoriesError: at least one could not be read; the others were.
        """
        await self._each(_Work.READ, self._catch_up_one)

    async def _catch_up_one(self, dataset: Dataset, state: DatasetState) -> None:
        until_s = floor_to_step(self._clock.now_s() - LATE_SAMPLES_S, dataset.step_s)
        if until_s <= state.read_until_s:
            return
        request, left = self._request(state.use), True
        while left and dataset in self._states and self._may_archive():
            report = await self._pool.run(dataset.name, worker.catch_up, request, until_s)
            left = report.left_slots > 0
            self._update(dataset, report=report)
        if not left:
            self._update(dataset, read_until_s=until_s)

    async def forecast(self) -> None:
        """Forecast every dataset that has been read further, or whose fleets changed, since its last forecast.

        A dataset that was never forecast is forecast from the archive even while it cannot be read further.

        Raises:
            HistoriesError: at least one could not be forecast; the others were.
        """
        await self._each(_Work.FORECAST, self._forecast_one)

    async def _forecast_one(self, dataset: Dataset, state: DatasetState) -> None:
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
        """Backtest every dataset that was not scored within a day, in a process that nothing else waits for.

        Raises:
            HistoriesError: at least one could not be scored, since its history is too short; the others were.
        """
        await self._each(_Work.SCORE, self._score_one)

    async def _score_one(self, dataset: Dataset, state: DatasetState) -> None:
        if state.read_until_s == 0 or state.read_until_s - state.scored_until_s < SCORE_EVERY_S:
            return
        scores = await self._pool.run_apart(worker.score, self._forecast_request(state.use), state.read_until_s)
        self._update(dataset, scores=scores, scored_until_s=state.read_until_s)

    def _forecast_request(self, use: DatasetUse) -> ForecastRequest:
        return ForecastRequest(
            self._request(use),
            use.horizon_s,
            {str(key): tenants for key, tenants in use.members.items()},
            {str(key): calendar for key, calendar in use.calendars.items()},
            use.tenant_calendars(),
            {str(key): announced for key, announced in use.announced.items()},
        )

    async def measure(self) -> None:
        """Measure the load of every dataset now, all at once.

        Raises:
            HistoriesError: at least one source did not answer (yet); its last measurement stays and grows old.
        """
        await self._each(_Work.MEASURE, self._measure_one)

    async def _measure_one(self, dataset: Dataset, state: DatasetState) -> None:
        opened = self._open(state.use.dataset.source)
        measuring = opened.threads.submit(opened.source.current, dataset.query, self._clock.now_s())
        current = await asyncio.wrap_future(measuring)
        self._update(dataset, current=current)

    def _open(self, name: str) -> _OpenSource:
        if name not in self._sources:
            threads = ThreadPoolExecutor(THREADS_PER_SOURCE, f"measure {name}")
            self._sources[name] = _OpenSource(self._opener.open(name), threads)
        return self._sources[name]

    def close(self) -> None:
        """Give back the sources' connections. What still runs is not waited for."""
        for task in self._tasks.values():
            task.cancel()
        for opened in self._sources.values():
            opened.threads.shutdown(wait=False, cancel_futures=True)
            opened.source.close()
        self._sources.clear()
