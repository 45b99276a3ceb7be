"""What a worker keeps between tasks, and which process does what."""

from __future__ import annotations

import asyncio
import os
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from forecasting.calendar import CivilCalendar
from forecasting.grid import SlotGrid
from forecasting.load import LoadMatrix, Measure
from forecasting.sources.protocol import CurrentLoad, HistoryQuery
from scaler.service import worker
from scaler.service.datasets import Dataset
from scaler.service.pool import WorkerError, WorkerPool
from scaler.service.worker import ForecastRequest, HistoryRequest

NOW_S = 1_790_000_400.0
DATASET = Dataset("default", HistoryQuery(Measure.CHANNELS, "up", "tenant"), 3600)


@dataclass
class FakeSource:
    """Tenant `a` until now; tenant `b` stopped three days ago."""

    closed: bool = False

    def read(self, query: HistoryQuery, grid: SlotGrid) -> LoadMatrix:
        values = np.ones((2, grid.slots), dtype=np.float32)
        values[1, grid.starts_s >= NOW_S - 3 * 86400] = np.nan
        return LoadMatrix(query.measure, ("a", "b"), grid, values)

    def current(self, query: HistoryQuery, now_s: float) -> CurrentLoad:
        raise AssertionError("the main process measures")

    def close(self) -> None:
        self.closed = True


@dataclass
class Opener:
    opened: list[FakeSource] = field(default_factory=list)

    def open(self, name: str) -> FakeSource:
        self.opened.append(FakeSource())
        return self.opened[-1]


@pytest.fixture
def opener() -> Opener:
    worker._known.clear()
    return Opener()


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch):
    """Sets the clock that a worker forgets by."""

    def move(now_s: float) -> None:
        monkeypatch.setattr(worker.time, "monotonic", lambda: now_s)

    move(0.0)
    return move


def request(opener: Opener, path: Path, expression: str = "up", days: int = 5) -> HistoryRequest:
    dataset = Dataset("default", HistoryQuery(Measure.CHANNELS, expression, "tenant"), 3600)
    return HistoryRequest(dataset, days * 86400, str(path), opener)


def test_a_dataset_that_is_asked_for_stays_open(opener: Opener, at, tmp_path: Path):
    for hour in range(10):
        at(hour * 3600.0)
        worker.catch_up(request(opener, tmp_path), NOW_S)
    assert [source.closed for source in opener.opened] == [False]


def test_a_dataset_that_nobody_asks_for_any_more_is_forgotten_and_closed(opener: Opener, at, tmp_path: Path):
    worker.catch_up(request(opener, tmp_path, "old"), NOW_S)
    at(worker.FORGET_AFTER_S + 1)
    worker.catch_up(request(opener, tmp_path, "new"), NOW_S)
    assert [source.closed for source in opener.opened] == [True, False]
    assert [name[0].query.expression for name in worker._known] == ["new"]


def test_an_ingest_that_is_opened_anew_for_another_look_back_closes_the_one_before(opener: Opener, at, tmp_path: Path):
    worker.catch_up(request(opener, tmp_path, days=5), NOW_S)
    worker.catch_up(request(opener, tmp_path, days=6), NOW_S)
    assert [source.closed for source in opener.opened] == [True, False]


def test_a_forecast_names_who_had_departed(opener: Opener, tmp_path: Path):
    history = request(opener, tmp_path)
    worker.catch_up(history, NOW_S)
    fleets = {"stays": ("a",), "loses": ("a", "b")}
    forecasts = worker.forecast(
        ForecastRequest(history, 7200, fleets, dict.fromkeys(fleets, CivilCalendar()), {}), NOW_S
    )
    assert forecasts.departed == {"b"}
    recent = forecasts.recent
    assert recent.series == ("stays", "loses")
    assert set(recent.row("stays").tolist()) == {1.0}
    assert recent.row("loses").tolist() == [2.0] * 49 + [1.0] * 71, "the charts keep the past of who left"


def test_work_that_may_wait_has_a_process_of_its_own_that_ends_with_it():
    async def go() -> tuple[int, int, list[int]]:
        pool = WorkerPool(1, "info", "json")
        try:
            return (
                await pool.run("owner", os.getpid),
                await pool.run("owner", os.getpid),
                [await pool.run_apart(os.getpid), await pool.run_apart(os.getpid)],
            )
        finally:
            pool.close()

    first, again, apart = asyncio.run(go())
    assert first == again
    assert len({first, *apart}) == 3, "made anew each time, since its memory was given back"


def test_a_long_task_apart_keeps_no_other_task_waiting(tmp_path: Path):
    async def go() -> None:
        pool = WorkerPool(1, "info", "json")
        try:
            until_told = asyncio.create_task(pool.run_apart(wait_for, str(tmp_path / "told")))
            await pool.run("owner", os.getpid)
            assert not until_told.done()
            (tmp_path / "told").touch()
            await until_told
        finally:
            pool.close()

    asyncio.run(go())


def wait_for(path: str) -> None:
    while not Path(path).exists():
        time.sleep(0.01)


def test_a_worker_that_dies_fails_what_it_ran_and_what_waited_for_it_and_cancels_nobody():
    async def go() -> list[BaseException | None]:
        pool = WorkerPool(1, "info", "json")
        try:
            return await asyncio.gather(*(pool.run("owner", os._exit, 1) for _ in range(6)), return_exceptions=True)
        finally:
            pool.close()

    assert {type(error) for error in asyncio.run(go())} == {WorkerError}
