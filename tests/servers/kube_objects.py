"""Objects in the exact shape in which the API server sends them, with what autoscaling reads and some of the rest."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

MONDAY_S = 1_767_600_000
"""2026-01-05 08:00 UTC."""


def stamp(epoch_s: float) -> str:
    """A time as Kubernetes writes it: whole seconds, Zulu."""
    return datetime.fromtimestamp(epoch_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def uid(kind: str, name: str) -> str:
    """A UID that depends on the name only."""
    return str(UUID(bytes=f"{kind[:4]:4}{name[-12:]:12}".encode()))


def _head(api_version: str, kind: str, name: str, namespace: str, created_s: float) -> dict:
    metadata = {
        "name": name,
        "namespace": namespace,
        "uid": uid(kind, name),
        "creationTimestamp": stamp(created_s),
        "generation": 1,
        "annotations": {},
        "labels": {"app": name},
    }
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata}


def trigger(**metadata: str) -> dict:
    """An external trigger that calls us unless told otherwise."""
    return {
        "type": "external",
        "metadata": {"scalerAddress": "calltide.calltide.svc:9090", "policy": "voice", "tenant": "acme"} | metadata,
    }


def scaled_object(
    name: str = "acme", *, target: str | None = None, triggers: list | None = None, **spec: object
) -> dict:
    item = _head("keda.sh/v1alpha1", "ScaledObject", name, "voice", MONDAY_S - 86400)
    item["spec"] = {
        "scaleTargetRef": {"name": target or name},
        "minReplicaCount": 2,
        "maxReplicaCount": 40,
        "triggers": [trigger()] if triggers is None else triggers,
    } | spec
    item["status"] = {"hpaName": f"keda-hpa-{name}", "externalMetricNames": ["s0-pods"], "originalReplicaCount": 2}
    return item


def hpa(
    name: str = "acme", *, up: str | None = "0", down: str | None = "0", untrue: dict[str, str] | None = None
) -> dict:
    """An HPA that follows its metric; `untrue` names conditions that do not hold, each with its reason."""
    item = _head("autoscaling/v2", "HorizontalPodAutoscaler", f"keda-hpa-{name}", "voice", MONDAY_S - 86400)
    ways = {
        "scaleUp": {"stabilizationWindowSeconds": 0, "selectPolicy": "Max"},
        "scaleDown": {"stabilizationWindowSeconds": 300, "selectPolicy": "Disabled"},
    }
    for way, tolerance in (("scaleUp", up), ("scaleDown", down)):
        ways[way]["policies"] = [{"type": "Pods", "value": 1000, "periodSeconds": 15}]
        if tolerance is not None:
            ways[way]["tolerance"] = tolerance
    item["spec"] = {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
        "minReplicas": 2,
        "maxReplicas": 40,
        "behavior": ways,
    }
    whys = untrue or {}
    conditions = [
        {"type": kind, "status": "False" if kind in whys else "True", "reason": whys.get(kind, "Fine")}
        for kind in ("AbleToScale", "ScalingActive", "ScalingLimited")
    ]
    item["status"] = {"currentReplicas": 2, "desiredReplicas": 2, "currentMetrics": [], "conditions": conditions}
    return item


def deployment(name: str = "acme", *, replicas: int = 2, standing: int | None = None, revision: int = 1) -> dict:
    item = _head("apps/v1", "Deployment", name, "voice", MONDAY_S - 86400)
    item["metadata"]["annotations"] = {"deployment.kubernetes.io/revision": str(revision)}
    item["spec"] = {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": _template(name)}
    item["status"] = {"replicas": replicas if standing is None else standing, "observedGeneration": 1}
    return item


def stateful_set(name: str = "acme", *, replicas: int = 2) -> dict:
    item = _head("apps/v1", "StatefulSet", name, "voice", MONDAY_S - 86400)
    item["spec"] = {
        "replicas": replicas,
        "serviceName": name,
        "selector": {"matchLabels": {"app": name}},
        "template": _template(name),
    }
    item["status"] = {"replicas": replicas, "updateRevision": f"{name}-6d4", "currentRevision": f"{name}-6d4"}
    return item


def replica_set(name: str = "acme", *, hash_: str = "7b9", revision: int = 1) -> dict:
    item = _head("apps/v1", "ReplicaSet", f"{name}-{hash_}", "voice", MONDAY_S - 86400)
    item["metadata"]["annotations"] = {"deployment.kubernetes.io/revision": str(revision)}
    item["metadata"]["labels"] |= {"pod-template-hash": hash_}
    item["metadata"]["ownerReferences"] = [_owner("apps/v1", "Deployment", name)]
    item["spec"] = {"replicas": 2, "selector": {"matchLabels": {"app": name}}, "template": _template(name)}
    item["status"] = {"replicas": 2}
    return item


def pod(
    name: str = "acme-7b9-a",
    *,
    owner: tuple[str, str] = ("ReplicaSet", "acme-7b9"),
    created_s: float = MONDAY_S,
    ready_after_s: float | None = None,
    lost_after_s: float | None = None,
    phase: str = "Running",
    restarts: int = 0,
    deleting: bool = False,
    state: str | None = None,
    protected: str | None = None,
    **annotations: str,
) -> dict:
    """A pod: never Ready unless `ready_after_s` is given; not Ready any more with `lost_after_s`.

    `annotations` are those of calltide.io, by their names there.
    """
    item = _head("v1", "Pod", name, "voice", created_s)
    item["metadata"]["ownerReferences"] = [_owner("apps/v1", *owner)]
    item["metadata"]["labels"] |= {"controller-revision-hash": "acme-6d4"} if owner[0] == "StatefulSet" else {}
    if state is not None:
        item["metadata"]["annotations"]["calltide.io/state"] = state
    item["metadata"]["annotations"] |= {f"calltide.io/{key}": value for key, value in annotations.items()}
    if protected is not None:
        item["metadata"]["labels"]["calltide.io/protected"] = protected
    if deleting:
        item["metadata"] |= {"deletionTimestamp": stamp(created_s + 9000), "deletionGracePeriodSeconds": 3600}
    ready = ready_after_s is not None and lost_after_s is None
    changed_s = created_s + (lost_after_s or ready_after_s or 1)
    item["spec"] = _template(name)["spec"] | {"nodeName": "node-1"}
    item["status"] = {
        "phase": phase,
        "podIP": "127.2.0.7",
        "startTime": stamp(created_s + 1),
        "conditions": [
            _condition("PodScheduled", True, created_s),
            _condition("Initialized", True, created_s + 1),
            _condition("ContainersReady", ready, changed_s),
            _condition("Ready", ready, changed_s),
        ],
        "containerStatuses": [
            {
                "name": "asterisk",
                "ready": ready,
                "started": ready_after_s is not None,
                "restartCount": restarts,
                "image": "registry.example/asterisk:22",
                "imageID": "registry.example/asterisk@sha256:00",
                "containerID": f"containerd://{uid('Cont', name)}",
                "state": {"running": {"startedAt": stamp(created_s + 3)}},
            }
        ],
    }
    return item


def node(
    name: str = "node-1", *, ready: str = "True", cordoned: bool = False, taint: str | None = None, zone: str = "z1"
) -> dict:
    """A node; `ready` is its Ready condition's status."""
    item = _head("v1", "Node", name, "", MONDAY_S - 86400)
    del item["metadata"]["namespace"]
    item["metadata"]["labels"] |= {"topology.kubernetes.io/zone": zone}
    item["spec"] = {"podCIDR": "10.0.0.0/24"}
    if cordoned:
        item["spec"]["unschedulable"] = True
    if taint is not None:
        item["spec"]["taints"] = [{"key": taint, "value": "nodeshutdown", "effect": "NoExecute"}]
    condition = {"type": "Ready", "status": ready, "lastTransitionTime": stamp(MONDAY_S)}
    item["status"] = {"conditions": [_condition("MemoryPressure", False, MONDAY_S), condition]}
    return item


def namespace(name: str = "voice", *, freeze: str | None = None) -> dict:
    """A namespace, frozen or not."""
    item = _head("v1", "Namespace", name, "", MONDAY_S - 86400)
    del item["metadata"]["namespace"]
    item["metadata"]["annotations"] = {} if freeze is None else {"calltide.io/freeze": freeze}
    item["status"] = {"phase": "Active"}
    return item


def _condition(kind: str, holds: bool, changed_s: float) -> dict:
    return {"type": kind, "status": "True" if holds else "False", "lastTransitionTime": stamp(changed_s)}


def _owner(api_version: str, kind: str, name: str) -> dict:
    return {
        "apiVersion": api_version,
        "kind": kind,
        "name": name,
        "uid": uid(kind, name),
        "controller": True,
        "blockOwnerDeletion": True,
    }


def _template(name: str) -> dict:
    container = {"name": "asterisk", "image": "registry.example/asterisk:22", "ports": [{"containerPort": 5060}]}
    return {"metadata": {"labels": {"app": name}}, "spec": {"containers": [container], "restartPolicy": "Always"}}
