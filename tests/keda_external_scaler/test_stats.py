"""The counters that the process leaves for the control plane."""

from __future__ import annotations

import pytest

from keda_external_scaler.errors import StatsError
from keda_external_scaler.stats import BUCKETS_S, FORGET_AFTER_S, KedaStats, StatsCollector, read_stats, write_stats


class Clock:
    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def collector(clock: Clock) -> StatsCollector:
    return StatsCollector(clock)


def snapshot(collector: StatsCollector) -> KedaStats:
    return collector.snapshot(book_written_at_s=990.0, book_fleets=2, streams=1)


def test_the_file_holds_what_was_counted(tmp_path, collector):
    collector.count_answer("voice/acme", alone=False, differing=False)
    collector.count_answer("voice/acme", alone=True, differing=True)
    collector.count_refusal()
    collector.count_book(None)
    collector.count_book("cut")
    collector.observe_handling(0.0002)
    collector.observe_handling(9.0)
    stats = snapshot(collector)
    write_stats(tmp_path / "stats.json", stats)
    assert read_stats(tmp_path / "stats.json") == stats
    assert (stats.answers_live, stats.answers_alone, stats.answers_refused, stats.triggers_differing) == (1, 1, 1, 1)
    assert (stats.books_taken, stats.books_rejected, stats.book_problem) == (1, 1, "cut")
    assert stats.book_age_s == 10.0
    assert (stats.handling_counts[1], stats.handling_counts[-1], sum(stats.handling_counts)) == (1, 1, 2)


def test_the_recent_p99_forgets_what_was_in_the_file_before(collector):
    collector.observe_handling(0.9)
    assert snapshot(collector).recent_p99_s == BUCKETS_S[-1]
    for _ in range(200):
        collector.observe_handling(0.0003)
    collector.observe_handling(0.04)
    assert snapshot(collector).recent_p99_s == 0.0005
    assert snapshot(collector).recent_p99_s is None


def test_a_fleet_that_nobody_asks_for_is_forgotten(clock, collector):
    collector.count_answer("voice/gone", alone=False, differing=False)
    clock.now_s += FORGET_AFTER_S
    collector.count_answer("voice/acme", alone=False, differing=False)
    assert set(snapshot(collector).last_call_s) == {"voice/gone", "voice/acme"}
    clock.now_s += 1
    assert set(snapshot(collector).last_call_s) == {"voice/acme"}


@pytest.mark.parametrize("content", [None, "", "[]", "{}", '{"handling_counts": []}', "\0"])
def test_what_is_no_statistics_file_is_told_with_its_path(tmp_path, content):
    path = tmp_path / "stats.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(StatsError, match=r"stats\.json: no statistics"):
        read_stats(path)


def test_statistics_that_cannot_be_written_are_told_with_their_path(tmp_path, collector):
    with pytest.raises(StatsError, match=r"missing/stats\.json: statistics cannot be written"):
        write_stats(tmp_path / "missing" / "stats.json", snapshot(collector))
