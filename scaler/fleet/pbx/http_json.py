"""Any media server that tells its state as JSON over HTTP.

Its state is got twice. The gate is that of the first answer and the count that of the second, so that whatever order
the server looks at them in, a zero beside a shut gate was counted when the gate was shut already.
"""

from __future__ import annotations

from dataclasses import dataclass

from scaler.fleet.pbx.asked_server import AskedServer, check_same_run
from scaler.fleet.pbx.doubts import NotToldError, asking
from scaler.fleet.pbx.http_client import HttpClient, http_client, pod_url
from scaler.fleet.pbx.pending import names, pending_work
from scaler.fleet.pbx.protocol import PbxAnswer, PodTarget
from scaler.fleet.pbx.settings import HttpSettings
from scaler.retirement.readings import Boot, Doubt, GatePosition, Reading

LONGEST_STARTED = 80


class HttpJson(AskedServer[HttpSettings]):
    """A media server behind HTTP. It tells how many channels there are; ages are not known of any."""

    async def _read(self, pod: PodTarget, asked_at_s: float) -> PbxAnswer:
        settings = self._settings
        with asking("HTTP"):
            async with http_client(settings.tls, settings.login) as client:
                first = await self._state(client, pod)
                second = await self._state(client, pod)
            if second.started != first.started:
                raise NotToldError(Doubt.UNREADABLE, "it restarted while it was asked")
            pending = second.pending + await pending_work(pod, settings.pending_work)
        boot = Boot(second.started, pod.container)
        return PbxAnswer(Reading(asked_at_s, self._clock(), boot, first.gate, second.channels, pending))

    async def _set_gate(self, pod: PodTarget, started: str, position: GatePosition) -> None:
        settings = self._settings
        wanted = settings.open_gate if position is GatePosition.OPEN else settings.close_gate
        with asking("HTTP"):
            async with http_client(settings.tls, settings.login) as client:
                check_same_run(pod, started, (await self._state(client, pod)).started)
                await client.ask(wanted.method, self._url(pod, wanted.path), body=wanted.body)

    async def _state(self, client: HttpClient, pod: PodTarget) -> _State:
        settings = self._settings
        return _state(await client.ask_json("GET", self._url(pod, settings.path)), settings)

    def _url(self, pod: PodTarget, path: str) -> str:
        return pod_url(pod.address, self._settings.port, path, self._settings.tls)


@dataclass(frozen=True, slots=True)
class _State:
    started: str
    gate: GatePosition
    channels: int
    pending: tuple[str, ...]


def _state(answer: object, settings: HttpSettings) -> _State:
    started = _at(answer, settings.started)
    if isinstance(started, bool) or not isinstance(started, str | int | float) or started == "":
        raise ValueError(f"{settings.started} is neither a text nor a number")
    if len(str(started)) > LONGEST_STARTED:
        raise ValueError(f"{settings.started} is longer than {LONGEST_STARTED} characters")
    channels = _at(answer, settings.channels)
    if isinstance(channels, list):
        channels = len(channels)
    if isinstance(channels, bool) or not isinstance(channels, int) or channels < 0:
        raise ValueError(f"{settings.channels} is neither a count nor a list")
    pending = () if settings.pending is None else names(_at(answer, settings.pending))
    return _State(str(started), _gate(_at(answer, settings.gate), settings), channels, pending)


def _gate(told: object, settings: HttpSettings) -> GatePosition:
    # By type as well: to Python 1 is True.
    for value, position in ((settings.open_value, GatePosition.OPEN), (settings.closed_value, GatePosition.CLOSED)):
        if type(told) is type(value) and told == value:
            return position
    raise ValueError(f"{settings.gate} is {told!r:.40}, neither {settings.open_value!r} nor {settings.closed_value!r}")


def _at(answer: object, path: str) -> object:
    for name in path.split("."):
        if not isinstance(answer, dict) or name not in answer:
            raise ValueError(f"the answer has no {path}")
        answer = answer[name]
    return answer
