"""Leadership over the protocol, with a clock set by hand: who cannot renew has stopped when another starts."""

from __future__ import annotations

import threading

import pytest
from kubernetes import client

from scaler.core.election import Candidacy, ElectionTimings
from scaler.fleet.kubernetes.api import KubernetesApi
from scaler.fleet.kubernetes.lease import KubernetesLease
from scaler.service.leadership import LeaseLeadership
from tests.servers.kube_api import KubeApi
from tests.servers.processes import wait_for

TIMINGS = ElectionTimings()


class HandClock:
    """One clock for all, moved by hand."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def api():
    server = KubeApi()
    server.start()
    yield server
    server.stop()


@pytest.fixture
def candidate(api, clock):
    opened = []

    def make(name: str, timings: ElectionTimings = TIMINGS, prepared: bool = True) -> LeaseLeadership:
        lease = KubernetesLease(KubernetesApi(client.Configuration(host=api.url)), "calltide", "calltide")
        opened.append(lease)
        candidacy = Candidacy(f"{name}_x", f"http://{name}:8081", timings)
        return LeaseLeadership(lease, candidacy, prepared=lambda: prepared, clock=clock)

    yield make
    for lease in opened:
        lease.close()


def elected(first: LeaseLeadership, clock: HandClock) -> None:
    first.step()
    assert first.term() is None, "whoever makes the Lease waits for leaders of before"
    for _ in range(8):
        clock.now_s += 2
        first.step()
    assert first.term() is not None


def test_one_leads_and_the_other_knows_whom_to_follow(candidate, clock):
    first, second = candidate("a"), candidate("b")
    elected(first, clock)
    second.step()
    assert second.term() is None
    leader = second.membership().leader
    assert (leader.name, leader.address, leader.term) == ("a", "http://a:8081", first.term())
    assert first.membership().leader is None


def test_a_leaders_name_is_shown_whole_and_fit_to_be_shown(candidate, api, clock):
    second = candidate("b")
    for name, shown in (("my_host", "my_host"), ("a\x1b[2J; rm -rf .", "a??2J??rm?-rf?."), ("n" * 400, "n" * 253)):
        first = candidate(name)
        for _ in range(9):
            clock.now_s += 2
            first.step()
        second.step()
        assert second.membership().leader.name == shown
        first.stop()


def test_a_leader_that_is_gone_is_followed_by_the_other_a_lease_after_it_was_heard_last(candidate, clock):
    first, second = candidate("a"), candidate("b")
    elected(first, clock)
    second.step()
    term = first.term()
    clock.now_s += 14.9
    second.step()
    assert (first.term(), second.term()) == (None, None)
    clock.now_s += 0.2
    second.step()
    assert second.term() > term


def test_a_leader_whose_requests_hang_stops_at_its_deadline_and_no_late_answer_revives_it(candidate, api, clock):
    quick = ElectionTimings(3, 2, 0.5)
    first = candidate("a", quick)
    first.step()
    for _ in range(8):
        clock.now_s += 0.5
        first.step()
    assert first.term() is not None
    api.leases.delay_s = 0.3
    renewing = threading.Thread(target=first.step)
    renewing.start()
    wait_for(lambda: api.leases.waiting, "the renewal is under way")
    clock.now_s += 2.1
    assert first.term() is None, "it is asked while the renewal still hangs"
    renewing.join()
    assert first.term() is None, "the renewal was accepted, and was sent too long ago"


def test_a_leader_that_slept_leads_no_more_when_it_wakes_up(candidate, clock):
    first, second = candidate("a"), candidate("b")
    elected(first, clock)
    second.step()
    clock.now_s += 3600
    assert first.term() is None
    second.step()
    first.step()
    assert first.term() is None
    assert second.term() is not None


def test_a_renewal_that_was_done_and_not_answered_costs_no_leadership(candidate, api, clock):
    first = candidate("a", ElectionTimings(6, 4, 1))
    first.step()
    for _ in range(8):
        clock.now_s += 1
        first.step()
    term = first.term()
    api.leases.unanswered = lambda lease: True
    first.step()
    api.leases.unanswered = lambda lease: False
    clock.now_s += 1
    first.step()
    clock.now_s += 1
    first.step()
    assert first.term() == term
    assert first.membership().problem is None


def test_a_stop_hands_over_at_once(candidate, clock):
    first, second = candidate("a"), candidate("b")
    elected(first, clock)
    second.step()
    first.stop()
    assert first.term() is None
    second.step()
    assert second.term() is not None


def test_who_has_nothing_to_go_on_from_does_not_take_what_was_given_back(candidate, clock):
    first, fresh = candidate("a"), candidate("b", prepared=False)
    elected(first, clock)
    fresh.step()
    first.stop()
    fresh.step()
    assert fresh.term() is None
    clock.now_s += 15.1
    fresh.step()
    assert fresh.term() is not None


def test_an_api_server_that_refuses_is_told_and_nobody_leads(candidate, api, clock):
    api.refused["/apis/coordination.k8s.io/v1/namespaces/calltide/leases/calltide"] = 403
    first = candidate("a")
    first.step()
    assert first.term() is None
    assert "grant get, create and update" in first.membership().problem


def test_a_gain_is_called_once_for_each_leadership(api, clock, candidate):
    gains = []
    first = candidate("a")
    first._on_gain = lambda: gains.append(1)
    elected(first, clock)
    for _ in range(3):
        clock.now_s += 2
        first.step()
    assert gains == [1]
    clock.now_s += 60
    first.step()
    clock.now_s += 2
    first.step()
    assert gains == [1, 1]
