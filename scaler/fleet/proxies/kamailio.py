"""Front gates of Kamailio: the dispatcher's destinations, over JSON-RPC.

Only the state D (disabled by an administrator) steers away: `i` is undone by the next ping that is answered, and even
`d` is forgotten by a reload or a restart. So every proxy is asked in every round what it does, and told again. Neither
kind of call holds up the others: all proxies are asked at the same time, under one deadline.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from ipaddress import ip_address

import aiohttp

from scaler.fleet.pbx.http_client import StatusError, TooLongError
from scaler.fleet.pbx.protocol import PodTarget
from scaler.fleet.pbx.settings import SecretMissingError
from scaler.fleet.proxies.destinations import SET_STATE, Listing, Pod, UnreadableError, listing
from scaler.fleet.proxies.endpoint_slices import ServiceSide
from scaler.fleet.proxies.finding import Finder, NotFoundError
from scaler.fleet.proxies.json_rpc import JsonRpc, RpcError
from scaler.fleet.proxies.protocol import FrontGateError
from scaler.fleet.proxies.settings import KamailioSettings
from scaler.retirement.readings import Doubt, FrontGate, Steering, Unproved

_NO_SETS = "No Destination Sets"
"""How the dispatcher says that its list is empty."""
_STATES = {Steering.AWAY: "d", Steering.TOWARDS: "ap"}
_NO_SENSE = (UnreadableError, RpcError, TooLongError, ValueError)
"""What an answer raises that cannot be used."""


class KamailioGates:
    """All proxies of one group. `clock` is the leader's, in seconds; `side` is where the settings name a Service."""

    def __init__(
        self,
        name: str,
        settings: KamailioSettings,
        clock: Callable[[], float],
        side: ServiceSide | None = None,
    ) -> None:
        self._name = name
        self._settings = settings
        self._clock = clock
        self._rpc = JsonRpc(settings)
        self._finder = Finder(settings, clock, side)

    async def read(self, pods: Sequence[PodTarget]) -> Mapping[str, tuple[FrontGate, ...]]:
        """By the pod's UID: what each proxy does with it now."""
        asked_at_s = self._clock()
        deadline_s = asyncio.get_running_loop().time() + self._settings.timeout_seconds
        try:
            async with asyncio.timeout_at(deadline_s):
                proxies = await self._finder.find()
        except (TimeoutError, NotFoundError) as error:
            detail = str(error) or f"{self._settings.dns or self._settings.service} was not resolved in time"
            doubt = FrontGate(self._name, Unproved(Doubt.NO_ANSWER, asked_at_s, detail), asked_at_s)
            return {pod.uid: (doubt,) for pod in pods}
        lists = await asyncio.gather(*(self._list(proxy, asked_at_s, deadline_s) for proxy in proxies))
        return {
            pod.uid: tuple(
                FrontGate(proxy, self._steering(pod, told, asked_at_s), asked_at_s)
                for proxy, told in zip(proxies, lists, strict=True)
            )
            for pod in pods
        }

    async def steer(self, proxy: str, pod: PodTarget, steering: Steering) -> None:
        """Tell one proxy where to send the pod's new calls: each of the pod's own lines, and no other.

        A pod that is not in the list has nothing to be told. What it was told is not believed, but read by `read`.

        Raises:
            FrontGateError: it is not found, did not answer in time, or refused.
        """
        if proxy not in self._finder.last:
            raise FrontGateError(f"{self._name}: {proxy} is none of the proxies that were found; look at its name")
        loop = asyncio.get_running_loop()
        deadline_s = loop.time() + self._settings.timeout_seconds
        told = await self._list(proxy, self._clock(), deadline_s)
        if isinstance(told, Unproved):
            raise FrontGateError(f"proxy {proxy}: {told.sentence}")
        try:
            async with asyncio.timeout_at(deadline_s):
                for method, one in told.to_tell(self._where(pod), self._settings.sets, steering):
                    which = one.uri if method == SET_STATE else one.duid
                    await self._rpc.call(proxy, method, [_STATES[steering], one.set_id, which])
        except (StatusError, aiohttp.ClientError, OSError, SecretMissingError, *_NO_SENSE) as error:
            reason = f"{error!s:.120}" or type(error).__name__
            raise FrontGateError(f"proxy {proxy}: {pod.name} was not told {steering.value}: {reason}") from error

    async def close(self) -> None:
        """Wait for no resolver any more; connections are not kept."""
        self._finder.close()

    async def _list(self, proxy: str, asked_at_s: float, deadline_s: float) -> Listing | Unproved:
        """The proxy's whole list, or why it is not known."""
        doubt, detail = Doubt.UNREADABLE, ""
        try:
            async with asyncio.timeout_at(deadline_s):
                return listing(await self._rpc.call(proxy, "dispatcher.list", []))
        except RpcError as error:
            if str(error) == _NO_SETS:
                return Listing(())
            detail = f"dispatcher.list was refused: {error}"
        except TimeoutError:
            doubt = Doubt.TIMED_OUT
        except StatusError as error:
            status = error.status
            refused = status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
            doubt, detail = Doubt.REFUSED if refused else Doubt.UNREADABLE, f"JSON-RPC answered {status}"
        except SecretMissingError as error:
            doubt, detail = Doubt.REFUSED, str(error)
        except (aiohttp.ClientError, OSError) as error:
            doubt, detail = Doubt.NO_ANSWER, type(error).__name__
        except _NO_SENSE as error:
            detail = f"{error!s:.120}"
        return Unproved(doubt, asked_at_s, detail)

    def _steering(self, pod: PodTarget, told: Listing | Unproved, asked_at_s: float) -> Steering | Unproved:
        if isinstance(told, Unproved):
            return told
        try:
            return told.steering_of(self._where(pod), self._settings.sets)
        except (UnreadableError, ValueError) as error:
            return Unproved(Doubt.UNREADABLE, asked_at_s, str(error))

    def _where(self, pod: PodTarget) -> Pod:
        return Pod(ip_address(pod.address), self._settings.sip_port)
