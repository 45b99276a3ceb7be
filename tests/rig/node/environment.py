"""A container's environment, command and downward API values, as a kubelet makes them. Pure functions."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

_REFERENCE = re.compile(r"\$(?:(\$)|\(([^)]*)\))")
_KEYED = re.compile(r"metadata\.(labels|annotations)\['(.+)'\]")

Data = Mapping[str, bytes]
"""What a ConfigMap or Secret holds, by key."""


class PodSpecError(Exception):
    """A pod asks for what is not there or is not supported; a kubelet would show it as the waiting reason."""


@dataclass(frozen=True, slots=True)
class Reference:
    """A ConfigMap or Secret that a pod names."""

    resource: str
    """As in a URL: configmaps or secrets."""
    name: str
    optional: bool = False


Lookup = Callable[[Reference], Data | None]
"""The data behind a reference; None for an optional one that is not there."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a pod's containers may learn about it."""

    pod: Mapping[str, Any]
    pod_ip: str
    host_ip: str

    def field(self, path: str) -> str:
        """The value of a `fieldRef`.

        Raises:
            PodSpecError: it is not supported.
        """
        metadata, spec = self.pod["metadata"], self.pod["spec"]
        keyed = _KEYED.fullmatch(path)
        if keyed:
            return str(metadata.get(keyed[1], {}).get(keyed[2], ""))
        if path in ("metadata.labels", "metadata.annotations"):
            pairs = metadata.get(path.removeprefix("metadata."), {})
            return "\n".join(f'{key}="{_quoted(value)}"' for key, value in sorted(pairs.items()))
        values = {
            "metadata.name": metadata["name"],
            "metadata.namespace": metadata["namespace"],
            "metadata.uid": metadata["uid"],
            "spec.nodeName": spec.get("nodeName", ""),
            "spec.serviceAccountName": spec.get("serviceAccountName", ""),
            "status.podIP": self.pod_ip,
            "status.podIPs": self.pod_ip,
            "status.hostIP": self.host_ip,
            "status.hostIPs": self.host_ip,
        }
        if path not in values:
            raise PodSpecError(f"fieldPath {path!r} is not supported; known are {', '.join(values)}")
        return str(values[path])


def environment(
    container: Mapping[str, Any], surroundings: Surroundings, fixed: Mapping[str, str], lookup: Lookup
) -> dict[str, str]:
    """The environment of a container: what is fixed, then envFrom, then env, each entry seeing those before it.

    Raises:
        PodSpecError: something that it refers to is not there.
    """
    values = dict(fixed)
    for source in container.get("envFrom", ()):
        reference = _env_from(source)
        for key, content in (lookup(reference) or {}).items():
            values[source.get("prefix", "") + key] = content.decode()
    for entry in container.get("env", ()):
        if "valueFrom" in entry:
            value = _value_from(entry["valueFrom"], surroundings, lookup)
        else:
            value = expand(entry.get("value", ""), values)
        if value is not None:
            values[entry["name"]] = value
    return values


def expand(text: str, values: Mapping[str, str]) -> str:
    """`$(NAME)` replaced where it is known; `$$` is a dollar."""

    def value(match: re.Match[str]) -> str:
        return "$" if match[1] else values.get(match[2], match[0])

    return _REFERENCE.sub(value, text)


def command(container: Mapping[str, Any], entrypoint: tuple[str, ...], values: Mapping[str, str]) -> tuple[str, ...]:
    """The command line: `command` in place of the image's entry point, then `args`."""
    parts = (*(container.get("command") or entrypoint), *container.get("args", ()))
    return tuple(expand(part, values) for part in parts)


def references(container: Mapping[str, Any]) -> Iterator[Reference]:
    """The ConfigMaps and Secrets that a container's environment names."""
    for source in container.get("envFrom", ()):
        yield _env_from(source)
    for entry in container.get("env", ()):
        keyed = _keyed(entry.get("valueFrom", {}))
        if keyed is not None:
            yield keyed[0]


def _env_from(source: Mapping[str, Any]) -> Reference:
    resource, ref = (
        ("configmaps", source["configMapRef"]) if "configMapRef" in source else ("secrets", source["secretRef"])
    )
    return Reference(resource, ref["name"], ref.get("optional", False))


def _keyed(source: Mapping[str, Any]) -> tuple[Reference, str] | None:
    for name, resource in (("configMapKeyRef", "configmaps"), ("secretKeyRef", "secrets")):
        if name in source:
            ref = source[name]
            return Reference(resource, ref["name"], ref.get("optional", False)), ref["key"]
    return None


def _value_from(source: Mapping[str, Any], surroundings: Surroundings, lookup: Lookup) -> str | None:
    if "fieldRef" in source:
        return surroundings.field(source["fieldRef"]["fieldPath"])
    keyed = _keyed(source)
    if keyed is None:
        raise PodSpecError(f"env valueFrom {sorted(source)} is not supported")
    reference, key = keyed
    data = lookup(reference) or {}
    if key not in data and not reference.optional:
        raise PodSpecError(f"there is no key {key!r} in {reference.resource} {reference.name!r}")
    return data[key].decode() if key in data else None


def _quoted(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
