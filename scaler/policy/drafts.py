"""Documents on their way to policies: parsed, named and told whom they inherit from, not yet judged.

A faulty document still takes part as far as it can be understood, so that one look at the directory shows all that
is wrong with it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from scaler.errors import Problem
from scaler.policy.directory import PolicyText
from scaler.policy.document import PolicyDocument
from scaler.policy.judging import judge
from scaler.policy.model import PolicySpec
from scaler.policy.tree import Node, Place, RefusedTextError, parse
from scaler.policy.words import did_you_mean, shown

LONGEST_CHAIN = 10
MAXIMUM_POLICIES = 2_000


@dataclass(slots=True, eq=False)
class Draft:
    """One document.

    `layers` are its own spec and those it inherits, most specific first. `inherits_unknown` is set when what it
    extends is missing, faulty or in a circle: then only its own fields can be judged. `spec` is there once it is
    judged and can be used.
    """

    root: Node
    document: PolicyDocument | None
    layers: tuple[Node, ...] = ()
    inherits_unknown: bool = False
    spec: PolicySpec | None = None

    @property
    def name(self) -> str | None:
        """The policy's name, also of a document that has other faults."""
        metadata = self.root.child("metadata")
        return None if metadata is None else text_of(metadata.child("name"))

    @property
    def name_place(self) -> Place:
        """Where the name stands."""
        metadata = self.root.child("metadata")
        name = metadata.child("name") if metadata is not None else None
        return (name or self.root).place

    @property
    def extends(self) -> str | None:
        """The name of the policy that it inherits."""
        return text_of(self.root.child("extends"))

    @property
    def own_spec(self) -> Node:
        """Its spec; an empty one at the document's place when there is none."""
        spec = self.root.child("spec")
        if spec is not None and isinstance(spec.value, Mapping):
            return spec
        return Node(Place(self.root.place.file, self.root.place.line, "spec"), {})


def text_of(node: Node | None) -> str | None:
    """The node's text, None when it is no text."""
    return node.value if node is not None and isinstance(node.value, str) else None


def read_drafts(texts: Sequence[PolicyText], *, all_could_be_read: bool) -> tuple[list[Draft], list[Problem]]:
    """The documents of all files, most-inherited first, with the problems found on the way."""
    drafts: list[Draft] = []
    problems: list[Problem] = []
    for text in texts:
        try:
            builder = parse(text.file, text.text)
        except RefusedTextError as refused:
            problems.append(refused.problem)
            all_could_be_read = False
            continue
        problems += builder.problems
        for root in builder.documents:
            # An empty document is what a '---' too many leaves.
            if root.value is not None:
                document, faults = judge(PolicyDocument, root)
                drafts += [Draft(root, document)] if isinstance(root.value, Mapping) else []
                problems += faults
    if len(drafts) > MAXIMUM_POLICIES:
        place = drafts[MAXIMUM_POLICIES].root.place
        problems.append(place.problem(f"The directory holds more than {MAXIMUM_POLICIES:,} policies. Remove some."))
        del drafts[MAXIMUM_POLICIES:]
    by_name, repeated = _by_name(drafts)
    # What cannot be read may hold any name: then nobody is told that a name does not exist.
    names_are_known = all_could_be_read and all(draft.name is not None for draft in drafts)
    problems += [*repeated, *_link(drafts, by_name, names_are_known=names_are_known)]
    return sorted(drafts, key=lambda draft: len(draft.layers)), problems


def _by_name(drafts: Sequence[Draft]) -> tuple[dict[str, Draft], list[Problem]]:
    by_name: dict[str, Draft] = {}
    problems = []
    for draft in drafts:
        if draft.name is None:
            continue
        first = by_name.setdefault(draft.name, draft)
        if first is not draft:
            message = f"Policy {shown(draft.name)} stands at {first.name_place} already. Rename one of them."
            problems.append(draft.name_place.problem(message))
    return by_name, problems


def _chain(draft: Draft, by_name: Mapping[str, Draft]) -> Iterator[Draft]:
    """The document, what it extends, and so on; a circle goes on for ever."""
    here: Draft | None = draft
    while here is not None:
        yield here
        here = by_name.get(here.extends) if here.extends is not None else None


def _link(drafts: Sequence[Draft], by_name: Mapping[str, Draft], *, names_are_known: bool) -> list[Problem]:
    """Give every document its layers; name those whose chain does not end."""
    problems: list[Problem] = []
    for draft in drafts:
        chain: list[Draft] = []
        for step in _chain(draft, by_name):
            if step in chain or len(chain) > LONGEST_CHAIN:
                break
            chain.append(step)
        extends = draft.root.child("extends")
        last = chain[-1]
        if last.extends is not None and extends is not None:
            draft.inherits_unknown = True
            draft.layers = (draft.own_spec,)
            message = _endless(draft, chain, by_name, names_are_known)
            problems += [extends.place.problem(message)] if message else []
        else:
            draft.layers = tuple(step.own_spec for step in chain)
    return problems


def _endless(draft: Draft, chain: Sequence[Draft], by_name: Mapping[str, Draft], names_are_known: bool) -> str:
    """What is wrong with this document's own link; empty when the fault is further along and told there."""
    last = chain[-1]
    if last.extends not in by_name:
        if last is not draft or not names_are_known:
            return ""
        known = [name for name in by_name if name != draft.name]
        return f"There is no policy {shown(draft.extends)}.{did_you_mean(draft.extends, known)}"
    if len(chain) > LONGEST_CHAIN:
        return f"The chain of 'extends' is longer than {LONGEST_CHAIN}. Let it extend a policy nearer to the first."
    if by_name[str(last.extends)] is not draft:
        return ""
    circle = " extends ".join(shown(step.name) for step in (*chain, draft))
    return f"{circle}: a circle. Remove 'extends' from one of them."
