"""Changing the labels and annotations of a pod template without restarting a pod.

A StatefulSet with `OnDelete` leaves its pods alone. A Deployment rolls out whatever differs from the template of its
newest ReplicaSet; so that template is changed first, while the Deployment is paused, and then the Deployment's own to
the same. ReplicaSets and Deployments are followed by one process through one memory, so the ReplicaSet's
`observedGeneration` says that whoever rolls out knows its new template too (docs/decisions/0018).

Should a rollout begin all the same, it ends nothing: at that time every pod is protected.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from scaler.errors import FleetError
from scaler.fleet.kubernetes.api import JsonObject
from scaler.fleet.kubernetes.by_hand import ByHand, path_of
from scaler.fleet.kubernetes.doctor.findings import FleetObjects
from scaler.fleet.kubernetes.fields import annotation_of, integer_at, name_of, text_at, value_at
from scaler.fleet.kubernetes.objects import DEPLOYMENT_REVISION, version_of

PAUSED = "calltide.io/paused"
"""On a Deployment: it is paused by us, for a change of its template that is under way."""
ADOPTED = "calltide.io/adopted"
"""On a workload: the annotations that its pod template has from us, comma-separated."""
CONTROLLERS_WITHIN_S = 60.0
LOOK_EVERY_S = 0.1


@dataclass(frozen=True, slots=True)
class Change:
    """What to set (or, as None, to remove) of the template's labels and annotations, and of the workload's own."""

    labels: Mapping[str, str | None]
    annotations: Mapping[str, str | None]
    adopted: str | None

    @property
    def template(self) -> JsonObject:
        """As a merge patch of `spec.template`."""
        return {"metadata": {"labels": self.labels, "annotations": self.annotations}}


def not_at_rest(fleet: FleetObjects) -> str | None:
    """Why the controller is about to end or replace pods; None when it is not."""
    workload = fleet.workload or {}
    if integer_at(workload, "status", "observedGeneration") < integer_at(workload, "metadata", "generation"):
        return "its controller has not seen its last change yet"
    wanted = integer_at(workload, "spec", "replicas", default=1)
    if len(fleet.pods) > wanted:
        return f"{len(fleet.pods)} pods stand where {wanted} are wanted; the surplus ends when nothing protects it"
    counted = integer_at(workload, "status", "replicas")
    if len(fleet.pods) < counted:
        return f"its controller counts {counted} pods, and {len(fleet.pods)} of it are found; try again in a moment"
    if fleet.kind == "StatefulSet":
        return _stateful_set_rolls(fleet)
    if any(_is_active(one) for one in fleet.replica_sets if one is not _newest(fleet)):
        return "a rollout is under way; it ends pods of the old revision when nothing protects them"
    return None


def not_changeable(fleet: FleetObjects) -> str | None:
    """Why the template cannot be changed without a rollout; None when it can."""
    workload = fleet.workload or {}
    if value_at(workload, "spec", "paused") is True:
        # A change that broke off is gone on with.
        return None if annotation_of(workload, PAUSED) else "it is paused: kubectl rollout resume, and try again"
    rests = not_at_rest(fleet)
    if rests is None and fleet.kind == "Deployment" and _newest(fleet) is None:
        return "its newest ReplicaSet cannot be told; try again in a moment"
    return rests


def change_template(by_hand: ByHand, fleet: FleetObjects, change: Change) -> None:
    """Carry a change out; nothing is restarted when this returns.

    Raises:
        FleetError: the controllers do not follow, or began a rollout. What was begun can be gone on with.
        ApiError: a write was refused or not answered.
    """
    workload = fleet.workload or {}
    path = path_of(fleet.kind, fleet.key.namespace, name_of(workload))
    adopted = {"metadata": {"annotations": {ADOPTED: change.adopted}}}
    if fleet.kind == "StatefulSet":
        # In one write, so that no controller ever sees the new template under the old strategy.
        strategy = {"type": "OnDelete", "rollingUpdate": None}
        spec = {"updateStrategy": strategy, "template": change.template}
        _until_observed(by_hand, path, by_hand.patch(path, _over(workload, adopted) | {"spec": spec}))
        return
    newest = _newest(fleet)
    if newest is None:
        raise FleetError(f"{fleet.workload_name}: {not_changeable(fleet)}")
    paused = by_hand.patch(path, _over(workload, {"metadata": {"annotations": {PAUSED: "true"}}}, paused=True))
    _until_observed(by_hand, path, paused)
    sets = path_of("ReplicaSet", fleet.key.namespace, name_of(newest))
    _until_observed(by_hand, sets, by_hand.patch(sets, {"spec": {"template": change.template}}))
    noted = {"metadata": {"annotations": {PAUSED: None, ADOPTED: change.adopted}}}
    # Whatever else was written to the Deployment meanwhile (a scale, for one) stays: this names no version.
    resumed = by_hand.patch(path, {**noted, "spec": {"paused": None, "template": change.template}})
    _until_observed(by_hand, path, resumed)
    after = by_hand.find(path) or {}
    if annotation_of(after, DEPLOYMENT_REVISION) != annotation_of(workload, DEPLOYMENT_REVISION):
        raise FleetError(
            f"{fleet.workload_name}: a rollout has begun, since something else changed the template at the same time. "
            "Its pods are protected, so none ends with calls. Try again when calltide has let the old ones go"
        )


def _over(workload: JsonObject, change: Mapping[str, JsonObject], *, paused: bool = False) -> dict[str, object]:
    """A patch that is refused when anything has written the workload since it was read."""
    metadata = {**change["metadata"], "resourceVersion": version_of(workload)}
    patch: dict[str, object] = {"metadata": metadata}
    return patch | {"spec": {"paused": True}} if paused else patch


def _until_observed(by_hand: ByHand, path: str, written: JsonObject) -> None:
    generation = integer_at(written, "metadata", "generation")

    def is_observed() -> bool:
        return integer_at(by_hand.find(path) or {}, "status", "observedGeneration") >= generation

    _until(is_observed, f"{path} was changed, and its controller has not taken that up")


def _until(holds: Callable[[], bool], otherwise: str) -> None:
    end_s = time.monotonic() + CONTROLLERS_WITHIN_S
    while not holds():
        if time.monotonic() > end_s:
            raise FleetError(
                f"{otherwise} within {CONTROLLERS_WITHIN_S:.0f} s. Nothing has ended, and everything is protected. "
                "Look at kube-controller-manager, then run the same command again: it goes on from here"
            )
        time.sleep(LOOK_EVERY_S)


def _newest(fleet: FleetObjects) -> JsonObject | None:
    """The ReplicaSet of the Deployment's present template."""
    revision = annotation_of(fleet.workload or {}, DEPLOYMENT_REVISION)
    of_it = [one for one in fleet.replica_sets if annotation_of(one, DEPLOYMENT_REVISION) == revision]
    return of_it[0] if revision and len(of_it) == 1 else None


def _is_active(replica_set: JsonObject) -> bool:
    return integer_at(replica_set, "spec", "replicas") > 0 or integer_at(replica_set, "status", "replicas") > 0


def _stateful_set_rolls(fleet: FleetObjects) -> str | None:
    workload = fleet.workload or {}
    newest = text_at(workload, "status", "updateRevision")
    old = [pod for pod in fleet.pods if text_at(pod, "metadata", "labels", "controller-revision-hash") != newest]
    if old and text_at(workload, "spec", "updateStrategy", "type") != "OnDelete":
        return f"{len(old)} pods are of an old revision, which its controller ends when nothing protects them"
    return None
