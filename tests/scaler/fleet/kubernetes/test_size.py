"""A cluster of thousands of pods: what is kept of each, and what one change costs."""

import threading
import tracemalloc

from scaler.core.fleets import FleetKey, PodState
from scaler.fleet.kubernetes import objects
from scaler.fleet.kubernetes.memory import PodSink
from tests.servers import kube_objects as kube
from tests.servers.processes import wait_for

PODS = 2000


def test_a_fleet_of_2000_pods_is_listed_in_pages_and_followed_by_single_events(cluster, watch):
    for n in range(PODS):
        cluster.put(kube.pod(f"acme-{n:04}", ready_after_s=30 + n % 60))
    fleets = watch(cluster)

    def fleet_with(pods):
        def look():
            seen = fleets.seen()
            fleet = seen.fleets.get(FleetKey("voice", "acme"))
            return fleet if seen.complete and fleet and len(fleet.pods) == pods else None

        return wait_for(look, f"{pods} pods")

    assert fleet_with(PODS + 2).count(PodState.SERVING) == PODS + 2
    pages = cluster.asked("/api/v1/pods", watch=False)
    assert pages == 5
    assert len(fleets.pod_leads_s()[FleetKey("voice", "acme")]) == 200

    cluster.put(kube.pod("acme-new"))
    assert fleet_with(PODS + 3).count(PodState.STARTING) == 1
    assert cluster.asked("/api/v1/pods", watch=False) == pages


def test_a_pod_takes_a_small_part_of_its_json():
    drain = (
        '{"purpose": "shrink", "cause": "not-needed", "beganAt": "2026-01-05T09:00:00+00:00", "leader": "a", "term": 3}'
    )
    items = [
        kube.pod(f"acme-{n:04}", ready_after_s=30, protected="true", state="draining", drain=drain) for n in range(PODS)
    ]
    sink = PodSink(threading.RLock())
    tracemalloc.start()
    try:
        for item in items:
            sink.put(objects.uid_of(item), objects.pod(item))
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # The strings of the items are shared with them here, and are a hundred bytes or two of what is kept.
    assert kept / PODS < 1000
