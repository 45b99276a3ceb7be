"""Examples and docs are valid policies; schema and reference say what the models say."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, TypeAdapter

from scaler.policy.compiling import compile_reading
from scaler.policy.directory import read_directory
from scaler.policy.document import PolicyDocument
from scaler.policy.model import GradeOfService, Mode, PolicySpec
from scaler.policy.reference import reference_page
from scaler.policy.schema import schema
from scaler.policy.shape import fields_of
from scaler.policy.tree import parse
from tests.scaler.policy.writing import book

ROOT = Path(__file__).parents[3]
DOCS = (ROOT / "docs" / "policies.md").read_text(encoding="utf-8")


def test_the_examples_are_valid_and_the_call_centre_extends_the_office():
    found = compile_reading(read_directory(ROOT / "examples" / "policies"))
    assert found.names == ("call-centre", "office")
    centre = found.resolve("call-centre")
    assert (centre.mode, centre.history.source, centre.capacity.channels_per_pod) == (Mode.PRIMARY, "default", 120)
    assert centre.capacity.grade_of_service == GradeOfService(blocking=0.001)
    assert found.resolve("call-centre", fleet="voice/hotline-emergency").guardrails.priority == 1000
    assert found.resolve("office", tenants=("umbrella",)).calendar.time_zone == "Europe/London"
    assert "Müller & Söhne" in found.pool("office", "small-offices")


def test_the_policy_in_the_docs_is_valid():
    blocks = re.findall(r"```yaml\n(.*?)```", DOCS, re.DOTALL)
    office = next(block for block in blocks if block.startswith("apiVersion"))
    pools = next(block for block in blocks if block.startswith("pools"))
    assert book(office + pools).names == ("office",)


def test_the_error_in_the_docs_is_the_one_that_is_told():
    (told,) = re.findall(r"^    policies/acme.yaml:14: (.*)$", DOCS, re.MULTILINE)
    assert told in (Path(__file__).with_name("sentences.txt")).read_text(encoding="utf-8")


def test_the_commands_in_the_docs_exist():
    from scaler.cli.policy import app

    known = {str(command.callback.__name__) for command in app.registered_commands if command.callback}
    assert set(re.findall(r"calltide policy ([a-z]+)", DOCS)) == known


def models(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    yield model
    for shape in fields_of(model).values():
        for below in (shape, shape.below(0)):
            if below is not None and below.model is not None:
                yield from models(below.model)


ALL_MODELS = sorted({*models(PolicyDocument), *models(PolicySpec)}, key=lambda model: model.__name__)


@pytest.mark.parametrize("model", ALL_MODELS, ids=lambda model: model.__name__)
def test_every_field_says_what_it_means_and_has_an_example_in_the_reference(model: type[BaseModel]):
    page = reference_page()
    for name, shape in fields_of(model).items():
        assert shape.field is not None
        assert shape.field.description, name
        rows = [row for row in page.splitlines() if row.startswith(f"| `{name}` |")]
        row = next(row for row in rows if " ".join(shape.field.description.split()) in row)
        cells = [cell.strip() for cell in row.replace("\\|", "").strip("|").split("|")]
        assert len(cells) == 5
        if re.match(r"(duration|whole|number|share|`|day|instant)", cells[1]):
            assert cells[4], f"{model.__name__}.{name} has no example"


def test_examples_in_the_reference_are_valid_values():
    for model in ALL_MODELS:
        for field in model.model_fields.values():
            for example in field.examples or ():
                ((_, node),) = parse("x", f"value: {json.dumps(example)}").documents[0].entries.items()
                value = node.plain()
                if example == "[acme]":
                    value = ["acme"]
                TypeAdapter(field.rebuild_annotation()).validate_python(value)


def resolved(node: dict[str, Any], whole: dict[str, Any]) -> dict[str, Any]:
    reference = node.get("$ref", "")
    found: dict[str, Any] = whole["$defs"][reference.rpartition("/")[2]] if reference else node
    return found


def test_the_schema_lets_every_field_of_the_spec_be_left_out_but_none_of_an_entry_of_a_list():
    whole = schema()
    assert whole["required"] == ["apiVersion", "kind", "metadata"]
    spec = resolved(whole["properties"]["spec"], whole)
    assert spec == resolved(whole["$defs"]["Override"]["properties"]["spec"], whole)
    assert "required" not in spec
    for section in ("history", "calendar", "capacity"):
        assert "required" not in resolved(spec["properties"][section], whole)
    assert "required" not in whole["$defs"]["HolidaySpec"]
    assert whole["$defs"]["ScheduledMinimum"]["required"] == ["name", "cron", "for", "minPods"]


def test_the_schema_knows_every_field_with_its_meaning_and_no_other():
    whole = schema()
    for model in ALL_MODELS:
        known = whole if model is PolicyDocument else whole["$defs"][model.__name__]
        assert known["additionalProperties"] is False
        assert set(known["properties"]) == set(fields_of(model))
        assert all((entry | resolved(entry, whole)).get("description") for entry in known["properties"].values())


def test_durations_in_the_schema_are_text_or_seconds():
    step = schema()["$defs"]["HistorySpec"]["properties"]["step"]
    assert step["type"] == ["string", "integer"]
    assert step["default"] == "5m"
    pattern = re.compile(step["pattern"])
    assert all(pattern.search(text) for text in ("90s", "5m", "1h30m"))
    assert not any(pattern.search(text) for text in ("5", "5 m", "m", "5min", "-5m", "5m\n5"))
