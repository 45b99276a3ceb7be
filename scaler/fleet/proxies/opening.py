"""Front gates as the configuration names them."""

from __future__ import annotations

from collections.abc import Callable

from scaler.fleet.kubernetes.api import KubernetesApi, connect
from scaler.fleet.proxies.endpoint_slices import ServiceSide
from scaler.fleet.proxies.kamailio import KamailioGates
from scaler.fleet.proxies.protocol import FrontGates
from scaler.fleet.proxies.service import ServiceGates
from scaler.fleet.proxies.settings import AnyFrontGate, ServiceSettings


def open_front_gates(
    name: str,
    settings: AnyFrontGate,
    clock: Callable[[], float],
    connected: Callable[[], KubernetesApi] = connect,
) -> FrontGates:
    """The proxies or Services that the settings describe.

    `clock` is the leader's, in seconds; `connected` makes a connection to the cluster, where one is needed.
    """
    if isinstance(settings, ServiceSettings):
        return ServiceGates(name, settings, clock, ServiceSide(connected()))
    side = None if settings.service is None else ServiceSide(connected())
    return KamailioGates(name, settings, clock, side)
