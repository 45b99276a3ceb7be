"""What was published is kept, scored when the truth arrives, and survives whatever happens to its files."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from forecasting.errors import ArchiveError, ForecastInputError
from forecasting.forecast import QUANTILES, QuantileForecast, Trust
from forecasting.grid import SlotGrid
from forecasting.ledger import KEPT_S, Ledger
from forecasting.ledger_pages import PageName, rounded
from forecasting.ledger_scores import LEAD_CLASSES_S, LedgerScores
from forecasting.load import LoadMatrix, Measure
from tests.crash.faults import CrashError, failing
from tests.crash.harness import survives_kills

STEP_S = 900
DAY_S = 86400
BEGIN_S = 1_780_272_000  # midnight UTC
HORIZON = 192
SERIES = ("a", "b")
WIDTHS = np.array([0.0, 2.0, 4.0, 6.0, 9.0], dtype=np.float32)


def load_of(start_s: int, end_s: int, series: tuple[str, ...] = SERIES) -> LoadMatrix:
    """A load that repeats every day and rises by 1 from day to day, 50 more for each further series."""
    grid = SlotGrid.covering(start_s, end_s, STEP_S)
    day, of_day = np.divmod(grid.starts_s - BEGIN_S, DAY_S)
    base = 100 + day + 40 * np.sin(2 * np.pi * of_day / DAY_S)
    values = np.stack([base + 50 * index for index in range(len(series))]).round().astype(np.float32)
    return LoadMatrix(Measure.CHANNELS, series, grid, values)


def history_at(now_s: int) -> LoadMatrix:
    return load_of(now_s - 20 * DAY_S, now_s)


def forecast_at(now_s: int, history: LoadMatrix, off: float = 0.0, horizon: int = HORIZON) -> QuantileForecast:
    """What will come, missed by `off`, with fixed distances of the upper quantiles."""
    grid = SlotGrid(now_s, STEP_S, horizon)
    coming = load_of(grid.start_s, grid.end_s, history.series).values + np.float32(off)
    many = len(history.series)
    return QuantileForecast(
        Measure.CHANNELS, history.series, grid, QUANTILES, coming[..., None] + WIDTHS, now_s,
        np.full(many, now_s), (Trust.TRUSTED,) * many, ("it is so",) * many, "made-up",
    )  # fmt: skip


def publish(ledger: Ledger, now_s: int, off: float = 0.0) -> bool:
    history = history_at(now_s)
    return ledger.publish(forecast_at(now_s, history, off), history)


def run(ledger: Ledger, start_s: int, end_s: int, off: float = 0.0) -> None:
    for now_s in range(start_s, end_s, 3600):
        publish(ledger, now_s, off)


def scores_at(ledger: Ledger, now_s: int) -> LedgerScores:
    return ledger.scores(history_at(now_s))


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return opened(tmp_path)


def opened(path: Path) -> Ledger:
    return Ledger(str(path), "set", 3600)


def pages(path: Path) -> list[str]:
    return sorted(each.name for each in (path / "ledger" / "set").iterdir())


def test_an_error_that_is_known_is_told_exactly_and_beside_the_naive(ledger: Ledger):
    publish(ledger, BEGIN_S, off=5.0)
    scores = scores_at(ledger, BEGIN_S + 3 * DAY_S)
    assert tuple(LEAD_CLASSES_S) == ("1h", "6h", "24h", "48h")
    # A first slot of a quarter of an hour is the lead of a quarter of an hour as well.
    assert scores.cells.tolist() == [[2, 2, 2, 1]] * 2
    load = load_of(BEGIN_S, BEGIN_S + 2 * DAY_S).values[0, [0, 3]]
    assert scores.wape[0, 0] == pytest.approx(10 / load.sum(), rel=1e-3)
    assert scores.bias[0, 0] == pytest.approx(10 / load.sum(), rel=1e-3)
    assert scores.naive_wape[0, 0] == pytest.approx(14 / load.sum(), rel=1e-3)
    assert scores.coverage[0, 0].tolist() == [1.0] * 5
    assert scores.pinball[0, 0, 0] == pytest.approx(0.5 * 10 / load.sum(), rel=1e-3)
    assert scores.pinball[0, 0, 3] == pytest.approx(0.05 * 22 / load.sum(), rel=1e-3)


def test_a_load_above_a_line_is_not_covered_and_costs_its_level(ledger: Ledger):
    publish(ledger, BEGIN_S, off=-5.0)
    scores = scores_at(ledger, BEGIN_S + 3 * DAY_S)
    assert scores.coverage[0, 0].tolist() == [0.0, 0.0, 0.0, 1.0, 1.0]
    assert scores.pinball[0, 0, 2] == pytest.approx(0.9 * 1 / scores.mean_load[0, 0], rel=1e-3)


def test_nothing_is_scored_before_its_truth_has_come(ledger: Ledger):
    publish(ledger, BEGIN_S)
    assert scores_at(ledger, BEGIN_S).cells.sum() == 0
    assert scores_at(ledger, BEGIN_S + 3600).cells.tolist() == [[2, 0, 0, 0]] * 2
    assert scores_at(ledger, BEGIN_S + 6 * 3600).cells.tolist() == [[2, 2, 0, 0]] * 2
    assert np.isnan(scores_at(ledger, BEGIN_S).wape).all()


def test_of_each_hour_one_forecast_is_kept_however_often_is_forecast(ledger: Ledger, tmp_path: Path):
    kept = [publish(ledger, BEGIN_S + minutes * 60) for minutes in range(0, 150, 15)]
    assert [at for at, is_kept in enumerate(kept) if is_kept] == [0, 4, 8]
    again = opened(tmp_path)
    assert not publish(again, BEGIN_S + 45 * 60), "that hour was kept before the restart"
    assert len(pages(tmp_path)) == 3


def test_days_that_are_over_are_settled_and_their_scores_stay_what_they_were(ledger: Ledger, tmp_path: Path):
    run(ledger, BEGIN_S, BEGIN_S + DAY_S, off=3.0)
    now_s = BEGIN_S + 3 * DAY_S + 2 * 3600
    before = scores_at(ledger, now_s)
    assert before.by_day.loss.shape[1] <= 1
    publish(ledger, now_s)
    names = [PageName.parse(name) for name in pages(tmp_path)]
    assert [name.is_settled for name in names] == [True, False]
    # Whatever the source says of that time now.
    other = replace(history_at(now_s), values=history_at(now_s).values * 3)
    for after in (scores_at(ledger, now_s), opened(tmp_path).scores(other)):
        np.testing.assert_array_equal(after.cells, before.cells)
        np.testing.assert_array_equal(after.wape, before.wape)
        np.testing.assert_array_equal(after.pinball, before.pinball)
    assert after.by_day.loss.shape == (2, 1)
    assert after.by_day.loss[0, 0] == pytest.approx(3 * 24 * 7, rel=0.02)
    assert after.by_day.naive_loss[0, 0] == pytest.approx(7 * 24 * 7, rel=0.02)


def test_a_restart_gives_the_same_scores(ledger: Ledger, tmp_path: Path):
    run(ledger, BEGIN_S, BEGIN_S + 5 * DAY_S, off=2.0)
    now_s = BEGIN_S + 5 * DAY_S
    running, anew = scores_at(ledger, now_s), scores_at(opened(tmp_path), now_s)
    for name in ("cells", "wape", "bias", "pinball", "coverage", "naive_wape"):
        np.testing.assert_array_equal(getattr(running, name), getattr(anew, name))
    assert (running.issues, running.since_s, running.until_s) == (120, BEGIN_S, now_s - 3600)


def test_what_is_older_than_five_weeks_goes(ledger: Ledger, tmp_path: Path):
    publish(ledger, BEGIN_S)
    publish(ledger, BEGIN_S + KEPT_S)
    assert len(pages(tmp_path)) == 2
    publish(ledger, BEGIN_S + KEPT_S + DAY_S)
    assert [PageName.parse(name).day for name in pages(tmp_path)] == [BEGIN_S // DAY_S + 35, BEGIN_S // DAY_S + 36]
    assert scores_at(ledger, BEGIN_S + KEPT_S + DAY_S).since_s == BEGIN_S + KEPT_S


def test_a_clock_that_is_a_year_ahead_empties_nothing(ledger: Ledger, tmp_path: Path):
    publish(ledger, BEGIN_S)
    ahead_s = BEGIN_S + 365 * DAY_S
    history = load_of(ahead_s - 20 * DAY_S, ahead_s)
    history.values[:] = np.nan
    ledger.publish(forecast_at(ahead_s, history), history)
    assert len(pages(tmp_path)) == 2


def test_a_damaged_page_is_set_aside_and_counted_and_the_others_are_scored(ledger: Ledger, tmp_path: Path):
    run(ledger, BEGIN_S, BEGIN_S + 3 * 3600)
    victim = tmp_path / "ledger" / "set" / pages(tmp_path)[1]
    victim.write_bytes(victim.read_bytes()[:-7])
    scores = scores_at(ledger, BEGIN_S + DAY_S)
    assert (scores.issues, scores.set_aside) == (2, 1)
    assert [name for name in pages(tmp_path) if name.endswith(".corrupt")] == [victim.name + ".corrupt"]
    assert "are not those that were written" in ledger.problems[0]
    assert publish(ledger, BEGIN_S + 3 * 3600)


def test_a_page_under_another_name_is_not_believed(ledger: Ledger, tmp_path: Path):
    publish(ledger, BEGIN_S)
    page = tmp_path / "ledger" / "set" / pages(tmp_path)[0]
    page.rename(page.with_name(page.name.replace("i00000-00000", "i07200-07200")))
    assert scores_at(ledger, BEGIN_S + DAY_S).set_aside == 1


def test_files_of_others_and_of_newer_versions_are_left_alone(ledger: Ledger, tmp_path: Path):
    publish(ledger, BEGIN_S)
    page = tmp_path / "ledger" / "set" / pages(tmp_path)[0]
    page.with_name("notes.txt").write_text("mine")
    newer = page.rename(page.with_name(page.name.replace(".v1.", ".v2.")))
    assert PageName.parse(newer.name) is None
    assert scores_at(ledger, BEGIN_S + DAY_S).issues == 0
    assert len(pages(tmp_path)) == 2
    assert ledger.problems == ()


def test_a_fleet_that_got_other_members_is_not_scored_against_their_load(ledger: Ledger):
    publish(ledger, BEGIN_S)
    history = history_at(BEGIN_S + DAY_S)
    history.values[0] += 20
    cells = ledger.scores(history).cells.sum(axis=1)
    assert cells.tolist() == [0, 6]


def test_a_missing_truth_and_a_missing_week_before_are_not_guessed(ledger: Ledger):
    history = history_at(BEGIN_S)
    history.values[1] = np.nan
    ledger.publish(forecast_at(BEGIN_S, history), history)
    later = history_at(BEGIN_S + DAY_S)
    later.values[0, -96 + 3] = np.nan
    scores = ledger.scores(later)
    assert scores.cells[:, 0].tolist() == [1, 2]
    assert not np.isnan(scores.naive_wape[0, 0])
    assert np.isnan(scores.naive_wape[1]).all()
    assert not np.isnan(scores.wape[1, 0])


def test_series_that_come_and_go_keep_their_own_scores(ledger: Ledger):
    publish(ledger, BEGIN_S, off=5.0)
    history = load_of(BEGIN_S - 17 * DAY_S, BEGIN_S + 3 * DAY_S, ("b", "c"))
    history.values[0] = history_at(BEGIN_S + 3 * DAY_S).values[1]
    scores = ledger.scores(history)
    assert scores.series == ("b", "c")
    assert scores.cells.sum(axis=1).tolist() == [7, 0]
    told = scores.beside_naive(("c", "x", "b"))
    assert told.loss.shape[0] == 3


def test_a_cold_series_and_a_short_horizon_have_fewer_cells(ledger: Ledger):
    history = history_at(BEGIN_S)
    short = forecast_at(BEGIN_S, history, horizon=8)
    short.values[1] = np.nan
    ledger.publish(replace(short, trust=(Trust.TRUSTED, Trust.COLD)), history)
    assert scores_at(ledger, BEGIN_S + 3 * DAY_S).cells.sum(axis=1).tolist() == [2, 0]


def test_a_forecast_that_is_not_of_this_history_is_refused(ledger: Ledger):
    history = history_at(BEGIN_S)
    with pytest.raises(ForecastInputError, match="cannot be kept: it needs"):
        ledger.publish(forecast_at(BEGIN_S + 3600, history), history)


def test_pages_are_ordinary_tables(ledger: Ledger, tmp_path: Path):
    publish(ledger, BEGIN_S)
    table = pq.read_table(tmp_path / "ledger" / "set" / pages(tmp_path)[0])
    assert table.column_names == [
        "issued",
        "series",
        "lead_s",
        *(f"q{q:g}" for q in QUANTILES),
        "week_before",
        "actual",
    ]
    assert table.slice(0, 1).to_pylist()[0]["series"] == "a"
    assert table.num_rows == 2 * 7


def test_rounding_keeps_order_zero_nan_and_a_thousandth():
    values = np.sort(np.random.default_rng(1).lognormal(0, 4, 5000).astype(np.float32))
    short = rounded(values)
    assert (np.diff(short) >= 0).all()
    assert np.abs(short / values - 1).max() < 1 / 1000
    special = rounded(np.array([0, np.nan, 1000, 3e38], dtype=np.float32))
    assert special[0] == 0
    assert np.isnan(special[1])
    assert special[2] == 1000
    assert np.isfinite(special[3])


def test_a_death_between_any_two_steps_loses_the_newest_issue_at_most(tmp_path: Path):
    """Through the publication that settles a day: it writes, writes the whole, and removes the parts."""
    now_s, step, died = BEGIN_S + 3 * DAY_S + 2 * 3600, 0, True
    while died:
        path = tmp_path / str(step)
        run(opened(path), BEGIN_S, BEGIN_S + 4 * 3600, off=3.0)
        before = scores_at(opened(path), now_s)
        with failing(step, CrashError()) as fault, suppress(CrashError):
            publish(opened(path), now_s)
        died = fault.happened
        after = scores_at(opened(path), now_s)
        assert after.issues in (4, 5), f"step {step}"
        np.testing.assert_array_equal(after.cells, before.cells, err_msg=f"step {step}")
        np.testing.assert_array_equal(after.wape, before.wape, err_msg=f"step {step}")
        publish(opened(path), now_s + 3600)
        of_first_day = [name for name in pages(path) if name.startswith("2026-06-01")]
        assert [PageName.parse(name).is_settled for name in of_first_day if name.endswith(".parquet")] == [True]
        step += 1
    assert step > 10


def test_a_full_disk_is_told_and_what_is_kept_stays(ledger: Ledger):
    publish(ledger, BEGIN_S)
    with failing(0, OSError(28, "No space left on device")), pytest.raises(ArchiveError, match="No space left"):
        publish(ledger, BEGIN_S + 3600)
    assert scores_at(ledger, BEGIN_S + DAY_S).issues == 1
    assert publish(ledger, BEGIN_S + 3600), "it is tried again"


def test_an_object_store_keeps_pages_too():
    ledger = Ledger("memory://forecasts-kept", "set", 3600)
    run(ledger, BEGIN_S, BEGIN_S + DAY_S)
    publish(ledger, BEGIN_S + 4 * DAY_S)
    assert scores_at(ledger, BEGIN_S + 4 * DAY_S).issues == 25


class Issues:
    """One issue after the other, six hours apart, so that days are settled all the time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, number: int) -> None:
        assert publish(opened(self.folder), BEGIN_S + number * 6 * 3600)

    def newest(self) -> int:
        scores = scores_at(opened(self.folder), BEGIN_S + 20 * DAY_S)
        newest = 0 if scores.issues == 0 else (scores.until_s - BEGIN_S) // (6 * 3600)
        assert scores.issues == newest
        assert scores.set_aside == 0
        return newest


def test_killed_while_it_publishes_it_has_all_that_was_acknowledged(tmp_path: Path):
    survives_kills(Issues(tmp_path), kills=12, seed=5)
