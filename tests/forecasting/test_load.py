"""A fleet's sum: whole or missing, and a member that is not there is not missing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from forecasting.errors import ForecastInputError
from forecasting.grid import SlotGrid
from forecasting.load import LoadMatrix, Measure, departed, fleet_sums

STEP_S = 3600
DAYS = 6


def hours(**rows: Sequence[tuple[int, int]]) -> LoadMatrix:
    """Load 1 in these half-open stretches of hours, nothing elsewhere."""
    values = np.full((len(rows), DAYS * 24), np.nan, dtype=np.float32)
    for row, stretches in enumerate(rows.values()):
        for first, end in stretches:
            values[row, first:end] = 1
    return LoadMatrix(Measure.CHANNELS, tuple(rows), SlotGrid(20_000 * 86400, STEP_S, DAYS * 24), values)


def total(load: LoadMatrix, *tenants: str) -> list[float | None]:
    values = fleet_sums(load, {"fleet": tenants}).values[0]
    return [None if np.isnan(value) else float(value) for value in values]


def test_a_member_that_stopped_for_good_is_absent_from_its_last_observation_on() -> None:
    load = hours(a=[(0, 144)], b=[(0, 48)])
    assert total(load, "a", "b") == [2.0] * 48 + [1.0] * 96


def test_a_gap_before_it_stopped_stays_a_gap() -> None:
    load = hours(a=[(0, 144)], b=[(0, 10), (12, 48)])
    assert total(load, "a", "b") == [2.0] * 10 + [None] * 2 + [2.0] * 36 + [1.0] * 96


@pytest.mark.parametrize(("away_h", "gone"), [(24, False), (25, True)])
def test_a_member_has_departed_when_others_were_seen_for_more_than_a_day_without_it(away_h: int, gone: bool) -> None:
    load = hours(a=[(0, 144)], b=[(0, 144 - away_h)])
    assert departed(load).tolist() == [False, gone]
    assert total(load, "a", "b")[-1] == (1.0 if gone else None)


def test_an_outage_of_the_whole_source_is_a_gap_for_all() -> None:
    load = hours(a=[(0, 96)], b=[(0, 96)])
    assert not departed(load).any()
    assert total(load, "a", "b") == [2.0] * 96 + [None] * 48


def test_the_first_to_come_back_after_an_outage_does_not_make_the_others_departed() -> None:
    load = hours(a=[(0, 96), (143, 144)], b=[(0, 96)])
    assert not departed(load).any()
    assert total(load, "a", "b") == [2.0] * 96 + [None] * 48


def test_a_member_that_came_back_had_a_gap() -> None:
    load = hours(a=[(0, 144)], b=[(0, 48), (143, 144)])
    assert total(load, "a", "b") == [2.0] * 48 + [None] * 95 + [2.0]


def test_a_member_that_has_not_begun_is_absent_and_has_not_departed() -> None:
    load = hours(a=[(0, 144)], b=[(100, 144)], never=[])
    assert departed(load).tolist() == [False, False, False]
    assert total(load, "a", "b", "never", "unknown") == [1.0] * 100 + [2.0] * 44


def test_a_fleet_all_of_whose_members_departed_is_missing_and_never_zero() -> None:
    load = hours(a=[(0, 144)], b=[(0, 48)])
    assert total(load, "b") == [1.0] * 48 + [None] * 96


def test_nothing_at_all_has_neither_sums_nor_departures() -> None:
    empty = LoadMatrix(Measure.CHANNELS, (), SlotGrid(0, STEP_S, 0), np.empty((0, 0), dtype=np.float32))
    assert departed(empty).tolist() == []
    unseen = hours(a=[])
    assert departed(unseen).tolist() == [False]
    assert total(unseen, "a") == [None] * 144


def test_what_was_observed_is_found_among_more_rows_and_slots_than_are_looked_at_together() -> None:
    values = np.full((700, 1000), np.nan, dtype=np.float32)
    values[0, :10] = values[300, 20:30] = values[699, 999] = 1
    values[1, 400] = values[2, [3, 743]] = 0
    load = LoadMatrix(Measure.CHANNELS, tuple(map(str, range(700))), SlotGrid(0, STEP_S, 1000), values)
    seen = [*range(10), *range(20, 30), 400, 743, 999]
    assert np.flatnonzero(load.observed_by_any()).tolist() == seen
    newest = {0: 10, 1: 401, 2: 744, 300: 30, 699: 1000}
    assert load.last_observed_s().tolist() == [newest.get(row, 0) * STEP_S for row in range(700)]


@pytest.mark.parametrize("value", [-1.0, -np.inf, np.inf])
def test_a_value_that_is_no_load_is_refused_and_a_gap_is_none(value: float) -> None:
    values = np.array([[np.nan, 3, np.nan]], dtype=np.float32)
    grid = SlotGrid(0, STEP_S, 3)
    LoadMatrix(Measure.CHANNELS, ("a",), grid, values)
    values[0, 1] = value
    with pytest.raises(ForecastInputError, match="negative or infinite"):
        LoadMatrix(Measure.CHANNELS, ("a",), grid, values)
