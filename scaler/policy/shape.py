"""What the models allow at a place: which fields there are, and which bounds a value has.

Errors, the reference in the docs and the suggestions all ask this, so that none of them keeps a list of its own.
"""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel, BeforeValidator
from pydantic.fields import FieldInfo

from scaler.policy.durations import format_duration, parse_duration

Step = str | int


@dataclass(frozen=True, slots=True)
class Bounds:
    """Least and greatest value of a number. `above` and `below` say that the bound itself is not allowed."""

    least: float | None = None
    above: bool = False
    greatest: float | None = None
    below: bool = False
    is_duration: bool = False

    def hold(self, number: float) -> bool:
        """Whether the number lies inside."""
        low = self.least is None or (number > self.least if self.above else number >= self.least)
        high = self.greatest is None or (number < self.greatest if self.below else number <= self.greatest)
        return low and high

    @property
    def is_share(self) -> bool:
        """Whether the field is a part of one."""
        return self.least == 0 and self.greatest == 1

    def __str__(self) -> str:
        if self.is_share:
            return "a share between 0 and 1"
        low, high = (self._write(bound) for bound in (self.least, self.greatest))
        if self.above or self.below:
            return " and ".join(
                part
                for part in (
                    f"{'above' if self.above else 'at least'} {low}" if low else "",
                    f"{'below' if self.below else 'at most'} {high}" if high else "",
                )
                if part
            )
        return f"between {low} and {high}" if low and high else f"at least {low}" if low else f"at most {high}"

    def _write(self, bound: float | None) -> str:
        if bound is None:
            return ""
        return format_duration(bound) if self.is_duration else f"{bound:g}" if bound < 1 else f"{bound:.12g}"


@dataclass(frozen=True, slots=True)
class Shape:
    """What is allowed at one place. `model` is set where fields stand; `field` where the place is a model's field."""

    annotation: Any
    field: FieldInfo | None = None

    @property
    def model(self) -> type[BaseModel] | None:
        """The model whose fields stand here, None where none do (or one of several)."""
        models = [part for part in _alternatives(self.annotation) if _is_model(part)]
        return models[0] if len(models) == 1 else None

    @property
    def fields(self) -> Mapping[str, Shape]:
        """The fields that may stand here, by their names in the file."""
        model = self.model
        return {} if model is None else fields_of(model)

    @property
    def bounds(self) -> Bounds:
        """The bounds of the number here."""
        found: dict[str, Any] = {}
        for item in self._constraints():
            if isinstance(item, Ge | Gt):
                found |= {"least": item.ge if isinstance(item, Ge) else item.gt, "above": isinstance(item, Gt)}
            elif isinstance(item, Le | Lt):
                found |= {"greatest": item.le if isinstance(item, Le) else item.lt, "below": isinstance(item, Lt)}
            elif isinstance(item, BeforeValidator) and item.func is parse_duration:
                found["is_duration"] = True
        return Bounds(**found)

    def _constraints(self) -> Iterator[object]:
        # The field's own come last, so that they win over those of the annotation that it narrows.
        yield from _annotated(self.annotation)
        yield from self.field.metadata if self.field is not None else ()

    def below(self, step: Step) -> Shape | None:
        """The shape one step down; itself when the step only tells which of several models was meant."""
        models = [part for part in _alternatives(self.annotation) if _is_model(part)]
        if len(models) > 1:
            chosen = next((model for model in models if step in _tags(model)), None)
            return None if chosen is None else Shape(chosen)
        if models:
            return fields_of(models[0]).get(str(step))
        for part in _alternatives(self.annotation):
            arguments = get_args(part)
            origin = get_origin(part)
            if isinstance(step, int) and origin in (tuple, list):
                return Shape(arguments[0])
            if isinstance(step, str) and origin in (dict, Mapping):
                return Shape(arguments[1])
        return None

    def is_choice(self) -> bool:
        """Whether several models may stand here, told apart by a field."""
        return sum(_is_model(part) for part in _alternatives(self.annotation)) > 1


def fields_of(model: type[BaseModel]) -> Mapping[str, Shape]:
    """The fields of a model by their names in the file, in the order in which they are declared."""
    return {info.alias or name: Shape(info.annotation, info) for name, info in model.model_fields.items()}


def shape_at(model: type[BaseModel], steps: Sequence[Step]) -> Shape | None:
    """The shape at the end of a path, None when the path leads out of the model."""
    shape: Shape | None = Shape(model)
    for step in steps:
        if shape is None:
            return None
        shape = shape.below(step)
    return shape


def _is_model(part: object) -> bool:
    return isinstance(part, type) and issubclass(part, BaseModel)


def _alternatives(annotation: Any) -> Iterator[Any]:
    if get_origin(annotation) is Annotated:
        yield from _alternatives(get_args(annotation)[0])
    elif get_origin(annotation) in (Union, types.UnionType):
        for part in get_args(annotation):
            yield from _alternatives(part)
    else:
        yield annotation


def _annotated(annotation: Any) -> Iterator[object]:
    if get_origin(annotation) is Annotated:
        inner, *items = get_args(annotation)
        yield from _annotated(inner)
        for item in items:
            yield from item.metadata if isinstance(item, FieldInfo) else (item,)
    elif get_origin(annotation) in (Union, types.UnionType):
        for part in get_args(annotation):
            yield from _annotated(part)


def _tags(model: type[BaseModel]) -> set[object]:
    literals = (info.annotation for info in model.model_fields.values() if get_origin(info.annotation) is Literal)
    return {value for literal in literals for value in get_args(literal)}
