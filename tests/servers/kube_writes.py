"""What the small API server does with the writes of retirement, as far as the real one's answers are known.

tests/e2e/test_admission.py asks the real one the same questions. A merge patch or a delete of another version is a
conflict (409), a JSON patch whose test fails cannot be processed (422).
"""

from __future__ import annotations

import copy
from typing import Any

JSON_PATCH, MERGE_PATCH = "application/json-patch+json", "application/merge-patch+json"


class RefusalError(Exception):
    """An error status."""

    def __init__(self, code: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.code, self.reason = code, reason


def answer_write(api: Any, method: str, path: str, content_type: str, body: Any) -> tuple[int, dict]:
    """Carry out one write on the server's objects; the status and what is answered.

    Raises:
        RefusalError: with an error status.
    """
    collection, namespace, name, subresource = _parts(path)
    with api.changed:
        if method == "POST" and collection == "/api/v1/events":
            api.told.append(copy.deepcopy(body))
            api.changed.notify_all()
            return 201, body
        item = _found(api, collection, namespace, name)
        if method == "DELETE":
            _check_preconditions(item, body["preconditions"])
            api.delete(item)
            return 200, item
        if subresource == "scale":
            return 200, _scaled(api, item, content_type, body)
        if content_type != MERGE_PATCH:
            raise RefusalError(415, "UnsupportedMediaType", f"{content_type} is no merge patch")
        if body["metadata"].get("resourceVersion", _version(item)) != _version(item):
            raise RefusalError(409, "Conflict", "the object has been modified")
        return 200, api.put(_merged(item, body))


def _parts(path: str) -> tuple[str, str, str, str]:
    """/GROUP/namespaces/NAMESPACE/KIND/NAME/SUBRESOURCE, where the last two may be missing."""
    group, _, rest = path.partition("/namespaces/")
    namespace, kind, name, subresource, *_ = [*rest.split("/"), "", ""]
    return f"{group}/{kind}", namespace, name, subresource


def _found(api: Any, collection: str, namespace: str, name: str) -> dict:
    for item in api.objects.get(collection, {}).values():
        if (item["metadata"]["namespace"], item["metadata"]["name"]) == (namespace, name):
            return item
    raise RefusalError(404, "NotFound", f"{collection} {namespace}/{name} not found")


def _version(item: dict) -> str:
    return item["metadata"]["resourceVersion"]


def _check_preconditions(item: dict, wanted: dict[str, str]) -> None:
    for field, value in wanted.items():
        if item["metadata"][field] != value:
            raise RefusalError(409, "Conflict", f"Precondition failed: {field} in precondition: {value}")


def _scaled(api: Any, item: dict, content_type: str, patch: list[dict]) -> dict:
    if content_type != JSON_PATCH:
        raise RefusalError(415, "UnsupportedMediaType", f"{content_type} is no JSON patch")
    values = {"/metadata/resourceVersion": _version(item), "/spec/replicas": item["spec"]["replicas"]}
    for step in patch:
        if step["op"] == "test" and values[step["path"]] != step["value"]:
            raise RefusalError(422, "Invalid", "the server rejected our request due to an error in our request")
        if step["op"] == "replace":
            values[step["path"]] = step["value"]
    changed = copy.deepcopy(item)
    changed["spec"]["replicas"] = values["/spec/replicas"]
    api.put(changed)
    return {"kind": "Scale", "apiVersion": "autoscaling/v1", "spec": {"replicas": values["/spec/replicas"]}}


def _merged(item: Any, patch: dict) -> dict:
    """RFC 7386."""
    merged = copy.deepcopy(item) if isinstance(item, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = _merged(merged.get(key), value) if isinstance(value, dict) else value
    return merged
