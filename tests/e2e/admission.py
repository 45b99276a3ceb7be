"""A namespace under the admission policies, pods in every condition that these go by, and who tries what on them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import yaml

from tests.rig.control_plane import ControlPlane
from tests.servers.processes import wait_for

NAMESPACE = "admission"
PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"
DEPLOY = Path(__file__).parents[2] / "deploy"
PROTECTED = "calltide.io/protected"
OPERATOR, CALLTIDE, NODE = "operator-of-fleets", "system:serviceaccount:calltide:calltide", "silent"
MERGE_PATCH = "application/merge-patch+json"
RAN = {"state": {"running": {"startedAt": "2026-01-05T08:00:00Z"}}, "lastState": {}, "restartCount": 0}
WAITS = {"state": {"waiting": {"reason": "ContainerCreating"}}, "lastState": {}, "restartCount": 0}
CRASHES = {"state": {"waiting": {"reason": "CrashLoopBackOff"}}, "lastState": {}, "restartCount": 3}
_RBAC = "rbac.authorization.k8s.io"
Object = dict[str, Any]


class Guarded:
    """One namespace as `deploy/` has it, and clients of everybody who matters.

    `operator` may do anything to pods and workloads there, `calltide` what its role says, `kubelet` what the one of
    the node may on which these pods lie; there is no such process, so nothing happens to them by itself.
    """

    def __init__(self, cluster: ControlPlane, operator: httpx.Client, calltide: httpx.Client, kubelet: httpx.Client):
        self.cluster = cluster
        self.operator, self.calltide, self.kubelet = operator, calltide, kubelet

    def pod(
        self,
        name: str,
        label: str | None = "true",
        *,
        status: Object | None = None,
        phase: str = "Running",
        node: str = NODE,
        container: Object | None = None,
    ) -> str:
        """Make a pod whose container is as `status` says, without one that it runs; the path of the pod."""
        containers = [{"name": "asterisk", "image": "status-only", **(container or {})}]
        made: Object = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "namespace": NAMESPACE, "labels": {"app": name}},
            "spec": {"nodeName": node, "automountServiceAccountToken": False, "containers": containers},
        }
        if label is not None:
            made["metadata"]["labels"][PROTECTED] = label
        self.cluster.apply(made)
        # A node that tells of a container's resources is one that can change them.
        told = {"name": "asterisk", "image": "status-only", "imageID": "", "ready": False, "resources": {}}
        told |= status or RAN
        patch = {"status": {"phase": phase, "containerStatuses": [told]}}
        path = f"{PODS}/{name}"
        with self.cluster.client("status-writer", "system:masters") as client:
            merge(client, f"{path}/status", patch).raise_for_status()
        return path

    def paths(self) -> list[str]:
        """All pods that are there."""
        return [f"{PODS}/{pod['metadata']['name']}" for pod in self.cluster.items(PODS)]

    def is_whole(self, path: str) -> bool:
        """Whether the object is there and not on its way out."""
        return "deletionTimestamp" not in self.cluster.read(path)["metadata"]


@contextmanager
def guarded(cluster: ControlPlane) -> Iterator[Guarded]:
    """The namespace with the policies in force."""
    cluster.apply(
        *(DEPLOY / name for name in ("00-namespace.yaml", "10-rights.yaml", "70-admission.yaml")),
        *namespace_of_fleets(NAMESPACE),
        {"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE}},
        *_rights_of_operator(),
    )
    with cluster.client("status-writer", "system:masters") as client:
        room = {"status": {"allocatable": {"cpu": "4"}, "capacity": {"cpu": "4"}}}
        merge(client, f"/api/v1/nodes/{NODE}/status", room).raise_for_status()
    with ExitStack() as clients:
        operator = clients.enter_context(cluster.client(OPERATOR))
        calltide = clients.enter_context(cluster.client(CALLTIDE))
        kubelet = clients.enter_context(cluster.client(f"system:node:{NODE}", "system:nodes"))
        found = Guarded(cluster, operator, calltide, kubelet)
        _until_in_force(found)
        yield found
    cluster.kubectl("delete", "node", NODE)


def namespace_of_fleets(name: str) -> list[Object]:
    """The namespace and its disruption budget as `deploy/` has them, under this name."""
    namespace, budget = yaml.safe_load_all((DEPLOY / "fleet" / "namespace.yaml").read_text(encoding="utf-8"))
    namespace["metadata"]["name"] = budget["metadata"]["namespace"] = name
    return [namespace, budget]


def delete(client: httpx.Client, path: str, **options: Any) -> httpx.Response:
    """Delete with these DeleteOptions."""
    return client.request("DELETE", path, json={"apiVersion": "v1", "kind": "DeleteOptions", **options})


def merge(client: httpx.Client, path: str, patch: Mapping[str, Any], **query: str) -> httpx.Response:
    """A merge patch."""
    return client.patch(path, json=patch, params=query, headers={"Content-Type": MERGE_PATCH})


def strategic(client: httpx.Client, path: str, patch: Mapping[str, Any]) -> httpx.Response:
    """A patch that knows containers by their names."""
    return client.patch(path, json=patch, headers={"Content-Type": "application/strategic-merge-patch+json"})


def label(value: str | None) -> Object:
    """A merge patch that sets the label of protection, or takes it off."""
    return {"metadata": {"labels": {PROTECTED: value}}}


def replicas(number: int) -> Object:
    """A merge patch of a workload or of its scale."""
    return {"spec": {"replicas": number}}


def assert_refused(answer: httpx.Response, *words: str) -> None:
    """It was a policy of calltide that refused, in words that say what to do instead."""
    message = answer.json().get("message", "")
    assert answer.status_code == 403, f"{answer.status_code} {message}"
    assert all(word in message for word in ("ValidatingAdmissionPolicy 'calltide-", *words)), message


def assert_done(answer: httpx.Response) -> None:
    assert answer.is_success, f"{answer.status_code} {answer.text}"


def workload(kind: str, name: str, number: int) -> Object:
    """A Deployment or StatefulSet of so many protected pods that are nothing but their status."""
    labels = {"app": name}
    spec = {"automountServiceAccountToken": False, "terminationGracePeriodSeconds": 1}
    made: Object = {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {
            "replicas": number,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": {**labels, PROTECTED: "true"}},
                "spec": {**spec, "containers": [{"name": "asterisk", "image": "status-only"}]},
            },
        },
    }
    if kind == "StatefulSet":
        made["spec"] |= {"serviceName": name, "podManagementPolicy": "Parallel", "updateStrategy": {"type": "OnDelete"}}
    return made


def _until_in_force(found: Guarded) -> None:
    path = found.pod("probe")
    found.cluster.apply(workload("Deployment", "probe", 2))
    scale = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/probe/scale"

    def refused() -> bool:
        answers = (
            found.operator.delete(path, params={"dryRun": "All"}),
            merge(found.operator, path, label(None), dryRun="All"),
            merge(found.operator, scale, replicas(1), dryRun="All"),
        )
        return all(answer.status_code == 403 for answer in answers)

    wait_for(refused, "the policies to be in force")


def _rights_of_operator() -> list[Object]:
    everything = {"apiGroups": ["", "apps", "policy"], "resources": ["*"], "verbs": ["*"]}
    about = {"name": OPERATOR, "namespace": NAMESPACE}
    role = {"apiGroup": _RBAC, "kind": "Role", "name": OPERATOR}
    subject = {"apiGroup": _RBAC, "kind": "User", "name": OPERATOR}
    return [
        {"apiVersion": f"{_RBAC}/v1", "kind": "Role", "metadata": about, "rules": [everything]},
        {"apiVersion": f"{_RBAC}/v1", "kind": "RoleBinding", "metadata": about, "roleRef": role, "subjects": [subject]},
    ]
