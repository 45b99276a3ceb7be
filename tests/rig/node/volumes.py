"""Volumes of pods: what they hold, and how it changes under the eyes of a running container.

A mounted ConfigMap, Secret, token or downward API volume is replaced as a whole, as a kubelet does it: files are links
through `..data`, a link to a folder that is never changed, and a new version is a new folder and one renamed link.
"""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.rig.node.environment import Lookup, PodSpecError, Reference, Surroundings
from tests.rig.node.mounts import Bind

_DEFAULT_MODE = 0o644
_DEFAULT_TOKEN_S = 3600


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """A service account token that a volume wants."""

    audience: str
    """Empty for the API server itself."""
    lifetime_s: int


@dataclass(frozen=True, slots=True)
class File:
    """One file of a volume."""

    content: bytes
    mode: int


Files = Mapping[str, File]
"""By path inside the volume."""


def references(pod: Mapping[str, Any]) -> Iterator[Reference]:
    """The ConfigMaps and Secrets that a pod's volumes name."""
    for source in _sources(pod):
        reference = _reference(source)
        if reference is not None:
            yield reference


def token_requests(pod: Mapping[str, Any]) -> set[TokenRequest]:
    """The tokens that a pod's volumes want."""
    return {
        _token_request(source["serviceAccountToken"]) for source in _sources(pod) if "serviceAccountToken" in source
    }


def is_written(volume: Mapping[str, Any]) -> bool:
    """Whether the agent writes this volume's files."""
    return bool({"configMap", "secret", "projected", "downwardAPI"} & volume.keys())


def files(
    volume: Mapping[str, Any], surroundings: Surroundings, lookup: Lookup, tokens: Mapping[TokenRequest, str]
) -> Files:
    """What a volume holds now.

    Raises:
        PodSpecError: something that it refers to is not there.
    """
    projected = volume.get("projected")
    sources = projected["sources"] if projected else [volume]
    default_mode = _default_mode(projected or volume.get("configMap") or volume.get("secret") or volume["downwardAPI"])
    found: dict[str, File] = {}
    for source in sources:
        if "downwardAPI" in source:
            for item in source["downwardAPI"].get("items", ()):
                value = surroundings.field(item["fieldRef"]["fieldPath"])
                found[item["path"]] = File(value.encode(), item.get("mode") or default_mode)
        elif "serviceAccountToken" in source:
            wanted = source["serviceAccountToken"]
            found[wanted["path"]] = File(tokens[_token_request(wanted)].encode(), default_mode)
        else:
            found |= _keys(source, lookup, default_mode)
    return found


class WrittenFolder:
    """A folder whose files change all at once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._now: Files | None = None

    def write(self, new: Files) -> None:
        """Have these files, and no others. Nothing happens where they are the same already."""
        if new == self._now:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        data = self._folder / "..data"
        old = data.resolve() if data.is_symlink() else None
        version = self._folder / f"..{uuid.uuid4().hex}"
        version.mkdir()
        for path, file in new.items():
            target = version / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(file.content)
            target.chmod(file.mode)
        link = self._folder / "..data_tmp"
        link.symlink_to(version.name)
        link.replace(data)
        self._link({path.split("/")[0] for path in new})
        if old is not None:
            shutil.rmtree(old, ignore_errors=True)
        self._now = new

    def _link(self, names: set[str]) -> None:
        # Only links: a folder is where another volume is mounted inside this one.
        shown = {path.name for path in self._folder.iterdir() if path.is_symlink() and not path.name.startswith("..")}
        for name in shown - names:
            (self._folder / name).unlink()
        for name in names - shown:
            (self._folder / name).symlink_to(f"..data/{name}")


def folder_of(volume: Mapping[str, Any], folder: Path) -> Path:
    """Where a volume is on the machine; an emptyDir is made here.

    Raises:
        PodSpecError: it is of a kind that is not supported.
    """
    path = folder / str(volume["name"])
    if "hostPath" in volume:
        return Path(volume["hostPath"]["path"])
    if "emptyDir" in volume:
        if not path.is_dir():
            path.mkdir(parents=True)
            path.chmod(0o777)  # as a kubelet makes it, for containers that do not run as root
    elif not is_written(volume):
        kind = next(iter(volume.keys() - {"name"}), "nothing")
        raise PodSpecError(f"volume {volume['name']!r} is of kind {kind}, which the node agent does not support")
    return path


def binds(container: Mapping[str, Any], pod: Mapping[str, Any], folder: Path) -> tuple[Bind, ...]:
    """What a container mounts of its pod's volumes.

    Raises:
        PodSpecError: a mount names a volume that is not there or is not supported.
    """
    volumes = {volume["name"]: volume for volume in pod["spec"].get("volumes", ())}
    found = []
    for mount in container.get("volumeMounts", ()):
        volume = volumes.get(mount["name"])
        if volume is None:
            raise PodSpecError(f"volumeMount {mount['name']!r} names no volume of the pod")
        source = folder_of(volume, folder)
        if mount.get("subPath"):
            # Followed now: a kubelet does not update such mounts either.
            source = (source / mount["subPath"]).resolve()
            if "emptyDir" in volume:
                source.mkdir(parents=True, exist_ok=True)
        if not source.exists():
            raise PodSpecError(f"volumeMount {mount['name']!r}: there is no {source}")
        read_only = mount.get("readOnly", False) or is_written(volume) or "hostPath" in volume
        found.append(Bind(source, mount["mountPath"], read_only))
    return tuple(found)


def _sources(pod: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for volume in pod["spec"].get("volumes", ()):
        yield from volume["projected"]["sources"] if "projected" in volume else [volume]


def _reference(source: Mapping[str, Any]) -> Reference | None:
    if "configMap" in source:
        return Reference("configmaps", source["configMap"]["name"], source["configMap"].get("optional", False))
    if "secret" in source:
        secret = source["secret"]
        # A volume says secretName, a projection's source says name.
        return Reference("secrets", secret.get("secretName") or secret["name"], secret.get("optional", False))
    return None


def _token_request(wanted: Mapping[str, Any]) -> TokenRequest:
    return TokenRequest(wanted.get("audience", ""), wanted.get("expirationSeconds", _DEFAULT_TOKEN_S))


def _keys(source: Mapping[str, Any], lookup: Lookup, default_mode: int) -> dict[str, File]:
    reference = _reference(source)
    if reference is None:
        raise PodSpecError(f"a projected volume with a source of {sorted(source)} is not supported")
    data = lookup(reference)
    if data is None:
        return {}
    items = (source.get("configMap") or source["secret"]).get("items")
    if items is None:
        return {key: File(content, default_mode) for key, content in data.items()}
    missing = [item["key"] for item in items if item["key"] not in data]
    if missing and not reference.optional:
        raise PodSpecError(f"{reference.resource} {reference.name!r} has no key {missing[0]!r}")
    return {
        item["path"]: File(data[item["key"]], item.get("mode") or default_mode) for item in items if item["key"] in data
    }


def _default_mode(source: Mapping[str, Any]) -> int:
    return int(source.get("defaultMode") or _DEFAULT_MODE)
