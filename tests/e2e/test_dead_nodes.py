"""A machine that died is given up, one that only lost the API server is not, and neither is any when that was away."""

from __future__ import annotations

import time

import pytest

from tests.e2e.machines import (
    CONTROLLERS_NOTICE_S,
    leading_from,
    on_spare_nodes,
    out_of_service,
    placed,
    ten_calls,
    uid_of,
    until_well,
    until_without_lease,
    without_lease_s,
)
from tests.e2e.retiring import (
    LONG_CALLS_PER_POD,
    NAMESPACE,
    NODE_DEATH_AFTER_S,
    POLICY,
    POLICY_NAME,
    MakeFleet,
    RetiringFleet,
    assert_none_cut,
    stopped,
)
from tests.rig.installation import Installation
from tests.rig.rig import Rig
from tests.rig.voice.ledger import Outcome
from tests.rig.voice.pbx import Pbx

GIVEN_UP_AT_MOST_S = NODE_DEATH_AFTER_S + 60
HOLD_S = 1200.0
"""Longer than any of these tests: callers hang up when they are told."""
PATIENT, PATIENT_S = "retiring-patient", 60
UNMOVED = "retiring-unmoved"
"""Policies for nodes that come back late, and for those that nobody but an administrator declares dead."""


@pytest.fixture(scope="module")
def policies(calltide: Installation, make: MakeFleet) -> None:
    del make  # which brings the policy that these are made from
    ours = f"metadata: {{name: {POLICY_NAME}}}", f"nodeDeathAfter: {NODE_DEATH_AFTER_S}s"
    assert all(POLICY.count(line) == 1 for line in ours)
    for name, after in ((PATIENT, f"{PATIENT_S}s"), (UNMOVED, "1h")):
        text = POLICY.replace(ours[0], f"metadata: {{name: {name}}}").replace(ours[1], f"nodeDeathAfter: {after}")
        calltide.add_policy(name, text)


def test_a_dead_node_is_given_up_and_one_that_only_lost_the_api_server_is_not(
    make: MakeFleet, rig: Rig, tables: list[str]
) -> None:
    cut_off = make("cut-off", 2, pod_spec=on_spare_nodes())
    spread = placed(cut_off)
    (dead_node,) = set(rig.spare_nodes) - set(spread.values())
    dying = make("node-dies", 1, pod_spec=on_spare_nodes(prefers=dead_node))
    ((lost, node),) = placed(dying).items()
    assert node == dead_node
    lone, lone_node = next(iter(spread.items()))
    stay = cut_off.uids()
    run = cut_off.call(hold_s=HOLD_S)
    long_calls = LONG_CALLS_PER_POD * len(spread)
    began_s = time.time()
    rig.agent.partition(lone_node)
    rig.agent.die(dead_node)
    try:
        seconds = _until_replaced_and_given_up(dying, lost, dead_node, began_s)
        until_without_lease(rig, lone_node, for_s=2 * NODE_DEATH_AFTER_S)
        assert stay <= cut_off.uids()
        assert cut_off.leaving() == []
        assert run.so_far().up >= long_calls
        assert cut_off.channels(lone) >= LONG_CALLS_PER_POD / 2
    finally:
        rig.agent.heal(lone_node)
        rig.agent.come_back(dead_node)
    cut_off.until(lambda: lone in cut_off.ready(), "the pod that was cut off to be Ready again")
    assert stay <= cut_off.uids()
    # The pod that stood in for it is empty soonest, so it is the one that leaves.
    cut_off.until(lambda: cut_off.uids() == stay and cut_off.wanted() == 2, "the surplus to be retired", at_most_s=300)
    assert run.so_far().up >= long_calls
    run.stop()
    ledger = run.wait()
    assert (ledger.cut, ledger.failed, ledger.refused) == (0, 0, 0), ledger.table()
    tables.append(f"a node dies: {seconds}")


@pytest.mark.long
def test_a_node_that_dies_with_the_only_pod_and_the_leader_is_replaced_by_the_other_replica(
    make: MakeFleet, rig: Rig, calltide: Installation, tables: list[str]
) -> None:
    node = rig.spare_nodes[0]
    with leading_from(rig, calltide, node) as leader:
        fleet = make("leader-dies-too", 1, pod_spec=on_spare_nodes(prefers=node))
        ((lost, at),) = placed(fleet).items()
        assert at == node
        began_s = time.time()
        rig.agent.die(node)
        try:
            fleet.until(lambda: calltide.leader() not in (None, leader), "the other replica to lead")
            led_s = time.time() - began_s
            seconds = _until_replaced_and_given_up(fleet, lost, node, began_s)
        finally:
            rig.agent.come_back(node)
            until_well(rig, node)
    tables.append(f"a node dies with the leader: {led_s:.0f} s until another leads, {seconds}")


def _until_replaced_and_given_up(fleet: RetiringFleet, lost: str, node: str, began_s: float) -> str:
    """Wait until the fleet of one takes calls again and its dead pod is given up; how long each took, in words."""
    rig = fleet.rig
    until_without_lease(rig, node)
    stale_s = time.time() - began_s
    fleet.until(lambda: len(set(fleet.ready()) - {lost}) == 1, "one more pod to stand", CONTROLLERS_NOTICE_S)
    stands_s = time.time() - began_s
    fleet.until(lambda: fleet.proxied() == len(fleet.telephony.proxies()), "the proxies to know it")
    assert_none_cut(fleet.telephony.callers().start(ten_calls(fleet)).wait())
    fleet.until(lambda: fleet.terminating_or_gone(lost), "the dead pod to be given up", CONTROLLERS_NOTICE_S)
    since_s = without_lease_s(rig, node)
    assert since_s is not None
    # It was given up before this was asked, and not before the node was silent for long enough.
    assert NODE_DEATH_AFTER_S <= since_s <= GIVEN_UP_AT_MOST_S
    targets = {seen.wanted for seen in rig.history.of(NAMESPACE, fleet.name, since_s=began_s)}
    assert targets <= {1, 2}, "one more pod for the one that is dead, and no second"
    return (
        f"its Lease is stale after {stale_s:.0f} s, one more pod stands {stands_s - stale_s:.0f} s later, "
        f"and {since_s:.0f} s after it was stale the dead pod is given up"
    )


@pytest.mark.long
@pytest.mark.parametrize("policy", [UNMOVED, POLICY_NAME], ids=["by-the-taint", "after-it-was-given-up"])
@pytest.mark.usefixtures("policies")
def test_an_ordinal_of_a_dead_node_comes_back_once_that_is_out_of_service(
    make: MakeFleet, rig: Rig, policy: str
) -> None:
    name = f"ordinal-{policy.rpartition('-')[2]}"
    fleet = make(name, 1, kind="StatefulSet", policy=policy, pod_spec=on_spare_nodes())
    ((lost, node),) = placed(fleet).items()
    uid = uid_of(fleet, lost)
    rig.agent.die(node)
    try:
        fleet.until(lambda: len(set(fleet.ready()) - {lost}) == 1, "the next ordinal to stand", CONTROLLERS_NOTICE_S)
        if policy == POLICY_NAME:
            fleet.until(lambda: fleet.terminating_or_gone(lost), "the dead pod to be given up", CONTROLLERS_NOTICE_S)
        until_without_lease(rig, node, for_s=2 * NODE_DEATH_AFTER_S)
        assert uid_of(fleet, lost) == uid, "nobody but an administrator knows that it has ended"
        assert fleet.terminating_or_gone(lost) == (policy == POLICY_NAME)
        with out_of_service(rig, node):
            fleet.until(lambda: uid_of(fleet, lost) not in (None, uid), "the ordinal to be made anew")
            fleet.until(lambda: lost in fleet.ready(), "the ordinal to be Ready")
            assert placed(fleet)[lost] != node
            # The one that stood in for it is the tail, and not needed any more.
            fleet.until(lambda: list(fleet.ready()) == [lost] and fleet.wanted() == 1, "the tail to leave", 300)
            fleet.until(lambda: fleet.proxied() == len(fleet.telephony.proxies()), "the proxies to know it")
            assert_none_cut(fleet.telephony.callers().start(ten_calls(fleet)).wait())
    finally:
        rig.agent.come_back(node)
        until_well(rig, node)


@pytest.mark.long
@pytest.mark.parametrize("away_s", [75, 600])
@pytest.mark.usefixtures("policies")
def test_no_node_is_declared_dead_when_the_api_server_comes_back(
    make: MakeFleet, rig: Rig, calltide: Installation, tables: list[str], away_s: int
) -> None:
    """Longer than any policy's `nodeDeathAfter`; and one node loses its power meanwhile, and comes back after it."""
    assert away_s > PATIENT_S > NODE_DEATH_AFTER_S
    calm = make(f"api-away-{away_s}", 2)
    dark = make(f"dark-{away_s}", 1, policy=PATIENT, pod_spec=on_spare_nodes())
    ((lost, node),) = placed(dark).items()
    stay, same = calm.uids(), dark.uids()
    pbxs = [Pbx(address) for address in calm.ready().values()]
    run = calm.call(hold_s=HOLD_S)
    long_calls = LONG_CALLS_PER_POD * len(stay)
    rig.control_plane.api_server.kill()
    began_at_s, began_s = time.time(), time.monotonic()
    try:
        rig.agent.die(node)
        while time.monotonic() - began_s < away_s:
            assert all(pbx.ready() for pbx in pbxs)
            time.sleep(1)
    finally:
        rig.control_plane.start_api_server()
    try:
        dark.until(lambda: dark.state()["mode"] == "on", "a replica to lead that has looked at the fleet")
        # Some rounds of its retirement find the node silent, and far from long enough.
        until_without_lease(rig, node, for_s=PATIENT_S / 4)
        assert dark.uids() >= same
        assert dark.leaving() == []
    finally:
        rig.agent.come_back(node)
    until_well(rig, node)
    back_s = time.time()
    dark.until(lambda: lost in dark.ready(), "the pod to stand again where it was")
    dark.until(lambda: time.time() - back_s > 2 * NODE_DEATH_AFTER_S, "any node that was to be given up to be so")
    assert dark.uids() >= same
    assert calm.uids() >= stay
    so_far = run.so_far()
    assert so_far.up >= long_calls
    run.stop()
    ledger = run.wait()
    assert (ledger.cut, ledger.failed) == (0, 0), ledger.table()
    refused = [f"{call.offered_s - began_at_s - away_s:.0f} s" for call in ledger.of(Outcome.REFUSED).calls]
    after = f"refused so long after its return: {', '.join(refused) or 'none'}"
    tables.append(f"API server away for {away_s} s, {after}\n{ledger.table()}")


@pytest.mark.long
def test_pods_that_fail_together_are_replaced_one_after_another(make: MakeFleet, rig: Rig) -> None:
    fleet = make("fail-together", 4)
    names = sorted(fleet.ready())[1:]
    began_s = time.time()
    with stopped([fleet.pid(name) for name in names]):
        fleet.until(lambda: fleet.wanted() == 4 + len(names), "each of them to be replaced", at_most_s=600)
        fleet.until(lambda: len(fleet.ready()) == 4, "as many as are needed to serve", at_most_s=240)
        seen = rig.history.of(NAMESPACE, fleet.name, since_s=began_s)
    # One more is asked for when the one before it serves: a bad image would have cost one pod.
    firsts = {one.wanted: one for one in reversed(seen) if one.wanted > 4}
    assert sorted(firsts) == [5, 6, 7]
    assert [firsts[wanted].ready >= wanted - 4 for wanted in (5, 6, 7)] == [True] * 3, firsts
    fleet.until(lambda: fleet.wanted() == 4 == len(fleet.uids()), "the surplus to be retired", at_most_s=900)


@pytest.mark.long
@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet"])
def test_a_pod_that_its_node_evicts_is_replaced_once(make: MakeFleet, rig: Rig, kind: str) -> None:
    """Its calls are lost whatever anybody does; its controller makes another, and calltide asks for none on top."""
    fleet = make(f"evicted-{kind.lower()}", 2, kind=kind)
    name = max(fleet.ready())
    uid, began_s = uid_of(fleet, name), time.time()
    rig.agent.evict(NAMESPACE, name)
    fleet.until(lambda: len(set(fleet.uids()) - {uid}) == 2 == len(fleet.ready()), "another in its place")
    fleet.until(lambda: fleet.proxied() == 2 * len(fleet.telephony.proxies()), "the proxies to know it")
    assert_none_cut(fleet.telephony.callers().start(ten_calls(fleet)).wait())
    assert {seen.wanted for seen in rig.history.of(NAMESPACE, fleet.name, since_s=began_s)} <= {2}
