"""The law of holding times tells how long calls last, those that still run included."""

import numpy as np
import pytest

from forecasting.errors import ForecastInputError
from forecasting.holding_times import holding_law, recency

DAY_S = 86400.0


def law_of(lasted_s, ended=None, series=None, count=1, weights=None):
    lasted_s = np.asarray(lasted_s, float)
    ended = np.ones(lasted_s.size, bool) if ended is None else np.asarray(ended)
    series = np.zeros(lasted_s.size, np.int64) if series is None else np.asarray(series)
    return holding_law(series, lasted_s, ended, np.ones(lasted_s.size) if weights is None else weights, count)


def test_the_law_of_many_calls_is_the_one_they_were_drawn_from():
    law = law_of(np.random.default_rng(1).exponential(180.0, 20_000))
    ages_s = np.array([30.0, 180.0, 600.0])
    assert law.at(np.zeros(3, np.int64), ages_s) == pytest.approx(np.exp(-ages_s / 180.0), abs=0.01)
    assert law.mean_s[0] == pytest.approx(180.0, rel=0.02)
    assert law.area_to(np.zeros(3, np.int64), ages_s) == pytest.approx(180.0 * -np.expm1(-ages_s / 180.0), rel=0.02)


def test_running_calls_make_the_law_no_shorter_than_it_is():
    random = np.random.default_rng(2)
    lasts_s, age_s = random.exponential(600.0, 20_000), random.uniform(0.0, 600.0, 20_000)
    seen_s, ended = np.minimum(lasts_s, age_s), lasts_s <= age_s
    of_ended = law_of(seen_s[ended]).at(np.array([0]), np.array([300.0]))[0]
    of_all = law_of(seen_s, ended).at(np.array([0]), np.array([300.0]))[0]
    assert of_all == pytest.approx(np.exp(-0.5), abs=0.02)
    assert of_ended < 0.4


def test_a_series_with_few_calls_borrows_the_law_of_all_and_one_with_many_keeps_its_own():
    random = np.random.default_rng(3)
    lasted_s = np.concatenate([random.exponential(100.0, 5000), random.exponential(1000.0, 5000), [2000.0]])
    law = law_of(lasted_s, series=np.repeat([0, 1, 2], [5000, 5000, 1]), count=4)
    assert law.mean_s[:2] == pytest.approx([100.0, 1000.0], rel=0.1)
    assert law.mean_s[2] == pytest.approx(585.0, rel=0.1)
    assert law.mean_s[3] == pytest.approx(550.0, rel=0.1)


def test_the_law_follows_calls_that_have_become_shorter():
    random = np.random.default_rng(4)
    lasted_s = np.concatenate([random.exponential(900.0, 4000), random.exponential(300.0, 1000)])
    starts_s = np.concatenate([random.uniform(0, 28 * DAY_S, 4000), random.uniform(28 * DAY_S, 35 * DAY_S, 1000)])
    assert law_of(lasted_s, weights=recency(starts_s, 35 * DAY_S)).mean_s[0] < 600.0 < law_of(lasted_s).mean_s[0]


def test_survival_never_rises_and_the_tail_goes_on_past_the_longest_call():
    law = law_of([10.0, 20.0, 500.0, 4000.0], ended=[True, True, True, False])
    survival = law.at(np.zeros(400, np.int64), np.geomspace(0.1, 1e6, 400))
    assert (np.diff(survival) <= 0).all()
    assert law.at(np.array([0]), np.array([5000.0]))[0] > 0


@pytest.mark.parametrize(("lasted_s", "says"), [([], "no call at all"), ([-1.0], "negative"), ([np.nan], "not finite")])
def test_what_gives_no_law_is_said(lasted_s, says):
    with pytest.raises(ForecastInputError, match=says):
        law_of(lasted_s)
