"""The `FleetAdapter` of a real cluster: six watches, and answers from their memory.

Nothing here asks the API server when it is asked: `seen` says what is known, how old that is, and what is wrong.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from scaler.clock import Clock
from scaler.core.fleets import FleetKey
from scaler.fleet.kubernetes import objects
from scaler.fleet.kubernetes.api import KubernetesApi
from scaler.fleet.kubernetes.looking import Sight, StaleNodes, UnmadePods, look_at
from scaler.fleet.kubernetes.memory import ClusterMemory
from scaler.fleet.kubernetes.objects import Hpa, Namespace, Node, PodSeen, ReplicaSet, ScaledObject, Workload
from scaler.fleet.kubernetes.observe import claims, newest_leads_s, observe
from scaler.fleet.kubernetes.reflector import Reflector, Resource
from scaler.fleet.listing import FleetListing
from scaler.fleet.protocol import FleetsSeen
from scaler.fleet.retiring import FleetLook

SCALED_OBJECTS = Resource(
    "ScaledObjects", "/apis/keda.sh/v1alpha1/scaledobjects", objects.scaled_object, may_be_missing=True
)
HPAS = Resource("HorizontalPodAutoscalers", "/apis/autoscaling/v2/horizontalpodautoscalers", objects.hpa)
DEPLOYMENTS = Resource("Deployments", "/apis/apps/v1/deployments", objects.deployment)
STATEFUL_SETS = Resource("StatefulSets", "/apis/apps/v1/statefulsets", objects.stateful_set)
REPLICA_SETS = Resource("ReplicaSets", "/apis/apps/v1/replicasets", objects.replica_set, metadata_only=True)
PODS = Resource("Pods", "/api/v1/pods", objects.pod)
NODES = Resource("Nodes", "/api/v1/nodes", objects.node)
NAMESPACES = Resource("Namespaces", "/api/v1/namespaces", objects.namespace)

AnyReflector: TypeAlias = (
    Reflector[ScaledObject]
    | Reflector[Hpa]
    | Reflector[Workload]
    | Reflector[ReplicaSet]
    | Reflector[PodSeen]
    | Reflector[Node]
    | Reflector[Namespace]
)

STOP_WITHIN_S = 5.0
"""A thread that still waits for an answer's first byte is left behind after this: it ends at its time-out."""


def _none_listed() -> Sequence[FleetListing]:
    return ()


class KubernetesFleets:
    """Watches one cluster.

    `addresses` are what ScaledObjects may call us: `host:port`, a `host`, or a suffix of either that begins with a
    dot; without any, every external trigger that names a policy is ours. With `namespaces`, only fleets in these are
    kept (the watches are of the whole cluster all the same). `listed` yields the fleets that policies name
    themselves, anew at each look, since policies are reloaded. `retiring` also watches nodes and namespaces.
    """

    def __init__(
        self,
        api: KubernetesApi,
        clock: Clock,
        *,
        addresses: Sequence[str] = (),
        namespaces: Sequence[str] = (),
        listed: Callable[[], Sequence[FleetListing]] = _none_listed,
        retiring: bool = False,
    ) -> None:
        self._api = api
        self._addresses = tuple(addresses)
        self._listed = listed
        self._clock = clock
        self._stale_nodes = StaleNodes()
        self._unmade_pods = UnmadePods()
        self._began_s = clock.now_s()
        self._memory = memory = ClusterMemory()
        self._reflectors: tuple[AnyReflector, ...] = (
            Reflector(api, SCALED_OBJECTS, memory.scaled_objects, clock, namespaces),
            Reflector(api, HPAS, memory.hpas, clock, namespaces),
            Reflector(api, DEPLOYMENTS, memory.deployments, clock, namespaces),
            Reflector(api, STATEFUL_SETS, memory.stateful_sets, clock, namespaces),
            Reflector(api, REPLICA_SETS, memory.replica_sets, clock, namespaces),
            Reflector(api, PODS, memory.pods, clock, namespaces),
        )
        if retiring:
            of_cluster = (
                Reflector(api, NODES, memory.nodes, clock),
                Reflector(api, NAMESPACES, memory.namespaces, clock),
            )
            self._reflectors = (*self._reflectors, *of_cluster)
        self._threads: list[threading.Thread] = []

    async def start(self) -> None:
        """Begin to watch, each kind in a thread of its own."""
        for reflector in self._reflectors:
            # Daemons: a read that cannot be woken must not keep the process alive.
            thread = threading.Thread(target=reflector.run, name=f"watch-{reflector.resource.title}", daemon=True)
            thread.start()
            self._threads.append(thread)

    async def stop(self) -> None:
        """Stop watching and give back connections."""
        for reflector in self._reflectors:
            reflector.stop()
        await asyncio.to_thread(self._close)

    def seen(self) -> FleetsSeen:
        """All fleets of ours. What a broken watch told last stays, with its age and the problem."""
        health = [reflector.health() for reflector in self._reflectors]
        problems = list(dict.fromkeys(one.problem for one in health if one.problem is not None))
        awaited = [r.resource.title for r, one in zip(self._reflectors, health, strict=True) if not one.listed]
        if awaited and not problems:
            problems = [f"the first list of {', '.join(awaited)} is awaited"]
        observed_at_s = min(self._began_s if one.heard_s is None else one.heard_s for one in health)
        memory = self._memory
        with memory.lock:
            fleets = {
                claim.key: observe(memory, claim, observed_at_s, settled=not awaited)
                for claim in claims(memory, self._addresses, self._listed())
            }
        return FleetsSeen(fleets, observed_at_s, complete=not problems, problem="; ".join(problems) or None)

    def look(self, now_s: float) -> Mapping[FleetKey, FleetLook]:
        """What retirement looks at, of all fleets. `now_s` is the leader's clock."""
        problem = self._problem()
        memory = self._memory
        with memory.lock:
            self._stale_nodes.follow(memory, now_s, unbroken=problem is None)
            sight = Sight(now_s, self._clock.now_s(), self._stale_nodes.since_s, problem)
            found = (look_at(memory, claim, sight) for claim in claims(memory, self._addresses, self._listed()))
            return self._unmade_pods.follow({look.key: look for look in found if look is not None})

    def _problem(self) -> str | None:
        """Why the watches cannot be relied on now; None when they can."""
        health = [(reflector, reflector.health()) for reflector in self._reflectors]
        broken = next((one.problem for _, one in health if one.problem is not None), None)
        awaited = next((reflector.resource.title for reflector, one in health if not one.listed), None)
        return broken or (None if awaited is None else f"the first list of {awaited} is awaited")

    def pod_leads_s(self) -> Mapping[FleetKey, tuple[float, ...]]:
        """Seconds from creation to the first Ready of each fleet's newest pods (at most 200), oldest first."""
        memory = self._memory
        with memory.lock:
            # The owners' first list comes after the pods' as often as before: until then nobody is gone.
            if all(reflector.health().listed for reflector in self._reflectors):
                memory.drop_leads_of_the_gone()
            return {
                claim.key: newest_leads_s(memory, claim) for claim in claims(memory, self._addresses, self._listed())
            }

    def _close(self) -> None:
        self._api.close()
        until_s = time.monotonic() + STOP_WITHIN_S
        for thread in self._threads:
            thread.join(max(0.0, until_s - time.monotonic()))
        self._threads.clear()
