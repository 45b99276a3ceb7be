"""What people and controllers do to pods that carry calls: refused, or done without cutting one.

Here the fleet is at rest; test_retirement_under_attack.py has the same while a pod drains.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

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
from tests.e2e.retiring import LONG_CALLS_PER_POD, NAMESPACE, MakeFleet, RetiringFleet, assert_none_cut
from tests.rig.rig import Rig


@pytest.fixture(scope="module")
def fleet(rig: Rig, make: MakeFleet) -> RetiringFleet:
    rig.control_plane.apply(rights_of_ops())
    return make("attacked", 2, **ON_SPARE_NODES)


@pytest.fixture(scope="module")
def under_calls(fleet: RetiringFleet) -> Iterator[RetiringFleet]:
    """The fleet with calls on every pod, which all have to end as their callers planned."""
    run = fleet.call(hold_s=100.0)
    carried = [fleet.channels(name) for name in fleet.ready()]
    yield fleet
    ledger = run.wait()
    assert min(carried) >= LONG_CALLS_PER_POD // 2
    assert_none_cut(ledger)


@pytest.mark.parametrize("options", [(), ("--force", "--grace-period=0")], ids=["plain", "by force"])
def test_a_pod_is_not_deleted(under_calls: RetiringFleet, options: tuple[str, ...]) -> None:
    name = next(iter(under_calls.ready()))
    told = refused(under_calls, "delete", "pod", name, "--wait=false", *options)
    assert "calltide ends it when it is proved empty" in told
    assert f"calltide drain -n {NAMESPACE} {name}" in told


def test_an_administrator_does_not_delete_one_either(under_calls: RetiringFleet) -> None:
    name = next(iter(under_calls.ready()))
    assert "calltide ends it when it is proved empty" in refused(
        under_calls, "delete", "pod", name, "--wait=false", user=None
    )


def test_all_pods_are_not_deleted_at_once(under_calls: RetiringFleet) -> None:
    told = refused(under_calls, "delete", "pods", "--selector=app=asterisk", "--wait=false")
    assert "calltide ends it when it is proved empty" in told


def test_the_protection_is_not_taken_off(under_calls: RetiringFleet) -> None:
    name = next(iter(under_calls.ready()))
    told = refused(under_calls, "label", "pod", name, "calltide.io/protected-")
    assert "only calltide takes that off" in told


def test_a_pod_is_not_evicted(under_calls: RetiringFleet) -> None:
    name = next(iter(under_calls.ready()))
    assert eviction_status(under_calls, name) == 429
    assert name in under_calls.ready()


def test_the_replicas_do_not_fall_by_hand(under_calls: RetiringFleet) -> None:
    told = refused(under_calls, "scale", "deployment", under_calls.name, "--replicas=1")
    assert "do not fall by hand" in told
    patch = json.dumps({"spec": {"replicas": 1}})
    assert "do not fall by hand" in refused(under_calls, "patch", "deployment", under_calls.name, f"--patch={patch}")


def test_a_lowered_maximum_lowers_nothing(under_calls: RetiringFleet) -> None:
    with lowered_maximum(under_calls, 1):
        under_calls.until(lambda: "way-up" in under_calls.held_by(), "calltide to see that the HPA is refused")
        assert under_calls.wanted() == 2
        assert len(under_calls.ready()) == 2


def test_a_paused_scaled_object_holds_everything(under_calls: RetiringFleet) -> None:
    with paused(under_calls):
        under_calls.until(lambda: "way-up" in under_calls.held_by(), "calltide to see the pause")
        assert len(under_calls.ready()) == 2


def test_a_node_is_not_emptied_by_force(under_calls: RetiringFleet) -> None:
    name = next(iter(under_calls.ready()))
    assert not controller_was_refused(under_calls, name)
    with tainted(under_calls, node_of(under_calls, name), effect="NoExecute"):
        under_calls.until(lambda: controller_was_refused(under_calls, name), "the taint manager to be refused")
        assert name in under_calls.ready()
