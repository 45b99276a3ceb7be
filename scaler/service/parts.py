"""What a run of the service is put together from: its clock, its sources and its fleets.

`serve` takes the real ones; a demo swaps these three and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from forecasting.errors import SourceConfigurationError
from forecasting.sources import HistorySource, SourceSettings, open_source
from scaler.clock import Clock, SystemClock
from scaler.core.fleets import FleetKey
from scaler.errors import ConfigurationError
from scaler.fleet.kubernetes.adapter import KubernetesFleets
from scaler.fleet.kubernetes.api import connect
from scaler.fleet.kubernetes.lease import KubernetesLease
from scaler.fleet.kubernetes.writing import KubernetesRetirement
from scaler.fleet.listing import FleetListing
from scaler.fleet.protocol import FleetAdapter
from scaler.fleet.retiring import RetirementSide
from scaler.fleet.simulated.adapter import SimulatedFleets
from scaler.fleet.simulated.answers import GrpcAnswers
from scaler.fleet.simulated.calls import Calls
from scaler.fleet.simulated.fleet import SimulatedFleetSpec
from scaler.policy.book import PolicyBook
from scaler.service.leadership import LeaseStore
from scaler.service.settings import SERVICE_ACCOUNT_NAMESPACE, Configuration
from scaler.service.settings import KubernetesFleets as KubernetesSettings
from scaler.service.worker import SourceOpener


@dataclass(frozen=True, slots=True)
class Parts:
    """The three parts that differ between a real run and a demo. `source_kinds` names each source's type.

    `lease` is where replicas elect their leader, None for a calltide that is alone; `retirement` is the cluster as
    retirement sees it, None where nothing is retired.
    """

    clock: Clock
    opener: SourceOpener
    adapter: FleetAdapter
    source_kinds: Mapping[str, str]
    demo: bool = False
    lease: LeaseStore | None = None
    retirement: RetirementSide | None = None


@dataclass(frozen=True, slots=True)
class ConfiguredSources:
    """The sources of the configuration file."""

    settings: Mapping[str, SourceSettings]

    def open(self, name: str) -> HistorySource:
        """Open the source of this name.

        Raises:
            SourceConfigurationError: the configuration has none of that name, or its settings are wrong.
        """
        if name not in self.settings:
            known = ", ".join(sorted(self.settings)) or "none"
            raise SourceConfigurationError(
                f"a policy's history.source is {name!r}, the configuration's sources are: {known}. Add it or rename it."
            )
        return open_source(self.settings[name], name)


class NoCalls:
    """The calls of a fleet that nobody simulates: none. Its pods only follow the answers."""

    def starting(self, tenants: Sequence[str], from_s: float, until_s: float) -> Calls:
        """No calls."""
        del tenants, from_s, until_s
        nothing = np.zeros(0, dtype=np.int64)
        return Calls(nothing, nothing, nothing)

    def in_progress(self, tenants: Sequence[str], at_s: float) -> Calls:
        """No calls."""
        return self.starting(tenants, at_s, at_s)


def listed_fleets(policies: PolicyBook) -> tuple[FleetListing, ...]:
    """The fleets that policies list themselves."""
    return tuple(
        FleetListing(FleetKey(fleet.namespace, fleet.name), fleet.policy, fleet.tenants)
        for fleet in policies.listed_fleets()
    )


def simulated_specs(policies: PolicyBook) -> tuple[SimulatedFleetSpec, ...]:
    """How to simulate the listed fleets: pods as large and as many as their policies say."""
    specs = []
    for listing in listed_fleets(policies):
        spec = policies.resolve(listing.policy, fleet=str(listing.key), tenants=listing.tenants)
        specs.append(
            SimulatedFleetSpec(
                listing,
                channels_per_pod=spec.capacity.channels_per_pod or 100,
                minimum_replicas=spec.min_pods,
                maximum_replicas=spec.max_pods,
            )
        )
    return tuple(specs)


def real_parts(configuration: Configuration, policies: Callable[[], PolicyBook]) -> Parts:
    """The machine's clock, the configured sources, and the cluster if one is configured.

    Raises:
        ConfigurationError: the cluster's credentials cannot be used.
    """
    clock = SystemClock()
    fleets = configuration.fleets
    adapter: FleetAdapter
    retirement: RetirementSide | None = None
    if isinstance(fleets, KubernetesSettings):
        adapter = KubernetesFleets(
            connect(fleets.kubeconfig),
            clock,
            addresses=fleets.scaler_addresses,
            namespaces=fleets.namespaces,
            listed=lambda: listed_fleets(policies()),
            retiring=configuration.retirement is not None,
        )
        if configuration.retirement is not None:
            # A connection of its own: what ends a pod does not wait behind a watch.
            retirement = KubernetesRetirement(connect(fleets.kubeconfig), adapter)
    else:
        answers = GrpcAnswers(configuration.keda.listen)
        adapter = SimulatedFleets(simulated_specs(policies()), NoCalls(), answers, clock)
    kinds = {name: settings.type for name, settings in configuration.sources.items()}
    sources, lease = ConfiguredSources(configuration.sources), _lease(configuration)
    return Parts(clock, sources, adapter, kinds, lease=lease, retirement=retirement)


def _lease(configuration: Configuration) -> LeaseStore | None:
    fleets, replicas = configuration.fleets, configuration.replicas
    if replicas is None or not isinstance(fleets, KubernetesSettings):
        return None
    namespace = replicas.namespace
    if namespace is None:
        try:
            namespace = SERVICE_ACCOUNT_NAMESPACE.read_text(encoding="utf-8").strip()
        except OSError as error:
            raise ConfigurationError(
                f"replicas.namespace is not given, and this is no pod with a service account ({error}); name it"
            ) from error
    # A connection of its own: watches that are woken to stop must not take the Lease along.
    return KubernetesLease(connect(fleets.kubeconfig), namespace, replicas.lease)
