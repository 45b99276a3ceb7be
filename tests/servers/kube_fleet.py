"""A fleet that is as it should be, and the controllers of Deployments and StatefulSets as far as templates go."""

from __future__ import annotations

import copy
from pathlib import Path

import yaml

from tests.servers import kube_objects as kube
from tests.servers.kube_by_name import KubeByName

ROOT = Path(__file__).parents[2]
PROTECTED = "calltide.io/protected"
REVISION = "deployment.kubernetes.io/revision"
TROUBLES = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")


def documents(path: str) -> list[dict]:
    """The objects of a manifest of the repository."""
    return list(yaml.safe_load_all((ROOT / path).read_text(encoding="utf-8")))


def admission() -> tuple[list[dict], list[dict]]:
    """Policies and bindings as `deploy/` has them."""
    found = documents("deploy/70-admission.yaml")
    return [one for one in found if one["kind"].endswith("Policy")], [
        one for one in found if one["kind"].endswith("Binding")
    ]


def namespace() -> dict:
    """The fleet's namespace, with the policies in force."""
    item = kube.namespace("voice")
    item["metadata"]["labels"]["calltide.io/retirement"] = "enabled"
    return item


def budget() -> dict:
    """The disruption budget as `deploy/` has it."""
    item = next(one for one in documents("deploy/fleet/namespace.yaml") if one["kind"] == "PodDisruptionBudget")
    item["metadata"] |= {"namespace": "voice", "uid": "budget-uid"}
    return item


def service() -> dict:
    """The Service that is a gate, as `deploy/` has it, in front of the Deployment `acme`."""
    item = next(one for one in documents("deploy/fleet/service-gate.yaml") if one["kind"] == "Service")
    item["metadata"] |= {"name": "acme", "namespace": "voice"}
    item["spec"]["selector"]["app"] = "acme"
    return item


def scaled_object() -> dict:
    """The ScaledObject of the examples, for the Deployment `acme`."""
    item = documents("examples/scaledobject.yaml")[0]
    item["spec"]["scaleTargetRef"]["name"] = "acme"
    return item


def protected_template(template: dict) -> dict:
    """A pod template as it should be, made of another."""
    made = copy.deepcopy(template)
    made["metadata"]["labels"][PROTECTED] = "true"
    made["metadata"]["annotations"] = {
        "cluster-autoscaler.kubernetes.io/safe-to-evict": "false",
        "karpenter.sh/do-not-disrupt": "true",
    }
    made["spec"]["terminationGracePeriodSeconds"] = 7200
    made["spec"]["tolerations"] = [{"key": key, "operator": "Exists", "effect": "NoExecute"} for key in TROUBLES]
    made["spec"]["containers"][0]["lifecycle"] = {"preStop": {"exec": {"command": ["/bin/wait-until-empty"]}}}
    return made


def live(kind: str = "Deployment", *, pods: int = 10) -> KubeByName:
    """A cluster with a live fleet that nothing protects yet, and with the admission policies installed."""
    cluster = KubeByName()
    names = [f"acme-{i}" for i in range(pods)]
    owner = ("StatefulSet", "acme") if kind == "StatefulSet" else ("ReplicaSet", "acme-7b9")
    made = kube.stateful_set(replicas=pods) if kind == "StatefulSet" else kube.deployment(replicas=pods)
    made["status"]["observedGeneration"] = 1
    made["spec"]["updateStrategy"] = {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}}
    scaled = scaled_object()
    scaled["spec"]["scaleTargetRef"]["kind"] = kind
    cluster.put(kube.namespace("voice"), scaled, made, *(item for part in admission() for item in part))
    if kind == "Deployment":
        set_ = kube.replica_set()
        set_["metadata"]["labels"]["app"] = "acme"
        set_["spec"]["replicas"] = pods
        set_["status"] = {"replicas": pods, "observedGeneration": 1}
        set_["spec"]["template"]["metadata"]["labels"]["pod-template-hash"] = "7b9"
        cluster.put(set_)
    for name in names:
        item = kube.pod(name, owner=owner, ready_after_s=40)
        item["metadata"]["labels"]["app"] = "acme"
        cluster.put(item)
    cluster.controllers.append(deployment_controller)
    return cluster


def deployment_controller(cluster: KubeByName) -> None:
    """Observe every workload; roll out a Deployment whose template no ReplicaSet has."""
    for kind in ("Deployment", "StatefulSet", "ReplicaSet"):
        for item in cluster.of_kind(kind):
            item["status"]["observedGeneration"] = item["metadata"]["generation"]
    for deployment in cluster.of_kind("Deployment"):
        sets = cluster.of_kind("ReplicaSet")
        if deployment["spec"].get("paused") or any(_is_same(deployment, one) for one in sets):
            continue
        number = str(len(sets) + 1)
        for one in sets:
            one["spec"]["replicas"] = 0
        new = copy.deepcopy(sets[0])
        new["metadata"] |= {"name": f"acme-{number}", "uid": f"set-{number}", "annotations": {REVISION: number}}
        new["spec"] |= {"replicas": deployment["spec"]["replicas"], "template": deployment["spec"]["template"]}
        cluster.put(new)
        deployment["metadata"]["annotations"][REVISION] = number


def _is_same(deployment: dict, replica_set: dict) -> bool:
    template = copy.deepcopy(replica_set["spec"]["template"])
    template["metadata"]["labels"].pop("pod-template-hash", None)
    wanted = copy.deepcopy(deployment["spec"]["template"])
    for one in (template, wanted):
        # To the real one, too, nothing and empty are the same.
        one["metadata"] = {key: value for key, value in one["metadata"].items() if value}
    return template == wanted
