"""The valid policies of a directory, and which spec holds for which fleet."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from scaler.errors import PolicyError, Problem
from scaler.policy.document import PolicyDocument
from scaler.policy.inheritance import merged
from scaler.policy.judging import judge
from scaler.policy.model import PolicySpec
from scaler.policy.tree import Node, Place
from scaler.policy.words import did_you_mean, shown


@dataclass(frozen=True, slots=True)
class Variant:
    """A spec with the tree it was read from. What the tree lacks is a built-in default."""

    spec: PolicySpec
    tree: Node

    def origin_of(self, dotted: str) -> Place | None:
        """Where a field's value was written, None for a built-in default. A list counts as a whole."""
        node: Node | None = self.tree
        for step in dotted.split("."):
            if node is None or isinstance(node.value, tuple):
                break
            node = node.child(step)
        return None if node is None else node.place


@dataclass(frozen=True, slots=True, eq=False)
class Policy:
    """One policy of the book.

    `layers` are its own spec and those it inherits, most specific first; `for_fleet` and `for_tenant` hold the specs
    of its overrides.
    """

    document: PolicyDocument
    place: Place
    layers: tuple[Node, ...]
    base: Variant
    for_fleet: Mapping[str, Node]
    for_tenant: Mapping[str, Node]
    _variants: dict[tuple[str | None, str | None], Variant] = field(default_factory=dict)

    def judge(self, fleet: str | None, tenant: str | None) -> tuple[Variant | None, list[Problem]]:
        """What holds for a fleet that serves this tenant alone (None: it serves several)."""
        key = (fleet if fleet in self.for_fleet else None, tenant if tenant in self.for_tenant else None)
        if key == (None, None):
            return self.base, []
        if key not in self._variants:
            own = [self.for_fleet[key[0]]] if key[0] is not None else []
            own += [self.for_tenant[key[1]]] if key[1] is not None else []
            layers = (*own, *self.layers)
            tree = merged(layers)
            spec, problems = judge(PolicySpec, tree, layers)
            if spec is None:
                return None, problems
            self._variants[key] = Variant(spec, tree)
        return self._variants[key], []


@dataclass(frozen=True, slots=True)
class PolicyFleet:
    """A listed fleet with the policy that lists it."""

    policy: str
    namespace: str
    name: str
    tenants: tuple[str, ...]

    @property
    def key(self) -> str:
        """`namespace/name`."""
        return f"{self.namespace}/{self.name}"


def sole(tenants: Sequence[str]) -> str | None:
    """The tenant that is served alone, None when there are several or none."""
    return tenants[0] if len(set(tenants)) == 1 else None


@dataclass(frozen=True, slots=True, eq=False)
class PolicyBook:
    """All policies of a valid directory. `fingerprint` changes with any byte of its files."""

    policies: Mapping[str, Policy]
    fingerprint: str

    @property
    def names(self) -> tuple[str, ...]:
        """The policies' names, sorted."""
        return tuple(sorted(self.policies))

    def policy(self, name: str) -> Policy:
        """One policy.

        Raises:
            PolicyError: there is none of that name, with the nearest one.
        """
        try:
            return self.policies[name]
        except KeyError:
            near = did_you_mean(name, self.policies) or " Add it to the policy directory."
            raise PolicyError(f"There is no policy {shown(name)}.{near}") from None

    def variant(self, policy: str, *, fleet: str | None = None, tenants: Sequence[str] = ()) -> Variant:
        """What holds for a fleet, with the origin of each value.

        Raises:
            PolicyError: no such policy, or the overrides for this fleet and for its tenant do not fit together.
        """
        variant, problems = self.policy(policy).judge(fleet, sole(tenants))
        if variant is None:
            raise PolicyError(*problems)
        return variant

    def resolve(self, policy: str, *, fleet: str | None = None, tenants: Sequence[str] = ()) -> PolicySpec:
        """The spec for a fleet: the policy's, then the override for its tenant, then that for the fleet itself.

        `fleet` is `namespace/name`. A tenant's override holds for fleets that serve this tenant alone.

        Raises:
            PolicyError: no such policy, or the overrides for this fleet and for its tenant do not fit together.
        """
        return self.variant(policy, fleet=fleet, tenants=tenants).spec

    def origin_of(
        self, policy: str, dotted: str, *, fleet: str | None = None, tenants: Sequence[str] = ()
    ) -> Place | None:
        """Where a field such as `capacity.channelsPerPod` got its value; None: it is the built-in default.

        Raises:
            PolicyError: as for `resolve`.
        """
        return self.variant(policy, fleet=fleet, tenants=tenants).origin_of(dotted)

    def pool(self, policy: str, name: str) -> tuple[str, ...]:
        """The tenants of a policy's pool.

        Raises:
            PolicyError: no such policy or pool, with the nearest one.
        """
        pools = self.policy(policy).document.pools
        if name not in pools:
            near = did_you_mean(name, pools) or f" Add it to 'pools' of {policy}."
            raise PolicyError(f"Policy {shown(policy)} has no pool {shown(name)}.{near}")
        return pools[name]

    def listed_fleets(self) -> tuple[PolicyFleet, ...]:
        """Every fleet that a policy lists, in the order of their keys."""
        return tuple(sorted(self._listed(), key=lambda fleet: fleet.key))

    def _listed(self) -> Iterator[PolicyFleet]:
        for name, policy in self.policies.items():
            for fleet in policy.document.fleets:
                yield PolicyFleet(name, fleet.namespace, fleet.name, fleet.tenants)
