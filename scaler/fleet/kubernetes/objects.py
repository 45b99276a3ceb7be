"""What is kept of the API server's objects: a handful of fields each, stripped as they arrive.

A pod is 5 to 20 kB of JSON and a few hundred bytes here. Nothing outside this module looks into that JSON.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from sys import intern
from typing import TypeAlias, cast

from scaler.fleet.kubernetes import annotations as marks
from scaler.fleet.kubernetes.api import JsonObject

WorkloadName: TypeAlias = tuple[str, str, str]
"""Namespace, kind and name."""
NamespacedName: TypeAlias = tuple[str, str]

_KEDA_ANNOTATION = "autoscaling.keda.sh/"
_GO_FALSE = {"0", "f", "F", "false", "False", "FALSE"}
DEPLOYMENT_REVISION = "deployment.kubernetes.io/revision"
OUT_OF_SERVICE = "node.kubernetes.io/out-of-service"


@dataclass(frozen=True, slots=True)
class ExternalTrigger:
    """A trigger of type `external` or `external-push`: whom it calls, and with what."""

    address: str
    metadata: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ScaledObject:
    """A ScaledObject: where it points, its bounds and its external triggers."""

    name: NamespacedName
    workload: WorkloadName
    minimum: int
    maximum: int
    paused: bool
    polling_interval_s: int
    hpa: NamespacedName
    triggers: tuple[ExternalTrigger, ...]


@dataclass(frozen=True, slots=True)
class Hpa:
    """A HorizontalPodAutoscaler: whether it follows any number exactly, and what keeps it from raising its target."""

    name: NamespacedName
    exact_tolerance: bool
    faults: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Workload:
    """A Deployment or StatefulSet. `revision` is what its newest pods carry, directly or through their ReplicaSet."""

    name: WorkloadName
    uid: str
    spec_replicas: int
    status_replicas: int
    revision: str
    version: str = ""
    freeze: str | None = None


@dataclass(frozen=True, slots=True)
class Node:
    """A node. `ready` is what its Ready condition says: "True", "False", or "Unknown" once its Lease is stale."""

    name: str
    ready: str
    cordoned: bool
    out_of_service: bool
    zone: str | None


@dataclass(frozen=True, slots=True)
class Namespace:
    """A namespace, as far as it concerns the fleets in it."""

    name: str
    freeze: str | None


@dataclass(frozen=True, slots=True)
class ReplicaSet:
    """The link between a Deployment and its pods."""

    uid: str
    deployment_uid: str
    revision: str


@dataclass(frozen=True, slots=True)
class PodDetails:
    """What retirement wants to know of a pod, as it stands there: annotations are read in annotations.py.

    `container` is the run of the media server's container; `started` whether any container of the pod ever ran;
    `unschedulable_s` since when (epoch seconds) no node takes it.
    """

    version: str
    address: str
    container: str
    started: bool
    protected: str
    drain: str | None
    evidence: str | None
    wish: str | None
    unschedulable_s: float | None


@dataclass(frozen=True, slots=True)
class PodSeen:
    """A pod as one event shows it. Times are epoch seconds.

    `ready_changed_s` is when the Ready condition changed last, `started_s` when the kubelet took the pod.
    """

    uid: str
    name: str
    owner_uid: str
    created_s: float
    ready: bool
    ready_changed_s: float | None
    started_s: float | None
    restarts: int
    phase: str
    deleting: bool
    state_annotation: str | None
    node: str | None
    revision: str
    details: PodDetails | None = None


def scaled_object(item: JsonObject) -> ScaledObject:
    """Strip a keda.sh/v1alpha1 ScaledObject; KEDA's own defaults are filled in."""
    namespace, name = _name(item)
    spec, target = _map(item, "spec"), _map(item, "spec", "scaleTargetRef")
    hpa = _text(_map(item, "status").get("hpaName")) or _text(
        _map(item, "spec", "advanced", "horizontalPodAutoscalerConfig").get("name")
    )
    return ScaledObject(
        name=(namespace, name),
        workload=(namespace, intern(_text(target.get("kind")) or "Deployment"), _text(target.get("name"))),
        minimum=_integer(spec.get("minReplicaCount"), 0),
        maximum=_integer(spec.get("maxReplicaCount"), 100),
        paused=_paused(_map(item, "metadata", "annotations")),
        polling_interval_s=_integer(spec.get("pollingInterval"), 30),
        hpa=(namespace, hpa or f"keda-hpa-{name}"),
        triggers=tuple(
            _external_trigger(_map(trigger, "metadata"))
            for trigger in _list(spec.get("triggers"))
            if trigger.get("type") in ("external", "external-push")
        ),
    )


def hpa(item: JsonObject) -> Hpa:
    """Strip an autoscaling/v2 HorizontalPodAutoscaler."""
    directions = (_map(item, "spec", "behavior", way) for way in ("scaleUp", "scaleDown"))
    return Hpa(_name(item), all(_is_zero(direction.get("tolerance")) for direction in directions), _hpa_faults(item))


def deployment(item: JsonObject) -> Workload:
    """Strip an apps/v1 Deployment."""
    return _workload(item, "Deployment", _text(_map(item, "metadata", "annotations").get(DEPLOYMENT_REVISION)))


def stateful_set(item: JsonObject) -> Workload:
    """Strip an apps/v1 StatefulSet."""
    return _workload(item, "StatefulSet", _text(_map(item, "status").get("updateRevision")))


def replica_set(item: JsonObject) -> ReplicaSet | None:
    """Strip the metadata of an apps/v1 ReplicaSet; None when no Deployment owns it."""
    owner = _controller(item)
    if owner.get("kind") != "Deployment":
        return None
    revision = _text(_map(item, "metadata", "annotations").get(DEPLOYMENT_REVISION))
    return ReplicaSet(uid_of(item), _text(owner.get("uid")), revision)


def pod(item: JsonObject) -> PodSeen | None:
    """Strip a v1 Pod; None when neither a ReplicaSet nor a StatefulSet owns it."""
    owner = _controller(item)
    if owner.get("kind") not in ("ReplicaSet", "StatefulSet"):
        return None
    metadata, status = _map(item, "metadata"), _map(item, "status")
    ready: JsonObject = next((c for c in _list(status.get("conditions")) if c.get("type") == "Ready"), {})
    return PodSeen(
        uid=uid_of(item),
        name=_text(metadata.get("name")),
        owner_uid=intern(_text(owner.get("uid"))),
        created_s=_epoch_s(metadata.get("creationTimestamp")) or 0.0,
        ready=ready.get("status") == "True",
        ready_changed_s=_epoch_s(ready.get("lastTransitionTime")),
        started_s=_epoch_s(status.get("startTime")),
        restarts=sum(_integer(c.get("restartCount"), 0) for c in _list(status.get("containerStatuses"))),
        phase=intern(_text(status.get("phase"))),
        deleting="deletionTimestamp" in metadata,
        state_annotation=_text(_map(metadata, "annotations").get(marks.STATE)) or None,
        node=intern(_text(_map(item, "spec").get("nodeName"))) or None,
        revision=intern(_text(_map(metadata, "labels").get("controller-revision-hash"))),
        details=_details(item),
    )


def node(item: JsonObject) -> Node:
    """Strip a v1 Node."""
    spec, metadata = _map(item, "spec"), _map(item, "metadata")
    conditions = _list(_map(item, "status").get("conditions"))
    ready: JsonObject = next((one for one in conditions if one.get("type") == "Ready"), {})
    return Node(
        name=_text(metadata.get("name")),
        ready=_text(ready.get("status")) or "Unknown",
        cordoned=spec.get("unschedulable") is True,
        out_of_service=any(taint.get("key") == OUT_OF_SERVICE for taint in _list(spec.get("taints"))),
        zone=_text(_map(metadata, "labels").get("topology.kubernetes.io/zone")) or None,
    )


def namespace(item: JsonObject) -> Namespace:
    """Strip a v1 Namespace."""
    metadata = _map(item, "metadata")
    return Namespace(_text(metadata.get("name")), _annotation(metadata, marks.FREEZE))


def namespace_of(item: JsonObject) -> str:
    """The namespace that the object lies in."""
    return _text(_map(item, "metadata").get("namespace"))


def uid_of(item: JsonObject) -> str:
    """The object's UID, which no later object of the same name has."""
    return _text(_map(item, "metadata").get("uid"))


def version_of(item: JsonObject) -> str:
    """The resourceVersion of an object or of a list."""
    return _text(_map(item, "metadata").get("resourceVersion"))


def continue_of(page: JsonObject) -> str:
    """The token of a list's next page, empty on the last."""
    return _text(_map(page, "metadata").get("continue"))


def items_of(page: JsonObject) -> Sequence[JsonObject]:
    """The objects of a list's page."""
    return _list(page.get("items"))


def _workload(item: JsonObject, kind: str, revision: str) -> Workload:
    namespace, name = _name(item)
    return Workload(
        name=(namespace, kind, name),
        uid=uid_of(item),
        spec_replicas=_integer(_map(item, "spec").get("replicas"), 1),
        status_replicas=_integer(_map(item, "status").get("replicas"), 0),
        revision=revision,
        version=version_of(item),
        freeze=_annotation(_map(item, "metadata"), marks.FREEZE),
    )


def _details(item: JsonObject) -> PodDetails:
    metadata, status = _map(item, "metadata"), _map(item, "status")
    statuses = _list(status.get("containerStatuses"))
    scheduled: JsonObject = next(
        (one for one in _list(status.get("conditions")) if one.get("type") == "PodScheduled"), {}
    )
    waits = scheduled.get("status") == "False"
    return PodDetails(
        version=version_of(item),
        address=_text(status.get("podIP")),
        container=_media_run(item, statuses),
        started=any(_has_run(one) for one in (*statuses, *_list(status.get("initContainerStatuses")))),
        protected=intern(_text(_map(metadata, "labels").get(marks.PROTECTED))),
        drain=_annotation(metadata, marks.DRAIN),
        evidence=_annotation(metadata, marks.EVIDENCE),
        wish=_annotation(metadata, marks.WISH),
        unschedulable_s=_epoch_s(scheduled.get("lastTransitionTime")) if waits else None,
    )


def _media_run(item: JsonObject, statuses: Sequence[JsonObject]) -> str:
    """The run of the media server's container; of all of them where the one that is named is not there."""
    # The kubelet sorts statuses by name, so the pod's first container need not be the first of them.
    first = next(iter(_list(_map(item, "spec").get("containers"))), {})
    named = _annotation(_map(item, "metadata"), marks.CONTAINER) or first.get("name")
    media = [one for one in statuses if one.get("name") == named] or statuses
    return ",".join(f"{_text(one.get('containerID'))}#{_integer(one.get('restartCount'), 0)}" for one in media)


def _has_run(status: JsonObject) -> bool:
    """Whether a container has ever started. A container that waits to be started again has."""
    state, last = _map(status, "state"), _map(status, "lastState")
    return bool("running" in state or "terminated" in state or last or _integer(status.get("restartCount"), 0))


def _hpa_faults(item: JsonObject) -> tuple[str, ...]:
    """Why it could not raise its target now."""
    conditions = _list(_map(item, "status").get("conditions"))
    told = {_text(one.get("type")): one for one in conditions}
    faults = []
    for kind in ("AbleToScale", "ScalingActive"):
        one = told.get(kind, {})
        if one.get("status") != "True":
            faults.append(f"the HPA is not {kind} ({_text(one.get('reason')) or 'not known yet'})")
    return tuple(faults)


def _annotation(metadata: JsonObject, name: str) -> str | None:
    value = _map(metadata, "annotations").get(name)
    return value if isinstance(value, str) else None


def _external_trigger(metadata: JsonObject) -> ExternalTrigger:
    texts = {key: value for key, value in metadata.items() if isinstance(value, str)}
    return ExternalTrigger(texts.get("scalerAddress", "").strip(), texts)


def _paused(annotations: JsonObject) -> bool:
    # As KEDA reads them: a number of replicas pauses whatever it is, a flag unless Go calls its text false. What may
    # no longer scale out counts too, since an answer would do nothing.
    if f"{_KEDA_ANNOTATION}paused-replicas" in annotations:
        return True
    flags = (annotations.get(f"{_KEDA_ANNOTATION}{flag}") for flag in ("paused", "paused-scale-out"))
    return any(flag is not None and flag not in _GO_FALSE for flag in flags)


def _is_zero(quantity: object) -> bool:
    try:
        return quantity is not None and Decimal(str(quantity).removesuffix("m")) == 0
    except InvalidOperation:
        return False


def _controller(item: JsonObject) -> JsonObject:
    owners = _list(_map(item, "metadata").get("ownerReferences"))
    return next((owner for owner in owners if owner.get("controller")), {})


def _name(item: JsonObject) -> NamespacedName:
    metadata = _map(item, "metadata")
    return intern(_text(metadata.get("namespace"))), _text(metadata.get("name"))


def _map(item: JsonObject, *path: str) -> JsonObject:
    for step in path:
        inner = item.get(step)
        item = cast("JsonObject", inner) if isinstance(inner, Mapping) else {}
    return item


def _list(value: object) -> Sequence[JsonObject]:
    return cast("Sequence[JsonObject]", value) if isinstance(value, list) else ()


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _integer(value: object, default: int) -> int:
    return value if isinstance(value, int) else default


def _epoch_s(timestamp: object) -> float | None:
    return datetime.fromisoformat(timestamp).timestamp() if isinstance(timestamp, str) else None
