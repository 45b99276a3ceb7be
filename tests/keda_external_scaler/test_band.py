"""Both numbers against an emulation of the HPA's replica calculator with its default tolerance."""

import math

import pytest

from keda_external_scaler.band import band_aware, band_safe

TOLERANCE = 0.1
LARGEST = 200


def hpa_proposal(value: int, current: int) -> int:
    """External metric, AverageValue of 1: in milli-units and floats, as the calculator does it."""
    ratio = float(value * 1000) / (float(1000) * float(current)) if current else math.inf
    if 1.0 - TOLERANCE <= ratio <= 1.0 + TOLERANCE:
        return current
    return math.ceil(value * 1000 / 1000)


@pytest.mark.parametrize("need", range(1, LARGEST + 1))
def test_from_any_smaller_count_the_hpa_reaches_the_need_and_at_most_a_tenth_and_one_more(need):
    for current in range(need):
        for told in (band_aware(need, current), band_safe(need)):
            reached = hpa_proposal(told, current)
            assert need <= reached <= 1.1 * need + 1, f"{current} pods, told {told}"


@pytest.mark.parametrize("need", range(1, LARGEST + 1))
def test_no_smaller_number_would_do(need):
    for current in range(need):
        told = band_aware(need, current)
        assert told == need or hpa_proposal(told - 1, current) < need
    told = band_safe(need)
    assert told == need or any(hpa_proposal(told - 1, current) < need for current in range(need))


def test_what_stands_already_is_told_as_it_is():
    assert [band_aware(20, current) for current in (20, 21, 30)] == [20, 20, 20]


def test_up_to_nine_pods_nothing_is_added():
    assert [band_safe(need) for need in range(1, 11)] == list(range(1, 11))
    assert band_safe(11) == 12


def test_no_need_stays_no_need():
    assert band_safe(0) == 0
    assert band_aware(0, 0) == 0
