"""What calltide costs a cluster, and how fast KEDA has its answers: 500 ScaledObjects on a real control plane.

    make bench-rig [BENCH_ARGS="--fleets 500 --seconds 180"]

Everything is real: kube-apiserver, KEDA, two replicas of calltide with mutual TLS, a process per pod. A tenth as many
fleets by KEDA's own prometheus scaler run beside them, so that the latency has a peer of the same run. Bounded by
--seconds; runs inside a rig's enclosure.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from typing import Any

import httpx
import numpy as np
from prometheus_client.parser import text_string_to_metric_families
from rich.console import Console
from rich.table import Table

from bench.rig_usage import requests, requests_table, usage, usage_table
from tests.rig import fleets
from tests.rig.installation import Installation
from tests.rig.place import current
from tests.rig.rig import Rig
from tests.servers.processes import wait_for

NAMESPACE, PEER_NAMESPACE = "load", "peer"
CHANNELS_PER_POD = 100
LOOK_EVERY_S = 5.0
POLLING_INTERVAL_S = 30
APPLIED_AT_ONCE = 100

POLICY = f"""
apiVersion: calltide.io/v1
kind: Policy
metadata: {{name: load}}
spec:
  history:
    channels: max by (tenant) (rig_channels{{tenant=~"load-.*"}})
    lookBack: 1d
  capacity: {{channelsPerPod: {CHANNELS_PER_POD}}}
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run it and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fleets", type=int, default=500)
    parser.add_argument("--seconds", type=int, default=180, help="how long it is measured")
    given = parser.parse_args(arguments)
    rig = Rig(current())
    try:
        rig.start()
        calltide = Installation(rig)
        calltide.apply()
        names = [f"load-{number:04}" for number in range(given.fleets)]
        peers = [f"peer-{number:04}" for number in range(max(1, given.fleets // 10))]
        _stand_up(rig, calltide, names, peers)
        _measure(rig, calltide, given.seconds)
    finally:
        rig.stop()


def _stand_up(rig: Rig, calltide: Installation, names: Sequence[str], peers: Sequence[str]) -> None:
    for name in (*names, *peers):
        rig.monitoring.set_load(name, CHANNELS_PER_POD / 2)
    calltide.add_policy("load", POLICY)
    rig.control_plane.apply(fleets.namespace(NAMESPACE), fleets.namespace(PEER_NAMESPACE))
    objects: Iterator[Any] = (
        made
        for namespace, group in ((NAMESPACE, names), (PEER_NAMESPACE, peers))
        for name in group
        for made in (
            fleets.deployment(name, image="pause", replicas=1, namespace=namespace),
            _scaled_object(rig, calltide, namespace, name),
        )
    )
    while portion := list(islice(objects, APPLIED_AT_ONCE)):
        rig.control_plane.apply(*portion)
    for namespace, group in ((NAMESPACE, names), (PEER_NAMESPACE, peers)):
        stands = partial(_stand, rig, calltide, namespace, len(group))
        wait_for(stands, f"{len(group)} fleets of {namespace} to be scaled", at_most_s=900)


def _stand(rig: Rig, calltide: Installation, namespace: str, count: int) -> bool:
    active, ready = calltide.scaling_active(namespace), rig.ready_replicas(namespace)
    return sum(active.values()) == count == sum(ready.values())


def _scaled_object(rig: Rig, calltide: Installation, namespace: str, name: str) -> fleets.Object:
    if namespace == NAMESPACE:
        metadata = {"scalerAddress": calltide.address, "policy": "load", "tenant": name}
        return fleets.scaled_object(name, namespace=namespace, metadata=metadata, polling_interval_s=POLLING_INTERVAL_S)
    trigger = {
        "type": "prometheus",
        "metricType": "AverageValue",
        "metadata": {
            "serverAddress": rig.monitoring.url,
            "query": f'max(rig_channels{{tenant="{name}"}})',
            "threshold": str(CHANNELS_PER_POD),
        },
    }
    return fleets.scaled_object_by(
        name, namespace=namespace, triggers=[trigger], maximum=10, polling_interval_s=POLLING_INTERVAL_S
    )


def _measure(rig: Rig, calltide: Installation, seconds: int) -> None:
    latencies_s: dict[str, list[float]] = {"external": [], "prometheus": []}
    before, requests_before = usage(calltide), requests(rig)
    until_s = time.monotonic() + seconds
    while time.monotonic() < until_s:
        for scaler, values in _latencies_s(rig.keda.operator_metrics_url).items():
            latencies_s.setdefault(scaler, []).extend(values)
        time.sleep(LOOK_EVERY_S)
    after, requests_of_calltide = usage(calltide), requests(rig) - requests_before
    console = Console()
    console.print(_latency_table(latencies_s))
    console.print(usage_table(before, after))
    console.print(requests_table(requests_of_calltide, after.at_s - before.at_s))


def _latencies_s(url: str) -> dict[str, list[float]]:
    """What KEDA's operator measured last for each trigger, by kind of scaler."""
    found: dict[str, list[float]] = {}
    for family in text_string_to_metric_families(httpx.get(url, timeout=30).text):
        for sample in family.samples:
            if sample.name == "keda_scaler_metrics_latency_seconds":
                kind = "external" if "external" in sample.labels["scaler"].lower() else "prometheus"
                found.setdefault(kind, []).append(sample.value)
    return found


def _latency_table(latencies_s: Mapping[str, Sequence[float]]) -> Table:
    table = Table("scaler", "values", "p50 ms", "p99 ms", "p99 / peer's", title="keda_scaler_metrics_latency_seconds")
    peer_s = np.percentile(latencies_s["prometheus"], 99)
    for scaler, values in latencies_s.items():
        p50_s, p99_s = np.percentile(values, [50, 99])
        table.add_row(scaler, str(len(values)), f"{1000 * p50_s:.1f}", f"{1000 * p99_s:.1f}", f"{p99_s / peer_s:.2f}")
    return table


if __name__ == "__main__":
    main()
