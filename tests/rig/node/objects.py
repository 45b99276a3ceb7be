"""What pods of a node refer to: ConfigMaps, Secrets and service account tokens, kept fresh while somebody uses them."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from tests.rig.node.api import Api, ApiError, Object
from tests.rig.node.environment import Data, PodSpecError, Reference
from tests.rig.node.volumes import TokenRequest

REFRESH_S = 5.0
"""How often a mounted ConfigMap or Secret is looked at."""
_RENEWED_AT = 0.8  # of a token's life, as a kubelet does it


@dataclass(frozen=True, slots=True)
class _Known:
    version: str
    data: Data | None
    """None: there is no such object."""
    at_s: float


class Objects:
    """ConfigMaps and Secrets as one node sees them."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._known: dict[tuple[str, str, str], _Known] = {}

    async def fetch(self, namespace: str, references: Iterable[Reference]) -> None:
        """Have what these name, not older than the refresh interval.

        Raises:
            ApiError: the API server refused, or cannot be reached.
        """
        for reference in references:
            key = (namespace, reference.resource, reference.name)
            known = self._known.get(key)
            # What was missing may have come: a pod that waits for it is not kept waiting longer than it must be.
            if known is None or known.data is None or time.monotonic() - known.at_s > REFRESH_S:
                self._known[key] = await self._get(*key)

    def look_up(self, namespace: str, reference: Reference) -> Data | None:
        """The data of what was fetched.

        Raises:
            PodSpecError: it is not there, and not optional.
        """
        known = self._known[(namespace, reference.resource, reference.name)]
        if known.data is None and not reference.optional:
            raise PodSpecError(f"there is no {reference.resource} {reference.name!r} in namespace {namespace!r}")
        return known.data

    async def refresh(self, used: set[tuple[str, str, str]]) -> set[tuple[str, str, str]]:
        """Look again at what is used and forget the rest; which of them changed.

        Raises:
            ApiError: the API server cannot be reached.
        """
        self._known = {key: known for key, known in self._known.items() if key in used}
        changed = set()
        for key, known in list(self._known.items()):
            try:
                new = await self._get(*key)
            except ApiError as error:
                if error.status == 403:  # the last pod that used it has gone meanwhile
                    continue
                raise
            if new.version != known.version:
                changed.add(key)
            self._known[key] = new
        return changed

    async def _get(self, namespace: str, resource: str, name: str) -> _Known:
        try:
            found = await self._api.get(f"/api/v1/namespaces/{namespace}/{resource}/{name}")
        except ApiError as error:
            if error.status != 404:
                raise
            return _Known("", None, time.monotonic())
        return _Known(found["metadata"]["resourceVersion"], _data(resource, found), time.monotonic())


@dataclass(frozen=True, slots=True)
class Token:
    """A service account token, and when it is time for the next (monotonic seconds)."""

    value: str
    renew_s: float


async def request_token(api: Api, pod: Object, wanted: TokenRequest) -> Token:
    """A token bound to a pod.

    Raises:
        ApiError: refused, or not to be reached.
    """
    metadata, account = pod["metadata"], pod["spec"].get("serviceAccountName", "default")
    asked: dict[str, Any] = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {
            "audiences": [wanted.audience] if wanted.audience else [],
            "expirationSeconds": wanted.lifetime_s,
            "boundObjectRef": {"apiVersion": "v1", "kind": "Pod", "name": metadata["name"], "uid": metadata["uid"]},
        },
    }
    path = f"/api/v1/namespaces/{metadata['namespace']}/serviceaccounts/{account}/token"
    answer = await api.create(path, asked)
    return Token(answer["status"]["token"], time.monotonic() + _RENEWED_AT * wanted.lifetime_s)


def _data(resource: str, found: Object) -> Data:
    if resource == "configmaps":
        texts = {key: text.encode() for key, text in (found.get("data") or {}).items()}
        return texts | {key: base64.b64decode(value) for key, value in (found.get("binaryData") or {}).items()}
    return {key: base64.b64decode(value) for key, value in (found.get("data") or {}).items()}
