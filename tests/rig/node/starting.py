"""What a container is started with: its image, environment, command and mounts, read from its pod."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.rig.images import IMAGES
from tests.rig.images.image import Container, Image
from tests.rig.node import environment, volumes
from tests.rig.node.container import Start, new_root, with_path
from tests.rig.node.environment import Lookup, PodSpecError, Surroundings
from tests.rig.node.mounts import Bind

START_DELAY = "rig.calltide.io/start-delay"
"""Annotation: how much later the containers start, in place of an image that is pulled and a server that boots."""
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m)")
_UNIT_S = {"ms": 0.001, "s": 1.0, "m": 60.0}


def image(reference: str) -> Image:
    """The image of a container: its name without registry and tag.

    Raises:
        PodSpecError: there is none.
    """
    name = reference.rsplit("/", 1)[-1].split("@")[0].split(":")[0]
    if name not in IMAGES:
        raise PodSpecError(f"there is no image {reference!r} on the rig; known are {', '.join(sorted(IMAGES))}")
    return IMAGES[name]


def start_delay_s(pod: Mapping[str, Any]) -> float:
    """How much later the containers of a pod start.

    Raises:
        PodSpecError: the annotation is no duration such as 45s, 1m30s or 500ms.
    """
    text = pod["metadata"].get("annotations", {}).get(START_DELAY, "0s")
    if not re.fullmatch(f"({_DURATION.pattern})+", text):
        raise PodSpecError(f"annotation {START_DELAY}: {text!r} is not a duration such as 45s or 1m30s")
    return sum(float(number) * _UNIT_S[unit] for number, unit in _DURATION.findall(text))


def start(
    spec: Mapping[str, Any],
    surroundings: Surroundings,
    lookup: Lookup,
    *,
    variables: Mapping[str, str],
    hosts: Path,
    folder: Path,
) -> Start:
    """How a container starts.

    Raises:
        PodSpecError: it asks for something that is not there or not supported.
    """
    pod, chosen = surroundings.pod, image(spec["image"])
    fixed = {**variables, "HOSTNAME": pod["metadata"]["name"], "POD_IP": surroundings.pod_ip}
    values = with_path(environment.environment(spec, surroundings, fixed, lookup))
    return Start(
        image=chosen,
        container=Container(new_root(folder, spec["name"]), pod, spec, surroundings.pod_ip, values),
        command=environment.command(spec, chosen.entrypoint, values),
        working_directory=spec.get("workingDir", "/"),
        binds=(
            *(Bind(path, str(path), read_only=True) for path in chosen.mounts),
            Bind(hosts, "/etc/hosts", read_only=True),
            *(volumes.binds(spec, pod, folder / "volumes") if chosen.tree is not None else ()),
        ),
        user=_user(pod, spec),
        log=folder / f"{spec['name']}.log",
    )


def _user(pod: Mapping[str, Any], spec: Mapping[str, Any]) -> tuple[int, int] | None:
    context = {**pod["spec"].get("securityContext", {}), **spec.get("securityContext", {})}
    if "runAsUser" not in context:
        return None
    return context["runAsUser"], context.get("runAsGroup", 0)
