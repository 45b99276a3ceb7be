"""Whatever a file holds, the outcome is a book or a PolicyError that a person can act on; nothing else, and soon."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from scaler.errors import PolicyError, Problem
from scaler.policy.compiling import compile_reading
from scaler.policy.directory import PolicyText, Reading, decode
from scaler.policy.document import PolicyDocument
from scaler.policy.model import PolicySpec
from scaler.policy.shape import fields_of
from scaler.policy.tree import parse

JARGON = ("Input should", "pydantic", "type=", "Extra inputs", "Field required", "Value error", "NoneType", "<class")
EXAMPLES = [path.read_text(encoding="utf-8") for path in sorted(Path("examples/policies").glob("*.yaml"))]
steady = settings(derandomize=True, deadline=None, max_examples=300, suppress_health_check=list(HealthCheck))


def outcome(*contents: bytes | str) -> tuple[str, ...]:
    """What is told about these files; nothing when they are a book."""
    read = [decode(f"{n}.yaml", c.encode() if isinstance(c, str) else c) for n, c in enumerate(contents)]
    texts = tuple(part for part in read if isinstance(part, PolicyText))
    unread = tuple(part for part in read if isinstance(part, Problem))
    problems: tuple[Problem, ...] = ()
    try:
        book = compile_reading(Reading(texts, unread))
    except PolicyError as error:
        problems = error.problems
        told = str(error)
    else:
        for name in book.names:
            spec = book.resolve(name, fleet="voice/acme", tenants=("acme",))
            assert PolicySpec.model_validate_json(spec.model_dump_json(by_alias=True)) == spec
        return ()
    # What the file says itself may be quoted: hypothesis knows the words of this module, too.
    said = b"\n".join(c.encode() if isinstance(c, str) else c for c in contents)
    jargon = [word for word in JARGON if word.encode() not in said]
    lines = {f"{n}.yaml": len(c.splitlines()) + 1 for n, c in enumerate(contents)}
    assert told.split("\n") == [str(problem) for problem in problems]
    for problem in problems:
        assert 1 <= problem.line <= lines[problem.file], problem
        assert problem.message[-1] in ".?", problem
        assert len(problem.message.split()) > 3, problem
        assert str(problem).isprintable(), problem
        assert len(str(problem)) < 700, problem
        assert not any(word in str(problem) for word in jargon), problem
    return tuple(map(str, problems))


@steady
@given(st.binary(max_size=400))
def test_any_bytes(content: bytes):
    outcome(content)


@steady
@example("Value error")
@given(st.text(max_size=400))
def test_any_text(content: str):
    outcome(content.encode("utf-8", "replace"))


@steady
@given(st.text(alphabet="ab:-[]{}&*!|>'\"#%@`?,\n\t ~<=01.", max_size=80))
@example("? ")
@example("a: !<tag:yaml.org,2002:str> 1")
def test_any_text_of_yaml_signs(content: str):
    outcome(content)
    outcome("apiVersion: calltide.io/v1\nkind: Policy\nmetadata: {name: a}\nspec:\n  " + content)


def names_of(model: type[Any]) -> set[str]:
    """Every field name of a model and of those below it."""
    found: set[str] = set()
    for name, shape in fields_of(model).items():
        found.add(name)
        for inner in (shape, shape.below(0)):
            if inner is not None and inner.model is not None:
                found |= names_of(inner.model)
    return found


NAMES = sorted(names_of(PolicyDocument) | names_of(PolicySpec))
scalars = st.one_of(
    *(st.none(), st.booleans(), st.integers(), st.integers(-2, 200), st.floats(), st.text(max_size=20)),
    st.sampled_from(["5m", "80%", "8w", "0 8 * * *", "* * * * * *", "2026-12-24", "9999-12-31", "0001-01-01", "UTC"]),
    st.sampled_from(
        ["2026-12-24T00:00:00Z", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "DE", "on", "NO"]
    ),
    st.sampled_from(
        ["assist", "default/acme", "a", "b", "9" * 5000, "x" * 2000, "\x00", "\ud7ff", "\n", "\u2028", "é"]
    ),
)
keys = st.one_of(st.sampled_from(NAMES), st.text(max_size=12))
trees = st.recursive(
    scalars, lambda below: st.lists(below, max_size=4) | st.dictionaries(keys, below, max_size=5), max_leaves=25
)


@steady
@given(trees, trees)
def test_any_tree(root: Any, spec: Any):
    envelope = {"apiVersion": "calltide.io/v1", "kind": "Policy", "metadata": {"name": "a"}}
    outcome(yaml.safe_dump(root, allow_unicode=True), json.dumps({**envelope, "spec": spec}, ensure_ascii=False))
    outcome(yaml.safe_dump({**envelope, "spec": spec, "overrides": [{"fleet": "voice/acme", "spec": root}]}))


def paths(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    below = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [path, *(deeper for key, value in below for deeper in paths(value, (*path, key)))]


def mutated(document: Any, change: st.DataObject) -> Any:
    """A valid document in which a few values, names or entries are not what they were."""
    for _ in range(change.draw(st.integers(1, 3))):
        path = change.draw(st.sampled_from(paths(document)[1:]))
        owner = document
        for key in path[:-1]:
            owner = owner[key]
        kind = change.draw(st.sampled_from(["replace", "remove", "rename", "repeat"]))
        if kind == "replace" or (kind == "repeat" and isinstance(owner, dict)):
            owner[path[-1]] = change.draw(trees)
        elif kind == "repeat":
            owner.append(owner[path[-1]])
        elif kind == "remove" or isinstance(owner, list):
            del owner[path[-1]]
        else:
            owner[change.draw(keys)] = owner.pop(path[-1])
        if len(paths(document)) < 3:
            break
    return document


@steady
@given(st.data())
def test_mutated_valid_documents(data: st.DataObject):
    documents = [parse("x", text).documents[0].plain() for text in EXAMPLES]
    which = data.draw(st.integers(0, len(documents) - 1))
    documents[which] = mutated(documents[which], data)
    outcome(*(yaml.safe_dump(document, allow_unicode=True) for document in documents))


@steady
@given(st.integers(0, len(EXAMPLES) - 1), st.integers(0, 2**32))
def test_valid_files_with_damaged_bytes(which: int, seed: int):
    chance = random.Random(seed)
    content = bytearray(EXAMPLES[which].encode())
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(content))
        content[at : at + chance.randint(0, 3)] = bytes(chance.randrange(256) for _ in range(chance.randint(0, 3)))
    outcome(*(bytes(content) if n == which else text for n, text in enumerate(EXAMPLES)))


HEAD = "apiVersion: calltide.io/v1\nkind: Policy\nmetadata: {name: a}\n"


@pytest.mark.parametrize(
    "bomb",
    [
        "[" * 500_000,
        "{a: " * 200_000,
        "- " * 400_000,
        "? " * 400_000,
        "a: &a [" + "x, " * 50_000 + "]\n",
        "a: &a b\n" + "".join(f"c{n}: [{'*a, ' * 9}]\n" for n in range(20_000)),
        "---\n" * 250_000,
        HEAD + "spec:\n" + "".join(f"  k{n}: 1\n" for n in range(60_000)),
        HEAD + f"spec:\n  {'k' * 900_000}: 1\n",
        HEAD + f"spec:\n  mode: {'k' * 900_000}\n",
        HEAD + f"spec: {{lead: {{default: {'1s' * 400_000}}}}}\n",
        HEAD + f"pools: {{a: [{'x, ' * 90_000}]}}\n",
        HEAD + f"pools: {{a: [{', '.join(f't{n}' for n in range(90_000))}]}}\n",
        HEAD + "overrides:\n" + "- {tenant: x, spec: {minPod: 1}}\n" * 9_000,
        HEAD + "spec: {schedule: [" + "{cron: x}, " * 20_000 + "]}\n",
        HEAD + "".join(f"---\n{HEAD}extends: a{n}\n".replace("name: a", f"name: a{n + 1}") for n in range(3_000)),
    ],
    ids=lambda bomb: f"{bomb[:6]!r}…{bomb[-6:]!r}",
)
def test_bombs_are_told_and_do_not_go_off(bomb: str):
    # A hang would be found by the runner's own limit; what is asserted is that every bomb ends in an ordinary error.
    assert 1 <= len(outcome(bomb)) <= 10_000
