"""What retirement costs with thousands of pods, and how long an empty pod is still paid for.

    make bench-retirement [BENCH_ARGS="--fleets 500 --pods 10"]

kube-apiserver, its controllers, KEDA, Prometheus and both replicas of calltide are real. The pods are nothing but their
status and an address at which a simulated PBX answers ARI. At rest first; then a tenth of the fleets lose a pod at the
same time, then all of them. Every phase is bounded; runs inside a rig's enclosure.
"""

from __future__ import annotations

import argparse
import resource
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial

import httpx
import numpy as np
from rich.console import Console
from rich.table import Table

from bench.rig_usage import requests, requests_table, usage, usage_table
from tests.rig import fleets
from tests.rig.images.pbx_simulator import PORT
from tests.rig.installation import Installation
from tests.rig.place import current
from tests.rig.rig import Rig
from tests.rig.watching import Object, Watch
from tests.servers.processes import wait_for

NAMESPACE = "valley"
CHANNELS_PER_POD = 100
CALLS_OF_POD = 20
QUIET_WINDOW_S = 35
CALLS_LAST_S = 2.0 * QUIET_WINDOW_S
"""From the moment in which a pod drains until its last call has ended: the quiet window is over by then."""
PODS_OF_NODE = 1100
APPLIED_AT_ONCE = 50
PHASE_AT_MOST_S = 900.0
STATE = "calltide.io/state"

POLICY = f"""
apiVersion: calltide.io/v1
kind: Policy
metadata: {{name: valley}}
spec:
  history:
    channels: max by (tenant) (rig_channels{{tenant=~"valley-.*"}})
    lookBack: 1d
  capacity: {{channelsPerPod: {CHANNELS_PER_POD}, targetOccupancy: 1}}
  reactive: {{headroom: 0, maximumDataAge: 20s}}
  lead: {{default: 30s}}
  maxPods: 100
  guardrails: {{confirmChangeAbove: 100}}
  retirement:
    mode: "on"
    lookAhead: 10s
    quietWindow: {QUIET_WINDOW_S}s
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run it and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fleets", type=int, default=500)
    parser.add_argument("--pods", type=int, default=10, help="of each fleet")
    parser.add_argument("--seconds", type=int, default=180, help="how long the rest is measured")
    given = parser.parse_args(arguments)
    # The node agent listens at every pod's address.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    rig = Rig(current(), nodes=4 + given.fleets * given.pods // PODS_OF_NODE)
    try:
        rig.start()
        calltide = Installation(rig)
        calltide.apply()
        names = [f"valley-{number:04}" for number in range(given.fleets)]
        _stand_up(rig, calltide, names, given.pods)
        _measure(rig, calltide, names, given.pods, given.seconds)
    finally:
        rig.stop()


class Departures:
    """Watches the pods: ends the calls of each that drains, and notes when it was empty and when it was deleted."""

    def __init__(self, rig: Rig) -> None:
        self._client = rig.control_plane.client("bench-watcher", "system:masters")
        self._http = httpx.Client(timeout=10)
        self.empty_s: dict[str, float] = {}
        self.gone_s: dict[str, float] = {}
        self.draining: set[str] = set()
        self._watch = Watch(self._client, f"/api/v1/namespaces/{NAMESPACE}/pods", self._see)

    def start(self, addresses: Sequence[str]) -> None:
        """Put calls onto all pods, and watch from now on."""
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda address: self._have(address, CALLS_OF_POD), addresses))
        self._watch.start()

    def stop(self) -> None:
        """Watch no more."""
        self._watch.stop()
        self._client.close()
        self._http.close()

    def _have(self, address: str, channels: int) -> None:
        url = f"http://{address}:{PORT}/simulator/channels"
        self._http.put(url, json={"count": channels}).raise_for_status()

    def _see(self, kind: str, pod: Object) -> None:
        if kind == "DELETED":
            return
        metadata, address = pod["metadata"], pod["status"].get("podIP")
        uid = metadata["uid"]
        if "deletionTimestamp" in metadata:
            self.gone_s.setdefault(uid, time.monotonic())
        elif (metadata.get("annotations") or {}).get(STATE) == "draining" and uid not in self.draining and address:
            self.draining.add(uid)
            threading.Timer(CALLS_LAST_S, self._end_calls, (uid, address)).start()

    def _end_calls(self, uid: str, address: str) -> None:
        self._have(address, 0)
        self.empty_s[uid] = time.monotonic()


def _stand_up(rig: Rig, calltide: Installation, names: Sequence[str], pods: int) -> None:
    for name in names:
        _need(rig, name, pods)
    calltide.add_policy("valley", POLICY)
    namespace = fleets.namespace(NAMESPACE)
    namespace["metadata"]["labels"] = {"calltide.io/retirement": "enabled"}
    rig.control_plane.apply(namespace)
    for begin in range(0, len(names), APPLIED_AT_ONCE):
        portion = names[begin : begin + APPLIED_AT_ONCE]
        rig.control_plane.apply(
            *(made for name in portion for made in (_deployment(name, pods), _scaled_object(calltide, name)))
        )
        stands = partial(_stand, rig, calltide, begin + len(portion), pods)
        wait_for(stands, f"{begin + len(portion)} fleets of {pods} pods", at_most_s=PHASE_AT_MOST_S)


def _deployment(name: str, pods: int) -> fleets.Object:
    made = fleets.deployment(name, image="pbx-simulator", replicas=pods, namespace=NAMESPACE)
    made["spec"]["template"]["metadata"]["labels"] = {"app": name, "calltide.io/protected": "true"}
    return made


def _scaled_object(calltide: Installation, name: str) -> fleets.Object:
    trigger = {"scalerAddress": calltide.address, "policy": "valley", "tenant": name}
    return fleets.scaled_object(name, namespace=NAMESPACE, metadata=trigger, polling_interval_s=30)


def _stand(rig: Rig, calltide: Installation, count: int, pods: int) -> bool:
    active, ready = calltide.scaling_active(NAMESPACE), rig.ready_replicas(NAMESPACE)
    return sum(active.values()) == count and sum(ready.values()) == count * pods


def _need(rig: Rig, name: str, pods: int) -> None:
    rig.monitoring.set_load(name, (pods - 0.5) * CHANNELS_PER_POD)


def _measure(rig: Rig, calltide: Installation, names: Sequence[str], pods: int, seconds: int) -> None:
    departures, left = Departures(rig), dict.fromkeys(names, pods)
    found = rig.control_plane.items(f"/api/v1/namespaces/{NAMESPACE}/pods")
    departures.start([pod["status"]["podIP"] for pod in found])
    lengths = Table("phase", "pods", "p50 s", "p99 s", "longest s", title="from the last call to the delete")
    try:
        with _measured(rig, calltide, "at rest"):
            time.sleep(seconds)
        for phase, falling in (("a tenth of the fleets", names[: max(1, len(names) // 10)]), ("all fleets", names)):
            draining, gone = len(departures.draining), len(departures.gone_s)
            before = set(departures.gone_s)
            for name in falling:
                left[name] -= 1
                _need(rig, name, left[name])
            _wait(partial(_more, departures.draining, draining + 1), f"{phase}: the first to drain")
            with _measured(rig, calltide, f"{phase} drain a pod"):
                _wait(partial(_more, departures.gone_s, gone + len(falling)), f"{phase}: a pod of each gone")
            lengths.add_row(phase, *_paid_for(departures, departures.gone_s.keys() - before))
            # At once: what was measured is not lost with a phase that does not come to its end.
            Console().print(lengths)
    finally:
        departures.stop()


def _more(seen: Collection[str], count: int) -> bool:
    return len(seen) >= count


def _wait(condition: Callable[[], bool], what: str) -> None:
    wait_for(condition, what, at_most_s=PHASE_AT_MOST_S)


@contextmanager
def _measured(rig: Rig, calltide: Installation, phase: str) -> Iterator[None]:
    before, requests_before = usage(calltide), requests(rig)
    yield
    after, counted = usage(calltide), requests(rig) - requests_before
    console = Console()
    console.rule(f"{phase}, {after.at_s - before.at_s:.0f} s")
    console.print(usage_table(before, after))
    console.print(requests_table(counted, after.at_s - before.at_s))


def _paid_for(departures: Departures, uids: Collection[str]) -> Sequence[str]:
    """How many pods, and how long each was paid for after its last call (p50, p99, longest)."""
    lengths_s = [departures.gone_s[uid] - departures.empty_s[uid] for uid in uids]
    return str(len(lengths_s)), *(f"{value:.1f}" for value in np.percentile(lengths_s, [50, 99, 100]))


if __name__ == "__main__":
    main()
