"""The one rule by which samples become slots."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from forecasting.grid import SlotGrid
from forecasting.sources.protocol import SlotStatistic
from forecasting.sources.samples import slot_values

GRID = SlotGrid(600, 300, 4)
SAMPLES = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.integers(550, 1900),
        st.one_of(st.integers(-2, 50).map(float), st.sampled_from([float("nan"), float("inf"), -float("inf"), 1e300])),
    ),
    max_size=60,
)


def by_the_rule(samples: list[tuple[int, int, float]], statistic: SlotStatistic) -> np.ndarray:
    """The rule in plain words: last one per instant, then mean or maximum per slot."""
    newest: dict[tuple[int, int], float] = {}
    for row, at_s, value in samples:
        if np.isfinite(value) and value >= 0:
            newest[row, at_s] = value
    expected = np.full((3, GRID.slots), np.nan)
    for row in range(3):
        for slot, start_s in enumerate(GRID.starts_s):
            inside = [value for (r, at_s), value in newest.items() if r == row and start_s <= at_s < start_s + 300]
            if inside:
                figure = max(inside) if statistic is SlotStatistic.MAXIMUM else sum(inside) / len(inside)
                expected[row, slot] = figure if figure < 1e38 else np.nan
    return expected


def slots_of(samples: list[tuple[int, int, float]], statistic: SlotStatistic) -> np.ndarray:
    rows = np.array([row for row, _, _ in samples], dtype=np.int64)
    times = np.array([at_s for _, at_s, _ in samples], dtype=np.float64)
    values = np.array([value for _, _, value in samples], dtype=np.float64)
    return slot_values(rows, times, values, 3, GRID, statistic)[0]


@settings(derandomize=True, max_examples=200, deadline=None)
@given(SAMPLES, st.sampled_from(SlotStatistic))
def test_samples_become_slots_by_the_rule(samples: list[tuple[int, int, float]], statistic: SlotStatistic) -> None:
    np.testing.assert_allclose(slots_of(samples, statistic), by_the_rule(samples, statistic), rtol=1e-6)


@settings(derandomize=True, max_examples=100, deadline=None)
@given(SAMPLES, st.randoms(use_true_random=False), st.sampled_from(SlotStatistic))
def test_order_matters_only_between_samples_of_one_instant(samples, random, statistic: SlotStatistic) -> None:
    unique = list({(row, at_s): (row, at_s, value) for row, at_s, value in samples}.values())
    shuffled = random.sample(unique, len(unique))
    np.testing.assert_allclose(slots_of(unique, statistic), slots_of(shuffled, statistic), rtol=1e-6)


def test_a_correction_that_is_appended_wins() -> None:
    assert slots_of([(0, 600, 5.0), (0, 700, 1.0), (0, 600, 2.0)], SlotStatistic.MAXIMUM)[0, 0] == 2
