"""The policy reference of the docs: one table per section, made from the models."""

from __future__ import annotations

import enum
import json
import types
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from scaler.policy.document import PolicyDocument
from scaler.policy.durations import format_duration
from scaler.policy.model import PolicySpec
from scaler.policy.shape import Shape, fields_of

_OPENING = """# Policy reference

Made from the models by `make docs`; [policies.md](policies.md) tells how to write one. Every field of `spec` may be
left out and is inherited then. An explicit `null` takes back what is inherited, where a field has no default.

Durations are written `90s`, `5m`, `4h`, `2d`, `8w` or `1h30m`; a plain number is seconds. Days are `2026-12-24`,
instants carry an offset: `2026-12-24T18:00:00+01:00`. A share lies between 0 and 1.
"""


def reference_page() -> str:
    """The whole page, Markdown."""
    sections = [*_sections(PolicyDocument, ""), *_sections(PolicySpec, "spec")]
    return "\n".join([_OPENING, *(_section(path, model) for path, model in sections)])


def _sections(model: type[BaseModel], path: str) -> Iterator[tuple[str, type[BaseModel]]]:
    yield path, model
    for name, shape in fields_of(model).items():
        below = f"{path}.{name}" if path else name
        entry = shape.below(0) if shape.model is None else None
        if shape.model is not None:
            yield from _sections(shape.model, below)
        elif entry is not None and entry.model is not None:
            yield from _sections(entry.model, f"{below}[]")


def _section(path: str, model: type[BaseModel]) -> str:
    title = f"`{path}`" if path else "The document"
    lines = [f"## {title}", "", " ".join((model.__doc__ or "").split()), ""]
    lines += ["| field | type | default | meaning | example |", "| --- | --- | --- | --- | --- |"]
    for name, shape in fields_of(model).items():
        meaning = _cell(shape.field.description or "") if shape.field else ""
        lines.append(f"| `{name}` | {_type_of(shape)} | {_default_of(shape)} | {meaning} | {_example_of(shape)} |")
    return "\n".join([*lines, ""])


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _type_of(shape: Shape) -> str:
    bounds = shape.bounds
    if bounds.is_duration:
        return f"duration, {bounds}"
    kind = _kind(shape.annotation)
    if bounds.is_share:
        return "share"
    return kind if bounds.least is None and bounds.greatest is None else f"{kind}, {bounds}"


def _kind(annotation: Any) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _kind(arguments[0])
    if origin in (Union, types.UnionType):
        return " or ".join(_kind(part) for part in arguments if part is not type(None))
    if origin is Literal:
        return " or ".join(f"`{value}`" for value in arguments)
    if origin is tuple:
        return f"list of {_kind(arguments[0])}"
    if origin is Mapping:
        return "mapping" if arguments[1] is Any else f"mapping to {_kind(arguments[1])}"
    if issubclass(annotation, enum.Enum):
        return " or ".join(f"`{member.value}`" for member in annotation)
    if issubclass(annotation, BaseModel):
        return "section"
    return _KINDS.get(annotation, "instant" if annotation.__name__ == "AwareDatetime" else annotation.__name__)


_KINDS: Mapping[type, str] = {str: "text", int: "whole number", float: "number", date: "day"}


def _default_of(shape: Shape) -> str:
    field = shape.field
    if field is None or field.is_required():
        return "required"
    default = field.default
    if default is None or default == () or default is PydanticUndefined or isinstance(default, BaseModel):
        return ""
    return f"`{_value(shape, default)}`" if default != "" else ""


def _example_of(shape: Shape) -> str:
    field = shape.field
    if field is None or shape.model is not None:
        return ""
    if field.examples:
        return f"`{_cell(_value(shape, field.examples[0]))}`"
    # A default is the best example of itself.
    return _default_of(shape) if not field.is_required() else ""


def _value(shape: Shape, value: Any) -> str:
    if isinstance(value, enum.Enum):
        return str(value.value)
    if shape.bounds.is_duration and isinstance(value, int):
        return format_duration(value)
    return value if isinstance(value, str) else json.dumps(value)
