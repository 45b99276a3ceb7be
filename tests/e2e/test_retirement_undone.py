"""A rollout that is taken back, and a node that is emptied, while people talk: what has to go goes when it is empty."""

from __future__ import annotations

import pytest

from tests.e2e.administration import IN_NAMESPACE, ON_SPARE_NODES, emptying, node_of, revisions
from tests.e2e.machines import uid_of
from tests.e2e.retiring import MakeFleet, assert_none_cut

pytestmark = pytest.mark.long

HOLD_S = 90.0
AT_MOST_S = 300


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet"])
def test_a_rollout_that_is_undone_gives_its_pod_back_and_takes_the_new_ones(make: MakeFleet, kind: str) -> None:
    fleet = make(f"undone-{kind.lower()}", 2, kind=kind)
    (reinstated,) = set(revisions(fleet, kind))
    run = fleet.call(hold_s=HOLD_S)
    fleet.roll(kind)
    # Its gate shuts once a successor takes calls.
    name = fleet.until_drains()
    uid = uid_of(fleet, name)
    assert fleet.channels(name) >= 20
    fleet.rig.control_plane.kubectl("rollout", "undo", f"{kind.lower()}/{fleet.name}", IN_NAMESPACE)
    with fleet.pbx(name) as pbx:
        fleet.until(lambda: pbx.gate() == "open", f"{name} to take calls again", AT_MOST_S)
    assert fleet.states()[name] == "active"
    ledger = run.wait()

    assert_none_cut(ledger)
    fleet.until(lambda: fleet.wanted() == len(fleet.ready()) == len(fleet.pods()) == 2, "two pods to stand", AT_MOST_S)
    assert revisions(fleet, kind) == [reinstated, reinstated]
    assert uid in fleet.uids(), "what is of the right revision is not replaced"


def test_kubectl_drain_waits_for_calls_and_ends_when_they_have(make: MakeFleet) -> None:
    fleet = make("node-emptied", 2, **ON_SPARE_NODES)
    run = fleet.call(hold_s=HOLD_S)
    name = min(fleet.ready())
    with emptying(fleet, node_of(fleet, name), AT_MOST_S) as drain:
        fleet.until(lambda: len(fleet.ready()) == 3, "a successor to stand")
        assert fleet.until_drains() == name
        assert fleet.channels(name) >= 20
        assert drain.poll() is None, "the node is not empty yet"
        fleet.until(lambda: drain.poll() is not None, "kubectl drain to end", AT_MOST_S)
        told = drain.communicate()[0]
        assert drain.returncode == 0, told
        assert "Cannot evict pod" in told
    assert name not in fleet.ready()
    assert_none_cut(run.wait())
    fleet.until(lambda: fleet.wanted() == len(fleet.ready()) == len(fleet.pods()) == 2, "two pods to stand", AT_MOST_S)
