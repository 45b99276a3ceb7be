"""The voice workloads of a cluster, from the manifests beside this file: the proxies, and any number of fleets."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.rig.voice.dispatcher import FLEET_LABEL

MANIFESTS = Path(__file__).parent / "manifests"
PROXIES = MANIFESTS / "proxies.yaml"
PROXY_NAMESPACE = "voice"
PROXY_LABELS = "app=kamailio"
TENANT_LABEL = "calltide.io/tenant"
Object = dict[str, Any]


def proxies() -> list[Object]:
    """Everything that the proxies are made of, in the order in which it is applied."""
    return list(yaml.safe_load_all(PROXIES.read_text(encoding="utf-8")))


def fleet(
    name: str,
    *,
    namespace: str,
    replicas: int,
    tenant: str | None = None,
    environment: Mapping[str, str] | None = None,
    labels: Mapping[str, str] | None = None,
) -> Object:
    """The Deployment of a fleet of PBXs.

    Args:
        name: of the Deployment and of the fleet: callers dial sip:…@NAME.rig.
        namespace: where it goes.
        replicas: how many at first.
        tenant: what its metrics and call records are labelled with; by default its name.
        environment: what the image `asterisk` takes, as ASTERISK_MAXCALLS or CALLTIDE_GATE.
        labels: more of them for its pods, as calltide.io/protected or calltide.io/dispatcher-set.
    """
    made: Object = yaml.safe_load((MANIFESTS / "fleet.yaml").read_text(encoding="utf-8"))
    chosen = {"TENANT_ID": tenant or name, **(environment or {})}
    made["metadata"] = {"name": name, "namespace": namespace}
    spec = made["spec"]
    spec["replicas"] = replicas
    spec["selector"]["matchLabels"][FLEET_LABEL] = name
    pod = spec["template"]
    pod["metadata"]["labels"] |= {FLEET_LABEL: name, TENANT_LABEL: tenant or name, **(labels or {})}
    pod["spec"]["containers"][0]["env"] = [{"name": key, "value": value} for key, value in chosen.items()]
    return made
