from hypothesis import given, settings
from hypothesis import strategies as st

from scaler.core.fleets import FleetKey
from scaler.core.launch_budget import LaunchRequest, share_launches


def request(name: str, pods: int, priority: int = 0) -> LaunchRequest:
    return LaunchRequest(FleetKey("default", name), priority, pods)


def granted(budget: int, *requests: LaunchRequest) -> dict[str, int]:
    return {fleet.name: pods for fleet, pods in share_launches(requests, budget).items()}


def test_enough_for_all_is_given_to_all():
    assert granted(10, request("a", 3), request("b", 7)) == {"a": 3, "b": 7}


def test_the_higher_priority_goes_first_however_small_its_shortage():
    assert granted(5, request("office", 9), request("hospital", 2, priority=10)) == {"hospital": 2, "office": 3}


def test_of_equal_priority_the_larger_shortage_goes_first():
    assert granted(5, request("a", 2), request("b", 4)) == {"b": 4, "a": 1}


def test_a_budget_of_nothing_grants_nothing():
    assert granted(0, request("a", 2)) == {"a": 0}


requests = st.lists(
    st.builds(request, st.text("abcdef", min_size=1), st.integers(0, 50), st.integers(-5, 5)),
    unique_by=lambda one: one.fleet,
)


@given(requests, st.integers(0, 100))
@settings(derandomize=True, deadline=None)
def test_never_more_than_asked_for_nor_than_the_budget_and_nothing_is_kept_back(asked, budget):
    grants = share_launches(asked, budget)
    assert all(0 <= grants[one.fleet] <= one.pods for one in asked)
    assert sum(grants.values()) == min(budget, sum(one.pods for one in asked))
    assert share_launches(reversed(asked), budget) == grants, "the order of the fleets must not matter"
