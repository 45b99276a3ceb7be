"""Each error says file, line, field, what is wrong and how to mend it, and all of them come at once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.scaler.policy.writing import COMPLETE, book, only, policy, problems, sentences

JARGON = (
    "Input should",
    "pydantic",
    "type=",
    "valid integer",
    "Extra inputs",
    "Field required",
    "Value error",
    "NoneType",
)


BOTH = "targetOccupancy and gradeOfService both add safety; keep one (null drops what is inherited)."


def told() -> list[tuple[str, str]]:
    """Pairs of a faulty line of a spec and what is told about it, from sentences.txt."""
    text = Path(__file__).with_name("sentences.txt").read_text(encoding="utf-8")
    lines = [line.strip() for line in text.splitlines() if line and not line.startswith("#")]
    return list(zip(lines[::2], lines[1::2], strict=True))


@pytest.mark.parametrize(("line", "expected"), told())
def test_the_sentence(line: str, expected: str):
    sections = COMPLETE.splitlines(keepends=True)
    kept = [section for section in sections if section.split(":")[0].strip() != line.split(":")[0]]
    found = sentences(policy("a", "".join(kept) + f"  {line}\n"))
    assert f"a.yaml:{5 + len(kept)}: {expected}" in found


def test_every_error_of_every_file_comes_at_once_in_the_order_of_the_files():
    first = policy(
        "a", "  history: {channels: x, stp: 5m}\n  capacity: {channelsPerPod: 0}\n  minPods: 30\n  maxPods: 20\n"
    )
    second = policy("b", COMPLETE, "pools: {p: [x, x]}\noverides: []\n")
    assert [(p.file, p.line, p.field) for p in problems(first, "x: [", second)] == [
        ("a.yaml", 5, "spec.history.stp"),
        ("a.yaml", 6, "spec.capacity.channelsPerPod"),
        ("a.yaml", 7, "spec.minPods"),
        ("b.yaml", 1, ""),
        ("c.yaml", 7, "pools.p"),
        ("c.yaml", 8, "overides"),
    ]


def test_fields_that_do_not_fit_together_are_told_beside_fields_that_are_wrong_by_themselves():
    capacity = "  capacity:\n    channelsPerPod: x\n    targetOccupancy: 0.8\n    gradeOfService: {}\n"
    assert sentences(policy("a", f"  history: {{channels: x}}\n{capacity}  minPods: 9\n  maxPods: 8\n")) == [
        "a.yaml:7: spec.capacity.channelsPerPod: 'x' is not a whole number. Write it in digits, without a unit.",
        f"a.yaml:8: spec.capacity.targetOccupancy: {BOTH}",
        "a.yaml:10: spec.minPods: minPods 9 is above maxPods 8; raise maxPods or lower minPods.",
    ]


def test_what_is_only_a_consequence_of_another_error_is_not_told():
    assert only(policy("a", COMPLETE + "  minPods: 300\n  maxPods: lots\n")).startswith("a.yaml:8: spec.maxPods:")


RATE = "  history: {callRate: x}\n  capacity: {callSetupsPerSecondPerPod: 5"


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("  {}\n", "history.channels: there is neither channels nor callRate; name at least one query."),
        ("  history: {channels: x}\n", "history.channels: it needs capacity.channelsPerPod; say what a pod carries."),
        (
            f"{RATE}, channelsPerPod: 5}}\n",
            "capacity.channelsPerPod: it needs the query history.channels; give it or remove this.",
        ),
        (
            f"{RATE}, gradeOfService: {{}}}}\n",
            "capacity.gradeOfService: it sizes channels and needs history.channels; give it or use targetOccupancy.",
        ),
    ],
)
def test_a_measure_needs_its_query_and_its_capacity(spec: str, expected: str):
    assert expected in only(policy("a", spec))


def test_the_envelope_is_checked_like_the_spec():
    assert sentences(
        "apiVersion: calltide.io/v2\nkind: policy\nmetadata: {name: A, label: {}}\nspec:\n" + COMPLETE
    ) == [
        "a.yaml:1: apiVersion: 'calltide.io/v2' is not 'calltide.io/v1'. Write calltide.io/v1.",
        "a.yaml:2: kind: 'policy' is not 'Policy'. Write Policy.",
        "a.yaml:3: metadata.label: There is no such field here. Did you mean 'labels'?",
        "a.yaml:3: metadata.name: 'A' is not a name: use lower-case letters, digits, '-' and '.', at most 63.",
    ]


def test_tenants_that_yaml_reads_as_something_else_are_told_to_be_quoted():
    assert sentences(policy("a", rest="pools: {p: [1001, true, null, '1001', no]}\n")) == [
        "a.yaml:7: pools.p[0]: 1001 reads as a number where text is meant. Put it in quotes.",
        "a.yaml:7: pools.p[1]: true reads as true or false where text is meant. Put it in quotes.",
        "a.yaml:7: pools.p[2]: There is no value. Give one, or remove the line to inherit it.",
    ]


@pytest.mark.parametrize(
    "tenant", ["Müller & Söhne", 'a "b" \\ c', "line\nbreak", "日本", "a{b}", "🎧", " ", "#x", "0"]
)
def test_tenants_may_hold_any_characters(tenant: str):
    found = book(policy("a", rest=f"pools: {{p: [{json.dumps(tenant, ensure_ascii=False)}]}}\n"))
    assert found.pool("a", "p") == (tenant,)


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("{spec: {}}", "fleet: name either a fleet or a tenant, and not both."),
        ("{fleet: d/a, tenant: a, spec: {}}", "fleet: name either a fleet or a tenant, and not both."),
        ("{fleet: acme, spec: {}}", "fleet: 'acme' is not 'namespace/name'; write 'default/acme'."),
        ("{fleet: a/b/c, spec: {}}", "fleet: 'a/b/c' is not 'namespace/name'; write it like 'default/acme'."),
        ("{tenant: x}", "spec: It is missing: Any fields of the policy; what is left out is inherited."),
        ("{tenant: x, spec: {minPod: 2}}", "spec.minPod: There is no such field here. Did you mean 'minPods'?"),
        (
            "{tenant: x, spec: {minPods: 101}}",
            "spec.minPods: minPods 101 is above maxPods 100; raise maxPods or lower minPods.",
        ),
    ],
)
def test_overrides_are_judged_with_what_they_inherit(override: str, expected: str):
    assert only(policy("a", rest=f"overrides: [{override}]\n")) == f"a.yaml:7: overrides[0].{expected}"


def test_duplicates_name_both_places():
    overrides = "overrides:\n- {tenant: t, spec: {}}\n- {tenant: t, spec: {}}\n"
    twice = policy("a", COMPLETE, "fleets:\n- {name: x, tenants: [t]}\n" + overrides)
    other = policy("b", COMPLETE, "fleets:\n- {namespace: default, name: x, tenants: [t]}\n")
    assert sentences(twice, other, policy("a")) == [
        "a.yaml:11: overrides[1].tenant: An override for tenant 't' stands at a.yaml:10 already. Join the two.",
        "b.yaml:8: fleets[0].name: Fleet 'default/x' is listed at a.yaml:8 already. Remove one of them.",
        "c.yaml:3: metadata.name: Policy 'a' stands at a.yaml:3 already. Rename one of them.",
    ]


def test_a_flood_of_errors_is_cut_and_counted():
    found = sentences(policy("a", COMPLETE + "".join(f"  x{n}: 1\n" for n in range(5000))))
    assert len(found) == 101
    assert any("… and 4900 more problems" in line for line in found)


def test_no_sentence_speaks_of_types_and_web_sites():
    wrong = ("", "x", "1", "-1", "1.5", "true", "[]", "[x]", "{}", "{a: b}", ".inf", "2026-12-24", "1e99")
    fields = ("mode", "history", "calendar", "forecast", "capacity", "lead", "reactive", "schedule", "minPods")
    nested = ("schedule[0]", "calendar.holidays", "history.step", "forecast.quantile", "capacity.gradeOfService")
    for value in wrong:
        for field in (*fields, *nested):
            section, _, name = field.partition(".")
            line = f"{section}: {{{name}: {value}}}" if name else f"{section.removesuffix('[0]')}: {value}"
            for sentence in sentences(policy("a", f"  {line}\n")):
                assert not any(word in sentence for word in JARGON), sentence
                assert sentence.isprintable(), sentence
