"""Retirement's writes on a real cluster, as calltide's own account: they take just the pod that was released.

Nothing decides here: the test says what to write, in retirement's order, and looks through the watches.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TypeAlias

import pytest

from scaler.clock import SystemClock
from scaler.core.fleets import FleetKey
from scaler.fleet.kubernetes.adapter import KubernetesFleets
from scaler.fleet.kubernetes.api import connect
from scaler.fleet.kubernetes.writing import KubernetesRetirement
from scaler.fleet.listing import FleetListing
from scaler.fleet.retiring import FleetLook
from scaler.retirement.actions import DeletePod, LowerScale, MovePod, PodWrite, ReleasePod
from scaler.retirement.audit import Outcome
from scaler.retirement.evidence import DrainRecord, ProvedEmpty, ReleaseEvidence
from scaler.retirement.observed import ObservedPod
from scaler.retirement.readings import Boot
from scaler.retirement.states import Cause, Purpose, RetirementState
from tests.e2e.admission import CALLTIDE, NAMESPACE, Guarded, guarded, workload
from tests.rig.rig import Rig
from tests.servers.processes import wait_for

KINDS = {"Deployment": "deployments", "StatefulSet": "statefulsets"}
CONTROLLERS = {
    "Deployment": "system:serviceaccount:kube-system:replicaset-controller",
    "StatefulSet": "system:serviceaccount:kube-system:statefulset-controller",
}
PODS_EACH = 3
WITHIN_S = 10.0
DRAIN = DrainRecord(Purpose.SHRINK, Cause.NOT_NEEDED, 1_767_600_000.0, "calltide-0", 7)
Write: TypeAlias = PodWrite | LowerScale


class Fleet:
    """One fleet, seen and written to as calltide does."""

    def __init__(self, here: Guarded, side: KubernetesRetirement, kind: str) -> None:
        self.here, self.kind, self.name = here, kind, f"written-{kind.lower()}"
        self._side = side
        here.cluster.apply(workload(kind, self.name, PODS_EACH))
        wait_for(lambda: sum(pod.ready for pod in self.pods()) == PODS_EACH, f"{PODS_EACH} Ready pods")

    def look(self) -> FleetLook | None:
        return self._side.look(time.monotonic()).get(FleetKey(NAMESPACE, self.name))

    def looked(self) -> FleetLook:
        return wait_for(self.look, "the fleet to be seen")

    def pods(self) -> tuple[ObservedPod, ...]:
        seen = self.look()
        return () if seen is None else seen.pods

    def pod(self, uid: str) -> ObservedPod:
        return next(pod for pod in self.pods() if pod.uid == uid)

    def once(self, action: Write) -> Outcome:
        return asyncio.run(self._side.write(self.looked(), action, WITHIN_S))

    def write(self, planned: Callable[[FleetLook], Write]) -> None:
        """Write what is planned over a look, and again over the next one while something else has changed."""

        def done() -> bool:
            outcome = self.once(planned(self.looked()))
            assert outcome in (Outcome.DONE, Outcome.CONFLICT)
            return outcome is Outcome.DONE

        wait_for(done, "the write to be done")

    def until(self, uid: str, state: RetirementState) -> ObservedPod:
        wait_for(lambda: self.pod(uid).state is state, f"the pod to be {state}")
        return self.pod(uid)

    def move(self, uid: str, state: RetirementState) -> ObservedPod:
        self.write(lambda _: moved(self.pod(uid), state))
        return self.until(uid, state)

    def tell(self, uid: str) -> None:
        asyncio.run(self._side.tell(self.looked(), uid, "Released", "It is proved empty.", warning=False))

    def standing(self) -> set[str]:
        """The UIDs that the API server itself has."""
        pods = self.here.cluster.items(f"/api/v1/namespaces/{NAMESPACE}/pods", labelSelector=f"app={self.name}")
        return {pod["metadata"]["uid"] for pod in pods}

    def told_by_controller(self) -> dict[str, int]:
        """`spec.replicas` and `status.replicas`, once its controller has seen the last change."""
        path = f"/apis/apps/v1/namespaces/{NAMESPACE}/{KINDS[self.kind]}/{self.name}"
        read = self.here.cluster.read(path)
        if read["status"].get("observedGeneration") != read["metadata"]["generation"]:
            return {}
        return {"spec": read["spec"]["replicas"], "status": read["status"]["replicas"]}


@pytest.fixture(scope="module")
def side(rig: Rig) -> Iterator[tuple[Guarded, KubernetesRetirement]]:
    with guarded(rig.control_plane) as here:
        kubeconfig = here.cluster.pki.kubeconfig(here.cluster.url, CALLTIDE)
        listed = [FleetListing(FleetKey(NAMESPACE, f"written-{kind.lower()}"), "p", ("t",)) for kind in KINDS]
        fleets = KubernetesFleets(connect(kubeconfig), SystemClock(), listed=lambda: listed, retiring=True)
        asyncio.run(fleets.start())
        made = KubernetesRetirement(connect(kubeconfig), fleets)
        try:
            yield here, made
        finally:
            asyncio.run(made.stop())
            asyncio.run(fleets.stop())


@pytest.fixture(scope="module", params=KINDS)
def fleet(side: tuple[Guarded, KubernetesRetirement], request: pytest.FixtureRequest) -> Fleet:
    return Fleet(*side, request.param)


@pytest.fixture
def victim(fleet: Fleet) -> ObservedPod:
    """The pod that may go: of a StatefulSet its last, of a Deployment one that its controller would not take first."""
    return max(fleet.pods(), key=lambda pod: pod.ordinal or 0)


def moved(pod: ObservedPod, to: RetirementState) -> MovePod:
    drain = DRAIN if to.is_leaving else None
    return MovePod(pod.uid, pod.name, pod.version, pod.state, to, drain, f"{pod.name} becomes {to}.")


def released(pod: ObservedPod) -> ReleasePod:
    ground = ProvedEmpty(Boot("2026-01-05T08:00:00", "c#0"), 1.0, (2.0, 3.0), ("edge-0",))
    evidence = ReleaseEvidence(pod.uid, pod.name, ground, DRAIN.purpose, DRAIN.cause, 4.0, DRAIN.leader, DRAIN.term)
    return ReleasePod(pod.uid, pod.name, pod.version, evidence, f"{pod.name} is released.")


def deleted(pod: ObservedPod) -> DeletePod:
    return DeletePod(pod.uid, pod.name, pod.version, f"{pod.name} is deleted.")


def lowered(seen: FleetLook) -> LowerScale:
    return LowerScale(seen.scale_version, seen.spec_replicas, seen.spec_replicas - 1, "The target is lowered by one.")


def test_a_pod_that_is_not_released_is_not_deleted_by_calltide_either(fleet: Fleet, victim: ObservedPod) -> None:
    outcomes: list[Outcome] = []

    def answered() -> bool:
        outcomes.append(fleet.once(deleted(fleet.pod(victim.uid))))
        return outcomes[-1] is not Outcome.CONFLICT

    wait_for(answered, "an answer that is no conflict")
    assert outcomes[-1] is Outcome.REFUSED
    assert victim.uid in fleet.standing()


def test_nothing_is_written_over_an_older_version(fleet: Fleet, victim: ObservedPod) -> None:
    before = fleet.pod(victim.uid)
    after = fleet.move(victim.uid, RetirementState.DRAINING)
    assert after.drain == DRAIN
    old = replace(after, version=before.version)
    assert [fleet.once(one) for one in (moved(old, RetirementState.ACTIVE), released(old), deleted(old))] == [
        Outcome.CONFLICT
    ] * 3
    seen = fleet.looked()
    assert fleet.once(replace(lowered(seen), version="1")) is Outcome.CONFLICT
    assert fleet.once(replace(lowered(seen), replicas=PODS_EACH + 1)) is Outcome.CONFLICT
    assert fleet.told_by_controller()["spec"] == PODS_EACH
    assert fleet.move(victim.uid, RetirementState.ACTIVE).drain is None


def test_the_released_pod_goes_no_other_and_none_is_made_in_its_place(fleet: Fleet, victim: ObservedPod) -> None:
    before = fleet.standing()
    fleet.move(victim.uid, RetirementState.DRAINING)
    fleet.move(victim.uid, RetirementState.DRAINED)
    fleet.write(lambda _: released(fleet.pod(victim.uid)))
    pod = fleet.until(victim.uid, RetirementState.RELEASED)
    assert pod.evidence == released(pod).evidence
    assert not pod.protected

    fleet.write(lowered)
    # The controller wants to delete one now, is refused whichever it takes, and says that as many stand as before.
    wait_for(lambda: CONTROLLERS[fleet.kind] in _deletes(fleet, 403), "the controller to be refused")
    assert fleet.told_by_controller() == {"spec": PODS_EACH - 1, "status": PODS_EACH}
    assert fleet.standing() == before

    fleet.write(lambda _: deleted(fleet.pod(victim.uid)))
    wait_for(lambda: victim.uid not in fleet.standing(), "the pod to be gone")
    wanted = {"spec": PODS_EACH - 1, "status": PODS_EACH - 1}
    wait_for(lambda: fleet.told_by_controller() == wanted, "the controller to be content")
    assert fleet.standing() == before - {victim.uid}
    # Its controller may have deleted what was left of it too, once the node had said that it ended.
    assert CALLTIDE in _deletes(fleet, 200)


def test_an_event_is_told_of_the_pod(fleet: Fleet) -> None:
    pod = fleet.pods()[0]
    fleet.tell(pod.uid)
    path = f"/api/v1/namespaces/{NAMESPACE}/events"
    selector = f"involvedObject.uid={pod.uid},reason=Released"
    (told,) = wait_for(lambda: fleet.here.cluster.items(path, fieldSelector=selector), "the Event")
    assert (told["message"], told["source"]["component"]) == ("It is proved empty.", "calltide")


def _deletes(fleet: Fleet, status: int) -> list[str]:
    """Who was answered so when they deleted a pod of the fleet, kubelets aside."""
    prefix = f"/api/v1/namespaces/{NAMESPACE}/pods/{fleet.name}-"
    return [
        line["user"]["username"]
        for line in fleet.here.cluster.audited()
        if line["verb"] == "delete"
        and line["requestURI"].startswith(prefix)
        and line["responseStatus"]["code"] == status
        and not line["user"]["username"].startswith("system:node:")
    ]
