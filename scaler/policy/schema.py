"""The JSON Schema of a policy document, for editors that complete and check while one writes.

It describes what a person writes, not what comes out of inheritance: every field of `spec` may be left out, and so
may those of its sections, but not those of the entries of a list, since a list is inherited as a whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from scaler.policy.document import PolicyDocument
from scaler.policy.durations import format_duration
from scaler.policy.fields import DURATION_PATTERN
from scaler.policy.model import PolicySpec
from scaler.policy.shape import fields_of

_SPEC = {"$ref": "#/$defs/PolicySpec"}


def schema() -> dict[str, Any]:
    """The schema, JSON Schema draft 2020-12."""
    _, made = models_json_schema(
        [(PolicyDocument, "validation"), (PolicySpec, "validation")], by_alias=True, ref_template="#/$defs/{model}"
    )
    definitions: dict[str, Any] = made["$defs"]
    document = definitions.pop("PolicyDocument")
    document["properties"]["spec"] |= _SPEC
    definitions["Override"]["properties"]["spec"] |= _SPEC
    for owner in (document, definitions["Override"]):
        for key in ("type", "additionalProperties"):
            owner["properties"]["spec"].pop(key, None)
    for section in _sections(PolicySpec):
        definitions[section.__name__].pop("required", None)
    whole = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "calltide policy",
        **document,
        "$defs": definitions,
    }
    _tidy(whole)
    whole["title"] = "calltide policy"
    return whole


def _sections(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """The model and those that merge field by field: all that are reached without passing through a list."""
    yield model
    for shape in fields_of(model).values():
        if shape.model is not None:
            yield from _sections(shape.model)


def _tidy(node: Any) -> None:
    """Write durations as people do, and leave out the titles that only repeat a name."""
    if isinstance(node, list):
        for item in node:
            _tidy(item)
    if not isinstance(node, dict):
        return
    if isinstance(node.get("title"), str):
        del node["title"]
    if node.get("pattern") == DURATION_PATTERN and isinstance(node.get("default"), int):
        node["default"] = format_duration(node["default"])
    if isinstance(node.get("default"), dict):
        # A section's defaults stand at its fields.
        del node["default"]
    for key, value in node.items():
        # There the keys are names of fields, and one of them is `default`.
        _tidy(list(value.values()) if key in ("properties", "$defs") else value)
