"""What is appended comes back, on any grid, and a slot that was fetched is never counted as missing."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from forecasting.archive import Archive, Coverage, DatasetKey, Span
from forecasting.errors import ForecastInputError
from forecasting.grid import SlotGrid
from forecasting.load import LoadMatrix, Measure
from tests.forecasting.archive.matrices import DAY_S, GAP, KEY, MIDNIGHT_S, STEP_S, grid, load_of, rows_of, segments


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return Archive(str(tmp_path / "archive"))


def test_what_was_appended_is_loaded_by_another_process(archive: Archive, tmp_path: Path) -> None:
    archive.append(KEY, load_of(22, {"acme": [1, 2, 3, 4], "béta/\n=": [GAP, 0, GAP, 7]}))
    other = Archive(str(tmp_path / "archive"))
    assert rows_of(other.load(KEY, grid(21, 6))) == {
        "acme": [None, 1, 2, 3, 4, None],
        "béta/\n=": [None, None, 0, None, 7, None],
    }


def test_an_archive_that_was_never_written_is_empty(archive: Archive) -> None:
    load = archive.load(KEY, grid(0, 24))
    assert (load.series, load.values.shape, load.measure) == ((), (0, 24), Measure.CHANNELS)
    assert archive.extent(KEY) is None
    assert archive.coverage(KEY) == Coverage()
    assert archive.datasets() == ()


def test_series_are_all_those_observed_in_the_range_and_only_those(archive: Archive) -> None:
    archive.append(KEY, load_of(0, {"gone": [5, GAP], "silent": [GAP, GAP]}))
    archive.append(KEY, load_of(2, {"come": [6, 6], "always": [1, 1]}))
    assert archive.load(KEY, grid(0, 4)).series == ("always", "come", "gone")
    assert archive.load(KEY, grid(1, 3)).series == ("always", "come")


def test_the_newer_write_wins_where_it_observed_something(archive: Archive) -> None:
    archive.append(KEY, load_of(0, {"acme": [1, 2, 3]}))
    archive.append(KEY, load_of(1, {"acme": [20, GAP, 40]}))
    assert rows_of(archive.load(KEY, grid(0, 4))) == {"acme": [1, 20, 3, 40]}


def test_a_gap_never_erases_what_was_observed_not_even_through_a_merge(archive: Archive) -> None:
    archive.append(KEY, load_of(0, {"acme": [1, 2]}))
    archive.append(KEY, load_of(0, {"acme": [GAP, GAP], "beta": [3, 3]}))
    archive.append(KEY, load_of(24, {"acme": [9]}))
    assert archive.compact(KEY) == 2
    assert rows_of(archive.load(KEY, grid(0, 2))) == {"acme": [1, 2], "beta": [3, 3]}


def test_a_slot_that_was_fetched_and_empty_is_covered(archive: Archive) -> None:
    archive.append(KEY, load_of(3, {}, slots=2))
    archive.append(KEY, load_of(6, {"acme": [GAP]}))
    hour = MIDNIGHT_S + 3 * STEP_S
    assert archive.coverage(KEY).spans == (Span(hour, hour + 2 * STEP_S), Span(hour + 3 * STEP_S, hour + 4 * STEP_S))
    assert archive.extent(KEY) == grid(3, 4)
    assert archive.load(KEY, grid(3, 4)).series == ()


def test_a_merge_keeps_values_and_coverage_and_leaves_one_file_for_each_stretch(
    archive: Archive, tmp_path: Path
) -> None:
    for hour in (0, 1, 2, 5, 6, 24):
        archive.append(KEY, load_of(hour, {"acme": [hour]}))
    before, coverage = rows_of(archive.load(KEY, grid(0, 30))), archive.coverage(KEY)
    assert archive.compact(KEY) == 5
    assert rows_of(archive.load(KEY, grid(0, 30))) == before
    assert archive.coverage(KEY) == coverage
    assert len(segments(tmp_path)) == 0
    assert [path.name[:23] for path in segments(tmp_path / "archive")] == [
        "2024-10-04.s00000-00002",
        "2024-10-04.s00005-00006",
        "2024-10-05.s00000-00000",
    ]
    assert archive.compact(KEY) == 0


def test_the_day_that_is_being_written_is_merged_only_when_it_has_many_files(archive: Archive, tmp_path: Path) -> None:
    for write in range(32):
        archive.append(KEY, load_of(0, {"acme": [write]}))
    assert archive.compact(KEY) == 0
    archive.append(KEY, load_of(1, {"acme": [32]}))
    assert archive.compact(KEY) == 33
    assert len(segments(tmp_path / "archive")) == 1
    archive.append(KEY, load_of(0, {"acme": [33]}))
    assert rows_of(archive.load(KEY, grid(0, 2))) == {"acme": [33, 32]}


def test_days_before_the_look_back_are_dropped_and_no_other(archive: Archive, tmp_path: Path) -> None:
    for day in range(3):
        archive.append(KEY, load_of(24 * day, {"acme": [day] * 24}))
    assert archive.drop_before(KEY, MIDNIGHT_S + 2 * DAY_S - 1) == 1
    assert archive.extent(KEY) == grid(24, 48)
    segments(tmp_path / "archive")[0].rename(segments(tmp_path / "archive")[0].with_suffix(".parquet.corrupt"))
    assert archive.drop_before(KEY, MIDNIGHT_S + 2 * DAY_S) == 1
    assert [path.name[:10] for path in (tmp_path / "archive").glob("*/*")] == ["2024-10-06"]


def test_datasets_are_told_apart_and_listed(archive: Archive) -> None:
    keys = [
        KEY,
        DatasetKey("Default", Measure.CHANNELS, STEP_S, KEY.query),
        DatasetKey("…", KEY.measure, 300, "x/../y"),
    ]
    for number, key in enumerate(keys):
        values = np.full((1, 1), number, np.float32)
        archive.append(key, LoadMatrix(key.measure, ("acme",), SlotGrid(MIDNIGHT_S, key.step_s, 1), values))
    assert set(archive.datasets()) == set(keys)
    for number, key in enumerate(keys):
        assert archive.load(key, SlotGrid(MIDNIGHT_S, key.step_s, 1)).values.tolist() == [[number]]


def test_a_refresh_equals_a_load_and_reads_nothing_when_nothing_changed(archive: Archive) -> None:
    archive.append(KEY, load_of(0, {"acme": [1.0] * 60, "gone": [2.0] + [GAP] * 59}))
    snapshot = archive.refresh(KEY, grid(0, 60))
    assert archive.refresh(KEY, grid(0, 60), snapshot) is snapshot
    archive.append(KEY, load_of(58, {"acme": [5, 6, 7], "new": [8, 8, 8]}))
    moved = archive.refresh(KEY, grid(1, 60), snapshot)
    assert rows_of(moved.load) == rows_of(archive.load(KEY, grid(1, 60)))
    assert moved.load.series == ("acme", "new")
    assert rows_of(snapshot.load)["acme"] == [1.0] * 60, "a matrix that was handed out never changes"


def test_a_refresh_can_reach_back_further_than_its_snapshot(archive: Archive) -> None:
    archive.append(KEY, load_of(0, {"acme": list(range(60))}))
    snapshot = archive.refresh(KEY, grid(30, 20))
    assert rows_of(archive.refresh(KEY, grid(0, 60), snapshot).load) == {"acme": list(range(60))}


def test_another_step_or_measure_is_refused(archive: Archive) -> None:
    five_minutes = LoadMatrix(Measure.CHANNELS, (), SlotGrid(MIDNIGHT_S, 300, 1), np.empty((0, 1), np.float32))
    with pytest.raises(ForecastInputError, match="300 s does not belong to channels on 3600 s"):
        archive.append(KEY, five_minutes)
    with pytest.raises(ForecastInputError, match="300 s does not fit"):
        archive.load(KEY, five_minutes.grid)
    with pytest.raises(ForecastInputError, match="must divide a day"):
        DatasetKey("default", Measure.CHANNELS, 7 * 3600, "0")
    with pytest.raises(ForecastInputError, match="half a character"):
        archive.append(KEY, load_of(0, {"\ud800": [1]}))


def test_a_file_is_an_ordinary_table_to_any_other_tool(archive: Archive, tmp_path: Path) -> None:
    archive.append(KEY, load_of(0, {"acme": [1, GAP], "beta": [3, 4]}))
    frame = pq.read_table(segments(tmp_path / "archive")[0]).to_pandas()
    assert list(frame.columns) == ["tenant", "time", "value"]
    assert frame["tenant"].tolist() == ["acme", "acme", "beta", "beta"]
    assert [str(time) for time in frame["time"][:2]] == ["2024-10-04 00:00:00+00:00", "2024-10-04 01:00:00+00:00"]
    assert frame["value"].fillna(-1).tolist() == [1, -1, 3, 4]
