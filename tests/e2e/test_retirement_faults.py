"""Rollouts and outages under calls: what has to go goes when it is empty, and nothing else does."""

from __future__ import annotations

import time

import pytest

from tests.e2e.retiring import MakeFleet, assert_none_cut
from tests.rig.installation import NAMESPACE as CALLTIDE
from tests.rig.installation import Installation
from tests.rig.rig import Rig
from tests.rig.voice.pbx import Pbx

pytestmark = pytest.mark.long

HOLD_S = 75.0


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet"])
def test_a_rollout_replaces_each_pod_when_it_is_empty(make: MakeFleet, kind: str) -> None:
    fleet = make(f"rollout-{kind.lower()}", 2, kind=kind)
    run = fleet.call(hold_s=HOLD_S)
    old = set(fleet.uids())
    fleet.roll(kind)
    fleet.until(lambda: len(fleet.leaving()) == 1, "an old pod to drain")
    assert len(old & fleet.uids()) == 2, "both stand while they carry calls"
    fleet.until(lambda: not old & fleet.uids(), "both to be replaced", at_most_s=240)
    ledger = run.wait()

    assert_none_cut(ledger)
    # A successor stands before its predecessor goes, so there is one too many in the end.
    fleet.until(lambda: fleet.wanted() == 2, "the surplus to be retired", at_most_s=240)
    fleet.until(lambda: len(fleet.ready()) == 2, "two new pods to stand alone")


def test_a_leader_that_is_killed_in_the_middle_is_followed_by_one_that_goes_on(
    make: MakeFleet, calltide: Installation
) -> None:
    fleet = make("leader-dies")
    run = fleet.call(hold_s=HOLD_S)
    fleet.need(2)
    name = fleet.until_drains()
    leader = calltide.leader()
    assert leader is not None
    calltide.kill(leader)
    fleet.until_gone(name, at_most_s=240)
    ledger = run.wait()

    assert_none_cut(ledger)
    assert fleet.wanted() == 2


def test_nothing_leaves_while_the_api_server_is_away_and_all_goes_on_afterwards(make: MakeFleet, rig: Rig) -> None:
    fleet = make("api-away")
    run = fleet.call(hold_s=HOLD_S, late_s=60.0)
    fleet.need(2)
    name = fleet.until_drains()
    address = fleet.ready()[name]
    rig.control_plane.api_server.kill()
    began_s = time.monotonic()
    pbx = Pbx(address)
    try:
        while time.monotonic() - began_s < 60:
            # It runs, and so does whoever talks through it.
            assert pbx.ready()
            time.sleep(2)
    finally:
        pbx.close()
        rig.control_plane.start_api_server()
    fleet.until_gone(name, at_most_s=240)
    assert_none_cut(run.wait())


def test_a_trunk_that_fails_and_comes_back_costs_no_pod_and_no_call(make: MakeFleet) -> None:
    fleet = make("trunk")
    before = fleet.uids()
    fleet.until(lambda: (fleet.measured() or 0.0) > 0, "its load to be measured")
    # Loads are remembered every 15 s; what was never seen cannot be missed.
    assert_none_cut(fleet.call(hold_s=30.0).wait())
    with fleet.rig.monitoring.outage():
        fleet.until(lambda: "shared-fall" in fleet.held_by(), "calltide to take it for an outage")
        assert [fleet.channels(name) for name in fleet.ready()] == [0, 0, 0]
        time.sleep(30)
        assert fleet.uids() == before
        assert fleet.leaving() == []
    # All come back at once, and every pod that took them before takes them again.
    ledger = fleet.call(hold_s=20.0).wait()
    assert_none_cut(ledger)
    fleet.until(lambda: "shared-fall" not in fleet.held_by(), "the outage to be over", at_most_s=420)
    assert fleet.uids() == before


def test_every_right_that_was_granted_is_used_and_every_request_was_allowed(make: MakeFleet, rig: Rig) -> None:
    del make  # what the tests above did is what is looked at
    account = f"system:serviceaccount:{CALLTIDE}:calltide"
    asked = [one for one in rig.control_plane.audited() if one["user"]["username"] == account]
    # An API server that has just been started refuses everybody until it has read the roles; so the newest counts.
    newest = {_right(one): one for one in asked}
    assert [_words(one) for one in newest.values() if one.get("responseStatus", {}).get("code") == 403] == []
    used = {_right(one) for one in asked}
    roles = rig.control_plane.read("/apis/rbac.authorization.k8s.io/v1/clusterroles/calltide-retirer")
    granted = {
        (group, resource, verb)
        for rule in roles["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
        # Nobody asks for it by a request: the admission policies do.
        if verb != "retire"
    }
    assert granted - used == set()


def _right(event: dict) -> tuple[str, str, str]:
    about = event.get("objectRef", {})
    resource = "/".join(filter(None, (about.get("resource", ""), about.get("subresource", ""))))
    return about.get("apiGroup", ""), resource, event["verb"]


def _words(event: dict) -> str:
    return f"{event['verb']} {event['requestURI']}: {event.get('responseStatus', {}).get('message', '')}"
