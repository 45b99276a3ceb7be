"""What retirement asks of whatever steers calls to pods."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from scaler.errors import FleetError
from scaler.fleet.pbx.protocol import PodTarget
from scaler.retirement.readings import FrontGate, Steering


class FrontGateError(FleetError):
    """A proxy could not be told: it did not answer, or refused. It may have done it all the same."""


class FrontGates(Protocol):
    """One group of proxies (or a Service) in front of some fleets. Every call ends within its own deadline."""

    async def read(self, pods: Sequence[PodTarget]) -> Mapping[str, tuple[FrontGate, ...]]:
        """By the pod's UID: what each proxy of the group does with the pod now, verified by asking it.

        A proxy that is known and does not answer is there with `Unproved`. Where the proxies themselves could not be
        found there is one entry, named after the group, with `Unproved`: nobody may believe that all were asked.
        Never raises for what proxies do.
        """
        ...

    async def steer(self, proxy: str, pod: PodTarget, steering: Steering) -> None:
        """Tell one proxy, by the name that `read` gave it.

        Raises:
            FrontGateError: it did not answer in time, or refused.
        """
        ...

    async def close(self) -> None:
        """Give back connections."""
        ...
