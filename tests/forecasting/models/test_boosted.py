"""Trees correct the residual table where there is something to find, and leave it alone where there is not."""

from dataclasses import replace

import numpy as np
import pytest

from forecasting.models.boosted import LEVELS, MOST_ROWS, ResidualRows, learn_boosted
from forecasting.models.residual_law import ResidualCounts

ROWS = 20_000
TABLE = ResidualCounts().law()
"""Without a residual seen, the table is the normal law's."""


@pytest.fixture(params=[MOST_ROWS, ROWS])
def most_rows(request, monkeypatch):
    """Fewer rows than training takes, and as many."""
    monkeypatch.setattr("forecasting.models.boosted.MOST_ROWS", request.param)
    return request.param


def rows_of(scaled, hour, weeks=8):
    rows = scaled.size
    nothing = np.zeros(rows, dtype=np.int64)
    return ResidualRows(
        context=np.stack([hour, np.zeros(rows)], axis=1).astype(np.float32),
        scaled=scaled.astype(np.float32),
        horizon=nothing,
        level=nothing,
        weight=np.ones(rows, dtype=np.float32),
        size=np.ones(rows, dtype=np.float32),
        week=np.arange(rows) * weeks // rows,
    )


def a_sample(seed, lift, rows=ROWS):
    """Standard normal residuals, higher by `lift` at nine o'clock."""
    rng = np.random.default_rng(seed)
    hour = rng.integers(0, 24, rows)
    return rng.normal(size=rows) + lift * (hour == 9), hour


def corrected(law, rows, wanted=LEVELS):
    plain = TABLE.quantiles(rows.horizon, rows.level, wanted)
    return plain + (law.correction(rows.context, rows.horizon, rows.level, TABLE, wanted) if law else 0.0)


def pinball(actual, lines):
    short = actual[:, None] - lines
    return float(np.maximum(np.array(LEVELS) * short, (np.array(LEVELS) - 1) * short).sum(axis=1).mean())


@pytest.mark.usefixtures("most_rows")
def test_an_hour_that_the_table_gets_wrong_is_lifted_and_the_others_stay():
    law = learn_boosted(rows_of(*a_sample(1, 3.0)), TABLE)
    fresh = rows_of(*a_sample(2, 3.0))
    lines = corrected(law, fresh)
    at_nine = fresh.context[:, 0] == 9
    assert lines[at_nine, 0].mean() == pytest.approx(3.0, abs=0.3)
    assert lines[~at_nine, 0].mean() == pytest.approx(0.0, abs=0.1)


@pytest.mark.usefixtures("most_rows")
def test_each_line_covers_on_weeks_that_were_not_seen_what_it_promises():
    law = learn_boosted(rows_of(*a_sample(3, 3.0)), TABLE)
    fresh = rows_of(*a_sample(4, 3.0))
    covered = (fresh.scaled[:, None] <= corrected(law, fresh)).mean(axis=0)
    np.testing.assert_allclose(covered, LEVELS, atol=0.012)


@pytest.mark.usefixtures("most_rows")
def test_where_there_is_nothing_to_find_the_loss_is_that_of_the_table():
    law = learn_boosted(rows_of(*a_sample(5, 0.0)), TABLE)
    fresh = rows_of(*a_sample(6, 0.0))
    assert pinball(fresh.scaled, corrected(law, fresh)) <= 1.005 * pinball(fresh.scaled, corrected(None, fresh))


@pytest.mark.usefixtures("most_rows")
def test_a_pattern_of_one_week_that_no_other_week_has_is_not_believed():
    rng = np.random.default_rng(7)
    rows = rows_of(rng.normal(size=ROWS), rng.integers(0, 24, ROWS), weeks=5)
    # Each week has its own hour that is out of line: what four of them teach is wrong for the fifth.
    odd = rows.context[:, 0] == 4 * (rows.week + 1)
    misled = ResidualRows(
        rows.context, rows.scaled + 4 * odd, rows.horizon, rows.level, rows.weight, rows.size, rows.week
    )
    law = learn_boosted(misled, TABLE)
    assert law is None or law.shares[0, 0] <= 0.5


def test_of_many_rows_one_set_of_trees_speaks_that_has_seen_them_all(most_rows):
    law = learn_boosted(rows_of(*a_sample(1, 3.0)), TABLE)
    assert (len(law.models) == 1) == (most_rows == ROWS)


def test_weeks_between_which_nothing_was_replayed_are_shared_out_all_the_same():
    rows = rows_of(*a_sample(1, 3.0), weeks=5)
    law = learn_boosted(replace(rows, week=5 * rows.week), TABLE)
    assert law is not None
    assert corrected(law, rows)[rows.context[:, 0] == 9, 0].mean() == pytest.approx(3.0, abs=0.3)


@pytest.mark.parametrize(("rows", "weeks"), [(500, 8), (ROWS, 4)])
def test_too_few_residuals_or_weeks_teach_nothing(rows, weeks):
    scaled, hour = a_sample(8, 3.0, rows)
    assert learn_boosted(rows_of(scaled, hour, weeks), TABLE) is None


def test_a_quantile_between_two_levels_lies_between_their_lines():
    law = learn_boosted(rows_of(*a_sample(9, 3.0)), TABLE)
    fresh = rows_of(*a_sample(10, 3.0, 200))
    lines = corrected(law, fresh, (0.5, 0.7, 0.9))
    at_nine = fresh.context[:, 0] == 9
    assert at_nine.any()
    np.testing.assert_allclose(lines[at_nine], [[3.0, 3.52, 4.28]] * at_nine.sum(), atol=0.5)


def test_a_share_of_nothing_leaves_the_table_as_it_is():
    law = learn_boosted(rows_of(*a_sample(12, 3.0)), TABLE)
    fresh = rows_of(*a_sample(13, 3.0, 200))
    silenced = replace(law, shares=np.zeros_like(law.shares))
    np.testing.assert_array_equal(corrected(silenced, fresh), corrected(None, fresh))


def test_more_rows_than_training_needs_are_thinned_the_same_way_each_time():
    part = rows_of(*a_sample(11, 0.0, MOST_ROWS))
    first, second = (ResidualRows.joined([part, part]) for _ in range(2))
    assert first.scaled.size == MOST_ROWS
    np.testing.assert_array_equal(first.scaled, second.scaled)
