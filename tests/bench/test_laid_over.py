"""Breaks and clock changes are laid over a series without touching what came before, its gaps or its kind."""

from datetime import UTC, date, datetime

import numpy as np
import pytest

from bench.cases.clocks import CHANGING, CONSTANT, Wall, at_midnights, lived_by, on_the_wall
from bench.cases.laid_over import at_level, made_up, ramp_from, step_at
from forecasting.calendar import CivilCalendar
from forecasting.load import Measure
from tests.forecasting.histories import DAY_S, HOUR_S, counts, days_before, instant, matrix, office_rates

GRID = days_before("2026-06-01", 28)
BREAK = GRID.slots // 2


def _poisson(rate=40.0, series=6):
    return matrix(GRID, counts(np.full(GRID.slots, rate), series))


@pytest.mark.parametrize("factor", [0.0, 0.5, 1.6])
def test_a_break_changes_the_level_from_its_slot_on_and_nothing_before(factor):
    load = _poisson()
    load.values[0, 5:400] = np.nan
    broken = at_level(load, step_at(GRID, BREAK, factor), seed=1)
    np.testing.assert_array_equal(broken.values[:, :BREAK], load.values[:, :BREAK])
    np.testing.assert_array_equal(np.isnan(broken.values), np.isnan(load.values))
    assert np.nanmean(broken.values[:, BREAK:]) == pytest.approx(40 * factor, rel=0.02)


@pytest.mark.parametrize("factor", [0.5, 1.6])
def test_calls_that_come_at_random_still_do_after_the_break(factor):
    broken = at_level(_poisson(series=20), step_at(GRID, 0, factor), seed=1).values
    assert (broken == np.round(broken)).all()
    assert broken.var() / broken.mean() == pytest.approx(1.0, abs=0.15)


def test_what_is_no_count_is_multiplied():
    load = matrix(GRID, np.full((1, GRID.slots), 2.25, np.float32))
    assert (at_level(load, step_at(GRID, BREAK, 0.5), seed=1).values[:, BREAK:] == np.float32(1.125)).all()


def test_a_ramp_reaches_its_level_in_its_days_and_stays():
    factors = ramp_from(GRID, BREAK, 1.5, days=7)
    assert factors[BREAK] == 1.0
    assert factors[BREAK + 7 * 12] == pytest.approx(1.25)
    assert (factors[BREAK + 7 * 24 :] == 1.5).all()


def test_made_up_counts_have_their_sizes_and_differ_by_the_break_alone():
    plain, broken = (made_up(GRID, [5.0, 80.0], "UTC", 3, step_at(GRID, BREAK, factor)) for factor in (1.0, 0.5))
    np.testing.assert_allclose(plain.values.mean(axis=1), [5.0, 80.0], rtol=0.05)
    np.testing.assert_array_equal(plain.values[:, :BREAK], broken.values[:, :BREAK])
    assert broken.values[1, BREAK:].mean() == pytest.approx(plain.values[1, BREAK:].mean() / 2, rel=0.05)


def test_the_wall_shows_what_its_clock_showed_and_the_doubled_hour_once():
    grid = days_before("2019-11-05", 4, zone="America/New_York")
    wall = on_the_wall(matrix(grid, np.arange(grid.slots, dtype=np.float32)[None]), CivilCalendar("America/New_York"))
    assert wall.first == date(2019, 11, 1)
    assert wall.values.shape == (1, 4, 24)
    # The grid begins at one o'clock of the first; on Sunday the third one o'clock came twice, as slots 48 and 49.
    assert np.isnan(wall.values[0, 0, 0])
    np.testing.assert_array_equal(wall.values[0, 2, :4], [47, 48.5, 50, 51])


@pytest.mark.parametrize(("change", "hours"), [(date(2021, 3, 28), 23), (date(2021, 10, 31), 25)])
def test_nine_o_clock_stays_nine_where_the_clock_changes_and_moves_in_utc(change, hours):
    values = np.tile(np.arange(24, dtype=np.float32), (1, 3, 1))
    wall = Wall(Measure.CHANNELS, ("a",), values, date(2021, 1, 1), (date(2021, 1, 2),)).moved(
        (change - date(2021, 1, 2)).days
    )
    assert wall.special == (change,)
    constant, changing = lived_by(wall, CONSTANT), lived_by(wall, CHANGING)
    assert constant.grid.slots == 72
    assert changing.grid.slots == 48 + hours
    nine = [datetime.fromtimestamp(int(at), UTC).hour for at in changing.grid.starts_s[changing.values[0] == 9]]
    assert nine[0] - nine[1] == 24 - hours
    assert nine[1] == nine[2]


def test_a_wall_read_off_a_series_and_lived_by_in_its_zone_is_that_series_again():
    grid = days_before("2026-03-20", 21, zone="Europe/Berlin")
    load = matrix(grid, counts(office_rates(grid), 2))
    again = lived_by(on_the_wall(load, CivilCalendar("Europe/Berlin")), "Europe/Berlin")
    assert again.grid == load.grid
    np.testing.assert_array_equal(again.values, load.values)


def test_midnights_are_local_and_their_paths_end_at_the_next():
    grid = days_before("2019-11-05", 4, zone="America/New_York")
    origins = at_midnights(grid, [date(2019, 11, 2), date(2019, 11, 3), date(2020, 1, 1)], "America/New_York")
    starts_s = [int(grid.starts_s[slot]) for slot in origins.slots]
    assert starts_s == [instant(f"2019-11-0{day}", "America/New_York") for day in (2, 3)]
    assert [ahead.size * HOUR_S for ahead in origins.ahead] == [DAY_S, DAY_S + HOUR_S]
