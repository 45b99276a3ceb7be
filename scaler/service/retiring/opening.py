"""The retirer of a configuration, with everybody that it talks to."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from scaler.core.fleets import FleetKey
from scaler.fleet.kubernetes.api import connect
from scaler.fleet.pbx.opening import open_media_server
from scaler.fleet.pbx.protocol import Channel
from scaler.fleet.proxies.opening import open_front_gates
from scaler.retirement.emptying import DEFAULT_HOLDING_TIMES, time_to_empty_s
from scaler.service.leadership import boottime_s
from scaler.service.parts import Parts
from scaler.service.planning import SizedFleet
from scaler.service.replication import Replication
from scaler.service.retiring.audit_log import AuditLog
from scaler.service.retiring.retirer import Edges, Retirer
from scaler.service.settings import Configuration, KubernetesFleets


def open_retirer(
    configuration: Configuration,
    parts: Parts,
    fleets: Callable[[], Mapping[FleetKey, SizedFleet]],
    replication: Replication,
) -> Retirer | None:
    """The retirer; None where the configuration has no retirement.

    Raises:
        ConfigurationError: a front gate needs the cluster, and its credentials cannot be used.
    """
    settings = configuration.retirement
    if settings is None or parts.retirement is None:
        return None
    fleets_settings = configuration.fleets
    kubeconfig = fleets_settings.kubeconfig if isinstance(fleets_settings, KubernetesFleets) else None
    connected = partial(connect, kubeconfig)
    edges = Edges(
        side=parts.retirement,
        servers={name: open_media_server(one, boottime_s) for name, one in settings.media_servers.items()},
        gates={name: open_front_gates(name, one, boottime_s, connected) for name, one in settings.front_gates.items()},
        audit=AuditLog(configuration.state),
        time_to_empty_s=_time_to_empty_s,
    )
    return Retirer(
        edges,
        clock=parts.clock,
        leader_clock=boottime_s,
        fleets=fleets,
        term=replication.term,
        name=replication.status().name or "calltide",
    )


def _time_to_empty_s(channels: Sequence[Channel]) -> float:
    return time_to_empty_s([channel.age_s for channel in channels], DEFAULT_HOLDING_TIMES)
