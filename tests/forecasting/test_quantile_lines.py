from dataclasses import replace
from statistics import NormalDist

import numpy as np
import pytest

from forecasting.errors import ForecastInputError
from forecasting.forecast import QuantileForecast, Trust
from forecasting.grid import SlotGrid
from forecasting.load import Measure
from forecasting.quantile_lines import at_quantile


def forecast(values, quantiles=(0.5, 0.9, 0.95, 0.99)):
    values = np.asarray(values, dtype=np.float32)[np.newaxis]
    return QuantileForecast(
        measure=Measure.CHANNELS,
        series=("acme",),
        grid=SlotGrid(0, 300, values.shape[1]),
        quantiles=quantiles,
        values=values,
        issued_at_s=0,
        newest_observation_s=np.ones(1, dtype=np.int64),
        trust=(Trust.TRUSTED,),
        trust_reasons=("for the test",),
        model="made-up",
    )


def test_carried_quantiles_are_given_as_they_are_and_others_lie_straight_between():
    path = forecast([[10, 20, 30, 70], [0, 0, 1, 3]])
    assert path.path("acme", 0.95).tolist() == [30, 1]
    assert path.path("acme", 0.99).tolist() == [70, 3]
    assert path.path("acme", 0.97) == pytest.approx([50, 2])


def test_each_slot_may_ask_for_a_quantile_of_its_own():
    path = forecast([[10, 20, 30, 70], [10, 20, 30, 70]])
    assert path.path("acme", np.array([0.5, 0.97])) == pytest.approx([10, 50])


def test_beyond_the_last_line_the_root_of_load_goes_on_as_a_normal_variable_would():
    normal = NormalDist(20, 2)
    quantiles = (0.5, 0.95, 0.99)
    roots = np.array([[normal.inv_cdf(quantile) for quantile in quantiles]])
    for wanted in (0.992, 0.995, 0.999):
        found = forecast(roots**2, quantiles).path("acme", wanted)
        assert found == pytest.approx([normal.inv_cdf(wanted) ** 2], rel=1e-3)


def test_where_bursts_go_further_so_do_the_lines_beyond_the_last():
    values = np.array([[16, 25, 36, 49]], dtype=np.float32)
    normal, bursts = (np.sqrt(at_quantile(values, (0.5, 0.9, 0.95, 0.99), 0.999, tail)) - 7 for tail in (1.0, 2.0))
    assert bursts == pytest.approx(2 * normal)
    assert at_quantile(values, (0.5, 0.9, 0.95, 0.99), 0.99, 2.0) == pytest.approx([49])


def test_lines_rise_with_the_quantile_and_a_silent_slot_stays_silent():
    values = np.array([[0, 0, 0, 0], [0, 0, 1, 2], [5, 5, 5, 5], [1e37, 1e37, 1e37, 1e38]], dtype=np.float32)
    lines = np.array([at_quantile(values, (0.5, 0.9, 0.98, 0.99), wanted) for wanted in np.linspace(0.5, 0.999, 60)])
    assert np.isfinite(lines).all()
    assert (np.diff(lines, axis=0) >= -1e-6 * lines[1:]).all()
    assert not lines[:, 0].any()


@pytest.mark.parametrize("wanted", [0.4, 0.9995])
def test_what_no_line_can_tell_is_refused_with_what_could_be_asked(wanted):
    with pytest.raises(ForecastInputError, match=rf"quantile {wanted} lies outside the forecast's 0\.5 … 0\.999"):
        forecast([[1, 2, 3, 4]]).path("acme", wanted)


def test_a_single_line_does_not_go_on():
    alone = forecast([[7]], (0.95,))
    assert alone.path("acme", 0.95).tolist() == [7]
    with pytest.raises(ForecastInputError, match="outside"):
        alone.path("acme", 0.99)


@pytest.mark.parametrize(
    ("broken", "said"), [([1, 3, 2, 4], "falls"), ([-1, 0, 0, 0], "negative"), ([1, np.nan, 2, 3], "not finite")]
)
def test_of_hundreds_of_series_one_broken_path_is_refused_unless_it_is_cold(broken, said):
    whole = forecast([[10, 20, 30, 70]])
    many = {
        "series": tuple(f"tenant-{row}" for row in range(300)),
        "values": np.repeat(whole.values, 300, axis=0),
        "newest_observation_s": np.ones(300, dtype=np.int64),
        "trust": (Trust.TRUSTED,) * 300,
        "trust_reasons": ("for the test",) * 300,
    }
    replace(whole, **many)
    many["values"][271, 0] = broken
    with pytest.raises(ForecastInputError, match=said):
        replace(whole, **many)
    if said == "not finite":
        replace(whole, **many | {"trust": (Trust.TRUSTED,) * 271 + (Trust.COLD,) + (Trust.TRUSTED,) * 28})
