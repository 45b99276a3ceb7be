import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scaler.core.capacity import peakedness, pods_for_call_rate, pods_for_channels
from scaler.core.erlang import hayward_blocking
from scaler.errors import CapacityError
from scaler.policy.model import CapacitySpec


def by_occupancy(channels: int = 100, occupancy: float = 0.8) -> CapacitySpec:
    return CapacitySpec(channels_per_pod=channels, call_setups_per_second_per_pod=10.0, target_occupancy=occupancy)


def by_blocking(channels: int = 100, blocking: float = 0.001) -> CapacitySpec:
    return CapacitySpec.model_validate({"channelsPerPod": channels, "gradeOfService": {"blocking": blocking}})


def test_pods_are_filled_to_the_target_occupancy():
    assert pods_for_channels(by_occupancy(), [0, 1, 80, 81, 160, 161]).tolist() == [0, 1, 1, 2, 2, 3]
    assert pods_for_call_rate(by_occupancy(), [0, 0.1, 8, 8.1]).tolist() == [0, 1, 1, 2]


def test_a_full_pod_of_float32_rounding_needs_no_second_pod():
    full = float(np.float32(162 * 0.8))
    assert full > 162 * 0.8
    assert pods_for_channels(by_occupancy(162), full) == 1


@given(
    st.lists(st.just(0.0) | st.floats(1e-9, 5e4), min_size=1, max_size=20),
    st.floats(1, 5),
    st.integers(1, 500),
    st.sampled_from([1e-4, 1e-3, 0.01, 0.2]),
)
@settings(derandomize=True, deadline=None)
def test_with_a_grade_of_service_one_pod_fewer_blocks_too_much(loads, z, channels, blocking):
    load = np.array(loads)
    pods = pods_for_channels(by_blocking(channels, blocking), load, z)
    assert np.all(hayward_blocking(load, pods * channels, z) <= blocking * (1 + 1e-6))
    busy = pods > 0
    assert np.all(hayward_blocking(load[busy], (pods[busy] - 1) * channels, z) > blocking * (1 - 1e-6))
    assert np.array_equal(busy, load > 0)


@pytest.mark.parametrize("capacity", [by_occupancy(), by_blocking()])
@given(st.floats(0, 1e5), st.floats(0, 1e3), st.floats(1, 5))
@settings(derandomize=True, deadline=None)
def test_more_load_never_needs_fewer_pods(capacity, load, more, z):
    less, greater = pods_for_channels(capacity, [load, load + more], z)
    assert less <= greater


def test_peaked_traffic_never_needs_fewer_pods():
    pods = [pods_for_channels(by_blocking(10), 200.0, z).item() for z in (1, 1.5, 2, 3, 5)]
    assert pods == sorted(pods)
    assert pods[0] < pods[-1]


def test_peakedness_is_variance_over_mean_inside_its_bounds():
    assert peakedness([100, 100, 100, 0], [10, 14.14213562, 1000, 5]).tolist() == pytest.approx([1, 2, 5, 1])
    assert peakedness([100], [1.0]).tolist() == [1.0]


@pytest.mark.parametrize("load", [-1.0, float("nan"), float("inf")])
def test_a_load_that_is_no_number_is_refused(load):
    with pytest.raises(CapacityError, match="negative or not finite"):
        pods_for_channels(by_occupancy(), load)
    with pytest.raises(CapacityError, match="negative or not finite"):
        pods_for_channels(by_blocking(), [1.0, load])


def test_a_measure_without_a_capacity_names_the_field_to_add():
    with pytest.raises(CapacityError, match=r"capacity\.channelsPerPod"):
        pods_for_channels(CapacitySpec(), 1.0)
    with pytest.raises(CapacityError, match=r"capacity\.callSetupsPerSecondPerPod"):
        pods_for_call_rate(CapacitySpec(), 1.0)
