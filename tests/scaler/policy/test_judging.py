"""Other files than policies are judged in the same way: with kinds told apart by a field, and with secrets."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from scaler.policy.fields import Seconds
from scaler.policy.judging import judge
from scaler.policy.tree import parse


class FileModel(BaseModel):
    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


class Folder(FileModel):
    """A folder."""

    type: Literal["folder"]
    """`folder`."""
    path: str
    """Where it is."""
    every: Seconds = Field(60, ge=10, le=600)
    """How often."""


class Server(FileModel):
    """A server."""

    model_config = ConfigDict(hide_input_in_errors=True)

    type: Literal["server"]
    """`server`."""
    port: int = Field(ge=1, le=65535)
    """Its port."""
    password: str = Field(max_length=10)
    """Its password."""
    secure: bool = True
    """Whether it is encrypted."""


class File(FileModel):
    """A file with places of several kinds."""

    places: dict[str, Annotated[Folder | Server, Field(discriminator="type")]]
    """Places by name."""


def told(text: str) -> list[str]:
    value, problems = judge(File, parse("f.yaml", text).documents[0])
    assert (value is None) == bool(problems)
    return [str(problem) for problem in problems]


def test_faults_below_a_choice_lead_to_the_field_and_not_to_the_kind():
    assert told("places:\n  a:\n    type: folder\n    pth: x\n    every: 1h\n") == [
        "f.yaml:2: places.a.path: It is missing: Where it is.",
        "f.yaml:5: places.a.every: 3600 (seconds) is not between 10s and 10m.",
        "f.yaml:4: places.a.pth: There is no such field here. Did you mean 'path'?",
    ]


def test_an_unknown_kind_names_the_nearest_and_a_missing_one_the_field():
    assert told("places: {a: {type: foldr}, b: {path: x}}\n") == [
        "f.yaml:1: places.a: type 'foldr' is none of folder, server. Did you mean 'folder'?",
        "f.yaml:1: places.b: The field 'type' is missing. It says what kind this is.",
    ]


def test_a_value_that_may_be_a_secret_is_not_repeated():
    sentences = told("places: {a: {type: server, port: 987654321, password: 123454321}}\n")
    assert sentences == [
        "f.yaml:1: places.a.port: the value is not between 1 and 65535.",
        "f.yaml:1: places.a.password: the value reads as a number where text is meant. Put it in quotes.",
    ]


def test_a_boolean_is_read_where_a_field_is_one():
    assert told("places: {a: {type: server, port: 5, password: x, secure: false}}\n") == []
    assert told("places: {a: {type: server, port: 5, password: x, secure: no}}\n") == []
    assert told("places: {a: {type: server, port: 5, password: x, secure: 7}}\n") == [
        "f.yaml:1: places.a.secure: the value does not fit here. Whether it is encrypted."
    ]
