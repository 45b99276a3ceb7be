"""Nothing is retired while no new pod could come, however low the load; when that is mended, all goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest

from tests.e2e.administration import ON_SPARE_NODES, tainted
from tests.e2e.machines import CLOSED
from tests.e2e.retiring import NAMESPACE, MakeFleet, RetiringFleet, assert_none_cut

pytestmark = pytest.mark.long

AT_MOST_S = 300
Broken = Callable[[RetiringFleet], AbstractContextManager[None]]


@contextmanager
def without_keda(fleet: RetiringFleet) -> Iterator[None]:
    """KEDA's metrics server is gone, and with it what the HPA asks."""
    adapter = fleet.rig.keda.adapter
    adapter.kill()
    try:
        yield
    finally:
        adapter.start()
        fleet.until(fleet.rig.keda.serves_metrics, "KEDA to serve again")


@contextmanager
def without_room(fleet: RetiringFleet) -> Iterator[None]:
    """No node takes one more pod."""
    with tainted(fleet, *fleet.rig.spare_nodes, effect="NoSchedule"):
        yield


@contextmanager
def without_quota(fleet: RetiringFleet) -> Iterator[None]:
    """The namespace may have no more pods. Nobody on the rig counts for the quota, so the test says what it counted."""
    about = {"name": CLOSED.partition("/")[2], "namespace": NAMESPACE}
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": about, "spec": {"hard": {"pods": "0"}}}
    path = f"/api/v1/namespaces/{NAMESPACE}/resourcequotas"
    with fleet.rig.control_plane.client("rig-accountant", "system:masters") as client:
        made = client.post(path, json=quota).raise_for_status().json()
        counted = {**made, "status": {"hard": {"pods": "0"}, "used": {"pods": "0"}}}
        client.put(f"{path}/{about['name']}/status", json=counted).raise_for_status()
        try:
            yield
        finally:
            client.delete(f"{path}/{about['name']}").raise_for_status()


def test_nothing_drains_while_the_hpa_knows_nothing_although_the_load_fell(make: MakeFleet) -> None:
    fleet = make("no-metric", 2)
    before = fleet.uids()
    run = fleet.call(hold_s=60.0)
    with without_keda(fleet):
        fleet.until(lambda: "way-up" in fleet.held_by(), "calltide to see that the HPA is blind", AT_MOST_S)
        fleet.need(1)
        fleet.until(lambda: (fleet.measured() or 100.0) < 100, "calltide to measure the fall", AT_MOST_S)
        # All calls end meanwhile: whatever could go would.
        assert_none_cut(run.wait())
        assert "way-up" in fleet.held_by()
        assert (fleet.leaving(), fleet.uids(), fleet.wanted()) == ([], before, 2)
    run = fleet.call(hold_s=20.0)
    fleet.until(lambda: len(fleet.pods()) == fleet.wanted() == 1, "one pod to leave", AT_MOST_S)
    assert_none_cut(run.wait())


@pytest.mark.parametrize("broken", [without_room, without_quota])
def test_a_pod_stays_while_no_successor_can_come(make: MakeFleet, broken: Broken) -> None:
    fleet = make(f"{broken.__name__.replace('_', '-')}", 2, **ON_SPARE_NODES)
    before = fleet.uids()
    name = min(fleet.ready())
    run = fleet.call(hold_s=75.0)
    with broken(fleet):
        fleet.wish(name, "replace")
        fleet.until(lambda: fleet.wanted() == 3, "a successor to be asked for", AT_MOST_S)
        fleet.until(lambda: "way-up" in fleet.held_by(), "calltide to see that none comes", AT_MOST_S)
        assert fleet.channels(name) > 0
        assert_none_cut(run.wait())
        fleet.until(lambda: fleet.channels(name) == 0, "it to be empty")
        run = fleet.call(hold_s=20.0)
        with fleet.pbx(name) as pbx:
            assert pbx.gate() == "open", "it would take calls like any other"
        assert "way-up" in fleet.held_by()
        assert before <= fleet.uids()
    fleet.until(lambda: name not in fleet.states(), "it to be replaced", AT_MOST_S)
    assert_none_cut(run.wait())
    fleet.until(lambda: fleet.wanted() == len(fleet.ready()) == len(fleet.pods()) == 2, "two pods to stand", AT_MOST_S)
