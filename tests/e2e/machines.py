"""Machines that fail: where a fleet's pods run, how the API server shows their nodes, and what is done to those."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from tests.e2e.retiring import RetiringFleet
from tests.rig.installation import NAMESPACE as CALLTIDE
from tests.rig.installation import Installation
from tests.rig.rig import SPARE, Rig
from tests.rig.voice.plan import CallPlan, Segment
from tests.servers.processes import wait_for

Object = dict[str, Any]
HOST = "kubernetes.io/hostname"
OUT_OF_SERVICE = "node.kubernetes.io/out-of-service"
CLOSED = "rig.calltide.io/closed"
CONTROLLERS_NOTICE_S = 240
"""For what the node controller does 50 s after a node's last renewal of its Lease."""


def on_spare_nodes(*, prefers: str = "") -> Object:
    """Pods on spare nodes, each on one of its own where there is room, or on the one that is preferred.

    A pod of calltide's fleets is not evicted from a node that is not Ready; but none is placed there either.
    """
    lasting = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
    apart = {"podAffinityTerm": {"topologyKey": HOST, "labelSelector": {"matchLabels": {"app": "asterisk"}}}}
    liked = {"matchExpressions": [{"key": HOST, "operator": "In", "values": [prefers]}]}
    affinity: Object = {
        "podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 50, **apart}]}
    }
    if prefers:
        affinity["nodeAffinity"] = {
            "preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 100, "preference": liked}]
        }
    return {
        "nodeSelector": {SPARE: ""},
        "tolerations": [
            {"key": SPARE, "operator": "Exists"},
            *({"key": key, "operator": "Exists", "effect": "NoExecute"} for key in lasting),
        ],
        "affinity": affinity,
    }


def placed(fleet: RetiringFleet) -> dict[str, str]:
    """Pod → node of the pods that are Ready and stay."""
    ready = fleet.ready()
    return {
        pod["metadata"]["name"]: pod["spec"]["nodeName"] for pod in fleet.pods() if pod["metadata"]["name"] in ready
    }


def uid_of(fleet: RetiringFleet, name: str) -> str | None:
    """Which pod has a name now, leaving or not; None when none has."""
    return next((pod["metadata"]["uid"] for pod in fleet.pods() if pod["metadata"]["name"] == name), None)


def without_lease_s(rig: Rig, node: str) -> float | None:
    """For how many seconds the node controller has called a node's Lease stale; None while it does not."""
    conditions = rig.control_plane.read(f"/api/v1/nodes/{node}")["status"]["conditions"]
    (ready,) = (one for one in conditions if one["type"] == "Ready")
    if ready["status"] != "Unknown":
        return None
    return time.time() - datetime.fromisoformat(ready["lastTransitionTime"]).timestamp()


def until_without_lease(rig: Rig, node: str, for_s: float = 0.0) -> None:
    """Until the node controller has called its Lease stale for so long."""
    wait_for(
        lambda: (since_s := without_lease_s(rig, node)) is not None and since_s >= for_s,
        f"{node} to be without a Lease for {for_s:.0f} s",
        at_most_s=CONTROLLERS_NOTICE_S + for_s,
    )


def until_well(rig: Rig, node: str) -> None:
    """Until its Lease is new again."""
    wait_for(lambda: without_lease_s(rig, node) is None, f"{node} to be Ready", at_most_s=CONTROLLERS_NOTICE_S)


@contextmanager
def out_of_service(rig: Rig, node: str) -> Iterator[None]:
    """An administrator has said that a node is out of service."""
    kubectl = rig.control_plane.kubectl
    kubectl("taint", "nodes", node, f"{OUT_OF_SERVICE}=nodeshutdown:NoExecute")
    try:
        yield
    finally:
        kubectl("taint", "nodes", node, f"{OUT_OF_SERVICE}-")


@contextmanager
def leading_from(rig: Rig, calltide: Installation, node: str) -> Iterator[str]:
    """The replica of calltide that leads runs on a spare node; yields its name.

    Taints close the other nodes meanwhile, since calltide would take a cordon for a wish to have them emptied.
    """
    kubectl = rig.control_plane.kubectl
    kubectl("taint", "nodes", *rig.nodes, f"{CLOSED}=:NoSchedule")
    kubectl("taint", "nodes", node, f"{SPARE}-")
    try:
        leader = wait_for(calltide.leader, "a replica to lead", at_most_s=CONTROLLERS_NOTICE_S)
        (follower,) = set(calltide.pods()) - {leader}
        _replace(rig, calltide, follower)
    finally:
        kubectl("taint", "nodes", node, f"{SPARE}=:NoSchedule")
        kubectl("taint", "nodes", *rig.nodes, f"{CLOSED}-")
    (moved,) = set(calltide.pods()) - {leader}
    _replace(rig, calltide, leader)
    wait_for(lambda: calltide.leader() == moved, f"{moved} to lead", at_most_s=CONTROLLERS_NOTICE_S)
    try:
        yield moved
    finally:
        _replace(rig, calltide, moved)


def _replace(rig: Rig, calltide: Installation, replica: str) -> None:
    rig.control_plane.kubectl("delete", "pod", replica, f"--namespace={CALLTIDE}", "--wait=false")
    wait_for(lambda: replica not in calltide.pods(), f"{replica} to leave", at_most_s=CONTROLLERS_NOTICE_S)
    calltide.wait_until_ready()


def ten_calls(fleet: RetiringFleet) -> CallPlan:
    """Ten short calls, one every half second."""
    return CallPlan((Segment(fleet.name, 0.0, 5.0, 2.0, 2.0),))
