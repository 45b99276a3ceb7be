"""The largest load of a window stays under the named line as often as promised."""

from dataclasses import replace
from statistics import NormalDist

import numpy as np
import pytest

from forecasting.forecast import QUANTILES
from forecasting.models.window_levels import PastWindows, learn_window_levels, windows_of
from forecasting.quantile_lines import at_quantile

STEP_S = 300
SLOTS = 24
HOUR_S = 3600
DEVIATIONS = np.array([NormalDist().inv_cdf(quantile) for quantile in QUANTILES])


def windows(errors, root=20.0):
    """Windows of a load whose root is forecast with a deviation of 1 and errs so: (series, origins, slots)."""
    paths = np.broadcast_to((root + DEVIATIONS) ** 2, (*errors.shape, len(QUANTILES))).astype(np.float32)
    return PastWindows(paths, ((root + errors) ** 2).astype(np.float32), np.ones(errors.shape[1], dtype=np.float32))


def each_slot_alone(rng, windows=3000):
    return rng.normal(size=(1, windows, SLOTS))


def all_slots_together(rng, windows=3000):
    return np.repeat(rng.normal(size=(1, windows, 1)), SLOTS, axis=2)


def half_and_half(rng, windows=3000):
    return (each_slot_alone(rng, windows) + all_slots_together(rng, windows)) / np.sqrt(2)


def covered(part, levels, quantile, width):
    """The share of windows whose largest load lies at or under the line that is named for them."""
    paths = part.paths[:, :, :width].reshape(-1, len(QUANTILES))
    wanted = levels.level(quantile, width * STEP_S, paths[:, 0])
    lines = at_quantile(paths, QUANTILES, wanted).reshape(-1, width).max(axis=1)
    return (part.observed[:, :, :width].reshape(-1, width).max(axis=1) <= lines).mean()


@pytest.mark.parametrize("errors", [each_slot_alone, all_slots_together, half_and_half])
@pytest.mark.parametrize("width", [2, 6, 12, 24])
def test_windows_that_were_not_seen_stay_under_it_as_often_as_promised(errors, width):
    levels = learn_window_levels([windows(errors(np.random.default_rng(1)))], STEP_S, 1.0)
    fresh = windows(errors(np.random.default_rng(2)))
    assert covered(fresh, levels, 0.9, width) == pytest.approx(0.9, abs=0.025)
    assert covered(fresh, levels, 0.95, width) == pytest.approx(0.95, abs=0.02)


def test_the_plain_line_would_have_been_too_low():
    fresh = windows(half_and_half(np.random.default_rng(2)))
    flat = learn_window_levels([windows(all_slots_together(np.random.default_rng(1)))], STEP_S, 1.0)
    assert covered(fresh, flat, 0.95, 12) < 0.9


def test_a_window_counts_for_one_slot_where_all_err_together_and_for_all_where_each_errs_alone():
    together = learn_window_levels([windows(all_slots_together(np.random.default_rng(1)))], STEP_S, 1.0)
    alone = learn_window_levels([windows(each_slot_alone(np.random.default_rng(1)))], STEP_S, 1.0)
    assert together.level(0.95, HOUR_S, 400) == pytest.approx(0.95, abs=0.005)
    assert alone.level(0.95, HOUR_S, 400) == pytest.approx(0.95 ** (1 / 12), abs=0.002)


def test_one_slot_is_its_own_window_whatever_the_errors():
    levels = learn_window_levels([windows(3 * each_slot_alone(np.random.default_rng(1)))], STEP_S, 1.0)
    for quantile in (0.5, 0.8, 0.95, 0.99):
        assert levels.level(quantile, STEP_S, [0, 1, 50, 1e6]) == pytest.approx([quantile] * 4)
        assert levels.level(quantile, 1, 50) == pytest.approx(quantile)


def test_longer_windows_and_higher_quantiles_never_ask_for_less():
    few = windows(half_and_half(np.random.default_rng(3), windows=60))
    levels = learn_window_levels([few], STEP_S, 1.0)
    loads = np.array([0.0, 0.3, 5, 400, 1e5])
    asked = np.array([
        [levels.level(quantile, seconds, loads) for seconds in (300, 330, 450, 600, 1500, 3600, 7200, 86400)]
        for quantile in np.linspace(0.5, 0.99, 40)
    ])  # fmt: skip
    assert (np.diff(asked, axis=0) >= -1e-12).all()
    assert (np.diff(asked, axis=1) >= -1e-12).all()
    assert asked.max() <= 0.999


def test_a_lead_between_two_lengths_asks_for_something_between():
    levels = learn_window_levels([windows(each_slot_alone(np.random.default_rng(1)))], STEP_S, 1.0)
    one, between, two = (float(levels.level(0.95, seconds, 400)) for seconds in (300, 400, 600))
    assert one < between < two


def test_a_window_with_a_missing_slot_teaches_nothing():
    rng = np.random.default_rng(1)
    good, bad = windows(half_and_half(rng)), windows(half_and_half(rng) + 9)
    bad.observed[:, :, 0] = np.nan
    mixed = learn_window_levels([good, bad], STEP_S, 1.0)
    assert mixed.counts_for == pytest.approx(learn_window_levels([good], STEP_S, 1.0).counts_for)


def test_nothing_seen_teaches_nothing():
    unseen = windows(np.full((1, 50, SLOTS), np.nan))
    assert learn_window_levels([unseen], STEP_S, 1.0) is None
    assert learn_window_levels([], STEP_S, 1.0) is None


def test_a_handful_of_windows_leans_on_the_root_of_their_length():
    one = windows(all_slots_together(np.random.default_rng(1), windows=1))
    levels = learn_window_levels([one], STEP_S, 1.0)
    assert levels.level(0.95, 16 * STEP_S, 400) == pytest.approx(0.95 ** (1 / 4), abs=0.003)


def test_idle_series_whose_windows_are_as_still_as_forecast_pay_nothing():
    # Loads that were roots for a while: no zero is quite zero any more.
    still = windows(np.zeros((1, 2000, SLOTS)))
    still = PastWindows(np.zeros_like(still.paths), np.full_like(still.observed, 1e-7), still.weights)
    still.paths[..., -1] = 1.0
    assert learn_window_levels([still], STEP_S, 1.0).level(0.9, HOUR_S, 0) == pytest.approx(0.9, abs=0.005)


def test_origins_count_by_their_weight():
    rng = np.random.default_rng(1)
    old, new = windows(each_slot_alone(rng)), windows(all_slots_together(rng))
    faded = replace(old, weights=np.full_like(old.weights, 0.01))
    level = learn_window_levels([faded, new], STEP_S, 1.0).level(0.95, HOUR_S, 400)
    assert level == pytest.approx(0.95, abs=0.006)


def test_busy_and_small_series_have_levels_of_their_own():
    rng = np.random.default_rng(1)
    small, busy = windows(each_slot_alone(rng), root=4.0), windows(all_slots_together(rng), root=40.0)
    levels = learn_window_levels([small, busy], STEP_S, 1.0)
    of_small, of_busy = levels.level(0.95, HOUR_S, [4.0**2, 40.0**2])
    assert of_busy == pytest.approx(0.95, abs=0.006)
    assert of_small > 0.985


def test_a_rate_is_judged_by_the_calls_of_a_slot():
    rng = np.random.default_rng(1)
    counts = [windows(each_slot_alone(rng), root=4.0), windows(all_slots_together(rng), root=40.0)]
    rates = [replace(part, paths=part.paths / STEP_S, observed=part.observed / STEP_S) for part in counts]
    per_second = learn_window_levels(rates, STEP_S, float(STEP_S))
    by_count = learn_window_levels(counts, STEP_S, 1.0)
    loads = np.array([16.0, 1600.0])
    assert per_second.level(0.95, HOUR_S, loads / STEP_S) == pytest.approx(by_count.level(0.95, HOUR_S, loads))


def test_a_calm_peak_behind_a_restless_hour_takes_nothing_from_the_hour():
    restless = windows(each_slot_alone(np.random.default_rng(1)))
    calm = windows(np.zeros((1, 3000, SLOTS)), root=40.0)
    restless.paths.setflags(write=True)
    restless.paths[:, :, 12:], restless.observed[:, :, 12:] = calm.paths[:, :, 12:], calm.observed[:, :, 12:]
    levels = learn_window_levels([restless], STEP_S, 1.0)
    assert levels.level(0.95, 2 * HOUR_S, 400) >= levels.level(0.95, HOUR_S / 2, 400) > 0.98


@pytest.mark.parametrize(("step_s", "lengths"), [(300, [1, 2, 4, 8, 16, 24]), (1800, [1, 2, 4]), (21600, [1, 2])])
def test_lengths_double_up_to_two_hours(step_s, lengths):
    assert windows_of(step_s).tolist() == lengths
