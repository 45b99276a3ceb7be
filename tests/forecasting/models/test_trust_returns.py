"""Trust falls at once and comes back slowly, from nothing but how past days went."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecasting.forecast import QuantileForecast, Trust
from forecasting.grid import SlotGrid
from forecasting.load import LoadMatrix
from forecasting.models.checked_days import CheckedDays
from forecasting.models.result import finish
from forecasting.models.trust import (
    BACK_AFTER_HOURS,
    BesideNaive,
    Evidence,
    assess,
    with_naive_verdict,
    worse_than_naive,
)
from tests.forecasting.histories import days_before, office

HOURS = 24 + BACK_AFTER_HOURS
SLOTS_PER_HOUR = 2
TWO_MONTHS_S = 60 * 86400

Counts = tuple[np.ndarray, np.ndarray, np.ndarray]


def evidence(series: int = 1, **known) -> Evidence:
    """Of series with two months of history whose days went as forecast."""
    of = {"span_s": TWO_MONTHS_S, "slots": 5000, "missed": 0, "missed_lately": 0}
    counts = {"scored": SLOTS_PER_HOUR, "above": 0, "below": 0}
    arrays = {name: np.full(series, value, dtype=np.int64) for name, value in of.items()}
    arrays |= {name: np.full((series, HOURS), value, dtype=np.int64) for name, value in counts.items()}
    return Evidence(**(arrays | known))


def hours_above(shares: list[float]) -> Counts:
    """Counts of one series by the hour, of which so large a share lay above the 95 % line."""
    above = np.round(np.array([shares]) * SLOTS_PER_HOUR).astype(np.int64)
    return np.full(above.shape, SLOTS_PER_HOUR), above, np.zeros_like(above)


def told_at(counts: Counts, hour: int) -> tuple[Trust, str]:
    """What is said at the end of this hour, from the hours that a forecast looks back on."""
    scored, above, below = (part[:, max(0, hour - HOURS) : hour] for part in counts)
    trust, reasons = assess(evidence(scored=scored, above=above, below=below), 300)
    return trust[0], reasons[0]


def course(counts: Counts, start: int) -> list[Trust]:
    return [told_at(counts, hour)[0] for hour in range(start, counts[0].shape[1] + 1)]


def test_a_day_that_missed_costs_trust_within_hours_and_two_good_days_bring_it_back():
    counts = hours_above([0.0] * 100 + [1.0] * 12 + [0.0] * 150)
    trust = course(counts, 100)
    fell, last_bad = trust.index(Trust.DEGRADED), 12 + 24 - 8
    assert fell == 8, "the eighth hour makes 30 % of a day"
    assert trust[last_bad] is Trust.DEGRADED
    assert trust.index(Trust.TRUSTED, fell) == last_bad + BACK_AFTER_HOURS
    assert set(trust[last_bad + BACK_AFTER_HOURS :]) == {Trust.TRUSTED}


def test_the_reason_tells_the_miss_and_then_how_long_ago_it_was():
    counts = hours_above([0.0] * 100 + [1.0] * 12 + [0.0] * 100)
    assert told_at(counts, 112)[1] == "50 % of the last day lay above the 95 % line"
    assert told_at(counts, 112 + 24)[1] == "8 hours since a day that did not go as forecast, 48 are needed"


@pytest.mark.parametrize("seed", range(3))
def test_a_restart_in_any_hour_says_the_same(seed):
    shares = np.random.default_rng(seed).beta(0.6, 1.4, 200).tolist()
    counts = hours_above(shares)
    assert course(counts, 100) == [told_at(counts, hour)[0] for hour in reversed(range(100, 201))][::-1]


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.integers(0, 2**32 - 1), st.floats(0.1, 0.5))
def test_noise_around_the_limit_never_makes_trust_flap_twice_within_a_day(seed, mean):
    noisy = np.random.default_rng(seed).beta(2, 2 / mean - 2, 24 * 14)
    trust = np.array([each is Trust.TRUSTED for each in course(hours_above(noisy.tolist()), 72)])
    changes = np.flatnonzero(np.diff(trust.astype(int)))
    for first, third in zip(changes, changes[2:], strict=False):
        assert third - first > 24, f"three changes within {third - first} hours"


def test_closed_hours_keep_nobody_degraded():
    scored, above, below = hours_above([1.0] * 12 + [0.0] * 84)
    scored[:, 36:] = 0
    assert told_at((scored, above, below), 12 + 24 + BACK_AFTER_HOURS)[0] is Trust.TRUSTED


def test_a_history_that_was_too_young_to_be_judged_then_is_not_judged_for_it_now():
    counts = dict(zip(("scored", "above", "below"), hours_above([1.0] * 24 + [0.0] * 48), strict=True))
    four_days, six_days = (np.array([days * 86400]) for days in (4, 6))
    assert assess(evidence(span_s=four_days, **counts), 300)[0] == (Trust.LEARNING,)
    assert assess(evidence(span_s=six_days, **counts), 300)[0] == (Trust.DEGRADED,)


def beside(worse: float, days: int = 20, load: float = 100.0) -> BesideNaive:
    return BesideNaive(np.full((1, days), worse), np.ones((1, days)), np.full((1, days), load))


def test_a_forecast_that_the_weekly_naive_beats_is_degraded_and_says_so():
    trust, reasons = assess(evidence(beside_naive=beside(1.25, load=10.0)), 300)
    assert trust == (Trust.DEGRADED,)
    assert reasons == ("the weekly naive was better: over 14 days of forecasts the median's error was 25 % larger",)


@pytest.mark.parametrize(
    ("worse", "days", "load"),
    [(1.05, 20, 10.0), (0.7, 20, 10.0), (3.0, 13, 10.0), (1.25, 20, 1000.0)],
    ids=["a little worse", "better", "too few days", "what hardly matters"],
)
def test_what_decides_nothing(worse, days, load):
    assert np.isnan(worse_than_naive(beside(worse, days, load))).all()


def test_a_naive_without_any_error_is_beaten_by_nobody_and_still_counts():
    perfect = replace(beside(1.0, load=10.0), naive_loss=np.zeros((1, 20)))
    assert worse_than_naive(perfect)[0] == pytest.approx(1.0)


def test_days_without_a_score_are_passed_over():
    holes = beside(1.5, days=28, load=10.0)
    holes.loss[:, ::2] = np.nan
    assert worse_than_naive(holes)[0] == pytest.approx(0.5)
    holes.loss[:, 1] = np.nan
    assert np.isnan(worse_than_naive(holes)[0])


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.integers(0, 2**32 - 1))
def test_the_verdict_of_the_naive_holds_for_three_days(seed):
    """It changes once a day at most, since days are what it is made from; and it does not come and go with them."""
    loss = np.random.default_rng(seed).lognormal(np.log(1.1), 0.5, (1, 80))
    known = BesideNaive(loss, np.ones_like(loss), np.full_like(loss, 10.0))
    verdicts = [
        ~np.isnan(worse_than_naive(BesideNaive(known.loss[:, :day], known.naive_loss[:, :day], known.load[:, :day])))[0]
        for day in range(20, 81)
    ]
    begins = np.flatnonzero(np.diff(np.array(verdicts).astype(int)) == 1) + 1
    assert all(all(verdicts[begin : begin + 3]) for begin in begins)


def _forecast(trust: tuple[Trust, ...]) -> QuantileForecast:
    series = tuple(f"tenant-{row}" for row in range(len(trust)))
    grid = SlotGrid(0, 300, 0)
    values = np.zeros((len(trust), 0, 1), dtype=np.float32)
    return QuantileForecast(
        office(days_before("2026-06-05", 1)).measure, series, grid, (0.5,), values, 0,
        np.zeros(len(trust), dtype=np.int64), trust, ("so",) * len(trust), "made-up",
    )  # fmt: skip


def test_the_ledgers_verdict_takes_trust_from_the_trusted_alone():
    known = beside(1.5, load=10.0)
    rows = BesideNaive(*(np.repeat(part, 4, axis=0) for part in (known.loss, known.naive_loss, known.load)))
    rows.loss[1] = 0.5
    judged = with_naive_verdict(_forecast((Trust.TRUSTED, Trust.TRUSTED, Trust.LEARNING, Trust.COLD)), rows)
    assert judged.trust == (Trust.DEGRADED, Trust.TRUSTED, Trust.LEARNING, Trust.COLD)
    assert "the weekly naive was better" in judged.trust_reasons[0]
    assert judged.trust_reasons[1:] == ("so",) * 3


def test_a_fall_that_is_held_is_named_for_those_who_are_in_it():
    trust, reasons = assess(evidence(3, falling=np.array([True, False, True])), 300)
    assert trust == (Trust.DEGRADED, Trust.TRUSTED, Trust.DEGRADED)
    assert reasons[0] == "it fell together with many others: that is held and not learnt"


def _finished(history: LoadMatrix, **known) -> QuantileForecast:
    values = np.ones((len(history.series), 1, 1), dtype=np.float32)
    return finish(history, history.grid.after(1), (0.5,), values, "flat", **known)


@pytest.mark.parametrize(
    ("silent_for", "seen_for", "trust"),
    [(13, 0, Trust.DEGRADED), (13, 35, Trust.DEGRADED), (13, 36, Trust.TRUSTED), (12, 1, Trust.TRUSTED)],
    ids=["silent", "seen again for less than three hours", "for three hours", "a silence of an hour"],
)
def test_after_a_silence_observations_must_have_come_for_three_hours(silent_for, seen_for, trust):
    history = office(days_before("2026-06-05T15:00", 21, step_s=300))
    history.values[:, history.grid.slots - silent_for - seen_for : history.grid.slots - seen_for] = np.nan
    assert _finished(history).trust == (trust,)


def test_counts_by_the_hour_and_counts_of_a_day_are_both_understood():
    history = office(days_before("2026-06-05", 30), series=2)
    day = np.array([[48, 48], [30, 0], [0, 0]])
    assert _finished(history, scored=tuple(day)).trust == (Trust.DEGRADED, Trust.TRUSTED)
    by_hour = np.zeros((3, 2, HOURS), dtype=np.int64)
    by_hour[0] = SLOTS_PER_HOUR
    by_hour[1, 0, 10:30] = SLOTS_PER_HOUR
    judged = _finished(history, scored=tuple(by_hour))
    assert judged.trust == (Trust.DEGRADED, Trust.TRUSTED)
    assert "hours since a day that did not go as forecast" in judged.trust_reasons[0]


@pytest.mark.parametrize("end", ["2026-06-05T00:00", "2026-06-05T15:20", "2026-06-05T12:00", "2026-06-05T12:05"])
@pytest.mark.parametrize("step_s", [60, 300, 1200, 3600])
def test_three_days_of_whole_hours_are_checked_each_by_the_last_forecast_of_noon_or_midnight(end, step_s):
    history = office(days_before(end, 10, step_s=step_s))
    days = CheckedDays.of(history.grid)
    assert days.hours == HOURS
    assert set((history.grid.starts_s[days.origins] % 43200).tolist()) == {0}
    # Above the band everywhere but in one hour, which is then found where it lies, counted back from the last.
    end_hour = history.grid.end_s // 3600
    band = np.zeros((1, days.origins.size, days.leads.size, 2), dtype=np.float32)
    hour_of = (history.grid.start_s + (days.origins[:, None] + days.leads) * step_s) // 3600
    band[0, hour_of == end_hour - 30] = [-2.0, 1e9]
    band[0, hour_of != end_hour - 30] = [-2.0, -1.0]
    scored, above, below = days.counts(history.values, band)
    assert scored.shape == (1, HOURS)
    assert (scored == (1 if step_s == 3600 else 2)).all()
    assert np.flatnonzero(above[0] == 0).tolist() == [HOURS - 30]
    assert below.sum() == 0


def test_an_hour_is_judged_the_same_whenever_it_is_asked_for():
    """Else a verdict near its limit would turn from one refresh to the next."""
    judged_by: dict[int, set[tuple[int, ...]]] = {}
    for minutes in range(0, 180, 5):
        end_s = days_before("2026-06-05T10:00", 1).end_s + 60 * minutes
        grid = SlotGrid.covering(end_s - 10 * 86400, end_s, 300)
        days = CheckedDays.of(grid)
        hour = grid.end_s // 3600 - 20
        made_s = grid.starts_s[days.origins][:, None] + 0 * days.leads
        seen_s = grid.start_s + (days.origins[:, None] + days.leads) * 300
        of_hour = seen_s // 3600 == hour
        judged_by.setdefault(hour, set()).add((*made_s[of_hour].tolist(), *seen_s[of_hour].tolist()))
    assert len(judged_by) == 3
    assert {len(ways) for ways in judged_by.values()} == {1}


@pytest.mark.parametrize("slots", [0, 1, 5, 30, 143])
def test_a_short_history_is_checked_as_far_as_there_was_one_to_forecast_from(slots):
    grid = SlotGrid(days_before("2026-06-05T07:05", 1).start_s, 300, slots)
    days = CheckedDays.of(grid)
    band = np.zeros((1, days.origins.size, days.leads.size, 2), dtype=np.float32)
    counts = days.counts(np.ones((1, slots), dtype=np.float32), band)
    assert counts.shape == (3, 1, days.hours)
    assert (days.origins > 0).all()
