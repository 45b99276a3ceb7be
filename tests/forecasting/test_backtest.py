"""A backtest replays origins honestly and scores what was observed."""

from dataclasses import dataclass, field
from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from forecasting.backtest import backtest, default_window_s
from forecasting.calendar import CivilCalendar
from forecasting.errors import ForecastInputError
from forecasting.forecast import QUANTILES
from forecasting.grid import SlotGrid
from forecasting.models import MODELS
from forecasting.models.seasonal_naive import SeasonalNaive
from tests.forecasting.histories import DAY_S, HOUR_S, at_local, days_before, matrix, office

NEW_YORK = "America/New_York"


@dataclass
class Witness:
    """Notes what it was given and what it answered."""

    name: str = "witness"
    given: list = field(default_factory=list)
    answers: list = field(default_factory=list)

    def forecast(self, history, calendars, horizon, quantiles=QUANTILES):
        self.given.append((history, horizon))
        self.answers.append(SeasonalNaive().forecast(history, calendars, horizon, quantiles))
        return self.answers[-1]


@dataclass
class Pupil(Witness):
    trained_at_s: list = field(default_factory=list)

    def trained(self, history, calendars):
        self.trained_at_s.append(history.grid.end_s)
        return self


def test_origins_begin_quarters_of_the_local_day_over_the_newest_quarter():
    history = office(days_before("2026-03-20", 40, zone=NEW_YORK), NEW_YORK)
    witness = Witness()
    outcome = backtest(history, [CivilCalendar(NEW_YORK)], [witness])
    times = [datetime.fromtimestamp(horizon.start_s, ZoneInfo(NEW_YORK)) for _, horizon in witness.given]
    assert {at.hour for at in times} == {0, 6, 12, 18}
    assert history.grid.end_s - default_window_s(history.grid) <= horizon_start(witness, 0)
    assert outcome.origins == len(times) == pytest.approx(4 * (10 - 1), abs=1)
    assert all(horizon.end_s <= history.grid.end_s for _, horizon in witness.given)


def horizon_start(witness: Witness, index: int) -> int:
    return witness.given[index][1].start_s


def test_the_default_window_is_four_weeks_of_a_long_history():
    assert default_window_s(SlotGrid(0, HOUR_S, 365 * 24)) == 28 * DAY_S
    assert default_window_s(SlotGrid(0, HOUR_S, 40 * 24)) == 10 * DAY_S


def test_no_model_is_given_a_slot_after_its_origin():
    history = office(days_before("2026-06-05", 28))
    witness = Witness()
    backtest(history, [CivilCalendar()], [witness], window_s=5 * DAY_S)
    for given, horizon in witness.given:
        assert given.grid.end_s == horizon.start_s
        assert given.values.shape[1] == given.grid.slots


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_changing_what_came_after_an_origin_never_changes_its_forecast(model):
    history = office(days_before("2026-06-05", 35), series=2)
    origin = history.grid.slots - 36
    other = history.values.copy()
    other[:, origin:] = 12345
    answers = []
    for values in (history.values, other):
        known = matrix(SlotGrid(history.grid.start_s, HOUR_S, origin), values[:, :origin])
        answers.append(model.forecast(known, [CivilCalendar()] * 2, known.grid.after(24)).values)
    np.testing.assert_array_equal(*answers)


def test_a_model_that_can_be_trained_apart_is_trained_once_a_day():
    history = office(days_before("2026-06-05", 28))
    pupil = Pupil()
    outcome = backtest(history, [CivilCalendar()], [pupil], window_s=5 * DAY_S)
    assert len(pupil.given) == outcome.origins
    assert set(np.diff(pupil.trained_at_s)) == {DAY_S}
    assert pupil.trained_at_s[0] == horizon_start(pupil, 0)


def test_the_default_model_beats_the_baseline_on_a_working_week():
    history = office(days_before("2026-06-05", 42), series=5)
    outcome = backtest(history, [CivilCalendar()] * 5, list(MODELS.values()), window_s=8 * DAY_S)
    ours, baseline = outcome.models["seasonal-profile"].pooled, outcome.models["seasonal-naive"].pooled
    assert ours.wape < 0.85 * baseline.wape
    assert ours.pinball[0.95] < 0.85 * baseline.pinball[0.95]
    assert 0.92 < ours.coverage[0.95] < 0.98
    assert outcome.default is outcome.models["seasonal-profile"]
    assert outcome.run_seconds > 0
    assert outcome.peak_memory_mb > 10


def test_closed_hours_are_not_scored():
    grid = days_before("2026-06-05", 42)
    history = office(grid)
    open_hours = at_local(grid, "UTC", lambda at: at.weekday() < 5 and 7 <= at.hour < 21)
    history.values[:, ~open_hours] = np.nan
    witness = Witness()
    outcome = backtest(history, [CivilCalendar()], [witness])
    starts = [(horizon.start_s - grid.start_s) // HOUR_S for _, horizon in witness.given]
    assert outcome.default.pooled.slots == sum(int(open_hours[start : start + 24].sum()) for start in starts)
    assert outcome.default.pooled.wape < 0.5


def test_a_series_that_is_cold_at_every_origin_is_left_out_of_the_scores():
    history = office(days_before("2026-06-05", 28), series=2)
    history.values[1] = np.nan
    outcome = backtest(history, [CivilCalendar()] * 2, [SeasonalNaive()], window_s=3 * DAY_S)
    assert outcome.default.series["tenant-1"].slots == 0
    assert outcome.default.pooled.slots == outcome.default.series["tenant-0"].slots > 0


def test_progress_reaches_the_end_over_all_models():
    history = office(days_before("2026-06-05", 28))
    steps = []
    backtest(
        history,
        [CivilCalendar()],
        list(MODELS.values()),
        window_s=2 * DAY_S,
        progress=lambda done, total: steps.append((done, total)),
    )
    assert [done for done, _ in steps] == list(range(1, steps[0][1] + 1))


@pytest.mark.parametrize("days", [0, 1, 2])
def test_a_history_without_room_for_one_origin_says_what_to_do(days):
    with pytest.raises(ForecastInputError, match="use more history, a longer window, a shorter horizon"):
        backtest(office(days_before("2026-06-05", days)), [CivilCalendar()], [SeasonalNaive()])
