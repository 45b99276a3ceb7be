"""The datasets while the service runs: what fails, hangs or goes away touches nobody else."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import cast

import pytest

from forecasting.calendar import CivilCalendar
from forecasting.errors import ArchiveError, ForecastInputError, SourceError
from forecasting.grid import SlotGrid
from forecasting.ingest import IngestReport
from forecasting.load import LoadMatrix, Measure
from forecasting.sources.protocol import CurrentLoad, HistoryQuery
from scaler.core.fleets import FleetKey
from scaler.service import histories as module
from scaler.service import worker
from scaler.service.datasets import Dataset, DatasetUse
from scaler.service.histories import Histories, HistoriesError
from scaler.service.pool import WorkerError, WorkerPool

NOW_S = 1_790_000_400.0
FLEET = FleetKey("voice", "acme")


def dataset(source: str) -> Dataset:
    return Dataset(source, HistoryQuery(Measure.CHANNELS, "up", "tenant"), 300)


def use(source: str) -> DatasetUse:
    return DatasetUse(dataset(source), 86400, 3600, {FLEET: ("a",)}, {FLEET: CivilCalendar()})


ONE, TWO = dataset("one"), dataset("two")


@dataclass
class Clock:
    speed: float = 1.0
    at_s: float = NOW_S

    def now_s(self) -> float:
        return self.at_s


@dataclass
class FakeSource:
    """Measures 1, or raises, or waits until it is let go."""

    error: Exception | None = None
    go: threading.Event | None = None
    calls: int = 0

    def read(self, query: HistoryQuery, grid: SlotGrid) -> LoadMatrix:
        raise AssertionError("the workers read the past")

    def current(self, query: HistoryQuery, now_s: float) -> CurrentLoad:
        self.calls += 1
        if self.go is not None:
            self.go.wait()
        if self.error is not None:
            raise self.error
        return CurrentLoad(query.measure, {"a": 1.0}, now_s)

    def close(self) -> None:
        pass


@dataclass
class FakeWorkers:
    """Does what a test says for each task and source; in the pool's place, without processes."""

    does: dict[tuple[object, str], Callable[[], Awaitable[object]]] = field(default_factory=dict)
    ran: list[tuple[object, str]] = field(default_factory=list)
    apart: list[str] = field(default_factory=list)

    async def run(self, owner: str, task: object, request: object, until_s: float) -> object:
        source = (
            request.dataset.source if isinstance(request, worker.HistoryRequest) else request.history.dataset.source
        )  # type: ignore[attr-defined]  # the other kind of request
        self.ran.append((task, source))
        does = self.does.get((task, source))
        if does is not None:
            return await does()
        return report() if task is worker.catch_up else f"{source} at {until_s:.0f}"

    async def run_apart(self, task: object, request: worker.ForecastRequest, until_s: float) -> object:
        self.apart.append(request.history.dataset.source)
        return await self.run("", task, request, until_s)

    def count(self, task: object, source: str) -> int:
        return self.ran.count((task, source))


def report(left_slots: int = 0) -> IngestReport:
    return IngestReport(1, left_slots, (), 0, int(NOW_S), (), 0.1)


def failing(error: Exception) -> Callable[[], Awaitable[object]]:
    async def fail() -> object:
        raise error

    return fail


@dataclass
class Opener:
    sources: dict[str, FakeSource]

    def open(self, name: str) -> FakeSource:
        return self.sources[name]


def made(workers: FakeWorkers | None = None, **sources: FakeSource) -> Histories:
    histories = Histories(Clock(), cast(WorkerPool, workers or FakeWorkers()), "archive", Opener(sources))
    histories.use({ONE: use("one"), TWO: use("two")})
    return histories


async def until(true: Callable[[], bool]) -> None:
    while not true():  # noqa: ASYNC110 - there is nothing to wait for but the state itself
        await asyncio.sleep(0.001)


@pytest.mark.parametrize(
    "error", [SourceError("refused"), ArchiveError("No space left on device"), WorkerError("the worker process died")]
)
def test_a_dataset_that_cannot_be_read_is_told_by_name_while_the_other_is_read(error: Exception):
    async def go() -> None:
        histories = made(FakeWorkers({(worker.catch_up, "one"): failing(error)}))
        with pytest.raises(HistoriesError, match=f"^one-channels-300s-.*: {error}$"):
            await histories.catch_up()
        assert histories.states()[ONE].read_problem == str(error)
        assert histories.states()[TWO].read_problem is None
        assert histories.states()[TWO].read_until_s > 0

    asyncio.run(go())


def test_an_archive_that_cannot_be_written_is_forecast_from_as_it_is():
    async def go() -> None:
        histories = made(FakeWorkers({(worker.catch_up, "one"): failing(ArchiveError("No space left on device"))}))
        with pytest.raises(HistoriesError):
            await histories.catch_up()
        await histories.forecast()
        assert cast(str, histories.states()[ONE].forecasts).startswith("one at ")
        assert histories.states()[ONE].forecast_until_s == 0, "and made again once it was read"

    asyncio.run(go())


def test_a_forecast_that_fails_is_told_tried_again_and_leaves_the_other_alone():
    async def go() -> None:
        workers = FakeWorkers({(worker.forecast, "one"): failing(WorkerError("died"))})
        histories = made(workers)
        await histories.catch_up()
        with pytest.raises(HistoriesError, match=r"one-.*died"):
            await histories.forecast()
        assert histories.states()[ONE].forecast_problem == "died"
        assert histories.states()[TWO].forecasts is not None
        workers.does.clear()
        await histories.forecast()
        assert histories.states()[ONE].forecast_problem is None
        assert (workers.count(worker.forecast, "one"), workers.count(worker.forecast, "two")) == (2, 1)

    asyncio.run(go())


def test_a_dataset_that_is_too_young_to_be_scored_does_not_keep_the_next_from_it():
    async def go() -> None:
        workers = FakeWorkers({(worker.score, "one"): failing(ForecastInputError("too short"))})
        histories = made(workers)
        await histories.catch_up()
        with pytest.raises(HistoriesError, match="too short"):
            await histories.score()
        assert histories.states()[TWO].scores is not None
        assert histories.states()[ONE].score_problem == "too short"
        assert sorted(workers.apart) == ["one", "two"], "in the process that nobody waits for"

    asyncio.run(go())


def test_what_still_runs_is_not_waited_for_nor_started_twice(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "WAIT_S", 0.01)

    async def go() -> None:
        gate = asyncio.Event()

        async def slow() -> object:
            await gate.wait()
            return report()

        workers = FakeWorkers({(worker.catch_up, "one"): slow})
        histories = made(workers)
        await histories.catch_up()
        await histories.catch_up()
        assert histories.states()[TWO].read_until_s > 0
        assert histories.states()[ONE].read_until_s == 0
        assert workers.count(worker.catch_up, "one") == 1
        gate.set()
        await until(lambda: histories.states()[ONE].read_until_s > 0)

    asyncio.run(go())


def test_a_failure_that_comes_after_the_job_gave_up_waiting_is_told_by_the_next(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "WAIT_S", 0.01)

    async def go() -> None:
        gate = asyncio.Event()

        async def slow() -> object:
            await gate.wait()
            raise SourceError("timed out")

        workers = FakeWorkers({(worker.catch_up, "one"): slow})
        histories = made(workers)
        await histories.catch_up()
        gate.set()
        await until(lambda: histories.states()[ONE].read_problem is not None)
        workers.does.clear()
        with pytest.raises(HistoriesError, match="timed out"):
            await histories.catch_up()
        assert histories.states()[ONE].read_problem is None, "this time it was read"

    asyncio.run(go())


def test_a_backfill_is_read_in_portions_and_counts_as_read_only_when_it_is_whole():
    async def go() -> None:
        portions = [report(500), report(200), report()]
        seen = []

        async def portion() -> object:
            seen.append(histories.states()[ONE].read_until_s)
            return portions.pop(0)

        histories = made(FakeWorkers({(worker.catch_up, "one"): portion}))
        await histories.catch_up()
        assert seen == [0, 0, 0]
        assert histories.states()[ONE].read_until_s > 0

    asyncio.run(go())


def test_a_dataset_that_is_dropped_while_its_task_waits_or_runs_ends_nobody_elses():
    async def go() -> None:
        gate = asyncio.Event()

        async def slow() -> object:
            await gate.wait()
            return report(1)

        workers = FakeWorkers({(worker.catch_up, "one"): slow})
        histories = made(workers)
        job = asyncio.create_task(histories.catch_up())
        await until(lambda: workers.count(worker.catch_up, "one") == 1)
        histories.use({TWO: use("two")})
        gate.set()
        await job
        assert set(histories.states()) == {TWO}
        assert workers.count(worker.catch_up, "one") == 1, "the rest of its backfill is wanted by nobody"

    asyncio.run(go())


def test_a_fault_in_the_code_is_raised_when_the_others_are_done():
    async def go() -> None:
        histories = made(FakeWorkers({(worker.catch_up, "one"): failing(RuntimeError("a bug"))}))
        with pytest.raises(RuntimeError, match="a bug"):
            await histories.catch_up()
        assert histories.states()[TWO].read_until_s > 0

    asyncio.run(go())


def test_a_source_that_cannot_be_measured_keeps_its_last_measurement():
    async def go() -> None:
        one = FakeSource()
        histories = made(one=one, two=FakeSource())
        await histories.measure()
        before = histories.states()[ONE].current
        one.error = SourceError("refused")
        with pytest.raises(HistoriesError, match=r"one-.*refused"):
            await histories.measure()
        assert histories.states()[ONE].current is before
        assert histories.states()[ONE].measure_problem == "refused"
        histories.close()

    asyncio.run(go())


def test_a_measurement_that_is_forgotten_is_no_load_until_it_is_measured_again():
    async def go() -> None:
        histories = made(one=FakeSource(), two=FakeSource())
        await histories.measure()
        histories.forget_measurements()
        assert [state.current for state in histories.states().values()] == [None, None]
        await histories.measure()
        assert None not in [state.current for state in histories.states().values()]
        histories.close()

    asyncio.run(go())


def test_fleets_on_healthy_sources_are_measured_while_another_source_hangs():
    async def go() -> None:
        hanging = FakeSource(go=threading.Event())
        histories = made(one=hanging, two=FakeSource())
        job = asyncio.create_task(histories.measure())
        await until(lambda: histories.states()[TWO].current is not None)
        assert histories.states()[ONE].current is None
        assert not job.done()
        assert hanging.go is not None
        hanging.go.set()
        await job
        histories.close()

    asyncio.run(go())


def test_a_source_that_hangs_is_left_to_itself_and_taken_up_when_it_answers(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "WAIT_S", 0.01)

    async def go() -> None:
        hanging = FakeSource(go=threading.Event())
        histories = made(one=hanging)
        histories.use({ONE: use("one")})
        for _ in range(2):
            with pytest.raises(HistoriesError, match=r"one-.*: no answer within"):
                await histories.measure()
        assert hanging.calls == 1
        assert histories.states()[ONE].measure_problem == "no answer within 0.01 s"
        assert hanging.go is not None
        hanging.go.set()
        await until(lambda: histories.states()[ONE].current is not None)
        assert histories.states()[ONE].measure_problem is None
        histories.close()

    asyncio.run(go())


def test_many_datasets_of_a_source_that_hangs_take_no_thread_from_others():
    async def go() -> None:
        hanging = FakeSource(go=threading.Event())
        histories = made(one=hanging, two=FakeSource())
        many = [Dataset("one", HistoryQuery(Measure.CHANNELS, f"up{n}", "tenant"), 300) for n in range(100)]
        uses = {one: DatasetUse(one, 86400, 3600, {}, {}) for one in many}
        histories.use({**uses, TWO: use("two")})
        job = asyncio.create_task(histories.measure())
        await until(lambda: histories.states()[TWO].current is not None)
        assert await asyncio.to_thread(lambda: "others' threads are free") == "others' threads are free"
        assert hanging.go is not None
        hanging.go.set()
        await job
        histories.close()

    asyncio.run(go())
