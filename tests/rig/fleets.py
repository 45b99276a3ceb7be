"""Fleets as a user of calltide would write them: a Deployment, and the example ScaledObject that points to it."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

EXAMPLE = Path(__file__).parents[2] / "examples" / "scaledobject.yaml"
Object = dict[str, Any]


def namespace(name: str) -> Object:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def deployment(
    name: str,
    *,
    image: str,
    replicas: int,
    namespace: str,
    annotations: Mapping[str, str] | None = None,
) -> Object:
    """A fleet of pods without servers that anybody calls. Rollouts may double it, as calltide's fleets' may."""
    labels = {"app": name}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "100%", "maxUnavailable": 0}},
            "template": {
                "metadata": {"labels": labels, "annotations": dict(annotations or {})},
                "spec": {
                    "automountServiceAccountToken": False,
                    "terminationGracePeriodSeconds": 1,
                    "containers": [{"name": "pod", "image": image}],
                },
            },
        },
    }


def scaled_object(
    name: str,
    *,
    namespace: str,
    metadata: Mapping[str, str],
    maximum: int = 100,
    polling_interval_s: int = 5,
    authentication: str | None = "calltide",
) -> Object:
    """The ScaledObject of the examples with its behaviour untouched, for the Deployment of the same name.

    `metadata` is the trigger's own; `authentication` names a ClusterTriggerAuthentication.
    """
    trigger: Object = {"type": "external", "metricType": "AverageValue", "metadata": dict(metadata)}
    if authentication is not None:
        trigger["authenticationRef"] = {"name": authentication, "kind": "ClusterTriggerAuthentication"}
    return _scaled_object(name, namespace, [trigger], maximum, polling_interval_s)


def scaled_object_by(
    name: str, *, namespace: str, triggers: Sequence[Object], maximum: int, polling_interval_s: int = 5
) -> Object:
    """The same with triggers of KEDA's own, for a comparison in which nothing else differs."""
    return _scaled_object(name, namespace, list(triggers), maximum, polling_interval_s)


def _scaled_object(name: str, namespace: str, triggers: list[Object], maximum: int, polling_interval_s: int) -> Object:
    with EXAMPLE.open(encoding="utf-8") as documents:
        made: Object = copy.deepcopy(next(yaml.safe_load_all(documents)))
    made["metadata"] = {"name": name, "namespace": namespace}
    spec = made["spec"]
    spec["scaleTargetRef"]["name"] = name
    spec["minReplicaCount"], spec["maxReplicaCount"] = 1, maximum
    spec["pollingInterval"] = polling_interval_s
    spec["triggers"] = triggers
    return made
