"""The Lease of coordination.k8s.io that the replicas of calltide elect their leader by: read and written.

A write names the resourceVersion that it was made from, and the API server refuses it when anybody wrote meanwhile.
That is the only thing that the election relies on; the times in the Lease are written for people.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, cast

from scaler.core.election import NOBODY, LeaseRecord
from scaler.fleet.kubernetes.api import ApiError, ApiRefusedError, JsonObject, KubernetesApi

ADDRESS_ANNOTATION = "calltide.io/replica-address"
"""Annotation with the URL at which the holder's books can be copied."""


class LeaseConflictError(ApiError):
    """Somebody else wrote the Lease since it was read, or created or removed it."""


class KubernetesLease:
    """One Lease. Not for several threads at once: it remembers the object that it read last."""

    def __init__(self, api: KubernetesApi, namespace: str, name: str) -> None:
        self._api = api
        self._namespace, self._name = namespace, name
        self._collection = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
        self._path = f"{self._collection}/{name}"
        self._last: JsonObject = {}

    def read(self, within_s: float) -> LeaseRecord | None:
        """The Lease as it stands; None when there is none.

        Raises:
            ApiError: the API server did not answer in time, or refused.
        """
        try:
            self._last = self._api.send("GET", self._path, None, within_s)
        except ApiRefusedError as error:
            if error.status != HTTPStatus.NOT_FOUND:
                raise
            self._last = {}
            return None
        return _record(self._last)

    def write(self, record: LeaseRecord, within_s: float) -> LeaseRecord:
        """Write the record if the Lease is still of its version, or create it; the record with its new version.

        Raises:
            LeaseConflictError: the Lease is not of this version any more.
            ApiError: the API server did not answer in time, or refused. It may have been written all the same.
        """
        body = self._object(record)
        try:
            if record.version:
                self._last = self._api.send("PUT", self._path, body, within_s)
            else:
                self._last = self._api.send("POST", self._collection, body, within_s)
        except ApiRefusedError as error:
            # 404: it was removed since it was read. It can only be created anew.
            if error.status in (HTTPStatus.CONFLICT, HTTPStatus.NOT_FOUND):
                raise LeaseConflictError(str(error)) from error
            raise
        return _record(self._last)

    def close(self) -> None:
        """Give back the connection."""
        self._api.close()

    def _object(self, record: LeaseRecord) -> dict[str, Any]:
        # What others put onto the object (labels, owner references) stays.
        lease: dict[str, Any] = copy.deepcopy(dict(self._last)) if record.version else {}
        lease |= {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease"}
        metadata = lease.setdefault("metadata", {})
        metadata |= {"namespace": self._namespace, "name": self._name}
        if record.version:
            metadata["resourceVersion"] = record.version
        metadata["annotations"] = {**(metadata.get("annotations") or {}), ADDRESS_ANNOTATION: record.address}
        spec = lease.setdefault("spec", {})
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        if record.holder not in (NOBODY, spec.get("holderIdentity")):
            spec["acquireTime"] = now
        spec |= {
            "holderIdentity": record.holder,
            "leaseDurationSeconds": max(1, round(record.lease_s)),
            "leaseTransitions": record.term,
            "renewTime": now,
        }
        return lease


def _record(lease: JsonObject) -> LeaseRecord:
    metadata, spec = _section(lease, "metadata"), _section(lease, "spec")
    return LeaseRecord(
        holder=str(spec.get("holderIdentity") or NOBODY),
        lease_s=_number(spec.get("leaseDurationSeconds")),
        term=int(_number(spec.get("leaseTransitions"))),
        address=str(_section(metadata, "annotations").get(ADDRESS_ANNOTATION) or ""),
        version=str(metadata.get("resourceVersion") or ""),
    )


def _section(item: Mapping[str, object], name: str) -> Mapping[str, object]:
    found = item.get(name)
    return cast("Mapping[str, object]", found) if isinstance(found, dict) else {}


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
