"""A worker that starts anew goes on with what was learnt before it; it learns again only what no longer fits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from forecasting.archive.store import LocalStore
from forecasting.calendar import CivilCalendar
from forecasting.errors import ArchiveError
from forecasting.forecast import Forecaster
from forecasting.grid import SlotGrid
from forecasting.load import LoadMatrix, Measure
from forecasting.models import default_forecaster
from forecasting.sources.protocol import CurrentLoad, HistoryQuery
from scaler.service import worker
from scaler.service.datasets import Dataset
from scaler.service.worker import ForecastRequest, Forecasts, HistoryRequest

NOW_S = 1_790_000_400
HOUR_S = 3600
DATASET = Dataset("default", HistoryQuery(Measure.CHANNELS, "up", "tenant"), HOUR_S)
PLAIN = CivilCalendar()


@dataclass(frozen=True)
class Source:
    """Three tenants whose load differs from hour to hour."""

    def read(self, query: HistoryQuery, grid: SlotGrid) -> LoadMatrix:
        hours = grid.starts_s // HOUR_S
        values = np.stack([20 + 9 * np.sin(hours / 3.8) + hours % (5 + row) for row in range(3)]).astype(np.float32)
        return LoadMatrix(query.measure, ("a", "b", "c"), grid, values)

    def current(self, query: HistoryQuery, now_s: float) -> CurrentLoad:
        raise AssertionError("the main process measures")

    def close(self) -> None: ...


@dataclass(frozen=True)
class Opener:
    def open(self, name: str) -> Source:
        return Source()


@dataclass(frozen=True)
class Counting:
    """The default model, and the rows of each training that was asked of it."""

    trainings: list[tuple[str, ...]]
    name: str = default_forecaster().name

    def trained(self, history: LoadMatrix, calendars: Sequence[CivilCalendar]) -> Forecaster:
        self.trainings.append(history.series)
        return default_forecaster().trained(history, calendars)


@pytest.fixture
def trainings(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    worker._known.clear()
    model = Counting([])
    monkeypatch.setattr(worker, "default_forecaster", lambda: model)
    return model.trainings


FLEETS: Mapping[str, tuple[str, ...]] = {"x": ("a", "b"), "y": ("c",)}


def forecast(
    archive: Path,
    now_s: int = NOW_S,
    members: Mapping[str, tuple[str, ...]] = FLEETS,
    calendar: CivilCalendar = PLAIN,
    *,
    days: int = 21,
) -> Forecasts:
    history = HistoryRequest(DATASET, days * 86400, str(archive), Opener())
    worker.catch_up(history, now_s)
    return worker.forecast(ForecastRequest(history, 7200, members, dict.fromkeys(members, calendar), {}), now_s)


def restart() -> None:
    worker._known.clear()


BOTH = [("x", "y"), ("a", "b", "c")]


def test_a_restart_learns_nothing_anew_and_forecasts_the_same_numbers(tmp_path: Path, trainings: list) -> None:
    forecast(tmp_path)
    before = forecast(tmp_path, NOW_S + HOUR_S)
    assert trainings == BOTH
    restart()
    after = forecast(tmp_path, NOW_S + HOUR_S)
    assert trainings == BOTH
    assert np.array_equal(before.tenants.values, after.tenants.values)
    assert np.array_equal(before.fleets.values, after.fleets.values)


def test_a_day_later_it_learns_anew_with_or_without_a_restart(tmp_path: Path, trainings: list) -> None:
    forecast(tmp_path)
    forecast(tmp_path, NOW_S + worker.TRAIN_EVERY_S - HOUR_S)
    assert trainings == BOTH
    restart()
    forecast(tmp_path, NOW_S + worker.TRAIN_EVERY_S)
    assert trainings == 2 * BOTH
    forecast(tmp_path, NOW_S + 2 * worker.TRAIN_EVERY_S)
    assert trainings == 3 * BOTH


def test_other_members_calendars_or_look_back_learn_anew_after_a_restart_as_without_one(
    tmp_path: Path, trainings: list
) -> None:
    moved = {"x": ("a",), "y": ("b", "c")}
    closed = CivilCalendar(closures=(date(2026, 12, 24),))
    forecast(tmp_path)
    forecast(tmp_path, members=moved)
    assert trainings == [*BOTH, ("x", "y")], "the sums are others, the tenants are not"
    restart()
    forecast(tmp_path, members=moved, calendar=closed)
    assert trainings == [*BOTH, ("x", "y"), ("x", "y")]
    restart()
    forecast(tmp_path, members=moved, calendar=closed, days=18)
    assert trainings[4:] == BOTH


def test_what_another_leader_learnt_meanwhile_is_taken_over_by_one_that_led_before(
    tmp_path: Path, trainings: list
) -> None:
    forecast(tmp_path)
    mine = dict(worker._known)
    restart()
    later_s = NOW_S + worker.TRAIN_EVERY_S
    forecast(tmp_path, later_s)
    worker._known.clear()
    worker._known.update(mine)
    forecast(tmp_path, later_s + HOUR_S)
    assert trainings == 2 * BOTH


@dataclass
class Told:
    """What the worker logged as a warning, whatever logs are set up to do with it."""

    warnings: list[str] = field(default_factory=list)

    def warning(self, event: str, **details: object) -> None:
        self.warnings.append(f"{event}: {details}")


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Told:
    log = Told()
    monkeypatch.setattr(worker, "_log", log)
    return log


def test_a_damaged_checkpoint_costs_a_training_and_no_forecast(tmp_path: Path, trainings: list, told: Told) -> None:
    before = forecast(tmp_path)
    (path,) = tmp_path.rglob("fleets.trained")
    path.write_bytes(path.read_bytes()[:-1])
    restart()
    after = forecast(tmp_path)
    assert trainings == [*BOTH, ("x", "y")]
    assert np.array_equal(before.fleets.values, after.fleets.values)
    (warning,) = told.warnings
    assert "fleets.trained.corrupt, and the model is trained again" in warning
    restart()
    forecast(tmp_path)
    assert trainings == [*BOTH, ("x", "y")], "the training after the damage was kept"


def test_an_archive_that_cannot_be_written_costs_no_forecast(
    tmp_path: Path, trainings: list, monkeypatch: pytest.MonkeyPatch, told: Told
) -> None:
    worker.catch_up(HistoryRequest(DATASET, 21 * 86400, str(tmp_path), Opener()), NOW_S)

    def full(self: LocalStore, path: str, data: bytes) -> None:
        raise ArchiveError("no space left")

    monkeypatch.setattr(LocalStore, "write", full)
    assert forecast(tmp_path).fleets.series == ("x", "y")
    assert any("a trained model was not kept" in warning for warning in told.warnings)
    assert trainings == BOTH
