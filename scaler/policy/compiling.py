"""From the texts of a directory to a book of policies, or to everything that is wrong with them.

Inheritance comes first and judging after it, so that a fault which only two documents together make is found; the
places that every value carries still lead to the line to change. See docs/decisions/0002.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from scaler.errors import PolicyError, Problem
from scaler.policy.book import Policy, PolicyBook, Variant, sole
from scaler.policy.directory import PolicyText, Reading
from scaler.policy.drafts import Draft, read_drafts, text_of
from scaler.policy.inheritance import merged
from scaler.policy.judging import judge
from scaler.policy.model import PolicySpec
from scaler.policy.tree import Node, Place
from scaler.policy.words import shown


def compile_reading(reading: Reading) -> PolicyBook:
    """The policies of a directory that was read.

    Raises:
        PolicyError: with every problem of all files.
    """
    drafts, problems = read_drafts(reading.texts, all_could_be_read=not reading.problems)
    problems += reading.problems
    by_name = {draft.name: draft for draft in drafts}
    policies: list[Policy] = []
    for draft in drafts:
        problems += _judge_spec(draft, by_name)
        for_fleet, for_tenant, faults = _overrides(draft)
        problems += faults
        if draft.document is not None and draft.spec is not None:
            base = Variant(draft.spec, merged(draft.layers))
            policies.append(Policy(draft.document, draft.root.place, draft.layers, base, for_fleet, for_tenant))
        else:
            problems += _judge_alone((*for_fleet.values(), *for_tenant.values()))
    problems += _fleets_listed_twice(drafts)
    problems += _judge_variants(policies)
    if not drafts and not problems:
        raise PolicyError(Problem(reading.texts[0].file if reading.texts else "", 1, "", _NO_DOCUMENT))
    if problems:
        raise PolicyError(*sorted(dict.fromkeys(problems)))
    return PolicyBook({policy.document.metadata.name: policy for policy in policies}, reading.fingerprint)


_NO_DOCUMENT = "No file holds a document. Write at least one policy, beginning with 'apiVersion: calltide.io/v1'."


def compile_texts(texts: Sequence[PolicyText]) -> PolicyBook:
    """The policies of texts that are known already.

    Raises:
        PolicyError: with every problem of all texts.
    """
    return compile_reading(Reading(tuple(texts), ()))


def _judge_spec(draft: Draft, by_name: Mapping[str | None, Draft]) -> list[Problem]:
    parent = by_name.get(draft.extends) if draft.extends is not None else None
    if parent is not None and parent.spec is None:
        # The parent's faults are told at the parent; what would be inherited from it cannot be judged.
        draft.inherits_unknown = True
        draft.layers = (draft.own_spec,)
    draft.spec, problems = judge(
        PolicySpec, merged(draft.layers), draft.layers, inherits_unknown=draft.inherits_unknown
    )
    if draft.inherits_unknown:
        draft.spec = None
    return problems


def _overrides(draft: Draft) -> tuple[dict[str, Node], dict[str, Node], list[Problem]]:
    """The specs of the overrides by fleet and by tenant, also of a document with other faults."""
    found: dict[str, dict[str, Node]] = {"fleet": {}, "tenant": {}}
    places: dict[tuple[str, str], Place] = {}
    problems = []
    overrides = draft.root.child("overrides")
    for item in overrides.items if overrides is not None else ():
        spec = item.child("spec")
        for kind, by_target in found.items():
            target = text_of(item.child(kind))
            if target is None or spec is None or not isinstance(spec.value, Mapping):
                continue
            first = places.setdefault((kind, target), item.place)
            if first is not item.place:
                message = f"An override for {kind} {shown(target)} stands at {first} already. Join the two."
                problems.append(item.place.problem(message, kind))
            by_target.setdefault(target, spec)
    return found["fleet"], found["tenant"], problems


def _judge_alone(specs: Iterable[Node]) -> list[Problem]:
    return [problem for spec in specs for problem in judge(PolicySpec, spec, inherits_unknown=True)[1]]


def _judge_variants(policies: Sequence[Policy]) -> list[Problem]:
    """Judge each override, and for listed fleets both that meet.

    Other pairs of a fleet and a tenant are not judged: most never meet, and a false alarm would reject everything.
    """
    problems: list[Problem] = []
    for policy in policies:
        alone = [*((fleet, None) for fleet in policy.for_fleet), *((None, tenant) for tenant in policy.for_tenant)]
        faults = {targets: policy.judge(*targets)[1] for targets in alone}
        for listed in policy.document.fleets:
            fleet, tenant = listed.key, sole(listed.tenants)
            if not faults.get((fleet, None)) and not faults.get((None, tenant)):
                faults[fleet, tenant] = policy.judge(fleet, tenant)[1]
        problems += [problem for found in faults.values() for problem in found]
    return problems


def _fleets_listed_twice(drafts: Sequence[Draft]) -> list[Problem]:
    first: dict[str, Place] = {}
    problems = []
    for draft in sorted(drafts, key=lambda draft: (draft.root.place.file, draft.root.place.line)):
        fleets = draft.root.child("fleets")
        for item in fleets.items if fleets is not None else ():
            name = text_of(item.child("name"))
            key = f"{text_of(item.child('namespace')) or 'default'}/{name}"
            other = first.setdefault(key, item.place)
            if name is not None and other is not item.place:
                message = f"Fleet {shown(key)} is listed at {other} already. Remove one of them."
                problems.append(item.place.problem(message, "name"))
    return problems
