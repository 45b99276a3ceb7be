"""What was learnt comes back with the same numbers or not at all, and no bytes in its place can do harm."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from forecasting import checkpoints
from forecasting.archive import Archive, DatasetKey
from forecasting.calendar import CivilCalendar
from forecasting.checkpoints import Checkpoints, Trained, TrainedOn
from forecasting.errors import ArchiveError
from forecasting.forecast import Forecaster
from forecasting.grid import SlotGrid
from forecasting.load import LoadMatrix, Measure
from forecasting.models import default_forecaster
from forecasting.models.seasonal_naive import SeasonalNaive
from forecasting.trained_objects import UnknownObjectError, from_pickle
from tests.forecasting.histories import days_before, office

KEY = DatasetKey("default", Measure.CHANNELS, 3600, "0")
ZONE = "Europe/Berlin"
UNTIL_S = 1_790_000_000
SMALL = TrainedOn("tenants", "seasonal-naive", 3600, 168, ("a", "b"), (CivilCalendar(), CivilCalendar(ZONE, "DE")))


def put(folder: Path, trained_on: TrainedOn = SMALL, until_s: int = UNTIL_S) -> Checkpoints:
    kept = Checkpoints(str(folder), KEY)
    kept.write(Trained(trained_on, until_s, SeasonalNaive()))
    return kept


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


CALENDARS = [CivilCalendar(ZONE, "DE", events=(date(2026, 5, 20),))] * 24


@pytest.fixture(scope="module")
def history() -> LoadMatrix:
    return office(days_before("2026-06-01", 56, zone=ZONE), ZONE, series=len(CALENDARS))


@pytest.fixture(scope="module")
def model(history: LoadMatrix) -> Forecaster:
    return default_forecaster().trained(history, CALENDARS)


@pytest.mark.parametrize("store", ["folder", "memory"])
def test_a_model_comes_back_and_forecasts_the_same_numbers_bit_for_bit(
    tmp_path: Path, history: LoadMatrix, model: Forecaster, store: str
) -> None:
    url = str(tmp_path) if store == "folder" else f"memory://{tmp_path.name}"
    assert b"GradientBoosting" in pickle.dumps(model), "a history too small for trees proves nothing about them"
    trained_on = TrainedOn.of("tenants", default_forecaster(), history, CALENDARS)
    Checkpoints(url, KEY).write(Trained(trained_on, history.grid.end_s, model))
    read = Checkpoints(url, KEY).read(trained_on, 0, history.grid.end_s)
    assert read.problem is None
    assert read.trained is not None
    assert read.trained.trained_until_s == history.grid.end_s
    ahead = history.grid.after(48)
    before, after = (each.forecast(history, CALENDARS, ahead) for each in (model, read.trained.model))
    assert np.array_equal(before.values, after.values)
    assert (before.trust, before.trust_reasons) == (after.trust, after.trust_reasons)


@pytest.mark.parametrize(
    "changed",
    [
        replace(SMALL, series=("a", "c")),
        replace(SMALL, calendars=(CivilCalendar(), CivilCalendar(ZONE, "DE", closures=(date(2026, 12, 24),)))),
        replace(SMALL, members=(("x",), ("y",))),
        replace(SMALL, slots=336),
        replace(SMALL, step_s=300),
        replace(SMALL, model="another"),
    ],
    ids=["series", "calendars", "members", "look-back", "step", "model"],
)
def test_what_was_trained_on_anything_else_is_not_used_and_is_no_fault(tmp_path: Path, changed: TrainedOn) -> None:
    kept = put(tmp_path)
    assert kept.read(SMALL, 0, UNTIL_S).trained is not None
    read = kept.read(changed, 0, UNTIL_S)
    assert (read.trained, read.problem) == (None, None)
    assert files(tmp_path) == ["tenants.trained"], "the next training replaces it"


def test_another_calltide_or_library_trains_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = put(tmp_path)
    versions = checkpoints.metadata.version
    monkeypatch.setattr(checkpoints.metadata, "version", lambda name: versions(name) + ".1")
    checkpoints.engine_fingerprint.cache_clear()
    try:
        read = kept.read(SMALL, 0, UNTIL_S)
    finally:
        checkpoints.engine_fingerprint.cache_clear()
    assert (read.trained, read.problem) == (None, None)


def test_what_is_too_old_or_from_a_clock_that_was_ahead_is_not_used(tmp_path: Path) -> None:
    kept = put(tmp_path)
    assert kept.read(SMALL, UNTIL_S, UNTIL_S).trained is not None
    assert kept.read(SMALL, UNTIL_S + 1, UNTIL_S + 86400).trained is None
    assert kept.read(SMALL, 0, UNTIL_S - 1).trained is None


def test_the_newest_is_the_only_one_of_its_rows(tmp_path: Path) -> None:
    put(tmp_path)
    put(tmp_path, replace(SMALL, rows="fleets"))
    kept = put(tmp_path, until_s=UNTIL_S + 300)
    assert files(tmp_path) == ["fleets.trained", "tenants.trained"]
    found = kept.read(SMALL, 0, UNTIL_S + 300).trained
    assert found is not None
    assert found.trained_until_s == UNTIL_S + 300


def test_a_file_cut_off_or_changed_at_any_byte_is_set_aside_and_told(tmp_path: Path) -> None:
    kept = put(tmp_path)
    path = tmp_path / KEY.folder / "tenants.trained"
    whole = path.read_bytes()
    damaged = [whole[:at] for at in (0, 1, 24, 30, 60, len(whole) - 1)]
    damaged += [whole[:at] + bytes([whole[at] ^ 0x20]) + whole[at + 1 :] for at in range(len(whole))]
    for content in damaged:
        path.write_bytes(content)
        read = kept.read(SMALL, 0, UNTIL_S)
        assert read.trained is None
        assert read.problem is not None
        assert "tenants.trained.corrupt, and the model is trained again" in read.problem
        assert files(tmp_path) == ["tenants.trained.corrupt"]
    put(tmp_path)
    assert kept.read(SMALL, 0, UNTIL_S).trained is not None


def test_a_place_that_cannot_be_read_is_told_and_raises_nothing(tmp_path: Path) -> None:
    (tmp_path / KEY.folder).write_text("a file where the folder should be")
    read = Checkpoints(str(tmp_path), KEY).read(SMALL, 0, UNTIL_S)
    assert read.trained is None
    assert "cannot be read" in str(read.problem)


class Runs:
    """Pickled, it is a call of any function by its module and name."""

    def __init__(self, function: Callable[..., object], *arguments: object) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return self.call


def by_name(module: str, name: str) -> bytes:
    """A pickle that looks up a name and nothing else."""
    return (
        pickle.dumps(None)[:2]
        + b"".join(bytes([0x8C, len(text)]) + text.encode() for text in (module, name))
        + b"\x93."
    )


@pytest.mark.parametrize(
    "data",
    [
        pickle.dumps(Runs(eval, "1 + 1")),
        pickle.dumps(Runs(print, "harm")),
        by_name("os", "system"),
        by_name("forecasting.archive.store", "os.system"),
        by_name("forecasting.archive.store", "os"),
        by_name("forecasting.archive.store", "open_store"),
        by_name("forecasting.archive.store", "LocalStore"),
        by_name("forecasting.archive.store", "Path"),
        by_name("sklearn._loss.loss", "np"),
        by_name("sklearn.ensemble._forest", "RandomForestRegressor"),
        by_name("numpy", "load"),
        by_name("forecasting.no_such_module", "Anything"),
    ],
)
def test_bytes_that_name_anything_but_values_of_a_model_are_refused(data: bytes) -> None:
    with pytest.raises((UnknownObjectError, ImportError), match=r"no part of a trained model|no_such_module"):
        from_pickle(data)


def test_a_model_of_unknown_parts_is_refused_when_it_is_written_and_not_at_the_next_start(tmp_path: Path) -> None:
    kept = put(tmp_path)
    for model in (Runs(print, "harm"), lambda: None):
        with pytest.raises(ArchiveError, match="has learnt cannot be kept"):
            kept.write(Trained(SMALL, UNTIL_S + 300, model))  # type: ignore[arg-type]
    assert kept.read(SMALL, 0, UNTIL_S).trained is not None


def test_the_archive_beside_it_sees_no_history_in_it(tmp_path: Path) -> None:
    kept = put(tmp_path)
    archive = Archive(str(tmp_path))
    assert archive.datasets() == ()
    grid = SlotGrid(UNTIL_S // 3600 * 3600, 3600, 2)
    archive.append(KEY, LoadMatrix(KEY.measure, ("a",), grid, np.ones((1, 2), np.float32)))
    archive.compact(KEY)
    assert archive.drop_before(KEY, UNTIL_S + 10 * 86400) == 1
    assert archive.problems == ()
    assert kept.read(SMALL, 0, UNTIL_S).trained is not None
