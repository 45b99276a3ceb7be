"""One look at a fleet, completed by what its pods and proxies say of themselves.

The cluster's part was looked at first, so its versions are older than every answer: whatever changed in between makes
the writes fail that follow.

Whoever leaves, or is anything but a pod that simply serves, is asked in every round. What the others said is kept for a
while: nothing is proved by it, and a fleet of a hundred must not be asked a hundred times a second for one that drains.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from scaler.fleet.pbx.protocol import Channel, MediaServer, PbxAnswer, PodTarget
from scaler.fleet.proxies.protocol import FrontGates
from scaler.fleet.retiring import FleetLook
from scaler.retirement.observed import ObservedPod
from scaler.retirement.readings import Doubt, FrontGate, GatePosition, Reading, Unproved
from scaler.retirement.states import RetirementState

ANSWER_WITHIN_S = 5.0
"""Servers have deadlines of their own, which are shorter. This one is for the case that one forgets it."""
SERVING_EVERY_S = 15.0
"""How often a pod is asked that serves, in a fleet that is looked at more often."""


@dataclass(frozen=True, slots=True)
class Asked:
    """The pods of a look with their readings, what each that has an address said by UID, and whose each proxy is."""

    pods: tuple[ObservedPod, ...]
    answers: Mapping[str, PbxAnswer]
    group_of_proxy: Mapping[str, str]


async def ask(
    look: FleetLook,
    server: MediaServer,
    gates: Mapping[str, FrontGates],
    time_to_empty_s: Callable[[Sequence[Channel]], float],
    clock: Callable[[], float],
    known: Mapping[str, PbxAnswer],
) -> Asked:
    """Ask the pods that have an address, and every proxy about all of them, at the same time.

    `known` is what they said in the rounds before, by UID.
    """
    targets = list(look.targets.values())
    kept = _kept(look, known, clock())
    anew = [target for target in targets if target.uid not in kept]
    answers, fronts = await asyncio.gather(
        asyncio.gather(*(_answer(server, target, clock) for target in anew)),
        asyncio.gather(*(_front(name, gate, targets, clock) for name, gate in gates.items())),
    )
    by_uid = kept | {target.uid: answer for target, answer in zip(anew, answers, strict=True)}
    pods = tuple(
        replace(
            pod,
            reading=by_uid[pod.uid].reading,
            front=tuple(one for front in fronts for one in front.get(pod.uid, ())),
            time_to_empty_s=time_to_empty_s(by_uid[pod.uid].channels),
        )
        if pod.uid in by_uid
        else replace(pod, reading=Unproved(Doubt.NEVER_ASKED, look.looked_at_s, "it has no address"))
        for pod in look.pods
    )
    groups = {
        one.proxy: name
        for name, front in zip(gates, fronts, strict=True)
        for gates_of_pod in front.values()
        for one in gates_of_pod
    }
    return Asked(pods, by_uid, groups)


def _kept(look: FleetLook, known: Mapping[str, PbxAnswer], now_s: float) -> dict[str, PbxAnswer]:
    """What need not be asked again: what pods said not long ago that only serve, in the run that they are in now."""
    troubled = {node.name for node in look.nodes if node.is_troubled}
    kept = {}
    for pod in look.pods:
        answer, target = known.get(pod.uid), look.targets.get(pod.uid)
        if answer is None or target is None or not isinstance(reading := answer.reading, Reading):
            continue
        only_serves = pod.state is RetirementState.ACTIVE and pod.ready and pod.stands and pod.wish is None
        same_run = reading.gate is GatePosition.OPEN and reading.boot.container == target.container
        if only_serves and same_run and pod.node not in troubled and now_s - reading.asked_at_s < SERVING_EVERY_S:
            kept[pod.uid] = answer
    return kept


async def _answer(server: MediaServer, target: PodTarget, clock: Callable[[], float]) -> PbxAnswer:
    asked_at_s = clock()
    try:
        return await asyncio.wait_for(server.read(target), ANSWER_WITHIN_S)
    except TimeoutError:
        return PbxAnswer(Unproved(Doubt.TIMED_OUT, asked_at_s))
    except Exception as error:  # noqa: BLE001 - whatever a server's answer breaks, it is no zero
        return PbxAnswer(Unproved(Doubt.UNREADABLE, asked_at_s, type(error).__name__))


async def _front(
    name: str, gate: FrontGates, targets: Sequence[PodTarget], clock: Callable[[], float]
) -> Mapping[str, tuple[FrontGate, ...]]:
    asked_at_s = clock()
    doubt = Doubt.TIMED_OUT
    try:
        return await asyncio.wait_for(gate.read(targets), ANSWER_WITHIN_S)
    except TimeoutError:
        pass
    except Exception:  # noqa: BLE001 - a proxy that cannot be understood has not acknowledged
        doubt = Doubt.UNREADABLE
    return {target.uid: (FrontGate(name, Unproved(doubt, asked_at_s), asked_at_s),) for target in targets}
