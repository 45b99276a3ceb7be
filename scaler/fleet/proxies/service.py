"""Front gates of Services: a label that the Service selects its pods by.

For fleets whose calls come by a Service of Kubernetes and no SIP proxy. A pod whose label says so is no endpoint any
more and stays Ready, since a pod that is not Ready is the first that a ReplicaSet would end.

The API server tells when no EndpointSlice leads to the pod any more. Whether every kube-proxy has heard of it, nobody
tells: `settleSeconds` stands for that. And a Service balances connections, not calls: who has one open (SIP over TCP)
goes on sending new calls to the pod, where the pod's own gate refuses them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from scaler.errors import FleetError
from scaler.fleet.kubernetes.api import ApiRefusedError
from scaler.fleet.pbx.protocol import PodTarget
from scaler.fleet.proxies.endpoint_slices import Endpoint, ServiceSide, SlicesError
from scaler.fleet.proxies.protocol import FrontGateError
from scaler.fleet.proxies.settings import ServiceSettings
from scaler.retirement.readings import Doubt, FrontGate, Steering, Unproved

_FORGOTTEN_AFTER_S = 3600.0


@dataclass(frozen=True, slots=True)
class _Seen:
    """What one question told of a namespace: the endpoints by Service, and the UIDs of pods whose label is shut."""

    endpoints: Mapping[str, tuple[Endpoint, ...]]
    shut: frozenset[str]


@dataclass(slots=True)
class _Away:
    """Since when every reading had found a pod away, and when the last one did (the leader's clock, seconds)."""

    since_s: float
    last_s: float


class ServiceGates:
    """The Services of some fleets, each in the namespace of the pod. `clock` is the leader's, in seconds."""

    def __init__(self, name: str, settings: ServiceSettings, clock: Callable[[], float], side: ServiceSide) -> None:
        self._name = name
        self._settings = settings
        self._clock = clock
        self._side = side
        self._away: dict[tuple[str, str], _Away] = {}
        self._shut: dict[str, frozenset[str]] = {}

    async def read(self, pods: Sequence[PodTarget]) -> Mapping[str, tuple[FrontGate, ...]]:
        """By the pod's UID: whether each Service may still send it new calls."""
        asked_at_s = self._clock()
        namespaces = sorted({pod.namespace for pod in pods})
        answers = await asyncio.gather(*(self._ask(namespace, asked_at_s) for namespace in namespaces))
        by_namespace = dict(zip(namespaces, answers, strict=True))
        answered_at_s = self._clock()
        found = {}
        for pod in pods:
            seen = by_namespace[pod.namespace]
            found[pod.uid] = tuple(
                FrontGate(
                    f"service {pod.namespace}/{service}",
                    self._steering(service, pod, seen, asked_at_s, answered_at_s),
                    asked_at_s,
                )
                for service in self._settings.services
            )
        self._away = {key: away for key, away in self._away.items() if asked_at_s - away.last_s < _FORGOTTEN_AFTER_S}
        return found

    async def steer(self, proxy: str, pod: PodTarget, steering: Steering) -> None:
        """Set the pod's label, which is the same for all Services. What came of it is read by `read`.

        Raises:
            FrontGateError: it could not be set in time.
        """
        settings = self._settings
        value = settings.closed_value if steering is Steering.AWAY else settings.open_value
        if steering is Steering.AWAY and pod.uid in self._shut.get(pod.namespace, ()):
            return  # it only has not been followed yet
        try:
            await self._side.set_label(
                pod.namespace, pod.name, pod.uid, settings.label, value, settings.timeout_seconds
            )
        except (FleetError, TimeoutError) as error:
            reason = f"{error!s:.200}" or "there was no answer in time"
            raise FrontGateError(f"{proxy}: {pod.name} did not get {settings.label}={value}: {reason}") from error

    async def close(self) -> None:
        """Give back the connection."""
        self._side.close()

    async def _ask(self, namespace: str, asked_at_s: float) -> _Seen | Unproved:
        settings = self._settings
        try:
            # The label first: what is listed afterwards is what became of it.
            shut = await self._side.labelled(namespace, settings.label, settings.closed_value, settings.timeout_seconds)
            endpoints = await self._side.endpoints(namespace, settings.services, settings.timeout_seconds)
        except TimeoutError:
            return Unproved(Doubt.TIMED_OUT, asked_at_s, "the API server did not answer")
        except ApiRefusedError as error:
            return Unproved(Doubt.REFUSED, asked_at_s, f"{error!s:.300}")
        except SlicesError as error:
            return Unproved(Doubt.UNREADABLE, asked_at_s, f"{error!s:.300}")
        except FleetError as error:
            return Unproved(Doubt.NO_ANSWER, asked_at_s, f"{error!s:.300}")
        self._shut[namespace] = shut
        return _Seen(endpoints, shut)

    def _steering(
        self, service: str, pod: PodTarget, seen: _Seen | Unproved, asked_at_s: float, answered_at_s: float
    ) -> Steering | Unproved:
        key, settings = (pod.uid, service), self._settings
        if isinstance(seen, Unproved):
            # Nobody knows what was in between.
            self._away.pop(key, None)
            return seen
        endpoints = seen.endpoints.get(service)
        if pod.uid not in seen.shut:
            # Listed or not: nothing keeps it out.
            self._away.pop(key, None)
            return Steering.TOWARDS
        if endpoints is None:
            # Without a slice it is no Service, or one that nobody looks after. It may be written otherwise.
            self._away.pop(key, None)
            return Unproved(Doubt.UNREADABLE, asked_at_s, f"{pod.namespace} has no EndpointSlice of {service!r}")
        if any(one.takes_calls and one.is_of(pod.uid, pod.address) for one in endpoints):
            self._away.pop(key, None)
            detail = f"{service} still leads to it; its selector has to have {settings.label}: {settings.open_value}"
            return Unproved(Doubt.NOT_YET, asked_at_s, detail)
        away = self._away.setdefault(key, _Away(answered_at_s, answered_at_s))
        away.last_s = asked_at_s
        waited_s = asked_at_s - away.since_s
        if waited_s < settings.settle_seconds:
            detail = f"{service} has not led to it for {max(0.0, waited_s):.0f} of {settings.settle_seconds:g} s"
            return Unproved(Doubt.NOT_YET, asked_at_s, detail)
        return Steering.AWAY
