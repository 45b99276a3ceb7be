"""What the models refuse, said in the words of the file: which line, which field, what is wrong and how to mend it.

pydantic finds the faults; its own sentences speak of types and of a web site, so each kind of fault gets a sentence
of ours here. A kind that is not listed still gets one that quotes the value and what the field means.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from scaler.policy.shape import Shape, Step, shape_at
from scaler.policy.words import did_you_mean, shown

_PERCENT = re.compile(r"([0-9]{1,3}(?:\.[0-9]+)?) ?%")
_QUOTED = re.compile(r"'([^']*)'")


class Complaint:
    """One fault with what a sentence about it needs to know."""

    def __init__(self, error: ErrorDetails, model: type[BaseModel]) -> None:
        self.kind: str = error["type"]
        self.steps: tuple[Step, ...] = tuple(step for step in error["loc"] if step != "[key]")
        self.context: Mapping[str, Any] = error.get("ctx", {})
        self.shape = shape_at(model, self.steps)
        self.above = shape_at(model, self.steps[:-1]) or Shape(None)
        self.value: object = error["input"]

    @property
    def quoted(self) -> str:
        """The value as the text may show it: not at all where the model says that it may be a secret."""
        model = self.above.model
        hidden = model is not None and model.model_config.get("hide_input_in_errors", False)
        return "the value" if hidden else shown(self.value)

    def sentence(self) -> str:
        """What is wrong, and how to mend it."""
        say = _SENTENCES.get(self.kind, _anything_else)
        if self.value is None and self.kind.endswith("_type"):
            say = _no_value
        text = say(self)
        return text if text.endswith((".", "?", "…")) else f"{text}."


def _no_value(_: Complaint) -> str:
    return "There is no value. Give one, or remove the line to inherit it."


def _anything_else(complaint: Complaint) -> str:
    meaning = complaint.shape.field.description if complaint.shape and complaint.shape.field else None
    return f"{complaint.quoted} does not fit here. {meaning or 'See the policy reference'}"


def _own_words(complaint: Complaint) -> str:
    return str(complaint.context.get("error", ""))


def _unknown_field(complaint: Complaint) -> str:
    name, here = complaint.steps[-1], complaint.above.fields
    nested = [f"{section}.{name}" for section, shape in here.items() if name in shape.fields]
    if nested:
        return f"There is no such field here. Did you mean {nested[0]!r}?"
    return f"There is no such field here.{did_you_mean(name, here)}"


def _missing(complaint: Complaint) -> str:
    info = complaint.shape.field if complaint.shape else None
    if info is None:
        return "It is missing"
    example = f" Write it like {complaint.steps[-1]}: {info.examples[0]}" if info.examples else ""
    return f"It is missing: {(info.description or '').rstrip('.')}.{example}"


def _out_of_bounds(complaint: Complaint) -> str:
    if complaint.shape is None:
        return _anything_else(complaint)
    bounds, number = complaint.shape.bounds, complaint.value
    text = complaint.quoted
    if bounds.is_duration and isinstance(number, int):
        text = f"{number} (seconds)"
    return f"{text} is not {bounds}.{_as_share(complaint, number)}"


def _as_share(complaint: Complaint, number: object, *, says_percent: bool = False) -> str:
    """A percentage where a share is meant is the commonest slip there is."""
    try:
        share = round(float(str(number)) / 100, 12)
    except ValueError:
        return ""
    if complaint.shape is None or not (says_percent or 0.01 < share <= 1):
        return ""
    bounds = complaint.shape.bounds
    fits = bounds.hold(share) and (says_percent or (bounds.greatest is not None and bounds.greatest <= 1))
    return f" Did you mean {share:g}?" if fits else ""


def _not_a_number(complaint: Complaint) -> str:
    kind = "whole number" if complaint.kind.startswith("int") else "number"
    percent = _PERCENT.fullmatch(complaint.value) if isinstance(complaint.value, str) else None
    guess = _as_share(complaint, percent[1], says_percent=True) if percent else ""
    return f"{complaint.quoted} is not a {kind}.{guess or ' Write it in digits, without a unit.'}"


def _not_finite(complaint: Complaint) -> str:
    return f"{complaint.quoted} is not a finite number. Write a number in digits"


def _not_text(complaint: Complaint) -> str:
    if isinstance(complaint.value, list | dict):
        kind = "A list" if isinstance(complaint.value, list) else "A mapping"
        return f"{kind} stands where text is meant. Write one word or a text in quotes"
    kind = "true or false" if isinstance(complaint.value, bool) else "a number"
    return f"{complaint.quoted} reads as {kind} where text is meant. Put it in quotes"


def _not_a_list(complaint: Complaint) -> str:
    return f"{_short(complaint)} is no list. Write its entries in brackets, [a, b], or on lines that begin with '- '"


def _not_a_mapping(complaint: Complaint) -> str:
    return f"{_short(complaint)} is no mapping. Write 'name: value' lines below it, indented"


def _short(complaint: Complaint) -> str:
    if isinstance(complaint.value, list | dict):
        return "A list" if isinstance(complaint.value, list) else "A mapping"
    return complaint.quoted


def _not_a_choice(complaint: Complaint) -> str:
    choices = _QUOTED.findall(str(complaint.context.get("expected", "")))
    if len(choices) == 1:
        return f"{_short(complaint)} is not {choices[0]!r}. Write {choices[0]}"
    guess = did_you_mean(complaint.value, choices, list_up_to=0) if isinstance(complaint.value, str) else ""
    return f"{_short(complaint)} is none of {', '.join(choices)}.{guess}"


def _too_short(complaint: Complaint) -> str:
    return "It is empty. Name at least one" if complaint.kind == "too_short" else "It is empty. Write a word"


def _too_long(complaint: Complaint) -> str:
    kind = "entries" if complaint.kind == "too_long" else "characters"
    return f"It is too long. At most {complaint.context.get('max_length')} {kind} fit"


def _unknown_tag(complaint: Complaint) -> str:
    choices = _QUOTED.findall(str(complaint.context.get("expected_tags", "")))
    tag = complaint.context.get("tag")
    field = str(complaint.context.get("discriminator", "")).strip("'")
    return f"{field} {shown(tag)} is none of {', '.join(choices)}.{did_you_mean(tag, choices, list_up_to=0)}"


def _no_tag(complaint: Complaint) -> str:
    return f"The field {complaint.context.get('discriminator')} is missing. It says what kind this is"


_SENTENCES: Mapping[str, Callable[[Complaint], str]] = {
    "value_error": _own_words,
    "extra_forbidden": _unknown_field,
    "missing": _missing,
    **dict.fromkeys(("greater_than", "greater_than_equal", "less_than", "less_than_equal"), _out_of_bounds),
    **dict.fromkeys(
        ("int_type", "int_parsing", "int_parsing_size", "int_from_float", "float_type", "float_parsing"), _not_a_number
    ),
    "finite_number": _not_finite,
    "string_type": _not_text,
    **dict.fromkeys(("tuple_type", "list_type"), _not_a_list),
    **dict.fromkeys(("dict_type", "mapping_type", "model_type", "model_attributes_type"), _not_a_mapping),
    **dict.fromkeys(("enum", "literal_error"), _not_a_choice),
    **dict.fromkeys(("too_short", "string_too_short"), _too_short),
    **dict.fromkeys(("too_long", "string_too_long"), _too_long),
    "union_tag_invalid": _unknown_tag,
    "union_tag_not_found": _no_tag,
}
