"""What was refused belongs to the load, and the estimate is never below what was carried."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecasting.errors import ForecastInputError
from forecasting.grid import SlotGrid
from forecasting.load import LoadMatrix, Measure
from forecasting.uncensored import MOST_BLOCKED, erlang_b, offered_from_carried, offered_rate, with_refused

GRID = SlotGrid(0, 300, 3)

some_load = st.one_of(st.just(np.nan), st.floats(0, float(np.finfo(np.float32).max), width=32))


def matrix(measure, names, values):
    return LoadMatrix(measure, names, GRID, np.array(values, np.float32))


@pytest.mark.parametrize(
    ("offered", "channels", "blocked"), [(5.0, 11, 0.0083), (20.0, 30, 0.0085), (100.0, 117, 0.0098)]
)
def test_the_loss_formula_agrees_with_printed_tables(offered, channels, blocked):
    assert erlang_b(np.array(offered), np.array(channels)) == pytest.approx(blocked, abs=2e-4)


def test_the_load_comes_back_from_what_a_full_fleet_carried():
    offered = np.array([0.0, 1.0, 20.0, 35.0, 45.0])
    carried = offered * (1 - erlang_b(offered, np.array(30.0)))
    assert offered_from_carried(carried, np.array(30.0)) == pytest.approx(offered, rel=1e-6, abs=1e-6)


def test_the_estimate_rises_with_the_carried_load_is_never_below_it_and_ends_at_the_cap():
    carried = np.linspace(0.0, 40.0, 401)
    offered = offered_from_carried(carried, np.array(30.0))
    assert (offered >= carried).all()
    assert (np.diff(offered) >= 0).all()
    assert offered[300] == pytest.approx(30.0 / (1 - MOST_BLOCKED))


def test_a_gap_stays_a_gap():
    assert np.isnan(offered_from_carried(np.array([np.nan]), np.array(30.0))).all()


def test_retries_are_not_counted_as_callers_twice():
    carried, refused = np.array([1.0, 1.0, 1.0, np.nan]), np.array([0.5, 0.0, np.nan, 0.5])
    np.testing.assert_array_equal(offered_rate(carried, refused, 0.4), [1.3, 1.0, np.nan, np.nan])


def test_refused_calls_would_have_held_a_channel_each_for_the_mean_holding_time():
    carried = matrix(Measure.CHANNELS, ("a", "b"), [[10, 10, np.nan], [5, 5, 5]])
    refused = matrix(Measure.CALL_RATE, ("x", "b", "a"), [[9, 9, 9], [0, 0, 0], [0.02, 0, 0.02]])
    offered = with_refused(carried, refused, 200.0, retry_share=0.5)
    np.testing.assert_allclose(offered.values, [[12, 10, np.nan], [5, 5, 5]])


def test_refusals_that_nobody_counted_are_not_zero():
    carried = matrix(Measure.CHANNELS, ("a", "uncounted"), [[10, 10, 10], [5, 5, 5]])
    refused = matrix(Measure.CALL_RATE, ("a",), [[0, np.nan, 0.02]])
    offered = with_refused(carried, refused, 100.0)
    np.testing.assert_allclose(offered.values, [[10, np.nan, 12], [np.nan] * 3])


def test_a_holding_time_that_is_not_known_matters_only_where_somebody_was_refused():
    carried = matrix(Measure.CHANNELS, ("a", "b"), [[10, 10, 10], [5, 5, 5]])
    refused = matrix(Measure.CALL_RATE, ("a", "b"), [[0, 0.02, 0.02], [0, 0.02, 0.02]])
    offered = with_refused(carried, refused, np.array([[np.nan, np.nan, 100.0], [200.0, 200.0, 200.0]]))
    np.testing.assert_allclose(offered.values, [[10, np.nan, 12], [5, 9, 9]])


@settings(derandomize=True, deadline=None)
@given(
    carried=st.lists(some_load, min_size=3, max_size=3),
    refused=st.lists(some_load, min_size=3, max_size=3),
    holding_s=st.floats(1e-3, 1e6),
    retry_share=st.floats(0, 1),
)
def test_the_offered_load_is_never_below_the_carried_one(carried, refused, holding_s, retry_share):
    before = matrix(Measure.CHANNELS, ("a",), [carried])
    offered = with_refused(before, matrix(Measure.CALL_RATE, ("a",), [refused]), holding_s, retry_share)
    known = offered.observed
    assert (offered.values[known] >= before.values[known]).all()
    assert not known[np.isnan(before.values)].any()


def test_refused_calls_join_the_call_rate_as_they_are():
    carried = matrix(Measure.CALL_RATE, ("a",), [[1.0, 2.0, 0.0]])
    refused = matrix(Measure.CALL_RATE, ("a",), [[0.5, 0.0, 0.25]])
    np.testing.assert_allclose(with_refused(carried, refused, 200.0).values, [[1.5, 2.0, 0.25]])


def test_what_does_not_fit_is_said():
    carried = matrix(Measure.CHANNELS, ("a",), [[1, 1, 1]])
    rate = matrix(Measure.CALL_RATE, ("a",), [[1, 1, 1]])
    with pytest.raises(ForecastInputError, match="set-ups per second, not channels"):
        with_refused(carried, carried, 200.0)
    with pytest.raises(ForecastInputError, match="mean holding time of 0"):
        with_refused(carried, rate, 0.0)
    with pytest.raises(ForecastInputError, match="mean holding time of"):
        with_refused(carried, rate, np.array([200.0, np.inf, np.nan]))
    with pytest.raises(ForecastInputError, match=r"retry share 1\.5"):
        with_refused(carried, rate, 200.0, 1.5)
    with pytest.raises(ForecastInputError, match="not whole"):
        offered_from_carried(np.array([1.0]), np.array([1.5]))
