import hashlib
import io
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest

from scaler.core.fleets import FleetKey
from scaler.core.plan_book import PlanBook, recorded
from scaler.core.planner import plan_fleet
from scaler.errors import StateError
from scaler.service.plan_book_file import (
    FILE_NAME,
    DamagedPlanBookError,
    from_bytes,
    read_plan_book,
    to_bytes,
    write_plan_book,
)
from tests.scaler.core.made_up import ACME, NOW_S, forecast, inputs, observation

OTHER = FleetKey("voice", "dürüm \U0001f4de")


def a_book() -> PlanBook:
    plans = [
        plan_fleet(inputs(forecast=forecast([80.0, 160.0, 800.0]))),
        plan_fleet(inputs(channels=700, observation=observation(3, key=OTHER))),
    ]
    later = plan_fleet(inputs(now_s=NOW_S + 3600.0, channels=320))
    return recorded(recorded(PlanBook(), plans), [later])


def assert_same(one: PlanBook, other: PlanBook) -> None:
    assert list(one.pages) == list(other.pages)
    for mine, theirs in zip(one.pages.values(), other.pages.values(), strict=True):
        assert (mine.policy, mine.last, mine.grid) == (theirs.policy, theirs.last, theirs.grid)
        assert (mine.hour, mine.hour_need) == (theirs.hour, theirs.hour_need)
        assert mine.path.tolist() == theirs.path.tolist()
        assert mine.week.tolist() == theirs.week.tolist()


def test_what_was_written_is_read_again(tmp_path: Path):
    book = a_book()
    write_plan_book(tmp_path, book)
    read = read_plan_book(tmp_path)
    assert read.problem is None
    assert_same(read.book, book)
    assert read.book.need_at(ACME, NOW_S + 600.0) == 10


def test_the_second_write_replaces_the_first_and_leaves_no_litter(tmp_path: Path):
    write_plan_book(tmp_path, PlanBook())
    write_plan_book(tmp_path, a_book())
    assert [path.name for path in tmp_path.iterdir()] == [FILE_NAME]
    assert_same(read_plan_book(tmp_path).book, a_book())


def test_an_empty_book_and_no_book_are_read_as_empty(tmp_path: Path):
    assert read_plan_book(tmp_path).problem is None
    write_plan_book(tmp_path, PlanBook())
    assert read_plan_book(tmp_path) == type(read_plan_book(tmp_path))(PlanBook())


@pytest.mark.parametrize("place", range(0, 100, 4))
def test_a_flipped_bit_anywhere_is_noticed_set_aside_and_told(tmp_path: Path, place: int):
    path = write_plan_book(tmp_path, a_book())
    content = bytearray(path.read_bytes())
    content[len(content) * place // 100] ^= 1
    path.write_bytes(content)
    read = read_plan_book(tmp_path)
    assert read.book.pages == {}
    assert read.problem is not None
    assert "damaged" in read.problem
    assert not path.exists()
    assert path.with_suffix(".corrupt").read_bytes() == content
    write_plan_book(tmp_path, a_book())
    assert read_plan_book(tmp_path).problem is None


@pytest.mark.parametrize("length", [0, 1, 20, 40, 60, 500])
def test_a_file_that_was_cut_short_is_set_aside(tmp_path: Path, length: int):
    path = write_plan_book(tmp_path, a_book())
    os.truncate(path, length)
    assert "damaged" in (read_plan_book(tmp_path).problem or "")


def test_a_file_of_another_version_is_set_aside_and_not_misread(tmp_path: Path):
    path = write_plan_book(tmp_path, a_book())
    path.write_bytes(path.read_bytes().replace(b"plan book 1", b"plan book 2", 1))
    assert "not a plan book of this version" in (read_plan_book(tmp_path).problem or "")


def test_a_directory_in_the_files_place_does_not_stop_the_start(tmp_path: Path):
    (tmp_path / FILE_NAME).mkdir()
    read = read_plan_book(tmp_path)
    assert read.book.pages == {}
    assert "plan-book.corrupt" in (read.problem or "")
    assert write_plan_book(tmp_path, a_book()).is_file()


def test_a_directory_that_is_not_there_is_told(tmp_path: Path):
    with pytest.raises(StateError, match="cannot be written"):
        write_plan_book(tmp_path / "missing", PlanBook())


def test_arrays_that_unfold_to_more_than_they_are_are_not_read():
    raw = to_bytes(a_book())
    magic, payload = raw[: raw.index(b"\n") + 1], raw[raw.index(b"\n") + 1 + 32 :]
    unfolding = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(payload)) as stored,
        zipfile.ZipFile(unfolding, "w", zipfile.ZIP_DEFLATED) as packed,
    ):
        for name in stored.namelist():
            packed.writestr(name, stored.read(name))
    with pytest.raises(DamagedPlanBookError, match="compressed"):
        from_bytes(magic + hashlib.sha256(unfolding.getvalue()).digest() + unfolding.getvalue())


def test_the_file_needs_no_pickle(tmp_path: Path):
    path = write_plan_book(tmp_path, a_book())
    payload = path.read_bytes().split(b"\n", 1)[1][32:]
    arrays = tmp_path / "arrays.npz"
    arrays.write_bytes(payload)
    with np.load(arrays, allow_pickle=False) as loaded:
        assert all(loaded[name].dtype != object for name in loaded.files)
