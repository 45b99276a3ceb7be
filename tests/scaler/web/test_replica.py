"""What a follower shows: that it follows, and no empty platform."""

from __future__ import annotations

from dataclasses import replace

import pytest

from scaler.web.state import KedaStats, ReplicaRole, ReplicaStatus
from tests.scaler.web.sample_state import FOLLOWS, SampleState

NOBODY_LEADS = replace(FOLLOWS, leader=None, problem="the API server is away")


@pytest.mark.parametrize("path", ["/fleets", "/fleets/voice/acme", "/fleets/voice/acme/plan", "/fleets/voice/none"])
def test_a_follower_names_the_leader_instead_of_saying_that_there_is_nothing(ask_of, path):
    answer = ask_of(SampleState(samples=(), replicas=FOLLOWS))(f"/api/v1{path}")
    assert answer.status_code == 503
    assert "calltide-b" in answer.json()["error"]
    assert "kubectl port-forward pod/calltide-a" in answer.json()["remedy"]


def test_a_follower_without_a_leader_says_so(ask_of):
    answer = ask_of(SampleState(samples=(), replicas=NOBODY_LEADS))("/api/v1/fleets")
    assert "No replica of calltide leads now" in answer.json()["error"]


def test_the_status_says_who_leads(ask_of, ask):
    assert ask("/api/v1/status").json()["replica"]["role"] == "leader"
    told = ask_of(SampleState(samples=(), replicas=FOLLOWS))("/api/v1/status").json()["replica"]
    assert (told["role"], told["name"], told["leader"], told["term"]) == ("follower", "calltide-b", "calltide-a", 4)


def test_one_that_leads_no_more_shows_no_metrics_of_fleets_however_lately_it_planned(ask_of):
    assert "calltide_fleet_need_pods{" in ask_of(SampleState())("/metrics").text
    assert "calltide_fleet_need_pods{" not in ask_of(SampleState(replicas=FOLLOWS))("/metrics").text


def test_a_calltide_without_replicas_is_single(ask_of):
    ask = ask_of(SampleState(replicas=ReplicaStatus()))
    assert ask("/api/v1/status").json()["replica"]["role"] == ReplicaRole.SINGLE
    assert 'calltide_replica_role{role="single"} 1.0' in ask("/metrics").text
    assert ask("/api/v1/fleets").status_code == 200


def test_a_follower_with_a_fresh_copy_is_ready_and_one_with_an_old_copy_says_why_not(ask_of):
    assert ask_of(SampleState(replicas=FOLLOWS))("/readyz").status_code == 200
    old = ask_of(SampleState(replicas=NOBODY_LEADS, keda=KedaStats(True, 40.0, 8)))("/readyz")
    assert old.status_code == 503
    assert "copied last are 40 s old: the API server is away" in old.json()["checks"][0]["message"]
    never = ask_of(SampleState(replicas=FOLLOWS, keda=KedaStats(True, None, 0)))("/readyz")
    assert "No answers were copied yet: calltide-a gives no newer ones" in never.json()["checks"][0]["message"]


@pytest.mark.parametrize(
    ("keda", "status"),
    [
        (KedaStats(True, 4000.0, 8), 200),
        (KedaStats(True, None, 8), 200),
        (KedaStats(True, None, 0, has_book=False), 503),
        (KedaStats(False, 3.0, 8), 503),
    ],
)
def test_keda_finds_whoever_has_answers_however_old_and_nobody_who_never_had_any(ask_of, keda, status):
    assert ask_of(SampleState(keda=keda))("/readyz/keda").status_code == status
