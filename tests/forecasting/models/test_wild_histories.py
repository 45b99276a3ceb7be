"""The promises where they are hardest to keep: with trees, from calls, for announced tenants, at the edge of memory."""

from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecasting.announced import AnnouncedTenant, with_announced
from forecasting.errors import ForecastInputError
from forecasting.grid import SlotGrid
from forecasting.load import LoadMatrix, Measure
from forecasting.models import MODELS, boosted, default_forecaster
from forecasting.models.from_calls import ConcurrencyFromCalls
from forecasting.sources.events import Calls, concurrency
from forecasting.sources.protocol import SlotStatistic
from tests.forecasting.histories import DAY_S, HOUR_S, counts, days_before, matrix, office_rates
from tests.forecasting.wild_histories import CALENDARS, ROWS, check_promises, values_of

GRID = days_before("2026-04-02", 56)
TAME = 12
BOUNDED = settings(max_examples=25, deadline=None, derandomize=True)
WILD = st.lists(st.sampled_from(ROWS), min_size=1, max_size=4)
SEEDS = st.integers(0, 2**32 - 1)


@pytest.fixture(scope="module")
def with_trees():
    """The default model, its trees grown on twelve offices and on one row of each wild kind."""
    rng = np.random.default_rng(7)
    # Offices that are noisy at noon and calm at night: something for trees to find.
    rates = office_rates(GRID) * np.where(GRID.starts_s % DAY_S == 12 * HOUR_S, rng.gamma(2, 0.5, GRID.slots), 1.0)
    values = np.concatenate([counts(rates, TAME), values_of(ROWS, GRID.slots, rng)])
    calendars = [CALENDARS[row % len(CALENDARS)] for row in range(values.shape[0])]
    least = pytest.MonkeyPatch()
    least.setattr(boosted, "MOST_ROWS", 20_000)
    # Applied in full, whether they help or not: the promises must not hang on what held-out weeks say.
    least.setattr(boosted, "_SHARES", (1.0,))
    trained = default_forecaster().trained(matrix(GRID, values), calendars)
    least.undo()
    return trained, values, calendars


def test_trees_have_grown(with_trees):
    assert with_trees[0].learnt.boosted is not None


@given(rows=WILD, at=st.integers(0, TAME - 1), tail=st.integers(1, GRID.slots), seed=SEEDS)
@BOUNDED
def test_a_model_with_trees_keeps_its_promises_when_its_series_run_wild(with_trees, rows, at, tail, seed):
    trained, tame, calendars = with_trees
    values = tame.copy()
    rng = np.random.default_rng(seed)
    values[at : at + len(rows), -tail:] = values_of(rows, GRID.slots, rng)[:, -tail:]
    check_promises(trained.forecast(matrix(GRID, values), calendars, GRID.after(30)))


@given(
    starts=st.lists(st.floats(0, 20 * DAY_S), min_size=1, max_size=30),
    lasts=st.sampled_from([0.0, 1.0, 240.0, 5 * DAY_S, 1e9]),
    crowd=st.sampled_from([0, 1, 5000]),
    step_s=st.sampled_from([300, HOUR_S]),
    days=st.integers(0, 20),
    calendar=st.sampled_from(CALENDARS),
    statistic=st.sampled_from(SlotStatistic),
)
@BOUNDED
def test_any_calls_give_paths_in_order_or_a_cold_tenant(starts, lasts, crowd, step_s, days, calendar, statistic):
    first_s = 1_750_000_000 // HOUR_S * HOUR_S
    starts_s = first_s + np.concatenate([starts, np.full(crowd, max(starts))])
    series = np.arange(starts_s.size, dtype=np.int64) % 2
    calls = Calls(series, starts_s, starts_s + np.where(series == 0, lasts, 60.0))
    grid = SlotGrid(first_s, step_s, days * DAY_S // step_s)
    history = LoadMatrix(Measure.CHANNELS, ("a", "b"), grid, concurrency(calls, 2, grid, statistic))
    model = ConcurrencyFromCalls(calls, default_forecaster(), statistic)
    if not (starts_s < grid.end_s).any():
        with pytest.raises(ForecastInputError, match="no call at all"):
            model.forecast(history, [calendar] * 2, grid.after(20))
        return
    check_promises(model.forecast(history, [calendar] * 2, grid.after(20)))


@given(
    rows=WILD,
    slots=st.one_of(st.just(0), st.integers(1, 40 * 24)),
    endpoints=st.sampled_from([1, 40, 10**9]),
    each=st.sampled_from([None, 0.0, 0.3, 1e6]),
    comes_in_days=st.integers(-40, 3),
    calendar=st.sampled_from(CALENDARS),
    measure=st.sampled_from(Measure),
    seed=SEEDS,
)
@BOUNDED
def test_an_announced_tenant_of_any_size_beside_any_history_keeps_the_promises(
    rows, slots, endpoints, each, comes_in_days, calendar, measure, seed
):
    rng = np.random.default_rng(seed)
    grid = SlotGrid(1_750_000_000 // HOUR_S * HOUR_S, HOUR_S, slots)
    history = matrix(grid, values_of(rows, slots, rng), measure)
    fleet = matrix(grid, history.values[:1], measure)
    members = {fleet.series[0]: [*history.series, "new"]}
    day = date.fromtimestamp(grid.end_s) + timedelta(comes_in_days)
    announced = [AnnouncedTenant("new", day, endpoints, each), AnnouncedTenant(history.series[-1], day, 1)]
    own = MODELS["seasonal-naive"].forecast(fleet, [calendar], grid.after(72))
    calendars = {fleet.series[0]: calendar}
    check_promises(with_announced(own, history, members, calendars, {fleet.series[0]: announced}))


@pytest.mark.parametrize("wrong", [-1.0, -1e-30, np.inf, -np.inf])
def test_a_value_that_is_no_load_is_refused_where_it_enters(wrong):
    values = np.ones((1, GRID.slots), np.float32)
    values[0, 5] = wrong
    with pytest.raises(ForecastInputError, match="negative or infinite"):
        matrix(GRID, values)


@pytest.mark.parametrize("name", sorted(MODELS))
def test_neither_learning_nor_forecasting_reads_beyond_the_origin(name):
    """The array goes on in memory after the origin: whoever reads over the edge finds other numbers there."""
    values, origin = counts(office_rates(GRID), 4), 30 * 24
    other = values.copy()
    other[:, origin:] = np.random.default_rng(1).permuted(other[:, origin:] * 9, axis=1)
    known = SlotGrid(GRID.start_s, GRID.step_s, origin)
    calendars = list(CALENDARS[:4])
    paths = [
        MODELS[name].forecast(matrix(known, of[:, :origin]), calendars, known.after(24)).values
        for of in (values, other)
    ]
    np.testing.assert_array_equal(*paths)
