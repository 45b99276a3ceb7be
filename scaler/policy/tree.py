"""YAML as a tree in which every value knows its file, line and field.

Errors are found after inheritance, when a value may have come through three documents; they can only name the line
that has to be changed if each value carries its place from the start. So the text is not turned into plain objects
but into nodes, from the parser's events, which also keeps hostile input cheap: nothing recurses, nothing expands.

Scalars are read by YAML 1.2's core rules and not by PyYAML's 1.1: `no`, `on` and `off` are words, 12:30 is no number
and a country code NO is Norway. Anchors are refused, since `extends` and overrides are what they would be used for.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

import yaml

from scaler.errors import Problem
from scaler.policy.words import shown

MAXIMUM_DEPTH = 32
MAXIMUM_NODES = 100_000
MAXIMUM_PROBLEMS = 100
"""Of one document: a reader mends the first few and tries again, and a flood must not take minutes to write."""

Scalar: TypeAlias = str | int | float | bool | None
Plain: TypeAlias = "Scalar | list[Plain] | dict[str, Plain]"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value stands. `field` is its dotted path from the document's root, empty for the root itself."""

    file: str
    line: int
    field: str

    def problem(self, message: str, *below: str | int) -> Problem:
        """A problem of this value, or of the field below it that should be there."""
        return Problem(self.file, self.line, join_field(self.field, *below), message)

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True)
class Node:
    """A value with its place: a scalar, a tuple of nodes, or a mapping of nodes."""

    place: Place
    value: Scalar | tuple[Node, ...] | Mapping[str, Node]

    @property
    def entries(self) -> Mapping[str, Node]:
        """The mapping's entries; none when it is no mapping."""
        return {} if isinstance(self.value, str | int | float | tuple) or self.value is None else self.value

    @property
    def items(self) -> tuple[Node, ...]:
        """The list's items; none when it is no list."""
        return self.value if isinstance(self.value, tuple) else ()

    def child(self, step: str | int) -> Node | None:
        """The entry or item of this name or index, None when there is none."""
        if isinstance(step, str):
            return self.entries.get(step)
        return self.items[step] if 0 <= step < len(self.items) else None

    def plain(self) -> Plain:
        """The value without places."""
        if isinstance(self.value, tuple):
            return [item.plain() for item in self.value]
        if isinstance(self.value, Mapping):
            return {key: node.plain() for key, node in self.value.items()}
        return self.value

    def walk(self) -> Iterator[Node]:
        """This node and all below it."""
        yield self
        for node in (*self.items, *self.entries.values()):
            yield from node.walk()


_SIMPLE_STEP = re.compile(r"[A-Za-z_][-A-Za-z0-9_]*")


def join_field(field_path: str, *steps: str | int) -> str:
    """The dotted path with more steps: `a`, `b`, 0 becomes `a.b[0]`; an odd key stands quoted in brackets."""
    for step in steps:
        if isinstance(step, int):
            field_path += f"[{step}]"
        elif _SIMPLE_STEP.fullmatch(step) and len(step) <= 80:
            field_path += f".{step}" if field_path else step
        else:
            field_path += f"[{json.dumps(step[:60], ensure_ascii=not step.isprintable())}]"
    return field_path


_NULL = re.compile(r"null|Null|NULL|~|")
_BOOLEAN = re.compile(r"true|True|TRUE|false|False|FALSE")
_INTEGER = re.compile(r"[-+]?[0-9]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
# A longer number is not one that anybody means; as text it gets an ordinary error.
_LONGEST_NUMBER = 40


def read_scalar(text: str) -> Scalar:
    """What a plain (unquoted) scalar means, by the core schema of YAML 1.2 (section 10.3.2) without octal and hex."""
    if _NULL.fullmatch(text):
        return None
    if _BOOLEAN.fullmatch(text):
        return text.lower() == "true"
    if len(text) > _LONGEST_NUMBER:
        return text
    if _INTEGER.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
    return text


_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(slots=True)
class _Open:
    """A list or mapping whose end has not come yet."""

    place: Place
    items: list[Node] | None
    entries: dict[str, Node] = field(default_factory=dict)
    key: str | None = None
    key_line: int = 0


class RefusedTextError(Exception):
    """The rest of the text cannot be read."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


class TreeBuilder:
    """Makes the documents of one file from parser events."""

    def __init__(self, file: str) -> None:
        self.documents: list[Node] = []
        self.problems: list[Problem] = []
        self._file = file
        self._open: list[_Open] = []
        self._nodes = 0

    def take(self, event: yaml.Event) -> None:
        """Take the next event.

        Raises:
            RefusedTextError: the text is too deep, too large, or uses what no policy may.
        """
        if isinstance(event, yaml.NodeEvent):
            self._refuse_anchor(event)
        if isinstance(event, yaml.ScalarEvent):
            self._take_scalar(event)
        elif isinstance(event, yaml.SequenceStartEvent | yaml.MappingStartEvent):
            self._start(event)
        elif isinstance(event, yaml.SequenceEndEvent | yaml.MappingEndEvent):
            ended = self._open.pop()
            self._place_node(Node(ended.place, ended.entries if ended.items is None else tuple(ended.items)))

    def _refuse_anchor(self, event: yaml.NodeEvent) -> None:
        line = _line(event)
        if event.anchor is not None:
            raise RefusedTextError(
                self._next_place(line).problem(
                    "YAML anchors and aliases are not read here. Write the value out, or inherit it with 'extends'."
                )
            )
        self._nodes += 1
        if self._nodes > MAXIMUM_NODES:
            raise RefusedTextError(
                Problem(self._file, line, "", f"The file holds more than {MAXIMUM_NODES:,} values. Split it in two.")
            )

    def _next_place(self, line: int) -> Place:
        if not self._open:
            return Place(self._file, line, "")
        parent = self._open[-1]
        if parent.items is not None:
            return Place(self._file, line, join_field(parent.place.field, len(parent.items)))
        if parent.key is None:
            return Place(self._file, line, parent.place.field)
        # The line of the key, not of the value: for a mapping the value only begins on the next one.
        return Place(self._file, parent.key_line, join_field(parent.place.field, parent.key))

    def _start(self, event: yaml.SequenceStartEvent | yaml.MappingStartEvent) -> None:
        line = _line(event)
        place = self._next_place(line)
        if len(self._open) >= MAXIMUM_DEPTH:
            raise RefusedTextError(
                place.problem(f"This is nested more than {MAXIMUM_DEPTH} deep; no policy is. Check it.")
            )
        if self._open and self._open[-1].items is None and self._open[-1].key is None:
            raise RefusedTextError(
                place.problem("A list or a mapping cannot be the name of a field. Write a word before ':'.")
            )
        expected = "tag:yaml.org,2002:" + ("seq" if isinstance(event, yaml.SequenceStartEvent) else "map")
        if event.tag not in (None, "!", expected):
            raise RefusedTextError(place.problem(f"YAML tag {shown(event.tag)} is not read here. Remove it."))
        self._open.append(_Open(place, [] if isinstance(event, yaml.SequenceStartEvent) else None))

    def _take_scalar(self, event: yaml.ScalarEvent) -> None:
        if _SURROGATE.search(event.value):
            raise RefusedTextError(
                self._next_place(_line(event)).problem("An escape names half a character. Write the character itself.")
            )
        parent = self._open[-1] if self._open else None
        if parent is not None and parent.items is None and parent.key is None:
            parent.key, parent.key_line = event.value, _line(event)
            return
        place = self._next_place(_line(event))
        if event.tag not in (None, "!", "tag:yaml.org,2002:str"):
            raise RefusedTextError(place.problem(f"YAML tag {shown(event.tag)} is not read here. Remove it."))
        is_plain = event.implicit[0] and event.tag is None
        self._place_node(Node(place, read_scalar(event.value) if is_plain else event.value))

    def _place_node(self, node: Node) -> None:
        if not self._open:
            self.documents.append(node)
            return
        parent = self._open[-1]
        if parent.items is not None:
            parent.items.append(node)
            return
        key = parent.key or ""
        parent.key = None
        if key in parent.entries:
            first = parent.entries[key].place.line
            self.problems.append(
                node.place.problem(f"The field stands here a second time; line {first} has it too. Remove one.")
            )
        else:
            parent.entries[key] = node


def _line(event: yaml.Event) -> int:
    return int(event.start_mark.line) + 1 if event.start_mark else 1


def parse(file: str, text: str) -> TreeBuilder:
    """All documents of a text, with the problems that reading it found.

    Raises:
        RefusedTextError: it cannot be read to its end. Nothing that came before is used then either.
    """
    builder = TreeBuilder(file)
    # libyaml where the wheel has it: the same events, thirty times as fast.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        for event in yaml.parse(text, Loader=loader):
            builder.take(event)
    except yaml.MarkedYAMLError as error:
        raise RefusedTextError(_syntax_problem(file, text, error)) from None
    except yaml.YAMLError as error:
        raise RefusedTextError(Problem(file, 1, "", f"This is not YAML: {error}")) from None
    return builder


_REMEDIES = (
    ("mapping values are not allowed", "Quote a value that holds ': ', or check the indentation of this line."),
    ("could not find expected ':'", "A field needs a ':' after its name."),
    ("did not find expected key", "Check the indentation of this line and of the one before."),
    ("did not find expected '-' indicator", "Check the indentation: each entry of a list begins with '- '."),
    ("cannot start any token", "Quote a value that begins with this character, and indent with spaces, not with tabs."),
    ("Unicode character escape", "Write the character itself."),
    ("undefined alias", "Quote a value that begins with '*'."),
    ("unexpected end", "A quote or bracket is opened and never closed."),
    ("end of stream", "A quote or bracket is opened and never closed."),
)


def _syntax_problem(file: str, text: str, error: yaml.MarkedYAMLError) -> Problem:
    mark = error.problem_mark or error.context_mark
    what = error.problem or error.context or "it cannot be read"
    remedy = next((remedy for part, remedy in _REMEDIES if part in what), "Check indentation and quotes around here.")
    # What is missing at the end is told for the last line and not for the one after it.
    last_line = text.rstrip().count("\n") + 1
    return Problem(file, min(int(mark.line) + 1, last_line) if mark else 1, "", f"This is not YAML: {what}. {remedy}")
