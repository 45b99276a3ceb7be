"""What a person's command asks of the API server and writes there, with that person's own rights.

Unlike the watches it reads each object when it is asked, with a deadline, and finds a thing by its name or says which
names there are.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from urllib.parse import quote, urlencode

from scaler.core.fleets import FleetKey
from scaler.errors import FleetError
from scaler.fleet.kubernetes import objects
from scaler.fleet.kubernetes.annotations import PROTECTED
from scaler.fleet.kubernetes.api import ApiError, ApiRefusedError, JsonObject, KubernetesApi
from scaler.fleet.kubernetes.doctor.findings import FleetObjects
from scaler.fleet.kubernetes.fields import controller_of, label_of, map_at, name_of, selector_text, text_at
from scaler.fleet.kubernetes.objects import items_of, uid_of
from scaler.fleet.kubernetes.triggers import reference_of
from scaler.fleet.kubernetes.writing import MERGE_PATCH
from scaler.policy.model import PolicySpec

WITHIN_S = 10.0
"""Deadline of each request."""
PAGE = "500"
ADMISSION = "/apis/admissionregistration.k8s.io/v1"
GROUPS = {
    "Deployment": "/apis/apps/v1/namespaces/{}/deployments",
    "StatefulSet": "/apis/apps/v1/namespaces/{}/statefulsets",
    "ReplicaSet": "/apis/apps/v1/namespaces/{}/replicasets",
    "Pod": "/api/v1/namespaces/{}/pods",
    "Service": "/api/v1/namespaces/{}/services",
    "PodDisruptionBudget": "/apis/policy/v1/namespaces/{}/poddisruptionbudgets",
    "HorizontalPodAutoscaler": "/apis/autoscaling/v2/namespaces/{}/horizontalpodautoscalers",
    "VerticalPodAutoscaler": "/apis/autoscaling.k8s.io/v1/namespaces/{}/verticalpodautoscalers",
    "ScaledObject": "/apis/keda.sh/v1alpha1/namespaces/{}/scaledobjects",
}
_USERNAME = ("status", "userInfo", "username")
_ENDED = ("Succeeded", "Failed")


class NamelessError(FleetError):
    """There is no object of that name. `known` are those that there are."""

    def __init__(self, kind: str, name: str, known: list[str]) -> None:
        super().__init__(f"There is no {kind} {name!r}.")
        self.kind, self.name, self.known = kind, name, known


class ByHand:
    """Requests of one person. Every method raises ApiError when the API server refuses, or does not answer in time."""

    def __init__(self, api: KubernetesApi, within_s: float = WITHIN_S) -> None:
        self._api = api
        self._within_s = within_s

    def find(self, path: str) -> JsonObject | None:
        """One object; None when there is none."""
        try:
            return self._api.send("GET", path, None, self._within_s)
        except ApiRefusedError as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return None
            raise

    def every(self, path: str, query: Mapping[str, str] | None = None) -> list[JsonObject]:
        """All objects of a list; none where the server does not know the kind."""
        found: list[JsonObject] = []
        more = dict(query or {}) | {"limit": PAGE}
        while True:
            page = self.find(f"{path}?{urlencode(more)}")
            if page is None:
                return found
            found += items_of(page)
            token = objects.continue_of(page)
            if not token:
                return found
            more["continue"] = token

    def user(self) -> str:
        """Who the API server takes the person for; empty where it does not say."""
        review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
        try:
            return text_at(self.create("/apis/authentication.k8s.io/v1/selfsubjectreviews", review), *_USERNAME)
        except ApiError:
            return ""

    def patch(self, path: str, change: Mapping[str, object]) -> JsonObject:
        """Merge a change (RFC 7386) into an object; what it is afterwards."""
        return self._api.send("PATCH", path, change, self._within_s, MERGE_PATCH)

    def create(self, path: str, item: JsonObject) -> JsonObject:
        """Make an object."""
        return self._api.send("POST", path, item, self._within_s)

    def delete(self, path: str, uid: str) -> None:
        """Delete an object, and no other that has its name by now."""
        options = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"uid": uid}}
        self._api.send("DELETE", path, options, self._within_s)


def path_of(kind: str, namespace: str, name: str = "") -> str:
    """Where the API server has an object, or without a name all of the kind."""
    return GROUPS[kind].format(quote(namespace, safe="")) + (f"/{quote(name, safe='')}" if name else "")


def namespace_path(namespace: str) -> str:
    """Where the API server has a namespace."""
    return f"/api/v1/namespaces/{quote(namespace, safe='')}"


def find_pod(by_hand: ByHand, namespace: str, name: str) -> JsonObject:
    """A pod.

    Raises:
        NamelessError: there is none of that name.
        ApiError: it cannot be read.
    """
    pod = by_hand.find(path_of("Pod", namespace, name))
    if pod is None:
        known = [name_of(one) for one in by_hand.every(path_of("Pod", namespace))]
        raise NamelessError("pod", name, known)
    return pod


def fleet_of_pod(by_hand: ByHand, pod: JsonObject) -> str | None:
    """The fleet that a pod belongs to; None when it is no fleet's.

    A fleet that a policy lists, without a trigger of ours, is known here by its pods' protection alone, and goes by the
    name of its workload.
    """
    namespace = text_at(pod, "metadata", "namespace")
    kind, name = controller_of(pod)
    if kind == "ReplicaSet":
        kind, name = controller_of(by_hand.find(path_of("ReplicaSet", namespace, name)) or {})
    if kind not in ("Deployment", "StatefulSet"):
        return None
    for item in by_hand.every(path_of("ScaledObject", namespace)):
        scaled = objects.scaled_object(item)
        if scaled.workload == (namespace, kind, name) and reference_of(scaled, ()) is not None:
            return f"{namespace}/{scaled.name[1]}"
    return f"{namespace}/{name}" if label_of(pod, PROTECTED) else None


def find_workload(by_hand: ByHand, key: FleetKey) -> tuple[str, JsonObject]:
    """Kind and object of the Deployment or StatefulSet that a fleet is.

    Raises:
        NamelessError: neither a ScaledObject nor a workload has that name.
        FleetError: the ScaledObject points to what is not there or is no such workload.
        ApiError: it cannot be read.
    """
    scaled = by_hand.find(path_of("ScaledObject", key.namespace, key.name))
    kind, workload = _workload(by_hand, key, scaled)
    if workload is not None:
        return kind, workload
    if scaled is None:
        raise _nameless_fleet(by_hand, key)
    raise FleetError(f"ScaledObject {key} points to a {kind} that does not exist; create it or mend scaleTargetRef")


def read_fleet(by_hand: ByHand, key: FleetKey, *, policy: PolicySpec | None = None) -> FleetObjects:
    """A fleet with all that may end its pods, and what its policy says of it.

    What the person may not read is told in `unread`.

    Raises:
        NamelessError: neither a ScaledObject nor a workload has that name.
        ApiError: the ScaledObject, the workload or its pods cannot be read.
    """
    scaled = by_hand.find(path_of("ScaledObject", key.namespace, key.name))
    kind, workload = _workload(by_hand, key, scaled)
    if scaled is None and workload is None:
        raise _nameless_fleet(by_hand, key)
    replica_sets = _replica_sets(by_hand, key.namespace, kind, workload)
    others = _Reading(by_hand)
    return FleetObjects(
        key=key,
        kind=kind,
        workload=workload,
        scaled_object=scaled,
        pods=_pods(by_hand, key.namespace, workload, replica_sets),
        replica_sets=replica_sets,
        hpas=others.every("hpas", path_of("HorizontalPodAutoscaler", key.namespace)),
        vpas=others.every("vpas", path_of("VerticalPodAutoscaler", key.namespace)),
        budgets=others.every("budgets", path_of("PodDisruptionBudget", key.namespace)),
        namespace=others.one("namespace", namespace_path(key.namespace)),
        policies=others.every("policies", f"{ADMISSION}/validatingadmissionpolicies"),
        bindings=others.every("bindings", f"{ADMISSION}/validatingadmissionpolicybindings"),
        services=others.every("services", path_of("Service", key.namespace)),
        unread=others.unread,
        policy_maximum=None if policy is None else policy.max_pods,
        retirement=None if policy is None else policy.retirement,
    )


class _Reading:
    """Reads what not everybody may read, and notes what could not be."""

    def __init__(self, by_hand: ByHand) -> None:
        self._by_hand = by_hand
        self.unread: dict[str, str] = {}

    def every(self, what: str, path: str) -> list[JsonObject]:
        try:
            return self._by_hand.every(path)
        except ApiError as error:
            self.unread[what] = str(error)
            return []

    def one(self, what: str, path: str) -> JsonObject:
        try:
            return self._by_hand.find(path) or {}
        except ApiError as error:
            self.unread[what] = str(error)
            return {}


def _nameless_fleet(by_hand: ByHand, key: FleetKey) -> NamelessError:
    known = [f"{key.namespace}/{name_of(one)}" for one in by_hand.every(path_of("ScaledObject", key.namespace))]
    return NamelessError("fleet", str(key), known)


def _workload(by_hand: ByHand, key: FleetKey, scaled: JsonObject | None) -> tuple[str, JsonObject | None]:
    if scaled is not None:
        namespace, kind, name = objects.scaled_object(scaled).workload
        if kind not in ("Deployment", "StatefulSet"):
            raise FleetError(f"{key} scales a {kind}; only a Deployment or a StatefulSet can be retired from")
        return kind, by_hand.find(path_of(kind, namespace, name))
    for kind in ("Deployment", "StatefulSet"):
        workload = by_hand.find(path_of(kind, key.namespace, key.name))
        if workload is not None:
            return kind, workload
    return "Deployment", None


def _replica_sets(by_hand: ByHand, namespace: str, kind: str, workload: JsonObject | None) -> list[JsonObject]:
    if workload is None or kind != "Deployment":
        return []
    own = {"labelSelector": selector_text(map_at(workload, "spec", "selector"))}
    owner = ("Deployment", name_of(workload))
    return [one for one in by_hand.every(path_of("ReplicaSet", namespace), own) if controller_of(one) == owner]


def _pods(
    by_hand: ByHand, namespace: str, workload: JsonObject | None, replica_sets: list[JsonObject]
) -> list[JsonObject]:
    if workload is None:
        return []
    owners = {uid_of(one) for one in (workload, *replica_sets)}
    own = {"labelSelector": selector_text(map_at(workload, "spec", "selector"))}
    return [
        pod
        for pod in by_hand.every(path_of("Pod", namespace), own)
        if owners & {text_at(owner, "uid") for owner in _owners(pod)} and _stands(pod)
    ]


def _owners(pod: JsonObject) -> list[JsonObject]:
    owners = map_at(pod, "metadata").get("ownerReferences")
    return [one for one in owners if isinstance(one, Mapping)] if isinstance(owners, list) else []


def _stands(pod: JsonObject) -> bool:
    return "deletionTimestamp" not in map_at(pod, "metadata") and text_at(pod, "status", "phase") not in _ENDED
