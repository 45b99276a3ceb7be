"""A file that is cut off, changed or foreign costs its own time and nothing else: it is set aside and said."""

import shutil
from pathlib import Path

import pytest

from forecasting.archive import Archive, DatasetKey
from forecasting.archive.store import LocalStore
from forecasting.errors import ArchiveError
from forecasting.load import Measure
from tests.forecasting.archive.matrices import KEY, MIDNIGHT_S, STEP_S, grid, load_of, rows_of, segments


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Three days of one dataset, one file each."""
    for day in range(3):
        Archive(str(tmp_path)).append(KEY, load_of(24 * day, {"acme": [day] * 24}))
    return tmp_path


def only_days_left(archive: Archive, days: set[int]) -> None:
    """What is observed, and after that look what is covered, are these days."""
    row = rows_of(archive.load(KEY, grid(0, 72)))["acme"]
    assert row == [day if day in days else None for day in range(3) for _ in range(24)]
    covered = {
        (span - MIDNIGHT_S) // 86400 for start, end in archive.coverage(KEY).spans for span in range(start, end, STEP_S)
    }
    assert covered == days


@pytest.mark.parametrize("keep", [0, 1, 4, 100, -8, -1])
def test_a_file_that_was_cut_off(root: Path, keep: int) -> None:
    victim = segments(root)[1]
    victim.write_bytes(victim.read_bytes()[:keep])
    archive = Archive(str(root))
    only_days_left(archive, {0, 2})
    (problem,) = archive.problems
    assert problem.path == f"{KEY.folder}/{victim.name}"
    assert f"{victim.name}.corrupt" in str(problem)
    assert victim.with_name(victim.name + ".corrupt").exists()


def test_no_changed_byte_anywhere_in_a_file_is_taken_for_load(root: Path) -> None:
    victim = segments(root)[1]
    whole = victim.read_bytes()
    for at in range(0, len(whole), 7):
        victim.write_bytes(whole[:at] + bytes([whole[at] ^ 0x20]) + whole[at + 1 :])
        archive = Archive(str(root))
        assert rows_of(archive.load(KEY, grid(24, 24))) == {}, f"byte {at} of {len(whole)}"
        assert len(archive.problems) == 1


def test_a_day_that_was_set_aside_is_fetched_and_written_again_under_the_same_name(root: Path) -> None:
    victim = segments(root)[1]
    victim.write_bytes(b"PAR1")
    archive = Archive(str(root))
    only_days_left(archive, {0, 2})
    archive.append(KEY, load_of(24, {"acme": [1] * 24}))
    assert victim in segments(root)
    only_days_left(archive, {0, 1, 2})
    assert len(archive.problems) == 1


def test_files_that_calltide_did_not_write(root: Path) -> None:
    folder = root / KEY.folder
    foreign = folder / "export.parquet"
    shutil.copy(segments(root)[0], foreign)
    for name in ("9999-99-99", "2024-10-04.s00030-00031.w0000000001.m000000.0123456789abcdef.v1"):
        (folder / f"{name}.parquet").write_bytes(b"")
    (folder / "notes.txt").write_text("not calltide's, and no segment either")
    archive = Archive(str(root))
    assert archive.extent(KEY) == grid(0, 72)
    assert len(archive.problems) == 3
    assert all("its name is none that calltide gives" in str(problem) for problem in archive.problems)
    only_days_left(archive, {0, 1, 2})
    assert (folder / "notes.txt").exists()


def test_a_file_that_was_copied_from_another_dataset(root: Path) -> None:
    other = DatasetKey("other", Measure.CHANNELS, STEP_S, KEY.query)
    (root / other.folder).mkdir()
    shutil.copy(segments(root)[0], root / other.folder)
    archive = Archive(str(root))
    assert archive.datasets() == (KEY,)
    assert archive.load(other, grid(0, 72)).series == ()
    assert "belongs to another dataset" in str(archive.problems[0])


def test_a_merge_leaves_out_what_is_damaged(root: Path) -> None:
    Archive(str(root)).append(KEY, load_of(0, {"acme": [7, 7]}))
    Archive(str(root)).append(KEY, load_of(0, {"beta": [8]}))
    victim = next(path for path in segments(root) if ".w0000000002." in path.name)
    victim.write_bytes(b"")
    archive = Archive(str(root))
    assert archive.compact(KEY) == 2
    assert rows_of(archive.load(KEY, grid(0, 2))) == {"acme": [0, 0], "beta": [8, None]}
    assert len(archive.problems) == 1


def test_a_damaged_file_that_cannot_be_renamed_is_ignored_and_said_once(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    segments(root)[1].write_bytes(b"")

    def refused(self: LocalStore, path: str) -> None:
        raise ArchiveError("read-only file system")

    monkeypatch.setattr(LocalStore, "set_aside", refused)
    archive = Archive(str(root))
    only_days_left(archive, {0, 2})
    only_days_left(archive, {0, 2})
    (problem,) = archive.problems
    assert "could not be renamed (read-only file system)" in problem.remedy
    archive.append(KEY, load_of(24, {"acme": [1] * 24}))
    only_days_left(archive, {0, 1, 2})


def test_the_format_of_a_newer_calltide_is_refused_and_left_alone(root: Path) -> None:
    newest = segments(root)[2]
    newest.rename(newest.with_name(newest.name.replace(".v1.", ".v2.")))
    before = sorted(path.name for path in root.rglob("*"))
    archive = Archive(str(root))
    uses = (lambda: archive.load(KEY, grid(0, 72)), lambda: archive.coverage(KEY), lambda: archive.compact(KEY))
    for use in (*uses, lambda: archive.append(KEY, load_of(0, {"acme": [1]}))):
        with pytest.raises(ArchiveError, match="archive format 2, this calltide reads up to 1; run the calltide that"):
            use()
    assert sorted(path.name for path in root.rglob("*")) == before
    assert archive.problems == ()


def test_a_file_that_another_process_merges_while_it_is_read_is_found_in_the_merged_one(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Archive(str(root)).append(KEY, load_of(0, {"acme": [5]}))
    read, merged = LocalStore.read, []

    def merged_meanwhile(self: LocalStore, path: str) -> bytes:
        if not merged:
            merged.append(True)
            Archive(str(root)).compact(KEY)
        return read(self, path)

    monkeypatch.setattr(LocalStore, "read", merged_meanwhile)
    archive = Archive(str(root))
    assert rows_of(archive.load(KEY, grid(0, 2))) == {"acme": [5, 0]}
    assert archive.problems == ()
