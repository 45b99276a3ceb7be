"""YAML is read by 1.2's rules, every value knows its line, and hostile text is refused with a remedy."""

from __future__ import annotations

import pytest
import yaml

from scaler.policy.tree import MAXIMUM_DEPTH, RefusedTextError, join_field, parse
from tests.scaler.policy.writing import COMPLETE, book, only, policy, sentences


def plain(text: str) -> object:
    (document,) = parse("a.yaml", text).documents
    return document.plain()


def refusal(text: str) -> str:
    with pytest.raises(RefusedTextError) as refused:
        parse("a.yaml", text)
    return str(refused.value.problem)


def test_on_off_yes_no_are_words():
    assert plain("[on, off, yes, no, NO, y, n]") == ["on", "off", "yes", "no", "NO", "y", "n"]


def test_a_country_code_no_is_norway_and_retirement_can_be_off_without_quotes():
    text = policy("a", COMPLETE + "  calendar: {holidays: {country: NO}}\n  retirement: {mode: off}\n")
    spec = book(text).resolve("a")
    assert (spec.calendar.holidays.country, spec.retirement.mode) == ("NO", "off")


def test_plain_scalars_follow_the_core_schema_and_quoted_ones_are_text():
    assert plain("[1, -2, 1.5, .5, 1e3, true, null, ~, '1', \"true\", 012, 12:30, 1_000, 0x10, 2026-12-24]") == [
        *(1, -2, 1.5, 0.5, 1000.0, True, None, None, "1", "true", 12, "12:30", "1_000", "0x10", "2026-12-24")
    ]


def test_a_number_of_a_thousand_digits_is_only_a_wrong_value():
    found = only(policy("a", COMPLETE + f"  minPods: {'9' * 5000}\n"))
    assert found.startswith("a.yaml:7: spec.minPods: '9999")
    assert len(found) < 200


def test_every_value_keeps_line_and_field():
    (document,) = parse("a.yaml", "a: 1\nb:\n  - x\n  - c: 2\n    'odd key': 3\n").documents
    places = {node.place.field: node.place.line for node in document.walk()}
    assert places == {"": 1, "a": 1, "b": 2, "b[0]": 3, "b[1]": 4, "b[1].c": 4, 'b[1]["odd key"]': 5}


def test_an_odd_field_name_stays_on_one_line():
    assert join_field("a", "new\nline", 0) == 'a["new\\nline"][0]'


def test_a_field_that_stands_twice_names_both_lines():
    assert only(policy("a", COMPLETE + "  minPods: 2\n  maxPods: 9\n  minPods: 3\n")) == (
        "a.yaml:9: spec.minPods: The field stands here a second time; line 7 has it too. Remove one."
    )


@pytest.mark.parametrize("text", ["a: &x 1\n", "a: 1\nb: *x\n", "a: &x [*x]\n"])
def test_anchors_and_aliases_are_refused_with_the_way_to_inherit(text: str):
    assert "anchors and aliases are not read here. Write the value out, or inherit it with 'extends'" in refusal(text)


def test_the_billion_laughs_are_refused_at_the_first():
    bomb = "a: &a [x, x]\n" + "".join(f"{b}: &{b} [*{a}, *{a}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True))
    assert refusal(bomb).startswith("a.yaml:1: a: YAML anchors")


@pytest.mark.parametrize("opening", ["[", "{a: ", "- ", "? "])
def test_depth_is_limited(opening: str):
    assert f"nested more than {MAXIMUM_DEPTH} deep" in refusal(opening * 200_000) or opening == "? "


def test_the_number_of_values_is_limited():
    assert "more than 100,000 values" in refusal("a: [" + "1," * 100_000 + "]")


@pytest.mark.parametrize("text", ["!!python/object:os.system {}", "a: !secret x", "a: !!binary aGk=", "!!set {a}"])
def test_tags_are_refused(text: str):
    assert "YAML tag" in refusal(text)


@pytest.mark.parametrize(
    ("text", "line", "remedy"),
    [
        ("a: b: c", 1, "Quote a value that holds ': '"),
        ("a:\n\tb: 1", 2, "spaces, not with tabs"),
        ("a: 'x", 1, "opened and never closed"),
        ("a: 1\n b: 2", 2, "check the indentation"),
        ("a: 1\nb: [1, 2\nc: 3", 3, "Check"),
    ],
)
def test_broken_yaml_names_the_line_and_a_remedy(text: str, line: int, remedy: str):
    found = refusal(text)
    assert found.startswith(f"a.yaml:{line}: This is not YAML")
    assert remedy in found


def test_one_file_may_hold_several_documents_and_an_empty_one():
    assert book(f"{policy('a')}---\n{policy('b')}---\n---\n").names == ("a", "b")


def test_without_libyaml_the_same_is_read_and_refused(monkeypatch: pytest.MonkeyPatch):
    text = policy("a", COMPLETE + "  # ü\n  minPods: 2\n  mode: 'observe'\n  schedule: []\n")
    fast = [(str(node.place), node.value) for node in parse("a", text).documents[0].walk() if not node.entries]
    monkeypatch.delattr(yaml, "CSafeLoader")
    assert [(str(n.place), n.value) for n in parse("a", text).documents[0].walk() if not n.entries] == fast
    assert f"nested more than {MAXIMUM_DEPTH} deep" in refusal("[" * 10_000)
    assert refusal('a: "\\ud83c"') == "a.yaml:1: a: An escape names half a character. Write the character itself."
    assert refusal("a:\n\tb: 1").startswith("a.yaml:2: This is not YAML")


@pytest.mark.parametrize("text", ["- 1", "just text", "5"])
def test_a_document_that_is_no_mapping_is_one_error(text: str):
    assert "no mapping. Write 'name: value' lines" in only(text)


def test_a_broken_file_does_not_make_other_files_complain_about_names_that_it_may_hold():
    child = policy("child", "  minPods: 2\n").replace("spec:", "extends: base\nspec:")
    assert [line.split(":")[0] for line in sentences("a: b: c", child)] == ["a.yaml"]
