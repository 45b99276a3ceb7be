"""Looking into objects of the API server whose shape nobody has checked.

What is not there, or is not of the kind that it should be, is empty.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import cast

from scaler.fleet.kubernetes.api import JsonObject


def value_at(item: JsonObject, *path: str) -> object:
    """The value behind a path of keys; None where one is missing."""
    value: object = item
    for step in path:
        value = value.get(step) if isinstance(value, Mapping) else None
    return value


def map_at(item: JsonObject, *path: str) -> JsonObject:
    """The map there, empty without one."""
    value = value_at(item, *path)
    return cast("JsonObject", value) if isinstance(value, Mapping) else {}


def maps_at(item: JsonObject, *path: str) -> Sequence[JsonObject]:
    """The maps of the list there."""
    value = value_at(item, *path)
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []


def text_at(item: JsonObject, *path: str) -> str:
    """The text there, empty without one."""
    value = value_at(item, *path)
    return value if isinstance(value, str) else ""


def integer_at(item: JsonObject, *path: str, default: int = 0) -> int:
    """The whole number there."""
    value = value_at(item, *path)
    return value if isinstance(value, int) and not isinstance(value, bool) else default


def name_of(item: JsonObject) -> str:
    """The object's name."""
    return text_at(item, "metadata", "name")


def label_of(item: JsonObject, label: str) -> str:
    """The value of a label, empty without it."""
    return text_at(item, "metadata", "labels", label)


def annotation_of(item: JsonObject, annotation: str) -> str:
    """The value of an annotation, empty without it."""
    return text_at(item, "metadata", "annotations", annotation)


def controller_of(item: JsonObject) -> tuple[str, str]:
    """Kind and name of the controller that owns the object, empty without one."""
    owner = next((one for one in maps_at(item, "metadata", "ownerReferences") if one.get("controller")), {})
    return text_at(owner, "kind"), text_at(owner, "name")


def selects(selector: JsonObject, labels: JsonObject) -> bool:
    """Whether a LabelSelector (matchLabels and matchExpressions) selects an object with these labels."""
    wanted = map_at(selector, "matchLabels")
    return all(labels.get(key) == value for key, value in wanted.items()) and all(
        _holds(expression, labels) for expression in maps_at(selector, "matchExpressions")
    )


def selector_text(selector: JsonObject) -> str:
    """A LabelSelector as `kubectl -l` takes it."""
    return ",".join(_terms(selector))


def _holds(expression: JsonObject, labels: JsonObject) -> bool:
    key, operator = text_at(expression, "key"), text_at(expression, "operator")
    values = value_at(expression, "values")
    among = labels.get(key) in values if isinstance(values, list) else False
    return {
        "In": among,
        "NotIn": not among,
        "Exists": key in labels,
        "DoesNotExist": key not in labels,
    }.get(operator, False)


def _terms(selector: JsonObject) -> Iterator[str]:
    for key, value in map_at(selector, "matchLabels").items():
        yield f"{key}={value}"
    for expression in maps_at(selector, "matchExpressions"):
        key, operator = text_at(expression, "key"), text_at(expression, "operator")
        values = value_at(expression, "values")
        among = ",".join(map(str, values)) if isinstance(values, list) else ""
        yield {
            "In": f"{key} in ({among})",
            "NotIn": f"{key} notin ({among})",
            "Exists": key,
            "DoesNotExist": f"!{key}",
        }.get(operator, key)
