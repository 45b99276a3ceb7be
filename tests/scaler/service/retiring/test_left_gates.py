"""Gates that nobody opened: a leader died between two steps, a proxy was away, an address is that of a new pod."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from scaler.policy.model import PolicySpec
from scaler.retirement.readings import GatePosition
from scaler.service.retiring.audit_log import AuditLog
from tests.scaler.service.retiring.made_up_platform import Driven, MadeUpProxy, Platform

Start = Callable[[Platform, MadeUpProxy], Driven]
HERE = "127.0.0.1"
NEW = "127.0.0.9"
SOON_S = 10.0
"""Some rounds, and far less than the 300 s after which a quiet fleet is looked at again."""


def spec(mode: str) -> PolicySpec:
    return PolicySpec.model_validate(
        {
            "history": {"channels": "q"},
            "capacity": {"channelsPerPod": 100},
            "retirement": {"mode": mode, "quietWindow": "35s", "lookAhead": "1m", "frontGates": ["edge"]},
        }
    )


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    driven: list[Driven] = []

    def begin(platform: Platform, proxy: MadeUpProxy) -> Driven:
        driven.append(Driven(platform, AuditLog(tmp_path), {"edge": proxy}))
        return driven[-1]

    yield begin
    for one in driven:
        one.close()


def left_by_a_leader_that_died(mode: str) -> tuple[Platform, MadeUpProxy]:
    """All pods take calls again as far as their annotations say, and every gate is shut."""
    platform = Platform(spec(mode), need=3)
    for one in platform.pods.values():
        one.gate = GatePosition.CLOSED
    return platform, MadeUpProxy(platform, {HERE})


@pytest.mark.parametrize("mode", ["on", "off"])
def test_the_next_leader_opens_what_the_one_before_left_shut(start: Start, mode: str) -> None:
    platform, proxy = left_by_a_leader_that_died(mode)
    start(platform, proxy).run(SOON_S)

    assert {one.gate for one in platform.pods.values()} == {GatePosition.OPEN}
    assert proxy.disabled == set()
    assert platform.writes == []


def test_pods_that_calltide_does_not_protect_are_left_alone_where_nothing_is_retired(start: Start) -> None:
    platform, proxy = left_by_a_leader_that_died("off")
    for one in platform.pods.values():
        one.pod = replace(one.pod, protected=False)
    start(platform, proxy).run(SOON_S)

    assert (platform.asked, proxy.disabled) == (0, {HERE})


@pytest.mark.parametrize("mode", ["on", "off"])
def test_a_proxy_that_was_away_is_told_when_it_is_back(start: Start, mode: str) -> None:
    platform, proxy = left_by_a_leader_that_died(mode)
    proxy.answers = False
    driven = start(platform, proxy)
    driven.run(SOON_S)
    proxy.answers = True
    driven.run(SOON_S)

    assert proxy.disabled == set()


def test_a_pod_that_did_not_answer_where_nothing_is_retired_is_asked_again(start: Start) -> None:
    platform, proxy = left_by_a_leader_that_died("off")
    one = platform.pods["acme-0"]
    one.answers = False
    driven = start(platform, proxy)
    driven.run(SOON_S)
    one.answers = True
    driven.run(310)

    assert one.gate is GatePosition.OPEN


@pytest.mark.parametrize("mode", ["on", "off"])
def test_a_new_pod_at_the_address_of_one_that_left_gets_calls_at_once(start: Start, mode: str) -> None:
    platform = Platform(spec(mode), need=3)
    proxy = MadeUpProxy(platform)
    driven = start(platform, proxy)
    driven.run(SOON_S)
    proxy.disabled.add(NEW)
    platform.add("acme-9", started=False).address = NEW
    platform.need = 4
    driven.run(2)
    assert proxy.disabled == {NEW}
    one = platform.pods["acme-9"]
    one.pod = replace(one.pod, started=True)
    driven.run(SOON_S)

    assert proxy.disabled == set()


def test_what_is_disabled_and_is_no_pod_stays_so(start: Start) -> None:
    platform, proxy = left_by_a_leader_that_died("on")
    proxy.disabled.add("127.0.0.77")
    start(platform, proxy).run(SOON_S)

    assert proxy.disabled == {"127.0.0.77"}


def test_where_nothing_is_retired_and_every_gate_is_open_nobody_is_asked_again(start: Start) -> None:
    platform = Platform(spec("off"), need=3)
    start(platform, MadeUpProxy(platform)).run(900)

    assert platform.asked == len(platform.pods)
