"""Pod status as a kubelet writes it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.rig.node.status import (
    ContainerState,
    PodState,
    Running,
    Terminated,
    Waiting,
    initial_state,
    needs_sending,
    phase,
    status,
)

BEGAN, ENDED, NOW = "2026-01-01T00:00:00Z", "2026-01-01T00:01:00Z", "2026-01-01T00:02:00Z"
WAITS = ContainerState("main", "pause")
RUNS = replace(WAITS, now=Running(BEGAN), started=True, ready=True, container_id="rig://1")
POD = {"metadata": {"name": "p", "uid": "u", "generation": 1}, "spec": {"restartPolicy": "Always"}}


def ended(code: int) -> ContainerState:
    return replace(WAITS, now=Terminated(code, BEGAN, ENDED, "rig://1"))


CRASHED = replace(ended(1), now=Waiting("CrashLoopBackOff"), before=Terminated(1, BEGAN, ENDED, "rig://1"))


def state(*containers: ContainerState, initial: tuple[ContainerState, ...] = ()) -> PodState:
    return PodState(containers, initial, "127.16.16.1", "127.16.2.1", BEGAN)


def conditions(pod: dict, of: PodState) -> dict[str, str]:
    return {condition["type"]: condition["status"] for condition in status(pod, of, NOW)["conditions"]}


@pytest.mark.parametrize(
    ("policy", "of", "expected"),
    [
        ("Always", state(WAITS), "Pending"),
        ("Always", state(RUNS), "Running"),
        ("Always", state(RUNS, WAITS), "Pending"),
        ("Always", state(CRASHED), "Running"),
        ("Always", state(ended(0)), "Running"),
        ("OnFailure", state(ended(0)), "Succeeded"),
        ("OnFailure", state(ended(1)), "Running"),
        ("Never", state(ended(0), ended(3)), "Failed"),
        ("Never", state(ended(0), RUNS), "Running"),
        ("Always", state(WAITS, initial=(RUNS,)), "Pending"),
        ("Never", state(WAITS, initial=(ended(1),)), "Failed"),
    ],
)
def test_phase(policy, of, expected):
    assert phase(policy, of) == expected


def test_a_pod_is_ready_when_all_containers_are():
    assert conditions(POD, state(RUNS))["Ready"] == "True"
    unready = status(POD, state(RUNS, replace(RUNS, name="second", ready=False)), NOW)
    ready = next(one for one in unready["conditions"] if one["type"] == "Ready")
    assert (ready["status"], ready["reason"], ready["message"]) == ("False", "ContainersNotReady", "not ready: second")


def test_a_readiness_gate_keeps_a_pod_unready_until_its_condition_is_true():
    gated = {**POD, "spec": {"readinessGates": [{"conditionType": "voice/open"}]}}
    assert conditions(gated, state(RUNS)) | {"Ready": "-"} == conditions(POD, state(RUNS)) | {"Ready": "-"}
    assert conditions(gated, state(RUNS))["Ready"] == "False"
    opened = {**gated, "status": {"conditions": [{"type": "voice/open", "status": "True"}]}}
    assert conditions(opened, state(RUNS))["Ready"] == "True"


def test_conditions_keep_their_time_until_they_change():
    shown = {**POD, "status": {"conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": BEGAN}]}}
    times = {one["type"]: one["lastTransitionTime"] for one in status(shown, state(RUNS), NOW)["conditions"]}
    assert times["Ready"] == BEGAN
    assert times["ContainersReady"] == NOW


def test_a_new_address_replaces_the_old_one_in_the_patch():
    # A strategic merge patch would have both, and the API server would refuse that.
    assert status(POD, state(RUNS), NOW)["podIPs"] == [{"$patch": "replace"}, {"ip": "127.16.16.1"}]


def test_a_deleted_pod_ends_in_a_final_phase_whatever_its_restart_policy():
    deleted = {**POD, "metadata": {**POD["metadata"], "deletionTimestamp": NOW}}
    assert status(deleted, state(ended(0)), NOW)["phase"] == "Succeeded"
    assert status(deleted, state(ended(143)), NOW)["phase"] == "Failed"


def test_an_evicted_pod_has_failed_whatever_its_restart_policy():
    pod = {"metadata": {}, "spec": {"restartPolicy": "Always"}}
    of = replace(state(ended(137)), evicted=True)
    assert (status(pod, of, NOW)["phase"], status(pod, of, NOW)["reason"]) == ("Failed", "Evicted")
    assert conditions(pod, of)["Ready"] == "False"
    assert status(pod, state(ended(137)), NOW)["phase"] == "Running"


def test_a_status_is_sent_once_and_again_when_it_changes():
    first = status(POD, state(RUNS), NOW)
    assert needs_sending(first, None, POD)
    shown = {**POD, "status": {"conditions": first["conditions"]}}
    assert not needs_sending(status(shown, state(RUNS), ENDED), first, shown)
    assert needs_sending(status(shown, state(replace(RUNS, restarts=1)), NOW), first, shown)


def test_a_condition_that_somebody_else_changed_is_set_right():
    first = status(POD, state(RUNS), NOW)
    # What the node controller does while a node is unreachable.
    changed = [{**one, "status": "False"} if one["type"] == "Ready" else one for one in first["conditions"]]
    shown = {**POD, "status": {"conditions": changed}}
    assert needs_sending(status(shown, state(RUNS), NOW), first, shown)


def test_a_container_that_ran_before_its_node_came_back_is_restarted():
    shown = [RUNS.to_json()]
    found = initial_state({"name": "main", "image": "pause"}, shown, "ContainerCreating")
    assert found.restarts == 1
    assert found.before == Terminated(255, BEGAN, BEGAN, "rig://1", "Unknown")
    assert initial_state({"name": "main", "image": "pause"}, [], "ContainerCreating").restarts == 0
