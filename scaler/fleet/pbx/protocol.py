"""What retirement asks of a media server, whichever it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from scaler.errors import FleetError
from scaler.retirement.readings import Boot, GatePosition, PodReading

NOT_A_CALL = "Message/"
"""Asterisk keeps a channel of a name like this for ever once it has seen one SIP MESSAGE."""


@dataclass(frozen=True, slots=True)
class PodTarget:
    """A pod to ask: its own address, and the run of its container (ID and restart count, as the kubelet tells it)."""

    uid: str
    name: str
    address: str
    container: str
    namespace: str = "default"


@dataclass(frozen=True, slots=True)
class Channel:
    """One channel that lives on a pod: how old it is (seconds), what it does, and whether it is bridged to another.

    `bridged` is None where the server does not tell.
    """

    name: str
    age_s: float
    application: str = ""
    bridged: bool | None = None


@dataclass(frozen=True, slots=True)
class PbxAnswer:
    """What a pod said, and which channels it spoke of. Without a `Reading` no channel is known."""

    reading: PodReading
    channels: tuple[Channel, ...] = ()


class PbxError(FleetError):
    """A gate could not be set: the media server did not answer, refused, or is another run than that of the look."""


class MediaServer(Protocol):
    """One way to ask the pods of some fleets. Every call ends within the server's own deadline and never hangs."""

    async def read(self, pod: PodTarget) -> PbxAnswer:
        """What the pod says now. Never raises for what the pod does: that is `Unproved`."""
        ...

    async def set_gate(self, pod: PodTarget, boot: Boot, position: GatePosition) -> None:
        """Open or shut the pod's own gate, if it is still this boot.

        Raises:
            PbxError: it did not answer in time, refused, or has restarted. It may have been set all the same.
        """
        ...

    async def is_heard(self, pod: PodTarget) -> bool:
        """Whether anything answers there at all: the probe, however unwilling, or a SIP OPTIONS. For dead nodes."""
        ...

    async def close(self) -> None:
        """Give back connections."""
        ...
