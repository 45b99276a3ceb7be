"""Who is to be sized: what the cluster shows, joined with what the policies say.

A fleet that cannot be joined (a trigger without a policy, a policy that is not there) stays on the roster with its
fault, so that the page can say what is wrong; it gets no answer, and KEDA then leaves its replicas alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from scaler.core.fleets import FleetKey, FleetObservation
from scaler.errors import PolicyError
from scaler.policy.book import PolicyBook
from scaler.policy.model import PolicySpec


@dataclass(frozen=True, slots=True)
class RosterEntry:
    """One fleet: what was seen, whose calls it serves, and the spec that its policy gives it, None with a fault."""

    observation: FleetObservation
    tenants: tuple[str, ...]
    spec: PolicySpec | None

    @property
    def key(self) -> FleetKey:
        """The fleet's identity."""
        return self.observation.key

    @property
    def fault(self) -> str | None:
        """Why the fleet cannot be sized."""
        return self.observation.fault

    def with_fault(self, fault: str) -> RosterEntry:
        """The same fleet, which cannot be sized for this reason."""
        return RosterEntry(replace(self.observation, fault=fault), self.tenants, self.spec)


def roster_entry(observation: FleetObservation, policies: PolicyBook) -> RosterEntry:
    """Join one observed fleet with its policy."""
    if observation.fault is not None:
        return RosterEntry(observation, observation.tenants, None)
    try:
        tenants = observation.tenants
        if observation.pool is not None:
            tenants = policies.pool(observation.policy, observation.pool)
        spec = policies.resolve(observation.policy, fleet=str(observation.key), tenants=tenants)
    except PolicyError as error:
        return RosterEntry(replace(observation, fault=str(error)), observation.tenants, None)
    return RosterEntry(observation, tuple(tenants), spec)


def make_roster(observations: Iterable[FleetObservation], policies: PolicyBook) -> Mapping[FleetKey, RosterEntry]:
    """Every fleet that was seen or is listed, in the order of their keys."""
    entries = (roster_entry(observation, policies) for observation in observations)
    return {entry.key: entry for entry in sorted(entries, key=lambda entry: entry.key)}
