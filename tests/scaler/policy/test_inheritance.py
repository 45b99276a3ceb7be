"""Later layers win; mappings merge, lists and scalars replace; every value keeps the place that it came from."""

from __future__ import annotations

import pytest

from scaler.errors import PolicyError
from scaler.policy.directory import PolicyText, fingerprint_of
from scaler.policy.model import Mode
from tests.scaler.policy.writing import COMPLETE, book, only, policy, sentences


def child(name: str, extends: str, spec: str = "  {}\n", rest: str = "") -> str:
    """A document whose `extends` stands on line 4 and whose spec begins on line 6."""
    return policy(name, spec, rest).replace("spec:", f"extends: {extends}\nspec:", 1)


BASE = """\
  mode: observe
  history: {channels: base, step: 1m}
  capacity: {channelsPerPod: 100, targetOccupancy: 0.7}
  schedule:
    - {name: morning, cron: 0 8 * * *, for: 1h, minPods: 4}
    - {name: evening, cron: 0 20 * * *, for: 1h, minPods: 5}
  minPods: 2
"""


def test_the_chain_of_extends_lies_over_the_defaults_and_under_the_documents_own_spec():
    specs = book(
        child("c", "b", "  minPods: 5\n"), policy("a", BASE), child("b", "a", "  history: {step: 5m}\n  minPods: 3\n")
    )
    spec = specs.resolve("c")
    assert (spec.mode, spec.history.channels, spec.history.step, spec.min_pods, spec.max_pods) == (
        *(Mode.OBSERVE, "base", 300, 5, 100),
    )


def test_a_list_replaces_the_inherited_one():
    specs = book(policy("a", BASE), child("b", "a", "  schedule: []\n"))
    assert len(specs.resolve("a").schedule) == 2
    assert specs.resolve("b").schedule == ()


def test_null_takes_back_what_is_inherited():
    specs = book(policy("a", BASE), child("b", "a", "  capacity: {targetOccupancy: null, gradeOfService: {}}\n"))
    assert specs.resolve("b").capacity.target_occupancy is None
    assert specs.resolve("b").capacity.grade_of_service is not None


OVERRIDES = """
    overrides:
      - tenant: acme
        spec: {minPods: 7, history: {step: 10m}}
      - fleet: voice/acme
        spec: {minPods: 9}
"""


@pytest.mark.parametrize(
    ("fleet", "tenants", "min_pods", "step"),
    [
        (None, (), 2, 60),
        ("voice/other", ("other",), 2, 60),
        ("voice/other", ("acme",), 7, 600),
        ("voice/other", ("acme", "acme"), 7, 600),
        ("voice/other", ("acme", "other"), 2, 60),
        ("voice/acme", ("acme", "other"), 9, 60),
        ("voice/acme", ("acme",), 9, 600),
        ("default/acme", (), 2, 60),
    ],
)
def test_a_fleets_override_wins_over_its_sole_tenants(fleet: str | None, tenants: tuple[str, ...], min_pods, step):
    spec = book(policy("a", BASE, OVERRIDES)).resolve("a", fleet=fleet, tenants=tenants)
    assert (spec.min_pods, spec.history.step) == (min_pods, step)


def test_every_value_knows_where_it_was_written():
    specs = book(policy("a", BASE), child("b", "a", "  minPods: 3\n", OVERRIDES))

    def origin(field: str, **of: object) -> str:
        return str(specs.origin_of("b", field, **of))

    assert origin("history.channels") == "a.yaml:6"
    assert origin("minPods") == "b.yaml:6"
    assert origin("schedule") == "a.yaml:8"
    assert origin("schedule.0.cron") == "a.yaml:8"
    assert origin("minPods", tenants=("acme",)) == "b.yaml:10"
    assert origin("history", tenants=("acme",)) == "b.yaml:10"
    assert origin("history.step", fleet="voice/acme", tenants=("acme",)) == "b.yaml:10"
    assert origin("minPods", fleet="voice/acme", tenants=("acme",)) == "b.yaml:12"
    assert specs.origin_of("b", "lead.default") is None


def test_only_the_spec_is_inherited():
    specs = book(policy("a", BASE, OVERRIDES + "    pools: {p: [x]}\n"), child("b", "a"))
    assert specs.resolve("b", tenants=("acme",)).min_pods == 2
    with pytest.raises(PolicyError, match="Policy 'b' has no pool 'p'"):
        specs.pool("b", "p")


def test_an_unknown_parent_names_the_nearest():
    assert only(policy("office", BASE), child("b", "ofice")) == (
        "b.yaml:4: extends: There is no policy 'ofice'. Did you mean 'office'?"
    )


def test_circles_are_errors_of_each_policy_in_them():
    assert sentences(child("a", "b"), child("b", "c"), child("c", "a"), child("d", "a"), child("e", "e")) == [
        "a.yaml:4: extends: 'a' extends 'b' extends 'c' extends 'a': a circle. Remove 'extends' from one of them.",
        "b.yaml:4: extends: 'b' extends 'c' extends 'a' extends 'b': a circle. Remove 'extends' from one of them.",
        "c.yaml:4: extends: 'c' extends 'a' extends 'b' extends 'c': a circle. Remove 'extends' from one of them.",
        "e.yaml:4: extends: 'e' extends 'e': a circle. Remove 'extends' from one of them.",
    ]


def test_a_chain_has_an_end():
    chain = [policy("p0", BASE), *(child(f"p{n}", f"p{n - 1}") for n in range(1, 26))]
    found = sentences(*chain)
    assert len(found) == 15
    assert found[0] == (
        "l.yaml:4: extends: The chain of 'extends' is longer than 10. Let it extend a policy nearer to the first."
    )


def test_a_fault_of_a_parent_is_told_once_and_a_childs_own_faults_with_it():
    assert sentences(policy("a", BASE + "  maxPods: x\n"), child("b", "a"), child("c", "b", "  maxPodss: 4\n")) == [
        "a.yaml:12: spec.maxPods: 'x' is not a whole number. Write it in digits, without a unit.",
        "c.yaml:6: spec.maxPodss: There is no such field here. Did you mean 'maxPods'?",
    ]


def test_what_a_parent_lacks_is_not_told_again_at_each_child():
    assert only(policy("a", "  {}\n"), child("b", "a"), child("c", "b")).startswith("a.yaml:4: spec.history.channels:")


def test_overrides_of_a_faulty_policy_are_judged_by_their_own_fields():
    overrides = "overrides: [{tenant: t, spec: {minPods: 300}}, {tenant: u, spec: {minPod: 3}}]\n"
    assert sentences(policy("a", BASE + "  maxPods: x\n", overrides)) == [
        "a.yaml:12: spec.maxPods: 'x' is not a whole number. Write it in digits, without a unit.",
        "a.yaml:13: overrides[1].spec.minPod: There is no such field here. Did you mean 'minPods'?",
    ]


def test_a_directory_holds_so_many_policies_and_no_more(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("scaler.policy.drafts.MAXIMUM_POLICIES", 2)
    assert only(*(policy(name) for name in "abcd")) == (
        "c.yaml:1: The directory holds more than 2 policies. Remove some."
    )


def test_a_fault_that_only_two_documents_make_is_told_at_the_one_that_came_later():
    assert only(policy("a", BASE), child("b", "a", "  capacity: {gradeOfService: {}}\n")) == (
        "b.yaml:6: spec.capacity.gradeOfService: targetOccupancy and gradeOfService both add safety; "
        "keep one (null drops what is inherited)."
    )


def test_overrides_for_a_fleet_and_its_tenant_are_judged_together_where_a_listed_fleet_has_both():
    overrides = """
    overrides:
      - {tenant: acme, spec: {maxPods: 5}}
      - {fleet: voice/acme, spec: {minPods: 9}}
    """
    apart = policy("a", BASE, overrides)
    together = "fleets: [{namespace: voice, name: acme, tenants: [acme]}]\n" + overrides.replace("\n    ", "\n")
    message = "minPods 9 is above maxPods 5; raise maxPods or lower minPods."
    assert only(policy("a", BASE, together)) == f"a.yaml:16: overrides[1].spec.minPods: {message}"
    specs = book(apart)
    assert specs.resolve("a", fleet="voice/acme").min_pods == 9
    with pytest.raises(PolicyError, match=f"a.yaml:15: overrides.1..spec.minPods: {message}"):
        specs.resolve("a", fleet="voice/acme", tenants=("acme",))


def test_an_unknown_policy_or_pool_names_the_nearest():
    specs = book(policy("office", COMPLETE, "pools: {small: [a, b]}\n"))
    assert specs.pool("office", "small") == ("a", "b")
    with pytest.raises(PolicyError, match=r"There is no policy 'ofice'\. Did you mean 'office'\?"):
        specs.resolve("ofice")
    with pytest.raises(PolicyError, match=r"Policy 'office' has no pool 'smal'\. Did you mean 'small'\?"):
        specs.pool("office", "smal")


def test_listed_fleets_carry_their_policys_name():
    fleets = "fleets: [{name: y, tenants: [t, u]}, {namespace: voice, name: x, tenants: [t]}]\n"
    found = book(policy("b"), policy("a", COMPLETE, fleets)).listed_fleets()
    assert [(fleet.key, fleet.policy, fleet.tenants) for fleet in found] == [
        ("default/y", "a", ("t", "u")),
        ("voice/x", "a", ("t",)),
    ]


def test_the_fingerprint_changes_with_any_byte_and_any_name():
    text = policy("a")
    prints = {book(text).fingerprint, book(text + "#").fingerprint, book("---\n", text).fingerprint}
    assert len(prints) == 3
    assert fingerprint_of([PolicyText("a", "bc")]) != fingerprint_of([PolicyText("ab", "c")])
    assert book(text).fingerprint == book(text).fingerprint
