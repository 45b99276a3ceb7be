"""What retirement sees of a fleet: its pods with their marks, its nodes, whether a new pod could come, freezes."""

from dataclasses import replace

import pytest

from scaler.core.fleets import FleetKey
from scaler.fleet.kubernetes import objects
from scaler.fleet.kubernetes.looking import LONGEST_GAP_S, Sight, StaleNodes, UnmadePods, look_at
from scaler.fleet.kubernetes.memory import ClusterMemory
from scaler.fleet.kubernetes.observe import claims
from scaler.retirement.observed import WayUp, Workload
from scaler.retirement.readings import Unproved
from scaler.retirement.states import Purpose, RetirementState, Wish
from tests.servers import kube_objects as kube
from tests.servers.processes import wait_for

ACME = FleetKey("voice", "acme")
WALL_S = kube.MONDAY_S + 1000.0
OUT_OF_SERVICE = "node.kubernetes.io/out-of-service"
DRAIN = '{"purpose": "replace", "cause": "asked", "beganAt": "2026-01-05T09:00:00+00:00", "leader": "a", "term": 3}'
STRIP = {
    "ScaledObject": ("scaled_objects", objects.scaled_object),
    "HorizontalPodAutoscaler": ("hpas", objects.hpa),
    "Deployment": ("deployments", objects.deployment),
    "StatefulSet": ("stateful_sets", objects.stateful_set),
    "ReplicaSet": ("replica_sets", objects.replica_set),
    "Pod": ("pods", objects.pod),
    "Node": ("nodes", objects.node),
    "Namespace": ("namespaces", objects.namespace),
}
READY = {"ready_after_s": 40}


def remember(*items):
    memory = ClusterMemory()
    for item in items:
        put(memory, item)
    return memory


def put(memory, item):
    shelf, strip = STRIP[item["kind"]]
    item["metadata"].setdefault("resourceVersion", "7001")
    getattr(memory, shelf).put(objects.uid_of(item), strip(item))


def whole(*pods, scaled=None, hpa=None, workload=None, **others):
    """A fleet of a Deployment with these pods, one node and its namespace."""
    fleet = (scaled or kube.scaled_object(), hpa or kube.hpa(), workload or kube.deployment(), kube.replica_set())
    return remember(*fleet, *pods, others.get("node") or kube.node(), others.get("namespace") or kube.namespace())


def look(memory, *, problem=None, stale=None):
    (claim,) = claims(memory, ("calltide.calltide.svc:9090",), ())
    return look_at(memory, claim, Sight(500.0, WALL_S, stale or {}, problem))


def only_pod(memory):
    (pod,) = look(memory).pods
    return pod


def test_a_look_has_the_target_with_its_version_and_where_to_ask_each_pod():
    memory = whole(kube.pod(**READY), kube.pod("acme-7b9-b"), workload=kube.deployment(replicas=3))
    seen = look(memory)
    assert (seen.key, seen.workload, seen.workload_name) == (ACME, Workload.DEPLOYMENT, "Deployment/acme")
    assert (seen.spec_replicas, seen.scale_version, seen.looked_at_s) == (3, "7001", 500.0)
    first = seen.targets[kube.uid("Pod", "acme-7b9-a")]
    assert (first.name, first.address) == ("acme-7b9-a", "127.2.0.7")
    assert seen.way_up == WayUp()


def test_a_pod_is_what_its_object_says_and_nothing_of_its_calls():
    pod = only_pod(whole(kube.pod(**READY, protected="true", wish="replace")))
    assert (pod.version, pod.version_read_s, pod.node, pod.zone) == ("7001", 500.0, "node-1", "z1")
    assert (pod.state, pod.protected, pod.ready, pod.started, pod.was_ready) == (
        RetirementState.ACTIVE, True, True, True, True,
    )  # fmt: skip
    assert pod.wish is Wish.REPLACE
    assert isinstance(pod.reading, Unproved)


def test_a_drain_stands_on_the_pod_with_its_record():
    pod = only_pod(whole(kube.pod(**READY, state="draining", drain=DRAIN)))
    assert pod.state is RetirementState.DRAINING
    assert (pod.drain.purpose, pod.drain.leader, pod.drain.term) == (Purpose.REPLACE, "a", 3)


def test_a_released_pod_is_no_longer_protected_from_calltide():
    pod = only_pod(whole(kube.pod(**READY, state="released", protected="released")))
    assert (pod.state, pod.protected, pod.evidence) == (RetirementState.RELEASED, False, None)


def test_a_state_that_means_nothing_pins_the_pod():
    assert "'dranied'" in only_pod(whole(kube.pod(**READY, state="dranied"))).pinned


@pytest.mark.parametrize(
    ("pod", "asked", "state"),
    [
        ({"phase": "Pending"}, True, RetirementState.STARTING),
        (READY, True, RetirementState.ACTIVE),
        (READY | {"lost_after_s": 600}, True, RetirementState.ACTIVE),
        (READY | {"deleting": True}, False, RetirementState.ACTIVE),
        (READY | {"phase": "Failed"}, False, RetirementState.ACTIVE),
        ({"phase": "Pending", "state": "released"}, True, RetirementState.RELEASED),
    ],
)
def test_pods_that_end_are_not_asked_and_those_never_ready_are_starting(pod, asked, state):
    seen = look(whole(kube.pod(**pod)))
    assert [one.state for one in seen.pods] == [state]
    assert bool(seen.targets) is asked


def with_statuses(*statuses, annotation=None):
    pod = kube.pod(**READY, **({} if annotation is None else {"container": annotation}))
    pod["spec"]["containers"] = [{"name": "asterisk"}, {"name": "accounting"}]
    pod["status"]["containerStatuses"] = list(statuses)
    return pod


def status(name, restarts, state=None, last=None):
    return {
        "name": name,
        "restartCount": restarts,
        "containerID": f"containerd://{name}-{restarts}",
        "state": {"running": {}} if state is None else state,
        "lastState": last or {},
    }


ACCOUNTING, ASTERISK = status("accounting", 4), status("asterisk", 1)


@pytest.mark.parametrize(
    ("annotation", "container"),
    [
        (None, "containerd://asterisk-1#1"),
        ("accounting", "containerd://accounting-4#4"),
        ("asterik", "containerd://accounting-4#4,containerd://asterisk-1#1"),
    ],
)
def test_the_run_is_that_of_the_media_servers_container_or_of_all_when_its_name_is_wrong(annotation, container):
    # Sorted by name, as the kubelet does: the pod's first container is the second of them.
    seen = look(whole(with_statuses(ACCOUNTING, ASTERISK, annotation=annotation)))
    (target,) = seen.targets.values()
    assert target.container == container


WAITS = {"waiting": {"reason": "ContainerCreating"}}


@pytest.mark.parametrize(
    ("statuses", "started"),
    [
        ([], False),
        ([status("asterisk", 0, WAITS)], False),
        ([status("asterisk", 0, WAITS), ACCOUNTING], True),
        ([status("asterisk", 1, {"waiting": {"reason": "CrashLoopBackOff"}})], True),
        ([status("asterisk", 0, WAITS, {"terminated": {}})], True),
        ([status("asterisk", 0, {"terminated": {}})], True),
    ],
)
def test_a_pod_has_started_once_any_of_its_containers_ever_ran(statuses, started):
    assert only_pod(whole(with_statuses(*statuses))).started is started


def test_a_stateful_set_numbers_its_pods_and_a_deployment_does_not():
    owned = {"owner": ("StatefulSet", "acme"), "ready_after_s": 40}
    target = {"scaleTargetRef": {"name": "acme", "kind": "StatefulSet"}}
    old = kube.pod("acme-11", **owned)
    old["metadata"]["labels"]["controller-revision-hash"] = "acme-before"
    memory = remember(
        kube.scaled_object(**target), kube.hpa(), kube.stateful_set(), kube.pod("acme-0", **owned), old, kube.node()
    )
    seen = look(memory)
    assert (seen.workload, seen.workload_name) == (Workload.STATEFUL_SET, "StatefulSet/acme")
    assert {pod.name: (pod.ordinal, pod.current_revision) for pod in seen.pods} == {
        "acme-0": (0, True),
        "acme-11": (11, False),
    }
    assert only_pod(whole(kube.pod("acme-7b9-123", **READY))).ordinal is None


def test_pods_of_an_older_replica_set_are_of_an_old_revision():
    workload = kube.deployment(revision=2)
    memory = whole(kube.pod(**READY), workload=workload)
    put(memory, kube.replica_set(hash_="8c0", revision=2))
    put(memory, kube.pod("acme-8c0-b", owner=("ReplicaSet", "acme-8c0"), **READY))
    assert {pod.name: pod.current_revision for pod in look(memory).pods} == {"acme-7b9-a": False, "acme-8c0-b": True}


def test_only_nodes_that_carry_the_fleet_are_told_of_and_all_are_counted():
    memory = whole(kube.pod(**READY), node=kube.node(cordoned=True))
    put(memory, kube.node("node-2", taint=OUT_OF_SERVICE))
    (node,) = look(memory).nodes
    assert (node.name, node.cordoned, node.out_of_service, node.lease_stale_for_s) == ("node-1", True, False, 0.0)
    assert look(memory).cluster_nodes == 2


def test_a_node_is_out_of_service_by_its_taint_and_no_other():
    assert look(whole(kube.pod(**READY), node=kube.node(taint=OUT_OF_SERVICE))).nodes[0].out_of_service
    unreachable = kube.node(taint="node.kubernetes.io/unreachable", ready="Unknown")
    assert not look(whole(kube.pod(**READY), node=unreachable)).nodes[0].out_of_service


def test_a_stale_lease_counts_from_when_it_was_seen_so_and_anew_after_every_break():
    memory, stale = whole(kube.pod(**READY)), StaleNodes()

    def follow(now_s, *, unbroken=True):
        stale.follow(memory, now_s, unbroken=unbroken)
        return dict(stale.since_s)

    assert follow(100.0) == {}
    put(memory, kube.node(ready="False"))  # it is there, and says itself that it is not well
    assert follow(110.0) == {}
    put(memory, kube.node(ready="Unknown"))
    assert follow(120.0) == {"node-1": 120.0}
    assert follow(130.0) == {"node-1": 120.0}
    assert look(memory, stale=stale.since_s).nodes[0].lease_stale_for_s == 380.0
    assert follow(140.0, unbroken=False) == {"node-1": 140.0}
    assert follow(150.0) == {"node-1": 140.0}
    put(memory, kube.node(ready="True"))
    assert follow(160.0) == {}


def test_a_stale_lease_is_not_counted_over_a_time_in_which_nobody_looked():
    memory, stale = whole(kube.pod(**READY), node=kube.node(ready="Unknown")), StaleNodes()

    def stale_for_s(now_s):
        stale.follow(memory, now_s, unbroken=True)
        return now_s - stale.since_s["node-1"]

    assert [stale_for_s(100.0), stale_for_s(100.0 + LONGEST_GAP_S)] == [0.0, LONGEST_GAP_S]
    # The leadership was lost, with the API server away for ten minutes: all watches are well again by now.
    assert [stale_for_s(715.0), stale_for_s(720.0)] == [0.0, 5.0]


def test_a_node_whose_object_was_removed_has_no_lease_and_its_pods_are_not_ready():
    memory, stale = whole(kube.pod(**READY), node=kube.node("node-2")), StaleNodes()
    stale.follow(memory, 100.0, unbroken=True)
    seen = look(memory, stale=stale.since_s)
    assert [(node.name, node.lease_stale_for_s) for node in seen.nodes] == [("node-1", 400.0)]
    assert [pod.ready for pod in seen.pods] == [False]
    assert seen.targets  # whether its PBX is silent as well has to be asked
    put(memory, kube.node())
    stale.follow(memory, 200.0, unbroken=True)
    assert stale.since_s == {}


def pending(**more):
    return kube.pod("acme-7b9-p", phase="Pending", **more)


def unschedulable(since_s):
    pod = pending()
    condition = {"type": "PodScheduled", "status": "False", "lastTransitionTime": kube.stamp(since_s)}
    pod["status"]["conditions"] = [condition | {"reason": "Unschedulable"}]
    del pod["spec"]["nodeName"]
    return pod


@pytest.mark.parametrize(
    ("pods", "settings", "words"),
    [
        ((), {"hpa": kube.hpa(untrue={"ScalingActive": "FailedGetExternalMetric"})}, ["ScalingActive", "External"]),
        ((), {"hpa": kube.hpa(untrue={"AbleToScale": "FailedUpdateScale"})}, ["AbleToScale", "FailedUpdateScale"]),
        ((), {"hpa": kube.hpa("other")}, ["HPA does not exist"]),
        ((unschedulable(WALL_S - 31),), {}, ["no node takes acme-7b9-p"]),
        ((unschedulable(WALL_S - 29),), {}, []),
        ((pending(created_s=WALL_S - 31),), {}, ["acme-7b9-p has not started for 31 s"]),
        ((pending(created_s=WALL_S - 29),), {}, []),
        ((pending(created_s=WALL_S - 31, deleting=True),), {}, []),
        ((kube.pod(created_s=WALL_S - 900),), {}, []),
    ],
)
def test_the_way_up_is_broken_by_whatever_would_keep_a_new_pod_from_coming(pods, settings, words):
    way_up = look(whole(*pods, **settings)).way_up
    assert len(way_up.faults) == bool(words)
    assert all(word in way_up.faults[0] for word in words)


def test_a_paused_scaled_object_is_no_way_up():
    paused = kube.scaled_object()
    paused["metadata"]["annotations"]["autoscaling.keda.sh/paused"] = "true"
    assert look(whole(scaled=paused)).way_up.faults == ("the ScaledObject is paused",)


def test_a_target_that_its_controller_does_not_reach_is_told_with_for_how_long():
    unmade = UnmadePods()

    def unmade_s(now_s, *pods, **settings):
        seen = replace(look(whole(*pods, workload=kube.deployment(replicas=2)), **settings), looked_at_s=now_s)
        return getattr(unmade.follow({ACME: seen})[ACME].way_up, "unmade_s", None)

    one, other = kube.pod(**READY), kube.pod("acme-7b9-b")
    assert unmade_s(100.0, one, other) == 0.0
    assert unmade_s(110.0, one) == 0.0
    assert unmade_s(125.0, one) == 15.0
    assert unmade_s(130.0, one, kube.pod("acme-7b9-b", deleting=True)) == 0.0
    assert unmade_s(140.0, one, kube.pod("acme-7b9-b", phase="Failed")) == 0.0
    assert unmade_s(150.0, one) == 10.0
    assert unmade_s(160.0, one, problem="watch of Pods: refused") is None
    assert unmade_s(170.0, one) == 0.0


def test_an_hpa_that_has_told_nothing_yet_is_no_way_up():
    silent = kube.hpa()
    del silent["status"]["conditions"]
    assert [fault.count("not known yet") for fault in look(whole(hpa=silent)).way_up.faults] == [1, 1]


def test_nothing_is_known_of_the_way_up_while_a_watch_is_broken():
    way_up = look(whole(), problem="watch of Pods: refused").way_up
    assert isinstance(way_up, Unproved)
    assert "watch of Pods" in way_up.sentence


def test_a_freeze_of_the_workload_or_of_its_namespace_stops_even_deletes():
    frozen = kube.deployment()
    frozen["metadata"]["annotations"]["calltide.io/freeze"] = "carrier works"
    by_namespace = kube.namespace(freeze="move")
    (own,), (whole_namespace,) = (
        look(whole(workload=frozen)).standstills,
        look(whole(namespace=by_namespace)).standstills,
    )
    assert (own.sentence, own.stops_deletes) == ("Frozen: carrier works.", True)
    assert whole_namespace.sentence == "Frozen: move."
    assert look(whole(namespace=kube.namespace(freeze="until=2026-01-05T00:00:00Z over"))).standstills == ()
    assert look(whole(namespace=kube.namespace("other", freeze="elsewhere"))).standstills == ()


def test_a_fleet_whose_workload_is_not_there_is_not_looked_at():
    assert look(remember(kube.scaled_object(), kube.hpa())) is None


@pytest.fixture
def retiring(cluster, watch):
    """The watches of a cluster with a node and a namespace, which have all been listed."""
    cluster.put(kube.node())
    cluster.put(kube.namespace())
    fleets = watch(cluster, retiring=True)
    wait_for(lambda: isinstance(seen(fleets, 0.0).way_up, WayUp), "everything to be listed")
    return fleets


def seen(fleets, now_s):
    """The look through the watches; one of which nothing is known while the fleet is not there."""
    unseen = look(whole(), problem="not seen yet")
    return fleets.look(now_s).get(ACME, unseen)


def test_nothing_is_known_of_the_way_up_from_when_a_watch_breaks_until_it_goes_on(cluster, retiring):
    cluster.stop()
    broken = wait_for(lambda: isinstance((one := seen(retiring, 1.0)).way_up, Unproved) and one, "the break to be seen")
    assert [pod.name for pod in broken.pods] == ["acme-7b9-a", "acme-7b9-b"]  # what was seen last stays
    cluster.start()
    assert wait_for(lambda: seen(retiring, 2.0).way_up == WayUp(), "the watches to go on")


def test_without_the_right_to_see_nodes_nothing_is_known_of_the_way_up(cluster, watch):
    cluster.refused_lists = {"/api/v1/nodes": 403}
    fleets = watch(cluster, retiring=True)
    wait_for(lambda: "/api/v1/nodes answered 403" in getattr(seen(fleets, 0.0).way_up, "detail", ""), "the refusal")
    assert isinstance(seen(fleets, 0.0).way_up, Unproved)


def test_how_long_a_lease_is_stale_begins_anew_when_the_api_server_was_away(cluster, retiring):
    cluster.put(kube.node(ready="Unknown"))

    def stale_for_s(now_s):
        return seen(retiring, now_s).nodes[0].lease_stale_for_s

    # Each look is a second later than the one before, on a clock of the test's own.
    clock = iter(range(100, 1_000_000))
    wait_for(lambda: stale_for_s(next(clock)) > 0, "the node to be stale")
    before_s = [stale_for_s(next(clock)) for _ in range(5_000)][-1]
    assert before_s >= 5_000
    cluster.stop()
    wait_for(lambda: isinstance(seen(retiring, next(clock)).way_up, Unproved), "the break to be seen")
    cluster.start()
    wait_for(lambda: seen(retiring, next(clock)).way_up == WayUp(), "the watches to go on")
    assert stale_for_s(next(clock)) < 5_000
