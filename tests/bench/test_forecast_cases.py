"""Special cases say how long a line does not hold, which days are special, and what a newborn tenant may know."""

import json
from datetime import date

import numpy as np
import pandas as pd
import pytest

from bench import forecast_cases
from bench.cases import breaks, days_off, newborns
from bench.cases.breaks import Coverage, recovery
from bench.cases.replaying import Published, some_of
from forecasting.backtest import QUANTILES
from forecasting.calendar import CivilCalendar
from forecasting.models.seasonal_naive import SeasonalNaive
from tests.forecasting.histories import DAY_S, counts, days_before, matrix, office_rates

US = CivilCalendar("America/New_York", "US")
QUARTERS = np.arange(0, 28 * 24, 6)


def _coverage(share_of_day):
    """A hundred looks at each hour, covered as the day says."""
    coverage = Coverage(28 * 24)
    coverage.known[:] = 100
    coverage.covered[:] = np.repeat(share_of_day, 24)
    return coverage


def test_a_line_is_back_when_the_trailing_day_is_sound_and_stays_so():
    shares = np.array([95] * 14 + [20, 60, 90] + [95] * 11)
    found = recovery(_coverage(shares), QUARTERS, 14 * 24, 3600)
    # The fourth day is the first that is sound as a whole; at 18:00 of it a trailing day holds 6 hours of the third.
    assert found.back_days == 3.75
    assert found.share_before == found.share_after == 1.0
    assert "after 3.75 days" in found.sentence


def test_a_coverage_that_only_falls_through_the_sound_range_is_not_back():
    shares = np.array([95] * 14 + [100, 96, 60, 60, 60, 95] + [95] * 8)
    assert recovery(_coverage(shares), QUARTERS, 14 * 24, 3600).back_days > 5


def test_a_line_that_never_holds_again_says_so():
    found = recovery(_coverage(np.array([95] * 14 + [20] * 14)), QUARTERS, 14 * 24, 3600)
    assert found.sentence == "never sound again; before the break 100%"


def test_coverage_counts_what_was_seen_and_forecast():
    coverage = Coverage(4)
    paths = np.zeros((2, 2, len(QUANTILES)), dtype=np.float32)
    paths[..., QUANTILES.index(0.95)] = [[5, 5], [np.nan, 5]]
    actual = np.array([[0, 0, 5, 6], [0, 0, 1, np.nan]], dtype=np.float32)
    coverage.add(Published(2, np.array([0, 1]), paths), actual)
    assert coverage.known.tolist() == [0, 0, 1, 1]
    assert coverage.covered.tolist() == [0, 0, 1, 0]


def test_a_break_lies_at_a_local_midnight_in_the_middle_and_shows_in_the_naive_lines():
    grid = days_before("2026-06-01", 56, zone="America/New_York")
    history = matrix(grid, np.concatenate([counts(office_rates(grid), 3), counts(np.full(grid.slots, 0.5), 2)]))
    stage = breaks.stage_of(history, CivilCalendar("America/New_York"), most_series=4)
    assert stage.plain.series == ("tenant-0", "tenant-1", "tenant-2")
    assert stage.slot == grid.slots - 14 * 24
    rows = list(breaks.played(stage, [SeasonalNaive()], breaks.BREAKS))
    coverage = {(row.what, row.when): row.scores.coverage[0.95] for row in rows if row.scores}
    assert [row.when for row in rows if row.what == "x1.6"] == [
        "two weeks before", *(f"day {day}" for day in range(1, 8)), "days 8 to 14", "trailing day",
    ]  # fmt: skip
    assert coverage["x1.6", "two weeks before"] == pytest.approx(0.95, abs=0.03)
    assert coverage["x1.6", "day 1"] < 0.85
    assert coverage["x0.5", "day 1"] > 0.98


def test_a_business_that_closes_has_no_line_to_be_sound_again():
    grid = days_before("2026-06-01", 56)
    stage = breaks.stage_of(matrix(grid, counts(office_rates(grid), 1)), CivilCalendar(), most_series=1)
    rows = list(breaks.played(stage, [SeasonalNaive()], {"closed": breaks.LEVELS["x0, closed"]}))
    assert [row.when for row in rows][-1] == "days 8 to 14"


@pytest.mark.parametrize(("days", "rate"), [(40, 50.0), (56, 1.0)])
def test_a_history_too_short_or_too_quiet_for_a_break_has_no_rows(days, rate):
    grid = days_before("2026-06-01", days)
    assert breaks.stage_of(matrix(grid, counts(np.full(grid.slots, rate), 2)), CivilCalendar(), 4) is None


def test_every_holiday_with_four_weeks_before_it_is_a_row_of_its_own():
    grid = days_before("2025-09-20", 90, zone="America/New_York")
    history = matrix(grid, counts(office_rates(grid, "America/New_York"), 2))
    history.values[:, 76 * 24 : 77 * 24] = 0
    found = days_off.days_off(history, US)
    # Juneteenth lies before the file, Independence Day too near its beginning.
    assert [(off.day, off.name) for off in found] == [(date(2025, 9, 1), "Labor Day")]
    rows = {row.what: row for row in days_off.played(history, US, [SeasonalNaive()], 2)}
    assert list(rows) == ["ordinary days", "the six days after", "the day a week after", "2025-09-01 Labor Day"]
    assert rows["ordinary days"].ratio == 1.0
    assert rows["2025-09-01 Labor Day"].scores.slots == 2 * 24
    assert rows["ordinary days"].scores.slots == 7 * 2 * 24


def test_a_newborn_tenant_knows_nothing_from_before_its_birth():
    grid = days_before("2026-06-01", 56)
    history = matrix(grid, np.concatenate([counts(np.full(grid.slots, rate), 1) for rate in range(5, 21)]))
    nursery = newborns.nursery_of(history, CivilCalendar(), most_series=8)
    assert len(nursery.newborn) == 4
    slot = int(nursery.origins.slots[0])
    aged = nursery.aged(slot, 3 * DAY_S)
    assert aged.grid.slots == slot
    assert (~np.isnan(aged.values[nursery.rows])).sum(axis=1).tolist() == [72] * 4
    others = np.setdiff1d(np.arange(16), nursery.rows)
    np.testing.assert_array_equal(aged.values[others], history.values[others, :slot])
    said = next(newborns.by_what_was_said(nursery, 0))
    assert np.isfinite(said.paths).all()
    assert said.paths[..., QUANTILES.index(0.5)].mean() == pytest.approx(12, rel=0.6)


def test_some_series_are_of_all_sizes():
    grid = days_before("2026-06-01", 2)
    history = matrix(grid, np.tile(np.arange(100, dtype=np.float32)[:, None], (1, grid.slots)))
    assert some_of(history, 4, above=20).series == ("tenant-30", "tenant-50", "tenant-70", "tenant-90")
    assert len(some_of(history, 500).series) == 99


def test_a_page_and_a_document_tell_the_same_rows(tmp_path, monkeypatch, capsys):
    grid = days_before("2025-09-20", 90, zone="America/New_York")
    history = matrix(grid, counts(office_rates(grid, "America/New_York"), 1))
    starts = pd.to_datetime(grid.starts_s, unit="s", utc=True)
    frame = pd.DataFrame({"series": "a", "ts": starts, "value": history.values[0]})
    frame.to_parquet(tmp_path / "acme.parquet")
    monkeypatch.setattr(forecast_cases, "in_own_process", forecast_cases.play)
    page, figures = tmp_path / "page.md", tmp_path / "cases.json"
    page.write_text("# Ours\n")
    asked = ("--only", "acme", "--only-case", "holidays", "--models", "seasonal-naive", "--json", figures)
    arguments = (tmp_path, "--calendar", "acme=America/New_York,US", *asked, "--markdown", page)
    forecast_cases.main([str(argument) for argument in arguments])
    told = json.loads(figures.read_text())["acme"]["holidays"]
    assert [row["what"] for row in told][-1] == "2025-09-01 Labor Day"
    text = page.read_text()
    assert text.startswith("# Ours\n")
    assert f"| acme | 2025-09-01 Labor Day | seasonal-naive | {told[-1]['scores']['wape']:.4f} / " in text
    assert str(tmp_path) not in text
    assert "Labor Day" in capsys.readouterr().out


def test_a_case_that_is_not_known_is_refused_with_those_that_are(tmp_path, capsys):
    with pytest.raises(SystemExit):
        forecast_cases.parse([str(tmp_path), "--only-case", "flood"])
    assert "no case 'flood'; one of break, level, holidays, clock, newborn" in capsys.readouterr().err
