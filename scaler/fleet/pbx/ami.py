"""Asterisk over AMI: the same as over ARI, and what a pod holds without any channel.

All is asked in one conversation, which a restart ends: so all of it is of one run. The gate is read before the channels
are counted, and what outlives them after.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from scaler.fleet.pbx.ami_client import AmiActionError, AmiConversation, AmiError, Message, conversation
from scaler.fleet.pbx.asked_server import AskedServer, check_same_run
from scaler.fleet.pbx.doubts import asking, shortened
from scaler.fleet.pbx.pending import pending_work, several
from scaler.fleet.pbx.protocol import NOT_A_CALL, Channel, PbxAnswer, PodTarget
from scaler.fleet.pbx.settings import AmiSettings
from scaler.retirement.readings import Boot, GatePosition, Reading

_UNKNOWN_ACTION = "Invalid/unknown command"


class Ami(AskedServer[AmiSettings]):
    """Asterisk over AMI."""

    async def held(self, pod: PodTarget) -> tuple[str, ...]:
        """What the pod holds without a channel, in words. Whoever calls sets the deadline.

        Raises:
            NotToldError: it was not told.
        """
        with asking("AMI"):
            async with self._conversation(pod) as ami:
                return await _held(ami)

    async def _read(self, pod: PodTarget, asked_at_s: float) -> PbxAnswer:
        settings = self._settings
        with asking("AMI"):
            async with self._conversation(pod) as ami:
                gate = settings.position(await _value(ami, settings.gate_variable))
                status = await ami.ask("CoreStatus")
                listed = await ami.ask_list("CoreShowChannels", "CoreShowChannel")
                pending = await pending_work(pod, settings.pending_work)
                held = await _held(ami) if settings.preflight else ()
            found = tuple(_channel(one) for one in listed if not _field(one, "channel").startswith(NOT_A_CALL))
            boot = Boot(_started(status), pod.container)
            # The status knows channels that the list does not show yet.
            count = max(len(found), _count(status))
        return PbxAnswer(Reading(asked_at_s, self._clock(), boot, gate, count, pending, held), found)

    async def _set_gate(self, pod: PodTarget, started: str, position: GatePosition) -> None:
        settings = self._settings
        with asking("AMI"):
            async with self._conversation(pod) as ami:
                check_same_run(pod, started, _started(await ami.ask("CoreStatus")))
                await ami.ask("Setvar", {"Variable": settings.gate_variable, "Value": settings.value(position)})

    @asynccontextmanager
    async def _conversation(self, pod: PodTarget) -> AsyncIterator[AmiConversation]:
        settings, tls = self._settings, self._settings.tls
        secret = settings.login.password()
        trusted, name = (None, None) if tls is None else (tls.context(), tls.server_name)
        async with conversation(pod.address, settings.port, trusted, name) as ami:
            await ami.login(settings.login.username, secret)
            yield ami


async def _value(ami: AmiConversation, variable: str) -> str:
    """Empty where the variable is not set."""
    return _field(await ami.ask("Getvar", {"Variable": variable}), "value")


def _started(status: Message) -> str:
    date, time = _field(status, "corestartupdate"), _field(status, "corestartuptime")
    if not date or not time:
        raise AmiError("CoreStatus does not tell when it started")
    return shortened(f"{date} {time}")


def _count(status: Message) -> int:
    """Channels that live; CoreStatus calls them calls."""
    told = _field(status, "corecurrentcalls")
    if not (told.isascii() and told.isdecimal()):
        raise AmiError(f"CoreCurrentCalls is {told!r:.40}, no count")
    return int(told)


def _channel(one: Message) -> Channel:
    """A channel of CoreShowChannels. Its duration is HH:MM:SS, with as many hours as it takes."""
    told = _field(one, "duration")
    parts = told.split(":")
    if len(parts) != 3 or not all(part.isascii() and part.isdecimal() and len(part) < 9 for part in parts):
        raise AmiError(f"the duration of a channel is {told!r:.40}, not HH:MM:SS")
    hours, minutes, seconds = map(int, parts)
    age_s = 3600.0 * hours + 60.0 * minutes + seconds
    name, application = shortened(_field(one, "channel")), shortened(one.get("application", ""))
    return Channel(name, age_s, application, bridged=bool(one.get("bridgeid")))


def _field(message: Message, name: str) -> str:
    if name not in message:
        raise AmiError(f"an answer has no {name}")
    return message[name]


async def _held(ami: AmiConversation) -> tuple[str, ...]:
    """What a pod takes along when it goes although no channel is left.

    Registrations that it makes itself, in whatever state but stopped: one that has just failed is tried again. Queue
    members that were added at run time. Parked calls, which are channels too, by their slots.
    """
    registrations = [
        f"outbound registration {shortened(_field(one, 'objectname'))}"
        for one in await _list(ami, "PJSIPShowRegistrationsOutbound", "OutboundRegistrationDetail")
        if one.get("status") != "Stopped"
    ]
    members = [
        f"dynamic member {shortened(one.get('name', ''))} of queue {shortened(_field(one, 'queue'))}"
        for one in await _list(ami, "QueueStatus", "QueueMember")
        if one.get("membership") == "dynamic"
    ]
    parked = [
        f"parked call in slot {shortened(_field(one, 'parkingspace'))}"
        for one in await _list(ami, "ParkedCalls", "ParkedCall")
    ]
    return (*several(registrations), *several(members), *several(parked))


async def _list(ami: AmiConversation, action: str, entry: str) -> list[Message]:
    try:
        return list(await ami.ask_list(action, entry))
    except AmiActionError as error:
        # A module that is not loaded holds nothing.
        if error.reason.startswith(_UNKNOWN_ACTION):
            return []
        raise
