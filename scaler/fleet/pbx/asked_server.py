"""What all ways of asking have in common: one deadline around everything, and no failure that passes for a number."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Generic, TypeVar

from scaler.fleet.pbx.doubts import NotToldError
from scaler.fleet.pbx.hearing import is_anything_heard
from scaler.fleet.pbx.protocol import PbxAnswer, PbxError, PodTarget
from scaler.fleet.pbx.settings import AmiSettings, AriSettings, HttpSettings
from scaler.retirement.readings import Boot, Doubt, GatePosition, Unproved

SettingsT = TypeVar("SettingsT", AmiSettings, AriSettings, HttpSettings)


class AskedServer(ABC, Generic[SettingsT]):
    """The media servers of some fleets, each asked at its pod's address. `clock` is the leader's, in seconds.

    Connections live no longer than the call that made them.
    """

    def __init__(self, settings: SettingsT, clock: Callable[[], float]) -> None:
        self._settings: SettingsT = settings
        self._clock = clock

    async def read(self, pod: PodTarget) -> PbxAnswer:
        """What the pod says now. Never raises for what the pod does: that is `Unproved`."""
        asked_at_s, within_s = self._clock(), self._settings.timeout_seconds
        try:
            async with asyncio.timeout(within_s):
                return await self._read(pod, asked_at_s)
        except TimeoutError:
            return PbxAnswer(Unproved(Doubt.TIMED_OUT, asked_at_s, f"no answer within {within_s:g} s"))
        except NotToldError as error:
            return PbxAnswer(Unproved(error.doubt, asked_at_s, str(error)))

    async def set_gate(self, pod: PodTarget, boot: Boot, position: GatePosition) -> None:
        """Open or shut the pod's own gate, if it is still this boot.

        Raises:
            PbxError: it did not answer in time, refused, or has restarted. It may have been set all the same.
        """
        within_s = self._settings.timeout_seconds
        if pod.container != boot.container:
            raise _restarted(pod)
        try:
            async with asyncio.timeout(within_s):
                await self._set_gate(pod, boot.started, position)
        except TimeoutError as error:
            raise PbxError(f"{pod.name}: no answer within {within_s:g} s to setting its gate") from error
        except NotToldError as error:
            raise PbxError(f"{pod.name}: the gate was not set: {error}") from error

    async def is_heard(self, pod: PodTarget) -> bool:
        """Whether anything answers there at all."""
        settings = self._settings
        return await is_anything_heard(pod.address, settings.port, settings.sip_port, settings.timeout_seconds)

    async def close(self) -> None:
        """Nothing is kept between two calls."""

    @abstractmethod
    async def _read(self, pod: PodTarget, asked_at_s: float) -> PbxAnswer:
        """A reading.

        Raises:
            NotToldError: something was not told.
        """

    @abstractmethod
    async def _set_gate(self, pod: PodTarget, started: str, position: GatePosition) -> None:
        """Set the gate of the run that started then.

        Raises:
            NotToldError: it did not answer, or refused.
            PbxError: it is another run.
        """


def check_same_run(pod: PodTarget, started: str, now: str) -> None:
    """Nothing, if the media server is still the run that was looked at.

    Raises:
        PbxError: it has restarted.
    """
    if started != now:
        raise _restarted(pod)


def _restarted(pod: PodTarget) -> PbxError:
    return PbxError(f"{pod.name} has restarted since it was looked at; its gate is left as it is")
