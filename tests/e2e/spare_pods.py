"""Pods on the rig's spare nodes, and how the API server and their logs show them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import psutil

from tests.rig import fleets
from tests.rig.control_plane import has
from tests.rig.rig import SPARE, Rig
from tests.servers.processes import wait_for

NAMESPACE = "nodes"
ACCOUNT = "visitor"
TOLERATIONS = [
    {"key": SPARE, "operator": "Exists"},
    # Without it pods stay for five minutes on a node that is gone.
    {"key": "node.kubernetes.io/unreachable", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 1},
]
HARDLY_SO_LONG_S = 60

Object = dict[str, Any]


class Pods:
    """The pods of these tests, as the API server and their logs show them."""

    def __init__(self, rig: Rig) -> None:
        self.rig, self.cluster = rig, rig.control_plane

    def run(self, name: str, *, node: str, **spec: Any) -> None:
        """A pod without an owner on one node; its container `main` takes what is not the pod's own."""
        own = {key: spec.pop(key) for key in ("volumes", "terminationGracePeriodSeconds") if key in spec}
        pod_spec = {
            "serviceAccountName": ACCOUNT,
            "terminationGracePeriodSeconds": 1,
            "nodeSelector": {"kubernetes.io/hostname": node},
            "tolerations": TOLERATIONS,
            "containers": [{"name": "main", "image": "pause", **spec}],
            **own,
        }
        metadata = {"name": name, "namespace": NAMESPACE, "labels": {"app": name}}
        self.cluster.apply({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": pod_spec})

    def run_fleet(self, name: str) -> None:
        """Six pods, two on each spare node."""
        made = fleets.deployment(name, image="pause", replicas=6, namespace=NAMESPACE)
        made["spec"]["template"]["spec"] |= {
            "nodeSelector": {SPARE: ""},
            "tolerations": TOLERATIONS,
            "topologySpreadConstraints": [
                {
                    "maxSkew": 1,
                    "topologyKey": "kubernetes.io/hostname",
                    "whenUnsatisfiable": "DoNotSchedule",
                    "nodeTaintsPolicy": "Honor",  # a node that is drained or gone must not hold up the others
                    "labelSelector": {"matchLabels": {"app": name}},
                }
            ],
        }
        self.cluster.apply(made)
        wait_for(lambda: self.placed(name) == dict.fromkeys(self.rig.spare_nodes, 2), f"two pods of {name} per node")

    def node(self, name: str) -> Object:
        return self.cluster.read(f"/api/v1/nodes/{name}")

    def of(self, name: str) -> list[Object]:
        return self.cluster.items(f"/api/v1/namespaces/{NAMESPACE}/pods", labelSelector=f"app={name}")

    def one(self, name: str) -> Object:
        (pod,) = self.of(name)
        return pod

    def container(self, name: str) -> Object:
        return next(iter(self.one(name).get("status", {}).get("containerStatuses", [])), {})

    def wait_until_ready(self, name: str) -> Object:
        wait_for(lambda: is_ready(self.one(name)), f"pod {name} to be Ready", at_most_s=HARDLY_SO_LONG_S)
        return self.one(name)

    def placed(self, name: str) -> dict[str, int]:
        """Node → Ready pods that stay."""
        nodes = [pod["spec"]["nodeName"] for pod in self.of(name) if is_ready(pod) and not is_leaving(pod)]
        return {node: nodes.count(node) for node in nodes}

    def lines(self, uid: str) -> list[str]:
        """What container `main` of a pod has printed."""
        logs = self.rig.agent.settings.folder.glob(f"pods/*_{uid}/main.log")
        return [line for log in logs for line in log.read_text(encoding="utf-8").splitlines()]

    def wait_for_line(self, uid: str, line: str) -> None:
        wait_for(lambda: line in self.lines(uid), f"a pod to print {line!r}", at_most_s=HARDLY_SO_LONG_S)

    def processes(self, node: str, name: str) -> list[psutil.Process]:
        """Process 1 of each container that a node runs for pods of this name."""
        uids = {pod["metadata"]["uid"] for pod in self.of(name)}
        running = [pod for pod in self.rig.agent.pods(node) if pod.uid in uids]
        return [psutil.Process(pid) for pod in running for pid in pod.pids.values()]


def is_ready(pod: Object) -> bool:
    return has(pod, "Ready")


def is_leaving(pod: Object) -> bool:
    return "deletionTimestamp" in pod["metadata"]


def conditions_of(it: Object) -> dict[str, Object]:
    return {one["type"]: one for one in it.get("status", {}).get("conditions", [])}


def is_well(node: Object) -> bool:
    return has(node, "Ready") and taints(node) == {SPARE}


def taints(node: Object) -> set[str]:
    return {taint["key"] for taint in node["spec"].get("taints", ())}


def seconds(timestamp: str) -> float:
    return datetime.fromisoformat(timestamp).timestamp()


def config_map(name: str, word: str) -> Object:
    metadata = {"name": name, "namespace": NAMESPACE}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"word": word}}


def room() -> tuple[Object, ...]:
    """The namespace of these pods, with an account that may list the pods in it."""
    here = {"namespace": NAMESPACE}
    rbac = {"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": {"name": "lists-pods", **here}}
    subject = {"kind": "ServiceAccount", "name": ACCOUNT, **here}
    return (
        fleets.namespace(NAMESPACE),
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": ACCOUNT, **here}},
        {**rbac, "kind": "Role", "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}]},
        {
            **rbac,
            "kind": "RoleBinding",
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "lists-pods"},
            "subjects": [subject],
        },
    )
