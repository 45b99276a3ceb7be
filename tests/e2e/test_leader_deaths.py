"""The leader is killed between any two steps of a drain: the next one goes on, and exactly one pod goes, once."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import pytest

from tests.e2e.administration import seen_first
from tests.e2e.retiring import MakeFleet, RetiringFleet, assert_none_cut
from tests.rig.installation import Installation

pytestmark = pytest.mark.long

Object = dict[str, Any]
HOLD_S = 25.0
TAKEOVER_S = 40.0
"""For which calls go on after the drained pod's have ended, so that somebody talks while the next leader takes over."""
AT_MOST_S = 240


@pytest.fixture(scope="module")
def fleet(make: MakeFleet) -> RetiringFleet:
    return make("leaders-die", 2)


def is_in(state: str) -> Callable[[Object], bool]:
    return lambda item: (item["metadata"].get("annotations") or {}).get("calltide.io/state") == state


def is_lowered(item: Object) -> bool:
    return "template" in item["spec"] and item["spec"]["replicas"] == 1


def is_deleted(item: Object) -> bool:
    return "containers" in item["spec"] and "deletionTimestamp" in item["metadata"]


STEPS: dict[str, tuple[Callable[[Object], bool], tuple[str, int]]] = {
    "draining": (is_in("draining"), ("draining", 2)),
    "drained": (is_in("drained"), ("drained", 2)),
    "released": (is_in("released"), ("released", 2)),
    "target lowered": (is_lowered, ("released", 1)),
    "deleted": (is_deleted, ("going", 1)),
}
"""What shows that a step was done; and how far the drain stands before the next one: the pod's state, the target."""


@pytest.mark.parametrize("step", STEPS)
def test_a_leader_that_dies_after_a_step_is_followed_by_one_that_does_the_rest(
    fleet: RetiringFleet, calltide: Installation, step: str
) -> None:
    shows, stands_at = STEPS[step]
    before, placed = whole(fleet, calltide), pods_placed(fleet)
    run = fleet.call(hold_s=HOLD_S, late_s=TAKEOVER_S)
    leader = led_by(calltide)
    first = calltide.processes(leader)[0]
    with seen_first(fleet, shows, first.kill) as died:
        fleet.need(1)
        fleet.until(died.is_set, f"the leader to be killed once a pod is {step}", AT_MOST_S)
        # Nobody leads now, and nobody will for some ten seconds.
        assert progress(fleet) == stands_at
    until_one_went(fleet, before, placed)
    assert_none_cut(run.wait())


def test_a_leader_that_dies_once_the_gates_are_shut_is_followed_by_one_that_does_the_rest(
    fleet: RetiringFleet, calltide: Installation
) -> None:
    before, placed = whole(fleet, calltide), pods_placed(fleet)
    run = fleet.call(hold_s=HOLD_S, late_s=TAKEOVER_S)
    first = calltide.processes(led_by(calltide))[0]
    fleet.need(1)
    with ExitStack() as opened:
        pbxs = {name: opened.enter_context(fleet.pbx(name)) for name in fleet.ready()}
        fleet.until(lambda: any(pbx.gate() != "open" for pbx in pbxs.values()), "a gate to be shut")
        first.kill()
        assert progress(fleet) == ("draining", 2)
        (shut,) = (name for name, pbx in pbxs.items() if pbx.gate() != "open")
        assert fleet.leaving() == [shut]
    until_one_went(fleet, before, placed)
    assert_none_cut(run.wait())


def whole(fleet: RetiringFleet, calltide: Installation) -> set[str]:
    """Have two pods and both replicas of calltide again; the UIDs of the pods."""
    calltide.wait_until_ready()
    fleet.need(2)
    fleet.until(lambda: len(fleet.ready()) == len(fleet.pods()) == fleet.wanted() == 2, "two pods to stand", AT_MOST_S)
    fleet.until(lambda: fleet.proxied() == 2 * len(fleet.telephony.proxies()), "the proxies to know both", AT_MOST_S)
    return fleet.uids()


def led_by(calltide: Installation) -> str:
    leader = calltide.leader()
    assert leader is not None
    return leader


def progress(fleet: RetiringFleet) -> tuple[str, int]:
    """How far the one pod is that leaves, and the target."""
    if len(fleet.uids()) == 1:
        return "going", fleet.wanted()
    (name,) = fleet.leaving()
    return fleet.states()[name], fleet.wanted()


def until_one_went(fleet: RetiringFleet, before: set[str], placed: int) -> None:
    """Until one of the pods went; the other is the fleet, none was made in between, and the target is exactly one."""
    fleet.until(lambda: len(fleet.pods()) == 1 and not fleet.leaving(), "one pod to be gone", AT_MOST_S)
    assert fleet.wanted() == 1
    assert fleet.uids() < before
    assert pods_placed(fleet) == placed


def pods_placed(fleet: RetiringFleet) -> int:
    """How many pods of the fleet ever came to a node."""
    return sum(
        one["objectRef"].get("subresource") == "binding" and one["objectRef"]["name"].startswith(f"{fleet.name}-")
        for one in fleet.rig.control_plane.audited()
        if one["verb"] == "create" and "objectRef" in one
    )
