"""History files: formats, columns, local time, steps, gaps."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest

from forecasting.errors import HistoryFormatError, SourceConfigurationError
from forecasting.grid import SlotGrid
from forecasting.load import Measure
from forecasting.sources import FileSettings, HistoryQuery, RefusedCalls
from forecasting.sources.file import FileSource
from forecasting.sources.protocol import SlotStatistic

QUERY = HistoryQuery(Measure.CHANNELS, "value", "tenant")
START_S = 1_780_012_800  # 2026-05-29 00:00 UTC
GRID = SlotGrid(START_S, 300, 4)


@pytest.fixture
def csv(tmp_path: Path) -> Callable[..., FileSource]:
    """A source over one CSV file with these lines; more settings by name."""

    def make(text: str, **settings: object) -> FileSource:
        path = tmp_path / "load.csv"
        path.write_text(text, encoding="utf-8")
        return FileSource(FileSettings.model_validate({"type": "file", "paths": str(path), **settings}), "files")

    return make


def utc(*when: int, zone: str = "UTC", fold: int = 0) -> int:
    return int(datetime(*when, tzinfo=ZoneInfo(zone), fold=fold).timestamp())


def test_a_csv_in_any_order_with_a_gap_and_a_correction(csv) -> None:
    source = csv(
        "series,ts,value\n"
        "acme,2026-05-29 00:15:00,8\nacme,2026-05-29 00:00:00,5\nglobex,2026-05-29 00:05:00,1\n"
        "acme,2026-05-29 00:05:00,6\nacme,2026-05-29 00:00:00,4\nacme,2026-05-29 00:15:00,-3\n"
    )
    load = source.read(QUERY, GRID)
    assert load.series == ("acme", "globex")
    np.testing.assert_array_equal(load.row("acme"), np.float32([4, 6, np.nan, 8]))
    np.testing.assert_array_equal(load.row("globex"), np.float32([np.nan, 1, np.nan, np.nan]))


def test_parquet_and_csv_say_the_same(csv, tmp_path: Path) -> None:
    text = "tenant,when,calls\n" + "".join(f"t{n % 3},2026-05-29T00:{n:02d}:00+02:00,{n}\n" for n in range(0, 60, 5))
    columns = {"seriesColumn": "tenant", "timeColumn": "when"}
    frame = pd.DataFrame({"tenant": [f"t{n % 3}" for n in range(0, 60, 5)], "calls": list(range(0, 60, 5))})
    frame["when"] = [pd.Timestamp(f"2026-05-29T00:{n:02d}:00+02:00") for n in range(0, 60, 5)]
    frame.to_parquet(tmp_path / "load.parquet")
    query = HistoryQuery(Measure.CHANNELS, "calls", "tenant")
    grid = SlotGrid(START_S - 7200, 900, 4)
    settings = {"type": "file", "paths": str(tmp_path / "load.parquet"), **columns}
    expected = FileSource(FileSettings.model_validate(settings), "files").read(query, grid)
    assert expected.series == ("t0", "t1", "t2")
    assert expected.observed.any()
    np.testing.assert_array_equal(csv(text, **columns).read(query, grid).values, expected.values)


def test_series_names_stay_as_they_are_written(csv) -> None:
    source = csv('series,ts,value\n007,2026-05-29 00:00,1\nNA,2026-05-29 00:00,2\n"a,""b""\nc",2026-05-29 00:00,3\n')
    assert source.read(QUERY, GRID).series == ("007", "NA", 'a,"b"\nc')


def test_several_files_are_one_and_the_later_wins(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("series,ts,value\nacme,2026-05-29 00:00,1\nacme,2026-05-29 00:05,1\n")
    (tmp_path / "b.csv").write_text("series,ts,value\nacme,2026-05-29 00:05,2\nacme,2026-05-29 00:10,2\n")
    paths = [str(tmp_path / name) for name in ("a.csv", "b.csv")]
    source = FileSource(FileSettings.model_validate({"type": "file", "paths": paths}), "files")
    np.testing.assert_array_equal(source.read(QUERY, GRID).row("acme"), np.float32([1, 2, 2, np.nan]))


def test_local_times_follow_the_zone_of_their_season(csv) -> None:
    text = "series,ts,value\na,2026-01-15 09:00,1\na,2026-01-15 09:05,1\na,2026-07-15 09:00,2\n"
    source = csv(text, timeZone="America/New_York")
    for at_s, value in ((utc(2026, 1, 15, 14), 1), (utc(2026, 7, 15, 13), 2)):
        assert source.read(QUERY, SlotGrid(at_s, 300, 1)).values[0, 0] == value


def test_the_hour_that_comes_twice_is_read_in_the_order_of_the_file(csv) -> None:
    lines = [
        f"{series},2026-11-01 {hour}:{minute},{value}"
        for series in ("a", "b")
        for hour, minute, value in (
            ("00", "30", 1),
            ("01", "00", 2),
            ("01", "30", 3),
            ("01", "00", 4),
            ("01", "30", 5),
            ("02", "00", 6),
        )
    ]
    source = csv("series,ts,value\n" + "\n".join(lines), timeZone="America/New_York")
    grid = SlotGrid(utc(2026, 11, 1, 0, 30, zone="America/New_York"), 1800, 6)
    assert source.read(QUERY, grid).values.tolist() == [[1, 2, 3, 4, 5, 6]] * 2


def test_the_hour_that_comes_twice_but_stands_once_leaves_its_second_pass_as_a_gap(csv) -> None:
    times = ("00:30", "01:00", "01:30", "02:00")
    source = csv(
        "series,ts,value\n" + "".join(f"a,2026-11-01 {at},{value}\n" for value, at in enumerate(times, 1)),
        timeZone="America/New_York",
    )
    grid = SlotGrid(utc(2026, 11, 1, 0, 30, zone="America/New_York"), 1800, 6)
    np.testing.assert_array_equal(source.read(QUERY, grid).row("a"), np.float32([1, 2, 3, np.nan, np.nan, 4]))


def test_the_hour_that_never_was_is_left_out_and_counted(csv, caplog: pytest.LogCaptureFixture) -> None:
    times = ("01:30", "02:00", "02:30", "03:00", "03:30")
    source = csv(
        "series,ts,value\n" + "".join(f"a,2026-03-08 {at},{value}\n" for value, at in enumerate(times, 1)),
        timeZone="America/New_York",
    )
    grid = SlotGrid(utc(2026, 3, 8, 1, 30, zone="America/New_York"), 1800, 3)
    assert source.read(QUERY, grid).row("a").tolist() == [1, 4, 5]
    assert "2 rows lie in an hour that America/New_York skipped" in caplog.text


def test_numbers_are_epoch_seconds(csv) -> None:
    assert csv(f"series,ts,value\na,{START_S + 300.5},7\n").read(QUERY, GRID).values[0, 1] == 7


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "serie,ts,value\na,2026-05-29,1\n",
            r"no column 'series'; did you mean 'serie'\? The columns are serie, ts, value",
        ),
        ("series,ts,wert\na,2026-05-29,1\n", r"'value'\. The columns are series, ts, wert\. Name them by seriesColumn"),
        ("series,ts,value\na,yesterday,1\n", r"column 'ts': row 1 holds 'yesterday'; write times like"),
        ("series,ts,value\na,,1\n", r"row 1 has no time"),
        ("series,ts,value\n,2026-05-29,1\n", r"row 1 has no series"),
        (
            "series,ts,value\na,2026-05-29,1\na,2026-05-29,lots\n",
            r"column 'value': row 2 holds 'lots', which is no number",
        ),
        ("series,ts,value\na,2026-05-29 00:00+02:00,1\na,2026-05-29 00:05,1\n", r"row 2 does not; write all alike"),
        ("series,ts,value\na,1780012800000,1\n", r"look like milliseconds"),
        ("", r"cannot be read: No columns"),
        ('series,ts,value\n"a,2026-05-29,1\n', r"cannot be read"),
    ],
)
def test_a_wrong_file_is_told_with_place_and_remedy(csv, text: str, told: str) -> None:
    with pytest.raises(HistoryFormatError, match=told) as error:
        csv(text).read(QUERY, GRID)
    assert "load.csv" in str(error.value)


def test_a_file_that_is_not_there_or_not_what_its_ending_says_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_text("series,ts,value\n")
    (tmp_path / "a.xls").write_text("x")
    for name, told in (
        ("none.csv", "No such file"),
        ("a.parquet", "cannot be read"),
        ("a.xls", "ending tells the format"),
    ):
        source = FileSource(FileSettings(type="file", paths=(str(tmp_path / name),)), "files")
        with pytest.raises(HistoryFormatError, match=told) as error:
            source.read(QUERY, GRID)
        assert name in str(error.value)


def minutes(every: int, count: int) -> str:
    return "series,ts,value\n" + "".join(f"a,{START_S + 60 * every * n},{n}\n" for n in range(count))


def test_a_coarser_file_than_the_grid_is_refused_with_its_own_step(csv) -> None:
    source = csv(minutes(30, 10))
    assert source.native_step_s(QUERY) == 1800
    with pytest.raises(
        HistoryFormatError, match="one sample per 1800 s cannot fill slots of 300 s; use a step of 1800 s"
    ):
        source.read(QUERY, GRID)


def test_six_minutes_are_six_minutes(csv) -> None:
    source = csv(minutes(6, 10))
    assert source.native_step_s(QUERY) == 360
    assert source.span_s(QUERY) == (START_S, START_S + 3600)
    assert source.read(QUERY, SlotGrid(START_S // 360 * 360, 360, 10)).row("a").tolist() == list(range(10))


@pytest.mark.parametrize(("statistic", "expected"), [("mean", [2.0, 7.0]), ("maximum", [4.0, 9.0])])
def test_a_finer_file_is_aggregated(csv, statistic: str, expected: list[float]) -> None:
    source = csv(minutes(1, 10))
    assert (
        source.read(replace(QUERY, statistic=SlotStatistic(statistic)), SlotGrid(START_S, 300, 2)).row("a").tolist()
        == expected
    )


def test_a_slot_with_too_few_of_its_samples_is_a_gap(csv) -> None:
    lines = minutes(1, 15).splitlines(keepends=True)
    source = csv("".join(lines[:7] + lines[9:]))
    observed = source.read(QUERY, SlotGrid(START_S, 300, 3)).observed[0]
    assert observed.tolist() == [True, False, True], "two of its five samples are missing"


def test_a_completeness_column_masks_slots(csv) -> None:
    text = (
        f"series,ts,value,up\na,{START_S},5,1\na,{START_S + 300},5,0.5\na,{START_S + 600},5,\na,{START_S + 900},5,0.9\n"
    )
    source = csv(text)
    guarded = HistoryQuery(Measure.CHANNELS, "value", "tenant", "up", 0.9)
    assert source.read(guarded, GRID).observed[0].tolist() == [True, False, False, True]
    assert source.current(guarded, START_S + 400).by_tenant == {"a": 5}
    assert source.read(QUERY, GRID).observed.all()


def test_a_column_of_refused_calls_is_added_and_an_empty_cell_is_a_gap(csv) -> None:
    text = (
        f"series,ts,value,refused,held\na,{START_S},5,0.02,100\na,{START_S + 300},5,0,\na,{START_S + 600},5,,100\n"
        f"a,{START_S + 900},5,0.02,\n"
    )
    query = replace(QUERY, refused=RefusedCalls("refused", 200.0, retry_share=0.5))
    np.testing.assert_array_equal(csv(text).read(query, GRID).row("a"), np.float32([7, 5, np.nan, 7]))
    by_column = replace(QUERY, refused=RefusedCalls("refused", holding_expression="held"))
    np.testing.assert_array_equal(csv(text).read(by_column, GRID).row("a"), np.float32([7, 5, np.nan, np.nan]))
    assert csv(text).current(query, START_S + 100).by_tenant == {"a": 5}, "the load right now is what is carried"


def test_a_file_of_calls_is_no_place_for_refused_ones(csv) -> None:
    source = csv(f"series,ts,value\na,{START_S},60\n", kind="events")
    with pytest.raises(SourceConfigurationError, match=r"remove history\.refused"):
        source.read(replace(QUERY, refused=RefusedCalls("refused", 200.0)), GRID)


def test_a_changed_file_is_read_again(csv, tmp_path: Path) -> None:
    source = csv(minutes(5, 4))
    assert source.read(QUERY, GRID).row("a").tolist() == [0, 1, 2, 3]
    path = tmp_path / "load.csv"
    path.write_text(minutes(5, 3))
    os.utime(path, ns=(0, 0))
    np.testing.assert_array_equal(source.read(QUERY, GRID).row("a"), np.float32([0, 1, 2, np.nan]))


def test_the_load_right_now_is_the_newest_sample_that_is_not_stale(csv) -> None:
    source = csv(f"series,ts,value\na,{START_S},1\na,{START_S + 300},2\nb,{START_S},9\n", stalenessSeconds=200)
    now = source.current(QUERY, START_S + 310)
    assert now.by_tenant == {"a": 2, "b": 9}
    assert now.measured_at_s == START_S
    assert source.current(QUERY, START_S + 600).by_tenant == {"a": 2}
    assert source.current(QUERY, START_S + 900).by_tenant == {}
    assert source.current(QUERY, START_S - 1).by_tenant == {}


def test_the_load_right_now_tells_each_series_age_and_who_is_not_measured(csv) -> None:
    rows = f"a,{START_S + 300},2\nb,{START_S},9\nc,{START_S + 300},-1\nd,{START_S - 900},5\n"
    now = csv("series,ts,value\n" + rows, stalenessSeconds=400).current(QUERY, START_S + 310)
    assert [now.oldest_s([one]) for one in ("a", "b")] == [START_S + 300, START_S]
    assert now.incomplete == {"c"}, "a sample that is no load; d has none of late"


def calls_csv() -> str:
    """One call of 100 s each 10 s for two hours, in two series by turns."""
    return "station,began,seconds\n" + "".join(f"s{n % 2},{START_S + 10 * n},100\n" for n in range(720))


CALLS = {"kind": "events", "seriesColumn": "station", "timeColumn": "began"}
DURATIONS = HistoryQuery(Measure.CHANNELS, "seconds", "tenant")
ARRIVALS = HistoryQuery(Measure.CALL_RATE, "seconds", "tenant")


def test_calls_become_concurrency_and_arrivals_and_edges_are_gaps(csv) -> None:
    source = csv(calls_csv(), **CALLS)
    grid = SlotGrid(START_S, 300, 24)
    peak = source.read(DURATIONS, grid)
    assert peak.series == ("s0", "s1")
    assert np.isnan(peak.values[:, [0, 23]]).all()
    assert (peak.values[:, 1:23] == 5).all()
    np.testing.assert_allclose(source.read(ARRIVALS, grid).values[:, 1:23], 0.05)
    mean = replace(DURATIONS, statistic=SlotStatistic.MEAN)
    np.testing.assert_allclose(source.read(mean, grid).values[:, 1:23], 5)
    assert source.native_step_s(DURATIONS) is None
    assert source.span_s(DURATIONS) == (START_S + 100, START_S + 7190)


def test_calls_in_progress_are_told_only_where_the_file_can_tell(csv) -> None:
    source = csv(calls_csv(), **CALLS)
    assert source.current(DURATIONS, START_S + 3605).by_tenant == {"s0": 5, "s1": 5}
    assert source.current(ARRIVALS, START_S + 3605).by_tenant == pytest.approx({"s0": 0.05, "s1": 0.05})
    assert source.current(DURATIONS, START_S + 7300).by_tenant == {}


def test_calls_have_no_completeness(csv) -> None:
    guarded = HistoryQuery(Measure.CHANNELS, "seconds", "tenant", "up")
    with pytest.raises(SourceConfigurationError, match="files of calls have no completeness"):
        csv(calls_csv(), **CALLS).read(guarded, GRID)
