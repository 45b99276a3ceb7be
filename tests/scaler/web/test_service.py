from __future__ import annotations

import pytest

from scaler.web.state import KedaStats
from tests.scaler.web.sample_state import SampleState


def test_policies_tell_what_is_in_force_whom_it_sizes_and_what_waits(ask):
    answer = ask("/api/v1/policies").json()
    assert answer["policies"] == [
        {"name": "voice-primary", "file": "policies/voice.yaml", "mode": "primary", "fleets": 7}
    ]
    assert answer["problems"] == []
    assert "calltide policy confirm voice/gallery" in answer["pending"][0]["sentence"]


def test_a_rejected_directory_tells_its_errors_while_the_old_policies_stay(ask_of):
    error = "policies/acme.yaml:14: spec.capacity.targetOccupancy: 80 is not a share between 0 and 1."
    answer = ask_of(SampleState(problems=(error,)))("/api/v1/policies").json()
    assert answer["problems"] == [error]
    assert [policy["name"] for policy in answer["policies"]] == ["voice-primary"]


def test_a_policy_is_told_as_it_is_written_in_yaml(ask):
    policy = ask("/api/v1/policies/voice-primary").json()
    assert policy["spec"]["capacity"]["channelsPerPod"] == 50
    assert policy["spec"]["maxPods"] == 40
    assert "voice/acme" in policy["fleets"]
    assert "voice/fjord-bank" not in policy["fleets"]


def test_a_failed_job_tells_what_it_failed_with(ask):
    jobs = {job["name"]: job for job in ask("/api/v1/jobs").json()["jobs"]}
    assert jobs["ingest"]["error"] == "The source 'default' did not answer."
    assert jobs["plan"]["error"] is None


def test_the_status_counts_fleets_by_urgency_and_names_what_is_not_well(ask):
    status = ask("/api/v1/status").json()
    assert status["fleets"] == {
        "short": 1,
        "fault": 1,
        "short-ahead": 1,
        "held": 1,
        "degraded": 0,
        "pending": 1,
        "growing": 1,
        "calm": 2,
    }
    assert (status["demo"], status["speed"], status["ready"]) == (True, 60.0, True)
    assert [job["name"] for job in status["failing_jobs"]] == ["ingest"]
    assert status["sources"][0]["problem"] == "It did not answer within 10 s."


def test_the_service_lives_and_is_ready_while_answers_are_fresh(ask):
    assert (ask("/healthz").status_code, ask("/healthz").json()) == (200, {"alive": True})
    ready = ask("/readyz")
    assert (ready.status_code, ready.json()["ready"]) == (200, True)


@pytest.mark.parametrize(
    ("keda", "check", "words"),
    [
        (KedaStats(True, 30.1, 8), "book", "The answers are 30 s old, the bound is 30 s"),
        (KedaStats(True, None, 0), "book", "No answers were written yet"),
        (KedaStats(False, 3.0, 8), "keda", "does not report"),
    ],
)
def test_the_service_is_not_ready_when_keda_cannot_get_answers_of_now(ask_of, keda, check, words):
    answer = ask_of(SampleState(keda=keda))("/readyz")
    assert answer.status_code == 503
    failing = [each for each in answer.json()["checks"] if not each["ok"]]
    assert [each["name"] for each in failing] == [check]
    assert words in failing[0]["message"]


def test_answers_exactly_at_the_bound_are_still_fresh(ask_of):
    assert ask_of(SampleState(keda=KedaStats(True, 30.0, 8)))("/readyz").status_code == 200


def test_the_service_lives_while_it_is_not_ready(ask_of):
    assert ask_of(SampleState(keda=KedaStats(False, None, 0)))("/healthz").status_code == 200


def test_a_source_that_is_away_does_not_make_the_service_unready(ask):
    assert not ask("/api/v1/status").json()["sources"][0]["up"]
    assert ask("/readyz").status_code == 200
