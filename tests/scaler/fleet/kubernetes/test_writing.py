"""What retirement writes, over what it looked at, and what it makes of every answer."""

from __future__ import annotations

import asyncio
import json

import pytest
from kubernetes import client

from scaler.core.fleets import FleetKey
from scaler.fleet.kubernetes import annotations as marks
from scaler.fleet.kubernetes.api import KubernetesApi
from scaler.fleet.kubernetes.events import BURST, EventBudget, event
from scaler.fleet.kubernetes.writing import TELL_WITHIN_S, THREADS, KubernetesRetirement
from scaler.retirement.actions import DeletePod, LowerScale, MovePod, ReleasePod
from scaler.retirement.audit import Outcome
from scaler.retirement.evidence import DrainRecord, ProvedEmpty, ReleaseEvidence
from scaler.retirement.readings import Boot
from scaler.retirement.states import Cause, Purpose, RetirementState
from tests.servers import kube_objects as kube
from tests.servers.processes import wait_for

ACME = FleetKey("voice", "acme")
POD, UID = "acme-7b9-a", kube.uid("Pod", "acme-7b9-a")
POD_PATH = f"/api/v1/namespaces/voice/pods/{POD}"
SCALE_PATH = "/apis/apps/v1/namespaces/voice/deployments/acme/scale"
ENOUGH_S = 10.0
DRAIN = DrainRecord(Purpose.SHRINK, Cause.NOT_NEEDED, float(kube.MONDAY_S), "calltide-0", 7)
EVIDENCE = ReleaseEvidence(
    UID,
    POD,
    ProvedEmpty(Boot("2026-01-05T08:00:00", "c#0"), 1.0, (2.0, 3.0), ("edge-0",)),
    Purpose.SHRINK,
    Cause.NOT_NEEDED,
    float(kube.MONDAY_S),
    "calltide-0",
    7,
)


@pytest.fixture
def side(cluster, watch):
    """Retirement's side of the cluster, which has looked at both pods, a node and the namespace."""
    cluster.put(kube.node())
    cluster.put(kube.namespace())
    cluster.put(kube.pod(POD, ready_after_s=40, protected="true", wish="drain"))
    fleets = watch(cluster, retiring=True)
    configuration = client.Configuration(host=cluster.url, api_key={"BearerToken": "Bearer s3cret"})
    side = KubernetesRetirement(KubernetesApi(configuration), fleets)
    wait_for(lambda: fleets.seen().complete and len(side.look(0.0)[ACME].pods) == 2, "both pods to be seen")
    yield side
    asyncio.run(side.stop())


def look(side):
    return side.look(100.0)[ACME]


def pod_of(side):
    return next(pod for pod in look(side).pods if pod.uid == UID)


def write(side, action, within_s=ENOUGH_S):
    return asyncio.run(side.write(look(side), action, within_s))


def moved(version, to=RetirementState.DRAINING, drain=DRAIN):
    return MovePod(UID, POD, version, RetirementState.ACTIVE, to, drain, f"{POD} drains.")


def released(version):
    return ReleasePod(UID, POD, version, EVIDENCE, f"{POD} is released.")


def deleted(version, uid=UID, *, force=False):
    return DeletePod(uid, POD, version, f"{POD} is deleted.", force=force)


def lowered(version, replicas=2, to=1):
    return LowerScale(version, replicas, to, "The target goes from 2 to 1 pod.")


def every_write(side):
    """One of each kind, all over what was looked at last."""
    version = pod_of(side).version
    return [moved(version), released(version), lowered(look(side).scale_version), deleted(version)]


def test_a_drain_is_written_with_its_record_and_fulfils_the_wish(cluster, side):
    assert write(side, moved(pod_of(side).version)) is Outcome.DONE
    seen = wait_for(lambda: (pod := pod_of(side)).state is RetirementState.DRAINING and pod, "the drain to be seen")
    assert (seen.drain, seen.wish, seen.protected) == (DRAIN, None, True)


def test_a_recalled_pod_is_as_it_was_before(cluster, side):
    before = cluster.objects["/api/v1/pods"][UID]["metadata"]
    assert write(side, moved(pod_of(side).version)) is Outcome.DONE
    wait_for(lambda: pod_of(side).state is RetirementState.DRAINING, "the drain to be seen")
    assert write(side, moved(pod_of(side).version, RetirementState.ACTIVE, None)) is Outcome.DONE
    after = cluster.objects["/api/v1/pods"][UID]["metadata"]
    assert after["labels"] == before["labels"]
    assert after["annotations"] == {}


def test_a_release_is_one_patch_with_everything_that_belongs_to_it(cluster, side):
    assert write(side, released(pod_of(side).version)) is Outcome.DONE
    assert len(cluster.writes) == 1
    metadata = cluster.objects["/api/v1/pods"][UID]["metadata"]
    assert metadata["labels"][marks.PROTECTED] == "released"
    assert metadata["annotations"]["controller.kubernetes.io/pod-deletion-cost"] == "-2147483648"
    seen = wait_for(lambda: (pod := pod_of(side)).state is RetirementState.RELEASED and pod, "the release to be seen")
    assert (seen.evidence, seen.protected) == (EVIDENCE, False)


def test_the_target_is_lowered_from_what_was_read(cluster, side):
    assert write(side, lowered(look(side).scale_version)) is Outcome.DONE
    assert wait_for(lambda: look(side).spec_replicas == 1, "the target to be seen")


def test_a_stateful_set_is_lowered_at_its_own_scale(cluster, watch):
    cluster.delete(kube.deployment())
    cluster.put(kube.stateful_set())
    target = {"scaleTargetRef": {"name": "acme", "kind": "StatefulSet"}}
    cluster.put(kube.scaled_object(**target))
    fleets = watch(cluster, retiring=True)
    side = KubernetesRetirement(KubernetesApi(client.Configuration(host=cluster.url)), fleets)
    seen = wait_for(lambda: fleets.seen().complete and side.look(0.0).get(ACME), "the fleet to be seen")
    assert asyncio.run(side.write(seen, lowered(seen.scale_version), ENOUGH_S)) is Outcome.DONE
    assert cluster.writes[0][0] == "PATCH /apis/apps/v1/namespaces/voice/statefulsets/acme/scale"
    asyncio.run(side.stop())


@pytest.mark.parametrize(("force", "grace"), [(False, {}), (True, {"gracePeriodSeconds": 0})])
def test_a_pod_is_deleted_by_uid_and_version_with_its_own_grace_unless_by_force(cluster, side, force, grace):
    version = pod_of(side).version
    assert write(side, deleted(version, force=force)) is Outcome.DONE
    ((_, _, options),) = cluster.writes
    wanted = {"preconditions": {"uid": UID, "resourceVersion": version}}
    assert options == {"apiVersion": "v1", "kind": "DeleteOptions", **wanted, **grace}
    assert UID not in cluster.objects["/api/v1/pods"]


def test_nothing_is_written_over_what_has_changed_since(cluster, side):
    planned = every_write(side)
    cluster.put(kube.pod(POD, ready_after_s=40, restarts=1))
    cluster.put(kube.deployment(standing=3))
    objects = {path: dict(items) for path, items in cluster.objects.items()}
    assert [write(side, action) for action in planned] == [Outcome.CONFLICT] * 4
    assert cluster.objects == objects


def test_a_target_that_has_risen_at_the_same_version_is_not_lowered(cluster, side):
    assert write(side, lowered(look(side).scale_version, replicas=3)) is Outcome.CONFLICT
    assert look(side).spec_replicas == 2


def test_another_pod_of_the_same_name_is_not_deleted(cluster, side):
    assert write(side, deleted(pod_of(side).version, uid="another")) is Outcome.CONFLICT
    assert UID in cluster.objects["/api/v1/pods"]


def test_what_is_gone_is_a_conflict(cluster, side):
    seen, planned = look(side), every_write(side)
    cluster.delete(kube.pod(POD))
    cluster.delete(kube.deployment())
    assert [asyncio.run(side.write(seen, action, ENOUGH_S)) for action in planned] == [Outcome.CONFLICT] * 4


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (400, Outcome.REFUSED),
        (401, Outcome.REFUSED),
        (403, Outcome.REFUSED),
        (429, Outcome.REFUSED),
        (500, Outcome.UNKNOWN),
        (503, Outcome.UNKNOWN),
        (504, Outcome.UNKNOWN),
    ],
)
def test_a_refusal_is_known_to_have_done_nothing_and_a_servers_fault_is_not(cluster, side, status, outcome):
    planned = every_write(side)
    cluster.refused = {POD_PATH: status, SCALE_PATH: status}
    assert [write(side, action) for action in planned] == [outcome] * 4


def test_only_of_a_target_an_invalid_patch_is_a_test_that_failed(cluster, side):
    planned = every_write(side)
    cluster.refused = {POD_PATH: 422, SCALE_PATH: 422}
    refused = Outcome.REFUSED
    assert [write(side, action) for action in planned] == [refused, refused, Outcome.CONFLICT, refused]


def test_a_write_that_was_done_and_never_answered_is_unknown_and_is_not_repeated(cluster, side):
    cluster.unanswered = True
    assert write(side, moved(pod_of(side).version), within_s=0.3) is Outcome.UNKNOWN
    assert wait_for(lambda: pod_of(side).state is RetirementState.DRAINING, "the write to be seen")
    assert len(cluster.writes) == 1


def test_a_server_that_is_away_leaves_it_unknown(cluster, side):
    version = pod_of(side).version
    cluster.stop()
    assert write(side, moved(version)) is Outcome.UNKNOWN


def test_the_server_is_told_the_deadline_as_well(cluster, side):
    for action in every_write(side):
        write(side, action, within_s=5.0)
    given = [query["timeout"] for _, query, _ in cluster.writes]
    assert len(given) == 4
    assert all(one.endswith("ms") and 0 < int(one[:-2]) <= 5000 for one in given)


def test_a_write_that_had_to_wait_for_others_is_not_sent_after_its_deadline(cluster, side):
    cluster.hang()
    seen, version = look(side), pod_of(side).version

    async def crowd():
        others = [asyncio.create_task(side.write(seen, moved(version), 3.0)) for _ in range(THREADS)]
        # All of them are under way, and hang: nobody is left to send another.
        await asyncio.to_thread(wait_for, lambda: len(cluster.writes) == THREADS, "the others to be sent")
        late = await side.write(seen, released(version), 0.1)
        assert not any(one.done() for one in others)
        return late, await asyncio.gather(*others)

    late, others = asyncio.run(crowd())
    assert {late, *others} == {Outcome.UNKNOWN}
    assert len(cluster.writes) == THREADS


def test_after_the_end_nothing_is_written_and_nothing_raised(cluster, side):
    seen, version = look(side), pod_of(side).version

    async def stop_and_write():
        await side.stop()
        await side.tell(seen, UID, "Released", "It was.", warning=False)
        return await side.write(seen, moved(version), ENOUGH_S)

    assert asyncio.run(stop_and_write()) is Outcome.UNKNOWN
    assert cluster.writes == []


def test_names_from_outside_stay_within_their_part_of_the_path(cluster, side):
    odd = DeletePod(UID, "../../secrets/a?b", "1", "It is deleted.")
    assert write(side, odd) is Outcome.CONFLICT
    assert cluster.writes[0][0] == "DELETE /api/v1/namespaces/voice/pods/..%2F..%2Fsecrets%2Fa%3Fb"


def test_an_event_is_on_the_pod_or_on_the_workload(cluster, side):
    async def tell():
        await side.tell(look(side), UID, "Released", "It is empty.", warning=False)
        await side.tell(look(side), "", "DrainTooLong", "x" * 3000, warning=True)

    asyncio.run(tell())
    wait_for(lambda: len(cluster.told) == 2, "both Events")
    on_pod, on_workload = (one["involvedObject"] for one in cluster.told)
    assert (on_pod["kind"], on_pod["name"], on_pod["uid"]) == ("Pod", POD, UID)
    assert (on_workload["kind"], on_workload["name"], on_workload["apiVersion"]) == ("Deployment", "acme", "apps/v1")
    assert [(one["type"], one["reason"]) for one in cluster.told] == [
        ("Normal", "Released"),
        ("Warning", "DrainTooLong"),
    ]
    assert len(json.dumps(cluster.told[1]["message"])) <= 1024


def test_an_event_that_cannot_be_written_keeps_nobody_waiting(cluster, side):
    cluster.hang()
    told = side.tell(look(side), UID, "Released", "It is empty.", warning=False)
    asyncio.run(asyncio.wait_for(told, TELL_WITHIN_S / 2))
    assert wait_for(lambda: cluster.writes, "the Event to be sent all the same")


def test_a_warning_is_not_repeated_for_ten_minutes_and_an_edge_always_told(side):
    now_s = [0.0]
    budget = EventBudget(lambda: now_s[0])
    warning = event(look(side), UID, "Ghost", "A ghost for 5 s.", warning=True)
    other_pod = event(look(side), kube.uid("Pod", "acme-7b9-b"), "Ghost", "A ghost.", warning=True)
    edge = event(look(side), UID, "RetirementState", "It drains.", warning=False)
    assert [budget.admits(one) for one in (warning, warning, other_pod, edge, edge)] == [True, False, True, True, True]
    now_s[0] = 599.0
    assert not budget.admits(warning)
    now_s[0] = 600.0
    assert budget.admits(warning)


def test_no_more_than_one_event_a_second_is_written_for_long(side):
    now_s = [0.0]
    budget = EventBudget(lambda: now_s[0])
    edge = event(look(side), UID, "RetirementState", "It drains.", warning=False)
    assert sum(budget.admits(edge) for _ in range(1000)) == BURST
    admitted = 0
    for tenth in range(1, 601):
        now_s[0] = tenth / 10
        admitted += budget.admits(edge)
    assert 59 <= admitted <= 60
