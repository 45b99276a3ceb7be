"""Asterisk over ARI: the channels that live on it, its gate, and the run it is in.

The order of the questions is part of the proof. First the run, then the gate, then the channels, then what outlives
them, then the run again: a count of zero beside a shut gate was taken when the gate was shut already, work that a last
channel left behind was asked for after that channel was gone, and all of it is of one run or of none.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter

from scaler.fleet.pbx.ami import Ami
from scaler.fleet.pbx.asked_server import AskedServer, check_same_run
from scaler.fleet.pbx.doubts import NotToldError, asking, shortened
from scaler.fleet.pbx.http_client import HttpClient, http_client, pod_url
from scaler.fleet.pbx.pending import pending_work
from scaler.fleet.pbx.protocol import NOT_A_CALL, Channel, PbxAnswer, PodTarget
from scaler.fleet.pbx.settings import AriSettings
from scaler.retirement.readings import Boot, Doubt, GatePosition, Reading


class Ari(AskedServer[AriSettings]):
    """Asterisk over ARI. `wall_clock` is in epoch seconds: channels tell when they were created, not how old they are.

    ARI does not tell whether a channel is bridged.
    """

    def __init__(
        self, settings: AriSettings, clock: Callable[[], float], wall_clock: Callable[[], float] = time.time
    ) -> None:
        super().__init__(settings, clock)
        self._wall_clock = wall_clock
        self._preflight = None if settings.preflight is None else Ami(settings.preflight, clock)

    async def _read(self, pod: PodTarget, asked_at_s: float) -> PbxAnswer:
        settings = self._settings
        with asking("ARI"):
            async with http_client(settings.tls, settings.login) as client:
                ari = _Questions(client, pod, settings)
                started = await ari.started()
                gate = settings.position(await ari.gate_value())
                found = [self._channel(one) for one in await ari.channels() if not one.name.startswith(NOT_A_CALL)]
                pending = await pending_work(pod, settings.pending_work)
                held = () if self._preflight is None else await self._preflight.held(pod)
                if await ari.started() != started:
                    raise NotToldError(Doubt.UNREADABLE, "it restarted while it was asked")
        boot = Boot(started, pod.container)
        reading = Reading(asked_at_s, self._clock(), boot, gate, len(found), pending, held)
        return PbxAnswer(reading, tuple(found))

    async def _set_gate(self, pod: PodTarget, started: str, position: GatePosition) -> None:
        settings = self._settings
        with asking("ARI"):
            async with http_client(settings.tls, settings.login) as client:
                ari = _Questions(client, pod, settings)
                check_same_run(pod, started, await ari.started())
                await ari.set_gate(settings.value(position))

    def _channel(self, told: _ToldChannel) -> Channel:
        age_s = max(0.0, self._wall_clock() - told.creationtime.timestamp())
        return Channel(shortened(told.name), age_s, shortened(told.dialplan.app_name), bridged=None)


class _Told(BaseModel):
    """Part of an answer. What else it holds is not looked at."""

    model_config = ConfigDict(strict=True, hide_input_in_errors=True)


class _ToldStatus(_Told):
    startup_time: Annotated[str, Field(min_length=1, max_length=80)]


class _ToldInfo(_Told):
    status: _ToldStatus


class _ToldVariable(_Told):
    value: str


class _ToldDialplan(_Told):
    app_name: str = ""


class _ToldChannel(_Told):
    name: Annotated[str, Field(min_length=1)]
    creationtime: AwareDatetime
    dialplan: _ToldDialplan = _ToldDialplan()


_CHANNELS = TypeAdapter(list[_ToldChannel])


class _Questions:
    """What one pod is asked."""

    def __init__(self, client: HttpClient, pod: PodTarget, settings: AriSettings) -> None:
        self._client = client
        self._pod = pod
        self._settings = settings

    async def started(self) -> str:
        told = _ToldInfo.model_validate_json(await self._ask("GET", "/asterisk/info", only="status"))
        return told.status.startup_time

    async def gate_value(self) -> str:
        """Empty where the variable is not set."""
        answer = await self._ask("GET", "/asterisk/variable", variable=self._settings.gate_variable)
        return _ToldVariable.model_validate_json(answer).value

    async def channels(self) -> list[_ToldChannel]:
        return _CHANNELS.validate_json(await self._ask("GET", "/channels"))

    async def set_gate(self, value: str) -> None:
        await self._ask("POST", "/asterisk/variable", variable=self._settings.gate_variable, value=value)

    async def _ask(self, method: str, path: str, **query: str) -> bytes:
        settings = self._settings
        url = pod_url(self._pod.address, settings.port, settings.path + path, settings.tls)
        return await self._client.ask(method, url, query=query)
