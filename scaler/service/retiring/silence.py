"""For how long nothing has been heard of the nodes that have no Lease: the second of two signs that one is dead.

A node that only lost the API server still carries calls, and its PBXs answer. So whoever is on it is asked, first by
the probe and then by a SIP OPTIONS, and one answer of any kind, however unwilling, makes it alive.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace

from scaler.fleet.pbx.protocol import MediaServer
from scaler.fleet.retiring import FleetLook
from scaler.retirement.observed import ObservedNode, ObservedPod
from scaler.retirement.readings import Reading
from scaler.service.retiring.asking import ANSWER_WITHIN_S


class Silence:
    """Since when each node without a Lease has been silent (the leader's clock). Shared by all fleets."""

    def __init__(self) -> None:
        self._since_s: dict[str, float] = {}

    async def listen(
        self,
        look: FleetLook,
        pods: tuple[ObservedPod, ...],
        server: MediaServer,
        clock: Callable[[], float],
    ) -> tuple[ObservedNode, ...]:
        """The nodes of a look with how long they have been silent, after asking the pods on those without a Lease."""
        stale = {node.name for node in look.nodes if node.lease_stale_for_s > 0}
        for node in look.nodes:
            if node.name in stale:
                self._since_s.setdefault(node.name, clock())
            else:
                self._since_s.pop(node.name, None)
        asked = [pod for pod in pods if pod.node in stale and pod.uid in look.targets]
        answers = await asyncio.gather(*(_is_heard(pod, look, server) for pod in asked))
        for pod, heard in zip(asked, answers, strict=True):
            if heard and pod.node is not None:
                self._since_s[pod.node] = clock()
        return tuple(_with_silence(node, self._since_s, clock()) for node in look.nodes)


async def _is_heard(pod: ObservedPod, look: FleetLook, server: MediaServer) -> bool:
    if isinstance(pod.reading, Reading):
        return True
    try:
        return await asyncio.wait_for(server.is_heard(look.targets[pod.uid]), ANSWER_WITHIN_S)
    except TimeoutError:
        return False


def _with_silence(node: ObservedNode, since_s: Mapping[str, float], now_s: float) -> ObservedNode:
    began_s = since_s.get(node.name)
    return node if began_s is None else replace(node, silent_for_s=now_s - began_s)
