"""The archive keeps level with its source: nothing is asked for twice without reason, nothing is lost, none is asked
for before it is over."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from forecasting.archive import Archive, Coverage, DatasetKey, Span
from forecasting.errors import ArchiveError, ForecastInputError, SourceError
from forecasting.grid import SlotGrid
from forecasting.ingest import Ingest
from forecasting.load import LoadMatrix, Measure
from forecasting.sources.protocol import CurrentLoad, HistoryQuery

STEP_S = 300
HOUR_S = 3600
DAY_S = 86400
LOOK_BACK_S = 3 * DAY_S
START_S = 20_000 * DAY_S
NOW_S = START_S + 10 * DAY_S + 9 * HOUR_S + 7
END_S = START_S + 10 * DAY_S + 9 * HOUR_S
QUERY = HistoryQuery(Measure.CHANNELS, "channels", "tenant")
KEY = DatasetKey.of("default", QUERY, STEP_S)


@dataclass
class FakeSource:
    """Answers slot number of the day for each tenant from when it began, except where it is told to have gaps."""

    begins_s: dict[str, int] = field(default_factory=lambda: {"acme": 0})
    gaps: Coverage = field(default_factory=Coverage)
    fails_after: int | None = None
    asked: list[Span] = field(default_factory=list)

    def read(self, query: HistoryQuery, grid: SlotGrid) -> LoadMatrix:
        if self.fails_after is not None and len(self.asked) >= self.fails_after:
            raise SourceError("connection refused")
        self.asked.append(Span(grid.start_s, grid.end_s))
        starts = grid.starts_s
        values = np.tile((starts % DAY_S / STEP_S).astype(np.float32), (len(self.begins_s), 1))
        for row, begins_s in enumerate(self.begins_s.values()):
            values[row, starts < begins_s] = np.nan
        for gap in self.gaps.spans:
            values[:, (starts >= gap.start_s) & (starts < gap.end_s)] = np.nan
        return LoadMatrix(query.measure, tuple(self.begins_s), grid, values)

    def current(self, query: HistoryQuery, now_s: float) -> CurrentLoad:
        raise AssertionError("the ingest reads the past")

    def close(self) -> None:
        pass

    def take_asked(self) -> list[Span]:
        asked, self.asked = self.asked, []
        return asked


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return Archive(str(tmp_path / "archive"))


def ingest_of(source: FakeSource, archive: Archive, look_back_s: int = LOOK_BACK_S) -> Ingest:
    return Ingest(source, archive, KEY, QUERY, STEP_S, look_back_s)


def complete(load: LoadMatrix) -> bool:
    """Whether the only tenant was observed in every slot, with the values of the source."""
    return load.series == ("acme",) and np.array_equal(load.values[0], load.grid.starts_s % DAY_S / STEP_S)


def test_the_first_start_reads_the_whole_look_back_the_newest_day_first(archive: Archive) -> None:
    source = FakeSource()
    ingest = ingest_of(source, archive)
    report = ingest.catch_up(NOW_S)
    midnights = [START_S + day * DAY_S for day in (10, 9, 8)]
    assert source.asked == [
        Span(midnights[0], END_S),
        Span(midnights[1], midnights[0]),
        Span(midnights[2], midnights[1]),
        Span(END_S - LOOK_BACK_S, midnights[2]),
    ]
    assert report.fetched_slots == LOOK_BACK_S // STEP_S
    assert report.new_tenants == ("acme",)
    assert (report.gap_slots, report.newest_observation_s, report.set_aside) == (0, END_S, ())
    load = ingest.load(NOW_S)
    assert (load.grid.start_s, load.grid.end_s) == (END_S - LOOK_BACK_S, END_S)
    assert complete(load)


def test_nothing_is_asked_for_until_another_slot_is_over(archive: Archive) -> None:
    source = FakeSource()
    ingest = ingest_of(source, archive)
    ingest.catch_up(NOW_S)
    source.take_asked()
    assert ingest.catch_up(END_S + STEP_S - 0.5).fetched_slots == 0
    assert source.asked == []
    assert ingest.load(NOW_S) is ingest.load(NOW_S)
    assert ingest.catch_up(END_S + STEP_S).fetched_slots == 4
    assert source.asked == [Span(END_S - 3 * STEP_S, END_S + STEP_S)], "the new slot and three before it, no more"


def test_a_late_sample_is_taken_in_with_the_slots_after_it(archive: Archive) -> None:
    source = FakeSource(gaps=Coverage.of([(END_S - STEP_S, END_S)]))
    ingest = ingest_of(source, archive)
    ingest.catch_up(NOW_S)
    assert np.isnan(ingest.load(NOW_S).values[0, -1])
    source.gaps = Coverage()
    ingest.catch_up(NOW_S + STEP_S)
    assert complete(ingest.load(NOW_S + STEP_S))


def test_a_restart_reads_only_what_came_since(archive: Archive, tmp_path: Path) -> None:
    ingest_of(FakeSource(), archive).catch_up(NOW_S)
    source = FakeSource()
    restarted = ingest_of(source, Archive(str(tmp_path / "archive")))
    assert complete(restarted.load(NOW_S)), "the archive serves before the source was asked anything"
    report = restarted.catch_up(NOW_S + 2 * HOUR_S)
    assert source.asked == [Span(END_S - 3 * STEP_S, END_S + 2 * HOUR_S)]
    assert report.new_tenants == ()
    assert complete(restarted.load(NOW_S + 2 * HOUR_S))


def test_a_backfill_that_was_broken_off_continues_where_it_was(archive: Archive) -> None:
    source = FakeSource(fails_after=2)
    with pytest.raises(SourceError, match="connection refused"):
        ingest_of(source, archive).catch_up(NOW_S)
    done = source.take_asked()
    source.fails_after = None
    ingest = ingest_of(source, archive)
    ingest.catch_up(NOW_S)
    assert [span.end_s for span in source.asked] == [done[-1].start_s, START_S + 8 * DAY_S]
    assert complete(ingest.load(NOW_S))


def test_a_dead_source_leaves_the_archive_serving_and_is_caught_up_with_later(archive: Archive) -> None:
    source = FakeSource()
    ingest = ingest_of(source, archive)
    ingest.catch_up(NOW_S)
    source.fails_after = 0
    for hour in range(1, 4):
        with pytest.raises(SourceError):
            ingest.catch_up(NOW_S + hour * HOUR_S)
        load = ingest.load(NOW_S + hour * HOUR_S)
        assert np.isnan(load.values[0, -12 * hour :]).all()
        assert not np.isnan(load.values[0, : -12 * hour]).any()
    source.fails_after = None
    ingest.catch_up(NOW_S + 3 * HOUR_S)
    assert complete(ingest.load(NOW_S + 3 * HOUR_S))


def test_gaps_of_the_last_day_are_asked_for_again_hourly_and_older_ones_never(archive: Archive) -> None:
    recent, old = Span(END_S - 6 * HOUR_S, END_S - 5 * HOUR_S), Span(END_S - 30 * HOUR_S, END_S - 29 * HOUR_S)
    source = FakeSource(gaps=Coverage.of([recent, old]))
    ingest = ingest_of(source, archive)
    assert ingest.catch_up(NOW_S).gap_slots == 12
    source.take_asked()
    source.gaps = Coverage()
    ingest.catch_up(NOW_S + STEP_S)
    assert recent not in source.take_asked(), "asked for a moment ago"
    report = ingest.catch_up(NOW_S + HOUR_S)
    asked = source.take_asked()
    assert recent in asked
    assert old not in asked
    assert report.gap_slots == 0
    assert ingest.catch_up(NOW_S + 2 * HOUR_S + 1).gap_slots == 0
    assert recent not in source.asked, "it is filled now"


def test_a_source_that_knows_nothing_is_not_asked_for_everything_for_ever(archive: Archive) -> None:
    source = FakeSource(begins_s={})
    ingest = ingest_of(source, archive)
    report = ingest.catch_up(NOW_S)
    assert (report.new_tenants, report.newest_observation_s, report.gap_slots) == ((), 0, 288)
    source.take_asked()
    ingest.catch_up(NOW_S + STEP_S)
    assert [span.end_s - span.start_s for span in source.take_asked()] == [4 * STEP_S]
    ingest.catch_up(NOW_S + HOUR_S)
    assert sum(span.end_s - span.start_s for span in source.asked) <= 25 * HOUR_S


def test_scattered_gaps_cost_a_bounded_number_of_requests(archive: Archive) -> None:
    scattered = Coverage.of((END_S - n * 600 - STEP_S, END_S - n * 600) for n in range(5, 100))
    source = FakeSource(gaps=scattered)
    ingest = ingest_of(source, archive)
    ingest.catch_up(NOW_S)
    source.take_asked()
    ingest.catch_up(NOW_S + HOUR_S)
    assert len(source.asked) <= 12 + 2


def test_a_tenant_that_begins_is_missing_before_and_one_that_ends_keeps_its_past(archive: Archive) -> None:
    source = FakeSource({"old": 0})
    ingest = ingest_of(source, archive)
    ingest.catch_up(NOW_S)
    source.begins_s = {"new": END_S + STEP_S}
    assert ingest.catch_up(NOW_S + 2 * STEP_S).new_tenants == ("new",)
    load = ingest.load(NOW_S + 2 * STEP_S)
    assert load.series == ("new", "old")
    assert load.observed[:, -3:].tolist() == [[False, False, True], [True, False, False]]
    assert load.observed.sum(axis=1).tolist() == [1, load.grid.slots - 2]


def test_what_was_set_aside_is_fetched_again_and_told_in_the_report(archive: Archive, tmp_path: Path) -> None:
    ingest_of(FakeSource(), archive).catch_up(NOW_S)
    victim = min((tmp_path / "archive").glob("*/*.parquet"))
    victim.write_bytes(b"")
    source = FakeSource()
    ingest = ingest_of(source, Archive(str(tmp_path / "archive")))
    report = ingest.catch_up(NOW_S)
    assert [problem.path.split("/")[1] for problem in report.set_aside] == [victim.name]
    assert source.asked == [Span(END_S - LOOK_BACK_S, START_S + 8 * DAY_S)]
    assert complete(ingest.load(NOW_S))


def old_days(archive: Archive, *days_ago: int) -> None:
    for ago in days_ago:
        day = SlotGrid(START_S + (10 - ago) * DAY_S, STEP_S, 288)
        archive.append(KEY, LoadMatrix(Measure.CHANNELS, ("acme",), day, np.ones((1, 288), dtype=np.float32)))


def test_what_is_older_than_the_look_back_is_kept_for_a_policy_that_may_come_back(archive: Archive) -> None:
    ingest_of(FakeSource(), archive, look_back_s=9 * DAY_S).catch_up(NOW_S)
    ingest_of(FakeSource(), archive, look_back_s=DAY_S).catch_up(NOW_S + STEP_S)
    wide = ingest_of(FakeSource(fails_after=0), archive, look_back_s=9 * DAY_S)
    assert complete(wide.load(NOW_S + STEP_S))


def test_days_before_the_retention_go_and_a_clock_that_is_wrong_takes_nothing(archive: Archive) -> None:
    old_days(archive, 399, 400, 401, 402)
    source = FakeSource()
    ingest = ingest_of(source, archive)
    ingest.catch_up(NOW_S)
    extent = archive.extent(KEY)
    assert extent is not None
    assert extent.start_s == START_S - 390 * DAY_S, "the day that holds the instant 400 days ago stays"
    source.gaps = Coverage.of([(NOW_S, NOW_S + 500 * DAY_S)])
    ingest.catch_up(NOW_S + 450 * DAY_S)
    assert complete(ingest.load(NOW_S))


def test_a_look_back_longer_than_the_retention_is_kept_whole(archive: Archive) -> None:
    old_days(archive, 401, 419, 422)
    ingest = ingest_of(FakeSource(begins_s={"acme": START_S}), archive, look_back_s=420 * DAY_S)
    ingest.catch_up(NOW_S)
    extent = archive.extent(KEY)
    assert extent is not None
    assert START_S + (10 - 420) * DAY_S <= extent.start_s <= START_S + (10 - 419) * DAY_S


def test_a_backfill_in_portions_is_whole_in_the_end_and_lets_others_work_between(archive: Archive) -> None:
    source = FakeSource()
    ingest = ingest_of(source, archive)
    left = []
    while not left or left[-1]:
        left.append(ingest.catch_up(NOW_S, at_most_s=0.0).left_slots)
    assert left == [756, 468, 180, 0]
    assert len(source.asked) == 4, "a day each time, and none of them twice"
    assert complete(ingest.load(NOW_S))


def test_the_matrix_kept_in_memory_equals_the_archive_however_long_it_runs(archive: Archive) -> None:
    random = np.random.default_rng(7)
    source = FakeSource({"a": 0, "b": START_S + 9 * DAY_S})
    ingest = ingest_of(source, archive, look_back_s=DAY_S)
    now_s = float(NOW_S)
    for turn in range(40):
        now_s += float(random.integers(0, 4 * HOUR_S))
        down_s = int(now_s) - int(random.integers(0, 8 * HOUR_S))
        source.gaps = Coverage.of([(down_s, down_s + int(random.integers(0, 2 * HOUR_S)))])
        source.begins_s[f"new-{turn}"] = int(now_s) - HOUR_S
        source.begins_s.pop(f"new-{turn - 20}", None)
        ingest.catch_up(now_s)
        load, fresh = ingest.load(now_s), ingest_of(source, archive, look_back_s=DAY_S).load(now_s)
        assert load.series == fresh.series
        assert np.array_equal(load.values, fresh.values, equal_nan=True)


def test_files_do_not_pile_up(archive: Archive, tmp_path: Path) -> None:
    ingest = ingest_of(FakeSource(), archive)
    for slot in range(80):
        ingest.catch_up(NOW_S + slot * STEP_S)
    assert len(list((tmp_path / "archive").glob("*/*"))) <= 4 + 33
    assert complete(ingest.load(NOW_S + 79 * STEP_S))


def test_another_process_that_wrote_is_noticed(archive: Archive, tmp_path: Path) -> None:
    follower = ingest_of(FakeSource(fails_after=0), Archive(str(tmp_path / "archive")))
    leader = ingest_of(FakeSource(), archive)
    for hour in range(3):
        leader.catch_up(NOW_S + hour * HOUR_S)
        assert complete(follower.load(NOW_S + hour * HOUR_S))


def test_a_full_disk_is_said_and_the_archive_goes_on_serving(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    ingest = ingest_of(FakeSource(), archive)
    ingest.catch_up(NOW_S)

    def full(*_: object) -> None:
        raise ArchiveError("No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(archive, "append", full)
        with pytest.raises(ArchiveError):
            ingest.catch_up(NOW_S + HOUR_S)
    assert complete(ingest.load(NOW_S))
    ingest.catch_up(NOW_S + HOUR_S)
    assert complete(ingest.load(NOW_S + HOUR_S))


def test_parts_that_do_not_fit_together_are_refused(archive: Archive) -> None:
    with pytest.raises(ForecastInputError, match="does not fit channels on 60 s"):
        Ingest(FakeSource(), archive, KEY, QUERY, 60, LOOK_BACK_S)

    class Stubborn(FakeSource):
        def read(self, query: HistoryQuery, grid: SlotGrid) -> LoadMatrix:
            return super().read(query, SlotGrid(grid.start_s, grid.step_s, 1))

    with pytest.raises(SourceError, match="the adapter is at fault"):
        ingest_of(Stubborn(), archive).catch_up(NOW_S)
