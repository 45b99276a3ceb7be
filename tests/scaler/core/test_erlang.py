from decimal import Decimal, localcontext

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scaler.core.erlang import blocking, channels_for, hayward_blocking, hayward_servers_for, servers_for
from scaler.errors import CapacityError

# Offered load in Erlangs that so many lines carry at this blocking, as traffic engineering textbooks print it.
PRINTED = [
    (1, 0.01, 0.0101),
    (2, 0.01, 0.153),
    (5, 0.01, 1.36),
    (10, 0.01, 4.46),
    (20, 0.01, 12.0),
    (30, 0.01, 20.3),
    (50, 0.01, 37.9),
    (100, 0.01, 84.1),
    (10, 0.001, 3.09),
    (20, 0.001, 9.41),
    (50, 0.001, 32.5),
    (100, 0.001, 75.2),
]


def high_precision(load: float, servers: int) -> Decimal:
    """The recursion 1/B(n) = 1 + n/a · 1/B(n-1) in fifty digits: slow, and independent of the integral."""
    with localcontext() as context:
        context.prec = 50
        inverse = Decimal(1)
        for n in range(1, servers + 1):
            inverse = 1 + inverse * n / Decimal(load)
        return 1 / inverse


@pytest.mark.parametrize(("lines", "share", "erlangs"), PRINTED)
def test_the_printed_tables_come_out_in_all_their_digits(lines, share, erlangs):
    digits = len(str(erlangs).split(".")[1])
    half_a_digit = 0.5 * 10.0**-digits
    assert blocking(erlangs - half_a_digit, lines) <= share <= blocking(erlangs + half_a_digit, lines)


@pytest.mark.parametrize(("load", "one_percent", "one_in_a_thousand"), [
    (5, 11, 14), (10, 18, 21), (20, 30, 35), (50, 64, 71), (100, 117, 128), (200, 221, 238), (500, 527, 555),
    (1000, 1029, 1072), (6250, 6251, 6394),
])  # fmt: skip
def test_known_numbers_of_channels_come_out(load, one_percent, one_in_a_thousand):
    assert channels_for(load, 0.01) == one_percent
    assert channels_for(load, 0.001) == one_in_a_thousand


@pytest.mark.parametrize("servers", [0, 1, 2, 3, 10, 33, 100, 1000, 10_000])
@pytest.mark.parametrize("occupancy", [1e-3, 0.1, 0.5, 0.8, 0.9, 0.97, 1.0, 1.03, 1.3, 3.0, 100.0])
def test_blocking_is_exact_to_nine_digits_up_to_ten_thousand_servers(servers, occupancy):
    load = max(servers, 1) * occupancy
    exact = high_precision(load, servers)
    # Below this a float has fewer digits, and below 1e-308 none.
    slack = Decimal("1e-300")
    assert abs(Decimal(blocking(load, servers).item()) - exact) <= exact * Decimal("1e-9") + slack


@given(st.floats(1e-3, 5e3), st.floats(0, 5e3))
@settings(derandomize=True, deadline=None)
def test_real_numbers_of_servers_obey_the_recursion(load, servers):
    here, next_one = blocking(load, [servers, servers + 1])
    if here > 1e-280:
        assert next_one == pytest.approx(load * here / (servers + 1 + load * here), rel=1e-10)


@given(st.floats(1e-4, 1e5), st.sampled_from([1e-5, 1e-3, 0.01, 0.3]))
@settings(derandomize=True, deadline=None)
def test_the_inverse_gives_the_blocking_back(load, share):
    assert blocking(load, servers_for(load, share)) == pytest.approx(share, rel=1e-9)


@given(st.floats(0.01, 1e4), st.sampled_from([1e-3, 0.01, 0.1]))
@settings(derandomize=True, deadline=None)
def test_one_channel_fewer_is_not_enough(load, share):
    channels = channels_for(load, share).item()
    assert blocking(load, channels) <= share * (1 + 1e-9)
    assert blocking(load, channels - 1) > share


def test_no_load_is_never_blocked_and_needs_no_channel():
    assert blocking([0.0, 0.0], [0, 5]).tolist() == [0.0, 0.0]
    assert channels_for([0.0], 0.01).tolist() == [0]


def test_a_tiny_load_needs_one_channel():
    assert channels_for(1e-9, 0.001) == 1


def test_arrays_broadcast_and_keep_their_shape():
    table = blocking(np.array([[10.0], [20.0]]), np.array([10, 20, 30]))
    assert table.shape == (2, 3)
    assert table[1, 2] == pytest.approx(float(high_precision(20, 30)), rel=1e-12)


def test_peaked_traffic_needs_the_channels_that_hayward_says():
    assert np.ceil(hayward_servers_for([50, 200], 0.01, 2.0)).tolist() == [71, 234]
    assert np.ceil(hayward_servers_for([100, 500], 0.001, 2.0)).tolist() == [142, 582]


def test_plain_traffic_has_a_peakedness_of_one():
    assert hayward_blocking(20, 30, 1.0) == blocking(20, 30)
    assert hayward_blocking(20, 30, 2.0) == pytest.approx(float(high_precision(10, 15)), rel=1e-12)


@pytest.mark.parametrize("bad", [
    lambda: blocking(-1, 3), lambda: blocking(float("nan"), 3), lambda: blocking(3, float("inf")),
    lambda: servers_for(3, 0.0), lambda: servers_for(3, 1.0), lambda: hayward_blocking(3, 3, 0.0),
])  # fmt: skip
def test_nonsense_is_refused(bad):
    with pytest.raises(CapacityError):
        bad()
