"""What people and controllers do to a pod that drains under calls: it goes when it is empty, and not a moment earlier.

One pod of two drains while all of this is done to it, one after another; then it has to leave as if nothing had been.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from tests.e2e.administration import (
    ON_SPARE_NODES,
    controller_was_refused,
    eviction_status,
    lowered_maximum,
    node_of,
    paused,
    refused,
    rights_of_ops,
    tainted,
)
from tests.e2e.machines import uid_of
from tests.e2e.retiring import MakeFleet, RetiringFleet, assert_none_cut
from tests.rig.voice.callers import Running

HOLD_S = 1200.0
"""Longer than all that is done meanwhile takes: the callers hang up when they are told to."""
ENDED_BY_CALLTIDE = "calltide ends it when it is proved empty"


@dataclass(frozen=True)
class Draining:
    """One pod of a fleet of two, which drains with calls on it."""

    fleet: RetiringFleet
    run: Running
    name: str
    uid: str
    node: str

    def goes_on(self) -> None:
        """It is the pod that it was, still drains, still carries calls, and nobody is made or ended beside it."""
        assert self.fleet.states()[self.name] == "draining"
        assert uid_of(self.fleet, self.name) == self.uid
        assert self.fleet.channels(self.name) > 0
        assert (self.fleet.wanted(), len(self.fleet.ready())) == (2, 2)
        with self.fleet.pbx(self.name) as pbx:
            assert pbx.gate() != "open"


@pytest.fixture(scope="module")
def draining(make: MakeFleet) -> Draining:
    fleet = make("attacked-draining", 2, **ON_SPARE_NODES)
    fleet.rig.control_plane.apply(rights_of_ops())
    run = fleet.call(hold_s=HOLD_S)
    fleet.need(1)
    name = fleet.until_drains()
    assert fleet.channels(name) >= 20
    return Draining(fleet, run, name, uid_of(fleet, name), node_of(fleet, name))


@pytest.mark.parametrize("options", [(), ("--force", "--grace-period=0")], ids=["plain", "by force"])
def test_it_is_not_deleted(draining: Draining, options: tuple[str, ...]) -> None:
    delete = ("delete", "pod", draining.name, "--wait=false", *options)
    assert ENDED_BY_CALLTIDE in refused(draining.fleet, *delete)
    assert ENDED_BY_CALLTIDE in refused(draining.fleet, *delete, user=None)
    draining.goes_on()


def test_it_is_not_deleted_with_all_others(draining: Draining) -> None:
    chosen = f"--selector=calltide.io/fleet={draining.fleet.name}"
    assert ENDED_BY_CALLTIDE in refused(draining.fleet, "delete", "pods", chosen, "--wait=false")
    draining.goes_on()


def test_it_is_not_evicted(draining: Draining) -> None:
    assert eviction_status(draining.fleet, draining.name) == 429
    draining.goes_on()


def test_its_protection_is_not_taken_off(draining: Draining) -> None:
    told = refused(draining.fleet, "label", "pod", draining.name, "calltide.io/protected-")
    assert "only calltide takes that off" in told
    draining.goes_on()


def test_the_target_does_not_fall_for_it_by_hand(draining: Draining) -> None:
    told = refused(draining.fleet, "scale", "deployment", draining.fleet.name, "--replicas=1")
    assert "do not fall by hand" in told
    draining.goes_on()


def test_its_node_is_not_emptied_by_a_taint(draining: Draining) -> None:
    assert not controller_was_refused(draining.fleet, draining.name)
    with tainted(draining.fleet, draining.node, effect="NoExecute"):
        draining.fleet.until(
            lambda: controller_was_refused(draining.fleet, draining.name), "the taint manager to be refused"
        )
        draining.goes_on()


def test_a_lowered_maximum_takes_none(draining: Draining) -> None:
    with lowered_maximum(draining.fleet, 1):
        draining.fleet.until(lambda: "way-up" in draining.fleet.held_by(), "calltide to see that the HPA is refused")
        draining.goes_on()


def test_a_pause_keeps_it_when_it_is_empty_and_it_leaves_afterwards_with_nobody_cut(draining: Draining) -> None:
    fleet, name = draining.fleet, draining.name
    others = fleet.call(hold_s=30.0, late_s=30.0)
    with paused(fleet):
        fleet.until(lambda: "way-up" in fleet.held_by(), "calltide to see the pause")
        draining.goes_on()
        draining.run.stop()
        fleet.until(lambda: "is empty and stays" in fleet.waits_for(name), "it to be proved empty and to be held", 240)
        assert fleet.states()[name] == "drained"
        assert (fleet.wanted(), len(fleet.ready())) == (2, 2)
    fleet.until_gone(name, at_most_s=240)
    ledger = draining.run.wait()
    assert (ledger.cut, ledger.failed, ledger.refused) == (0, 0, 0), ledger.table()
    assert_none_cut(others.wait())
    assert fleet.wanted() == 1
    assert len(fleet.uids()) == 1
