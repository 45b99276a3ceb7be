"""Where a pod is in its life, and its lead, from what the API server says of it."""

import pytest

from scaler.core.fleets import PodState
from scaler.fleet.kubernetes import objects
from scaler.fleet.kubernetes.pods import follow, measured_lead_s
from tests.servers import kube_objects as kube


def life(*events):
    """The life of one pod after these events, each the keyword arguments of a pod."""
    now = None
    for event in events:
        seen = objects.pod(kube.pod(**event))
        assert seen is not None
        now = follow(now, seen)
    return now


NEVER = {"ready_after_s": None}
READY = {"ready_after_s": 40}
LOST = {"ready_after_s": 40, "lost_after_s": 600}


@pytest.mark.parametrize(
    ("events", "state"),
    [
        ([NEVER | {"phase": "Pending"}], PodState.STARTING),
        ([NEVER], PodState.STARTING),
        ([NEVER | {"restarts": 7}], PodState.STARTING),
        ([READY], PodState.SERVING),
        ([READY, LOST], PodState.FAILED),
        ([LOST], PodState.FAILED),
        ([READY, LOST, READY], PodState.SERVING),
        ([READY, NEVER], PodState.FAILED),
        ([READY | {"state": "draining"}], PodState.DRAINING),
        ([READY | {"state": "drained"}], PodState.DRAINED),
        ([READY | {"state": "released"}], PodState.RELEASED),
        ([READY | {"state": " Released"}], PodState.RELEASED),
        ([READY | {"state": "Draining"}], PodState.DRAINING),
        ([READY | {"state": "serving"}], PodState.SERVING),
        ([READY | {"state": "a word of tomorrow"}], PodState.SERVING),
        ([LOST | {"state": "draining"}], PodState.FAILED),
        ([LOST | {"state": "released"}], PodState.RELEASED),
        ([READY | {"deleting": True}], PodState.TERMINATING),
        ([READY | {"deleting": True, "state": "released"}], PodState.TERMINATING),
        ([LOST | {"phase": "Failed"}], PodState.TERMINAL),
        ([LOST | {"phase": "Succeeded", "deleting": True}], PodState.TERMINAL),
    ],
)
def test_a_pod_is_in_the_state_that_its_life_so_far_says(events, state):
    assert life(*events).pod.state is state


REPLACED = '{"purpose": "replace", "cause": "asked", "beganAt": "2026-01-05T09:00:00+00:00", "leader": "a", "term": 3}'


@pytest.mark.parametrize(
    ("event", "replacing"),
    [
        (READY | {"state": "draining", "drain": REPLACED}, True),
        (READY | {"state": "drained", "drain": REPLACED}, True),
        (READY | {"state": "draining", "drain": REPLACED.replace("replace", "shrink")}, False),
        (READY | {"state": "draining"}, False),
        (READY | {"drain": REPLACED}, False),
        (LOST | {"state": "draining", "drain": REPLACED}, False),
        (READY | {"state": "released", "drain": REPLACED}, False),
    ],
)
def test_a_pod_that_leaves_to_be_replaced_does_not_count_as_one_that_may_be_recalled(event, replacing):
    assert life(event).pod.replacing is replacing


def test_a_pod_that_is_found_not_ready_long_after_its_start_was_ready_before():
    assert life(NEVER).pod.state is PodState.STARTING
    found = life(LOST)
    assert found.pod.state is PodState.FAILED
    assert found.pod.ready_s == kube.MONDAY_S + 600


def test_ready_s_is_the_last_time_and_none_for_never():
    assert life(NEVER).pod.ready_s is None
    assert life(READY, LOST, {"ready_after_s": 700}).pod.ready_s == kube.MONDAY_S + 700


def lead_of(*events):
    """The leads that these events measured, in order."""
    leads, before = [], None
    for event in events:
        seen = objects.pod(kube.pod(**event))
        now = follow(before, seen)
        leads.append(measured_lead_s(before, now))
        before = now
    return [lead_s for lead_s in leads if lead_s is not None]


def test_a_lead_is_measured_once_when_the_pod_becomes_ready():
    assert lead_of(NEVER, READY) == [40]


def test_a_pod_that_was_ready_already_counts_by_its_own_times():
    assert lead_of(READY, READY) == [40]


def test_a_pod_that_flapped_counts_its_first_ready_only():
    assert lead_of(NEVER, READY, LOST, {"ready_after_s": 700}) == [40]


def test_a_pod_that_is_found_after_a_flap_is_not_counted():
    assert lead_of({"ready_after_s": 40, "restarts": 1}) == []
    assert lead_of({"ready_after_s": 86_000}) == []
    assert lead_of(LOST, {"ready_after_s": 700}) == []


def test_a_slow_start_that_was_watched_is_counted_however_long_it_took():
    assert lead_of(NEVER | {"phase": "Pending"}, {"ready_after_s": 5000}) == [5000]


def test_pods_of_jobs_and_daemon_sets_are_not_kept():
    assert objects.pod(kube.pod(owner=("Job", "nightly"))) is None
    assert objects.pod(kube.pod(owner=("DaemonSet", "proxy"))) is None
    orphan = kube.pod()
    del orphan["metadata"]["ownerReferences"]
    assert objects.pod(orphan) is None
