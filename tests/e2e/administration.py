"""What administrators and controllers do to a fleet, as they do it: with kubectl, under rights that many have.

`ops` is somebody with the rights of an operator of the namespace and of its nodes, as most who can do harm have; not a
cluster administrator, who may do anything and whom only the protection of the pods stops.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event
from typing import Any

import pytest

from tests.e2e.machines import CLOSED, on_spare_nodes
from tests.e2e.retiring import NAMESPACE, RetiringFleet
from tests.rig.control_plane import KubectlError
from tests.rig.programs import program
from tests.rig.watching import Watch

OPS = "ops"
IN_NAMESPACE = f"--namespace={NAMESPACE}"
ON_SPARE_NODES: dict[str, Any] = {"pod_spec": on_spare_nodes()}
"""What `make` takes for pods on nodes of their own: what is done to a node would hit the proxies as well."""
REVISION_LABELS = {"Deployment": "pod-template-hash", "StatefulSet": "controller-revision-hash"}
Object = dict[str, Any]


def rights_of_ops() -> Object:
    """The rights of an operator of the namespace."""
    rbac = "rbac.authorization.k8s.io"
    return {
        "apiVersion": f"{rbac}/v1",
        "kind": "RoleBinding",
        "metadata": {"name": OPS, "namespace": NAMESPACE},
        "roleRef": {"apiGroup": rbac, "kind": "ClusterRole", "name": "admin"},
        "subjects": [{"apiGroup": rbac, "kind": "User", "name": OPS}],
    }


def refused(fleet: RetiringFleet, *command: str, user: str | None = OPS) -> str:
    """What kubectl is told; the command has to be refused, and every pod has to stay."""
    before = sorted(fleet.ready())
    as_user = () if user is None else (f"--as={user}",)
    with pytest.raises(KubectlError) as error:
        fleet.rig.control_plane.kubectl(*command, IN_NAMESPACE, *as_user)
    assert sorted(fleet.ready()) == before
    return str(error.value)


def controller_was_refused(fleet: RetiringFleet, name: str) -> bool:
    """Whether one of the cluster's own controllers was refused the delete of a pod."""
    path = f"/api/v1/namespaces/{NAMESPACE}/pods/{name}"
    return any(
        one["verb"] == "delete"
        and one["requestURI"].startswith(path)
        and one["user"]["username"].startswith("system:serviceaccount:kube-system:")
        and one["responseStatus"]["code"] == 403
        for one in fleet.rig.control_plane.audited()
    )


def eviction_status(fleet: RetiringFleet, name: str) -> int:
    """What the API server answers to an eviction by an administrator."""
    about = {"name": name, "namespace": NAMESPACE}
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": about}
    path = f"/api/v1/namespaces/{NAMESPACE}/pods/{name}/eviction"
    with fleet.rig.control_plane.client("evictor", "system:masters") as client:
        return client.post(path, json=eviction).status_code


@contextmanager
def lowered_maximum(fleet: RetiringFleet, pods: int) -> Iterator[None]:
    """The ScaledObject allows so many pods at most."""

    def set_maximum(pods: int) -> None:
        patch = json.dumps({"spec": {"maxReplicaCount": pods}})
        fleet.rig.control_plane.kubectl(
            "patch", "scaledobject", fleet.name, IN_NAMESPACE, "--type=merge", f"--patch={patch}"
        )

    set_maximum(pods)
    try:
        yield
    finally:
        set_maximum(20)


@contextmanager
def paused(fleet: RetiringFleet) -> Iterator[None]:
    """The ScaledObject is paused."""
    about = ("annotate", "scaledobject", fleet.name, IN_NAMESPACE)
    fleet.rig.control_plane.kubectl(*about, "autoscaling.keda.sh/paused=true")
    try:
        yield
    finally:
        fleet.rig.control_plane.kubectl(*about, "autoscaling.keda.sh/paused-")


@contextmanager
def tainted(fleet: RetiringFleet, *nodes: str, effect: str) -> Iterator[None]:
    """Nodes have a taint that nobody tolerates."""
    kubectl = fleet.rig.control_plane.kubectl
    kubectl("taint", "nodes", *nodes, f"{CLOSED}=:{effect}")
    try:
        yield
    finally:
        kubectl("taint", "nodes", *nodes, f"{CLOSED}-")


@contextmanager
def emptying(fleet: RetiringFleet, node: str, at_most_s: float) -> Iterator[subprocess.Popen[str]]:
    """`kubectl drain` of a node, under way; the node is open again afterwards."""
    cluster = fleet.rig.control_plane
    options = ("--ignore-daemonsets", "--delete-emptydir-data", f"--timeout={at_most_s:.0f}s")
    command = [str(program("kubectl")), f"--kubeconfig={cluster.kubeconfig}", "drain", node, *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        cluster.kubectl("uncordon", node)


def node_of(fleet: RetiringFleet, name: str) -> str:
    """The node that a pod is on."""
    return next(str(pod["spec"]["nodeName"]) for pod in fleet.pods() if pod["metadata"]["name"] == name)


def revisions(fleet: RetiringFleet, kind: str) -> list[str]:
    """The revision of each of its pods, leaving ones too."""
    return [pod["metadata"]["labels"][REVISION_LABELS[kind]] for pod in fleet.pods()]


@contextmanager
def seen_first(fleet: RetiringFleet, shows: Callable[[Object], bool], do: Callable[[], None]) -> Iterator[Event]:
    """Do something with the first version of one of the fleet's pods, or of its Deployment, that shows what is asked.

    It is done in the thread of the watch, as soon as calltide's own watch can have told it. The Event says that it was.
    """
    done = Event()

    def see(kind: str, item: Object) -> None:
        about = item["metadata"]
        ours = fleet.name in (about["name"], (about.get("labels") or {}).get("calltide.io/fleet"))
        if ours and kind != "DELETED" and not done.is_set() and shows(item):
            do()
            done.set()

    client = fleet.rig.control_plane.client("rig-assassin", "system:masters")
    paths = (f"/api/v1/namespaces/{NAMESPACE}/pods", f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments")
    watches = [Watch(client, path, see) for path in paths]
    for watch in watches:
        watch.start()
    try:
        yield done
    finally:
        for watch in watches:
            watch.stop()
        client.close()
