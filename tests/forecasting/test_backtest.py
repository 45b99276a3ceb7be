"""A backtest replays origins honestly and scores what was observed."""

from dataclasses import dataclass, field
from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from forecasting.backtest import Subset, backtest
from forecasting.calendar import CivilCalendar
from forecasting.errors import ForecastInputError
from forecasting.forecast import QUANTILES
from forecasting.grid import SlotGrid
from forecasting.models import MODELS
from forecasting.models.seasonal_naive import SeasonalNaive
from forecasting.origins import default_window_s
from forecasting.peers import PEERS
from tests.forecasting.histories import DAY_S, HOUR_S, at_local, days_before, matrix, office

NEW_YORK = "America/New_York"
EVERY_MODEL = {**MODELS, "weekly-mean": PEERS["weekly-mean"]}


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


@dataclass
class Spy:
    """Keeps what a real model answers, by the instant at which it was asked; trains where the model does."""

    model: object
    answers: dict = field(default_factory=dict)
    name: str = "spy"

    def trained(self, history, calendars):
        learnt = self.model.trained(history, calendars) if hasattr(self.model, "trained") else self.model
        return Spy(learnt, self.answers)

    def forecast(self, history, calendars, horizon, quantiles=QUANTILES):
        forecast = self.model.forecast(history, calendars, horizon, quantiles)
        self.answers[history.grid.end_s] = forecast.values
        return forecast


def test_origins_begin_quarters_of_the_local_day_over_the_newest_weeks():
    history = office(days_before("2026-03-20", 40, zone=NEW_YORK), NEW_YORK)
    witness = Witness()
    outcome = backtest(history, [CivilCalendar(NEW_YORK)], [witness])
    times = [datetime.fromtimestamp(horizon.start_s, ZoneInfo(NEW_YORK)) for _, horizon in witness.given]
    assert {at.hour for at in times} == {0, 6, 12, 18}
    assert history.grid.end_s - default_window_s(history.grid) <= horizon_start(witness, 0)
    assert outcome.origins == len(times) == 4 * 7 - 3
    assert all(horizon.end_s <= history.grid.end_s for _, horizon in witness.given)


def horizon_start(witness: Witness, index: int) -> int:
    return witness.given[index][1].start_s


@pytest.mark.parametrize(
    ("days", "tested"), [(365, 28), (112, 28), (92, 21), (56, 14), (55, 14), (40, 7), (20, 5), (4, 1)]
)
def test_the_default_window_is_four_weeks_or_a_quarter_to_the_nearest_week(days, tested):
    assert default_window_s(SlotGrid(0, HOUR_S, days * 24)) == tested * DAY_S


def test_no_model_is_given_a_slot_after_its_origin():
    history = office(days_before("2026-06-05", 28))
    witness = Witness()
    backtest(history, [CivilCalendar()], [witness], window_s=5 * DAY_S)
    for given, horizon in witness.given:
        assert given.grid.end_s == horizon.start_s
        assert given.values.shape[1] == given.grid.slots


@pytest.mark.parametrize("model", EVERY_MODEL.values(), ids=EVERY_MODEL)
def test_changing_what_came_after_an_origin_never_changes_its_forecast(model):
    history = office(days_before("2026-06-05", 35), series=3)
    origin, calendars = history.grid.slots - 36, [CivilCalendar("UTC", "US")] * 3
    other = history.values.copy()
    other[0, origin:] = 12345
    other[1, origin:] = np.nan
    other[2, origin:] = np.roll(other[2, origin:], 5)
    answers = []
    for values in (history.values, other):
        spy = Spy(model)
        backtest(matrix(history.grid, values), calendars, [spy], window_s=3 * DAY_S)
        answers.append(spy.answers)
    assert len(answers[0]) == len(answers[1]) > 4
    at_s = history.grid.start_s + origin * HOUR_S
    known = [at for at in answers[0] if at <= at_s]
    assert known
    for at in known:
        np.testing.assert_array_equal(answers[0][at], answers[1][at], err_msg=f"forecast at {at}")


def test_a_model_that_can_be_trained_apart_is_trained_once_a_day():
    history = office(days_before("2026-06-05", 28))
    pupil = Pupil()
    outcome = backtest(history, [CivilCalendar()], [pupil], window_s=5 * DAY_S)
    assert len(pupil.given) == outcome.origins
    assert set(np.diff(pupil.trained_at_s)) == {DAY_S}
    assert pupil.trained_at_s[0] == horizon_start(pupil, 0)


def test_trainings_lie_as_far_apart_as_is_asked():
    pupil = Pupil()
    backtest(office(days_before("2026-06-05", 28)), [CivilCalendar()], [pupil], window_s=9 * DAY_S, refit_s=4 * DAY_S)
    assert list(np.diff(pupil.trained_at_s)) == [4 * DAY_S] * 2


def test_holidays_are_scored_apart_from_ordinary_days():
    history = office(days_before("2026-07-11", 42), series=2)
    holiday = at_local(history.grid, "UTC", lambda at: (at.month, at.day) == (7, 3))
    history.values[0, holiday] = 0
    # The fourth of July 2026 is a Saturday, observed on Friday; the second series' country knows none.
    outcome = backtest(history, [CivilCalendar("UTC", "US"), CivilCalendar()], [SeasonalNaive()], window_s=9 * DAY_S)
    scored = outcome.default
    assert scored.ordinary.slots + scored.special.slots == scored.pooled.slots
    # The days around a holiday are special too.
    assert 0 < scored.special.slots < scored.ordinary.slots / 3
    assert scored.special.wape > 3 * scored.ordinary.wape


def test_open_time_counts_the_slots_that_most_weeks_show():
    grid = days_before("2026-06-08", 42)
    history = office(grid)
    # Monday to Friday, eight to twenty; the last Wednesday is a day off.
    is_open = at_local(grid, "UTC", lambda at: at.weekday() < 5 and 8 <= at.hour < 20 and (at.month, at.day) != (6, 3))
    history.values[:, ~is_open] = np.nan
    witness = Witness()
    outcome = backtest(history, [CivilCalendar()], [witness], window_s=14 * DAY_S, open_time=True)
    times = [datetime.fromtimestamp(known.grid.end_s, ZoneInfo("UTC")) for known, _ in witness.given]
    assert {at.hour for at in times} == {8, 11, 14, 17}
    assert {at.weekday() for at in times} == {0, 1, 2, 3, 4}
    friday = next(
        horizon for (_, horizon), at in zip(witness.given, times, strict=True) if at.weekday() == 4 and at.hour == 14
    )
    assert friday.slots * HOUR_S == 3 * DAY_S
    wednesdays_off = sum(12 - 3 * (at.hour // 3 - 2) for at in times if at.date().isoformat() == "2026-06-03")
    tuesdays = sum(3 * (at.hour // 3 - 2) for at in times if at.date().isoformat() == "2026-06-02")
    assert outcome.default.pooled.slots == 12 * len(times) - wednesdays_off - tuesdays


def test_a_series_that_never_closes_has_the_same_origins_in_open_time():
    history = office(days_before("2026-06-05", 28))
    history.values[:, 100:130] = np.nan
    plain, opened = (
        backtest(history, [CivilCalendar()], [SeasonalNaive()], open_time=open_time) for open_time in (False, True)
    )
    assert plain.default.pooled == opened.default.pooled


def test_whoever_is_compared_with_a_peer_is_scored_on_its_cells():
    history = office(days_before("2026-06-05", 35), series=9)
    peer = Witness("peer")
    outcome = backtest(
        history, [CivilCalendar()] * 9, [SeasonalNaive()], window_s=8 * DAY_S, subset=Subset([peer], 3, 5)
    )
    assert (outcome.subset_series, outcome.subset_origins) == (3, 5)
    assert {known.values.shape[0] for known, _ in peer.given} == {3}
    assert len({datetime.fromtimestamp(known.grid.end_s, ZoneInfo("UTC")).hour for known, _ in peer.given}) > 2
    ours, theirs = outcome.subset["seasonal-naive"], outcome.subset["peer"]
    assert list(ours.series) == list(theirs.series)
    assert ours.pooled.slots == theirs.pooled.slots == 3 * 5 * 24
    assert ours.pooled.mean_load == theirs.pooled.mean_load
    assert outcome.models["seasonal-naive"].pooled.slots > 5 * ours.pooled.slots
    assert "peer" not in outcome.models


def test_two_models_of_one_name_are_refused():
    with pytest.raises(ForecastInputError, match="same name"):
        backtest(office(days_before("2026-06-05", 28)), [CivilCalendar()], [SeasonalNaive(), SeasonalNaive()])


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
