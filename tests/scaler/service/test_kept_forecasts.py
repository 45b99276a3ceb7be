"""Published forecasts are kept and scored beside the work of a worker, and never in its way."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

from forecasting.calendar import CivilCalendar
from forecasting.errors import ArchiveError
from forecasting.forecast import Trust
from forecasting.grid import SlotGrid
from forecasting.ledger import Ledger
from forecasting.load import LoadMatrix, Measure
from forecasting.sources.protocol import CurrentLoad, HistoryQuery
from scaler.service import kept_forecasts, worker
from scaler.service.datasets import Dataset
from scaler.service.forecast_quality import quality_of
from scaler.service.kept_forecasts import KeptForecasts, Rows
from scaler.service.worker import ForecastRequest, Forecasts, HistoryRequest
from tests.forecasting.test_ledger import BEGIN_S, DAY_S, forecast_at, history_at

FLEET = "voice/acme"
HOUR_S = 3600


class Source:
    """Two tenants whose load repeats every day."""

    def open(self, name: str) -> Source:
        return self

    def read(self, query: HistoryQuery, grid: SlotGrid) -> LoadMatrix:
        base = 50 + 20 * np.sin(2 * np.pi * grid.starts_s / DAY_S)
        return LoadMatrix(query.measure, ("a", "b"), grid, np.stack([base, base + 9]).round().astype(np.float32))

    def current(self, query: HistoryQuery, now_s: float) -> CurrentLoad:
        raise AssertionError("the main process measures")

    def close(self) -> None:
        pass


@pytest.fixture(autouse=True)
def _forgotten() -> None:
    worker._known.clear()


def forecast(path: Path, now_s: float) -> Forecasts:
    dataset = Dataset("default", HistoryQuery(Measure.CHANNELS, "up", "tenant"), HOUR_S)
    history = HistoryRequest(dataset, 10 * DAY_S, str(path), Source())
    worker.catch_up(history, now_s)
    return worker.forecast(
        ForecastRequest(history, 2 * DAY_S, {FLEET: ("a", "b")}, {FLEET: CivilCalendar()}, {}), now_s
    )


def test_a_worker_publishes_fleets_and_tenants_and_tells_their_scores(tmp_path: Path):
    first = forecast(tmp_path, BEGIN_S)
    assert first.live.problem is None
    assert first.live.fleets.issues == first.live.tenants.issues == 1
    assert np.isnan(first.live.fleets.wape).all()
    later = forecast(tmp_path, BEGIN_S + 6 * HOUR_S)
    assert later.live.fleets.series == (FLEET,)
    assert later.live.tenants.series == ("a", "b")
    assert later.live.fleets.cells.tolist() == [[1, 2, 0, 0]]
    assert later.live.fleets.wape[0, 0] < 0.2
    told = quality_of(later, FLEET)
    assert [lead.cells for lead in told.live] == [1, 2, 0, 0]
    assert (told.issues, told.since_s, told.problem) == (2, BEGIN_S, None)


def test_the_archive_does_not_take_the_ledger_for_a_dataset(tmp_path: Path):
    forecast(tmp_path, BEGIN_S)
    again = forecast(tmp_path, BEGIN_S + HOUR_S)
    assert again.recent.values.shape[0] == 1
    assert (tmp_path / "ledger").is_dir()
    assert not list(tmp_path.rglob("*.corrupt"))
    assert [path.parent.parent.name for path in tmp_path.glob("*/*.parquet") if "ledger" in str(path)] == []


def test_a_ledger_that_cannot_be_written_costs_no_forecast_and_is_told(tmp_path: Path, monkeypatch):
    def full(*_: object) -> bool:
        raise ArchiveError("the disk is full")

    monkeypatch.setattr(Ledger, "publish", full)
    made = forecast(tmp_path, BEGIN_S)
    assert np.isfinite(made.fleets.values).all()
    assert made.live.problem == "the disk is full"
    monkeypatch.undo()
    assert forecast(tmp_path, BEGIN_S + HOUR_S).live.problem is None


def test_a_fault_in_the_ledger_itself_costs_no_forecast_either(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(Ledger, "scores", lambda *_: 1 / 0)
    assert "division by zero" in forecast(tmp_path, BEGIN_S).live.problem


def test_a_store_that_hangs_holds_up_no_forecast(tmp_path: Path, monkeypatch):
    answers = threading.Event()
    asked: list[int] = []
    publish = Ledger.publish

    def hanging(*known: object) -> bool:
        asked.append(1)
        return answers.wait(30) and publish(*known)

    monkeypatch.setattr(kept_forecasts, "WAIT_S", 0.01)
    monkeypatch.setattr(Ledger, "publish", hanging)
    kept = KeptForecasts(str(tmp_path), "set")
    history = history_at(BEGIN_S)
    for _ in range(3):
        judged = kept.judged(Rows.FLEETS, forecast_at(BEGIN_S, history), history)
        assert judged.trust == (Trust.TRUSTED,) * 2
        assert "has not answered yet" in kept.scores().problem
    answers.set()
    kept._running[Rows.FLEETS].result(30)
    assert len(asked) == 1, "nothing piles up behind a store that hangs"
    kept.judged(Rows.FLEETS, forecast_at(BEGIN_S, history), history)
    assert kept.scores().problem is None
    assert kept.scores().fleets.issues == 1, "what waited has been kept once"
    kept.close()


def test_forecasts_that_the_weekly_naive_beats_lose_trust_and_a_restart_says_the_same(tmp_path: Path):
    kept = KeptForecasts(str(tmp_path), "set")
    course = []
    for hours in range(0, 24 * 20, 5):
        now_s = BEGIN_S + hours * HOUR_S
        history = history_at(now_s)
        made = forecast_at(now_s, history)
        # The naive errs by 7, series a by 12 and series b by 2.
        made.values[0] += 12
        made.values[1] += 2
        course.append(kept.judged(Rows.TENANTS, made, history))
    assert course[0].trust == (Trust.TRUSTED,) * 2
    fell = next(at for at, judged in enumerate(course) if judged.trust[0] is Trust.DEGRADED)
    assert 14 * 24 < fell * 5 < 18 * 24, "fourteen whole days, and the two that the last of them looks ahead"
    assert {judged.trust for judged in course[fell:]} == {(Trust.DEGRADED, Trust.TRUSTED)}
    assert course[-1].trust_reasons[0].startswith("the weekly naive was better: over 14 days of forecasts")
    anew = KeptForecasts(str(tmp_path), "set").judged(Rows.TENANTS, made, history)
    assert (anew.trust, anew.trust_reasons) == (course[-1].trust, course[-1].trust_reasons)
    kept.close()
