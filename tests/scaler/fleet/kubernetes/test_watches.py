"""The watches against a server that changes, forgets, hangs, cuts and goes away."""

import asyncio
import threading
import time

from scaler.core.fleets import FleetKey, PodState
from scaler.fleet.kubernetes.api import Timings
from tests.servers import kube_objects as kube
from tests.servers.processes import wait_for

ACME = FleetKey("voice", "acme")
PODS = "/api/v1/pods"


def fleet_when(fleets, condition, what):
    """The fleet as soon as it is as said."""

    def look():
        seen = fleets.seen()
        fleet = seen.fleets.get(ACME)
        return fleet if fleet is not None and seen.complete and condition(fleet) else None

    return wait_for(look, what, at_most_s=20)


def names(fleet):
    return {pod.name for pod in fleet.pods}


def test_the_first_list_shows_the_fleet_with_its_bounds_and_pods(cluster, watch):
    fleet = fleet_when(watch(cluster), lambda f: len(f.pods) == 2, "the first list")

    assert (fleet.policy, fleet.tenants, fleet.pool) == ("voice", ("acme",), None)
    assert fleet.workload == "Deployment/acme"
    assert (fleet.spec_replicas, fleet.status_replicas) == (2, 2)
    assert (fleet.minimum_replicas, fleet.maximum_replicas) == (2, 40)
    assert fleet.exact_tolerance
    assert not fleet.paused
    assert fleet.fault is None
    assert fleet.count(PodState.SERVING) == 2
    assert all(pod.current_revision and pod.node == "node-1" and not pod.replacing for pod in fleet.pods)


def test_before_the_first_list_nothing_is_claimed_to_be_complete(cluster, watch):
    cluster.hang()
    seen = watch(cluster, timings=Timings()).seen()
    assert not seen.complete
    assert "first list" in seen.problem
    assert seen.fleets == {}
    cluster.wake()


def test_pods_that_come_change_and_go_are_followed(cluster, watch):
    fleets = watch(cluster)
    fleet_when(fleets, lambda f: len(f.pods) == 2, "the first list")

    starting = cluster.put(kube.pod("acme-7b9-c"))
    fleet_when(fleets, lambda f: f.count(PodState.STARTING) == 1, "the new pod")
    cluster.put(kube.pod("acme-7b9-c", ready_after_s=70))
    fleet_when(fleets, lambda f: f.count(PodState.SERVING) == 3, "the new pod's readiness")
    cluster.delete(starting)
    fleet_when(fleets, lambda f: names(f) == {"acme-7b9-a", "acme-7b9-b"}, "the pod's deletion")


def test_a_scaled_object_that_comes_later_finds_pods_that_were_there_before(cluster, watch):
    fleets = watch(cluster)
    fleet_when(fleets, lambda f: len(f.pods) == 2, "the first list")
    scaled = kube.scaled_object("second", target="acme")
    cluster.put(scaled)
    second = wait_for(lambda: fleets.seen().fleets.get(FleetKey("voice", "second")), "the second ScaledObject")
    assert len(second.pods) == 2
    cluster.delete(scaled)
    wait_for(lambda: FleetKey("voice", "second") not in fleets.seen().fleets, "its deletion")


def test_what_lies_in_other_namespaces_is_dropped_when_namespaces_are_named(cluster, watch):
    elsewhere = kube.scaled_object("second", target="acme")
    elsewhere["metadata"]["namespace"] = "other"
    cluster.put(elsewhere)
    everywhere, here = watch(cluster), watch(cluster, namespaces=("voice",))
    assert fleet_when(everywhere, lambda f: len(f.pods) == 2, "the first list")
    assert fleet_when(here, lambda f: len(f.pods) == 2, "the first list")
    assert set(everywhere.seen().fleets) == {ACME, FleetKey("other", "second")}
    assert set(here.seen().fleets) == {ACME}


def test_after_410_nothing_that_changed_unseen_is_lost(cluster, watch):
    fleets = watch(cluster)
    fleet_when(fleets, lambda f: len(f.pods) == 2, "the first list")

    cluster.compact(quietly=kube.pod("acme-7b9-d", ready_after_s=30), deleting=kube.pod("acme-7b9-a"))

    fleet = fleet_when(fleets, lambda f: "acme-7b9-d" in names(f), "the list after 410")
    assert names(fleet) == {"acme-7b9-b", "acme-7b9-d"}
    cluster.put(kube.pod("acme-7b9-e"))
    fleet_when(fleets, lambda f: "acme-7b9-e" in names(f), "a change after the new list")


def test_a_continue_token_that_expired_between_two_pages_starts_the_list_anew(cluster, watch):
    for n in range(501):
        cluster.put(kube.pod(f"acme-7b9-{n:04}", ready_after_s=30))
    cluster.expire_pages = True
    fleet_when(watch(cluster), lambda f: len(f.pods) == 503, "all pages")


def test_a_cut_stream_resumes_without_a_new_list(cluster, watch):
    fleets = watch(cluster)
    fleet_when(fleets, lambda f: len(f.pods) == 2, "the first list")
    cluster.put(kube.pod("acme-7b9-c"))
    fleet_when(fleets, lambda f: "acme-7b9-c" in names(f), "the change before the cut")
    lists, seen_until = cluster.asked(PODS, watch=False), cluster.version

    cluster.cut()
    cluster.put(kube.pod("acme-7b9-d"))

    fleet_when(fleets, lambda f: "acme-7b9-d" in names(f), "the change during the cut")
    assert cluster.asked(PODS, watch=False) == lists
    resumed = [query["resourceVersion"] for path, query in cluster.requests if path == PODS and "watch" in query]
    assert int(resumed[-1]) >= seen_until


def test_a_silent_connection_is_noticed_and_what_was_seen_stays(cluster, watch):
    fleets = watch(cluster)
    before = fleet_when(fleets, lambda f: len(f.pods) == 2, "the first list")

    cluster.hang()

    broken = wait_for(lambda: seen if not (seen := fleets.seen()).complete else None, "the hang", at_most_s=20)
    assert "Timeout" in broken.problem or "nothing was heard" in broken.problem
    assert names(broken.fleets[ACME]) == names(before)
    assert broken.observed_at_s < time.time()
    assert fleets.seen().observed_at_s == broken.observed_at_s

    cluster.wake()
    cluster.put(kube.pod("acme-7b9-c"))
    fleet_when(fleets, lambda f: "acme-7b9-c" in names(f), "the change after the hang")


def test_a_server_that_was_away_is_found_again(cluster, watch):
    fleets = watch(cluster)
    fleet_when(fleets, lambda f: len(f.pods) == 2, "the first list")

    cluster.stop()
    away = wait_for(lambda: seen if not (seen := fleets.seen()).complete else None, "the absence", at_most_s=20)
    assert len(away.fleets[ACME].pods) == 2
    cluster.put(kube.pod("acme-7b9-c"))
    cluster.start()

    fleet_when(fleets, lambda f: "acme-7b9-c" in names(f), "the change during the absence")


def test_a_server_that_is_away_at_the_start_is_found_when_it_comes(cluster, watch):
    cluster.stop()
    fleets = watch(cluster)
    away = wait_for(lambda: seen if "refused" in str((seen := fleets.seen()).problem) else None, "the refusal")
    assert not away.complete
    cluster.start()
    fleet_when(fleets, lambda f: len(f.pods) == 2, "the first list")


def test_a_forbidden_list_names_the_resource_and_the_remedy(cluster, watch):
    cluster.refused[PODS] = 403
    fleets = watch(cluster)
    problem = wait_for(lambda: p if "403" in (p := str(fleets.seen().problem)) else None, "the refusal")
    assert PODS in problem
    assert "docs/kubernetes.md" in problem
    assert "s3cret" not in problem


def test_a_cluster_without_keda_has_no_scaled_objects_and_that_is_no_problem(cluster, watch):
    path = "/apis/keda.sh/v1alpha1/scaledobjects"
    cluster.refused[path] = 404
    fleets = watch(cluster)
    assert wait_for(lambda: seen if (seen := fleets.seen()).complete else None, "all lists").fleets == {}


def test_scaled_objects_that_were_seen_survive_a_server_that_does_not_serve_them_yet(cluster, watch):
    fleets = watch(cluster)
    fleet_when(fleets, lambda f: len(f.pods) == 2, "the first list")
    cluster.refused_lists["/apis/keda.sh/v1alpha1/scaledobjects"] = 404
    cluster.compact()
    seen = wait_for(lambda: s if "404" in str((s := fleets.seen()).problem) else None, "the 404")
    assert "is KEDA still installed?" in seen.problem
    assert not seen.complete
    assert ACME in seen.fleets
    cluster.refused_lists.clear()
    fleet_when(fleets, lambda f: len(f.pods) == 2, "the ScaledObjects again")


def test_a_server_that_answers_410_to_every_watch_is_not_asked_in_a_busy_loop(cluster, watch):
    with cluster.changed:
        cluster.oldest[PODS] = 10**9
    fleets = watch(cluster, timings=Timings(watch_s=1, first_retry_s=60, longest_retry_s=60))
    wait_for(lambda: "too old" in str(fleets.seen().problem), "the problem")
    # Another watch that has come to its end shows that a second has passed: a busy loop would be at hundreds by now.
    wait_for(lambda: cluster.asked("/apis/apps/v1/deployments", watch=True) >= 2, "the other watches")
    assert cluster.asked(PODS, watch=False) <= 3


def test_replica_sets_are_asked_for_by_their_metadata_only(cluster, watch):
    fleet_when(watch(cluster), lambda f: len(f.pods) == 2, "the first list")
    wanted = {
        headers["Accept"]
        for (path, _), headers in zip(cluster.requests, cluster.headers, strict=False)
        if path.endswith("replicasets")
    }
    assert all("as=PartialObjectMetadata" in accept for accept in wanted)


def test_every_request_carries_the_token(cluster, watch):
    fleet_when(watch(cluster), lambda f: len(f.pods) == 2, "the first list")
    assert {headers.get("authorization") for headers in cluster.headers} == {"Bearer s3cret"}


def test_a_thread_that_hangs_where_no_time_out_reaches_is_noticed_all_the_same(cluster, watch, monkeypatch):
    fleets = watch(cluster, timings=Timings(watch_s=300))
    fleet_when(fleets, lambda f: len(f.pods) == 2, "the first list")
    later_s = time.monotonic() + Timings(watch_s=300).noticed_within_s + 1
    monkeypatch.setattr("scaler.fleet.kubernetes.reflector.time.monotonic", lambda: later_s)
    seen = fleets.seen()
    assert not seen.complete
    assert "nothing was heard of Pods" in seen.problem
    assert len(seen.fleets[ACME].pods) == 2


def test_stopping_wakes_every_watch_and_ends_its_thread(cluster, watch):
    fleets = watch(cluster, timings=Timings(watch_s=300))
    fleet_when(fleets, lambda f: len(f.pods) == 2, "the first list")
    ours = [thread for thread in threading.enumerate() if thread.name.startswith("watch-")]
    assert len(ours) == 6
    asyncio.run(fleets.stop())
    assert not any(thread.is_alive() for thread in ours)
