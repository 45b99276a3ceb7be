"""What the tests of front gates ask, and of whom."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any

from scaler.fleet.pbx.protocol import PodTarget
from scaler.fleet.proxies.kamailio import KamailioGates
from scaler.fleet.proxies.opening import open_front_gates
from scaler.fleet.proxies.settings import KamailioSettings
from scaler.retirement.readings import Doubt, FrontGate, Steering, Unproved
from tests.scaler.fleet.proxies.made_up_proxy import Answer, Line, MadeUpProxy

ACME = PodTarget("uid-acme", "acme-0", "10.0.0.7", "c1")
OTHER = PodTarget("uid-other", "acme-1", "10.0.0.8", "c2")
PATIENT_S, HASTY_S = 3.9, 1.0
"""For proxies that answer, however busy the machine is; and for those that do not."""
Start = Callable[..., MadeUpProxy]


def acme(flags: str = "AP", set_id: int = 1) -> Line:
    return Line(set_id, "sip:10.0.0.7:5060", flags)


def other(flags: str = "AP") -> Line:
    return Line(1, "sip:10.0.0.8:5060", flags)


def gates(*proxies: MadeUpProxy, **more: Any) -> KamailioGates:
    known = {"addresses": [proxy.name for proxy in proxies], "timeoutSeconds": PATIENT_S}
    return made(known | more)


def made(known: dict[str, Any]) -> KamailioGates:
    opened = open_front_gates("edge", KamailioSettings.model_validate(known), time.monotonic)
    assert isinstance(opened, KamailioGates)
    return opened


def run(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(work)


def read(gate: KamailioGates, *pods: PodTarget) -> tuple[tuple[FrontGate, ...], ...]:
    """What is read of each pod."""
    pods = pods or (ACME,)
    found = run(gate.read(pods))
    assert list(found) == [pod.uid for pod in pods]
    return tuple(found[pod.uid] for pod in pods)


def steerings(gate: KamailioGates, pod: PodTarget = ACME) -> list[Steering | Doubt]:
    (found,) = read(gate, pod)
    return [one.steering.doubt if isinstance(one.steering, Unproved) else one.steering for one in found]


def raw(body: bytes, status: int = 200) -> Callable[[Any], Answer]:
    return lambda request: (status, body)
