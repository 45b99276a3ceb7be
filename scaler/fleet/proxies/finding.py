"""Where the proxies are. Not to find any is a doubt, and never "there are none to be told"."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

from scaler.errors import FleetError
from scaler.fleet.proxies.endpoint_slices import ServiceSide
from scaler.fleet.proxies.settings import KamailioSettings

REMEMBERED_FOR_S = 3.0
"""Many fleets stand behind the same proxies, and each asks every second while one of its pods leaves."""


class NotFoundError(FleetError):
    """The proxies could not be found."""


class Finder:
    """The proxies of one group: as they are written down, or every address of a name or of a Service.

    `clock` is in seconds; `side` is the cluster, where the settings name a Service.
    """

    def __init__(self, settings: KamailioSettings, clock: Callable[[], float], side: ServiceSide | None = None) -> None:
        self._settings = settings
        self._clock = clock
        self._side = side
        self._looking: asyncio.Task[tuple[str, ...]] | None = None
        self._looking_since_s = float("-inf")
        self._found: tuple[str, ...] = tuple(sorted(set(settings.addresses)))
        self._found_at_s = float("-inf")

    @property
    def last(self) -> tuple[str, ...]:
        """Those that were found last."""
        return self._found

    async def find(self) -> tuple[str, ...]:
        """The address and port of every proxy, sorted. The caller sets the deadline.

        Raises:
            NotFoundError: the name cannot be resolved, the Service cannot be read, or neither has an address.
        """
        name = self._settings.dns or self._settings.service
        if name is None or self._clock() - self._found_at_s < REMEMBERED_FOR_S:
            return self._found
        if self._looking is None or self._looking.done():
            # One at a time: a resolver that hangs keeps the thread that asks it, however soon we give up.
            looking = self._resolved(name) if self._side is None else self._listed(name, self._side)
            self._looking, self._looking_since_s = asyncio.create_task(looking), self._clock()
            self._looking.add_done_callback(_heard)
        since_s = self._looking_since_s
        try:
            self._found = await asyncio.shield(self._looking)
        except (OSError, UnicodeError) as error:
            raise NotFoundError(f"{name} cannot be resolved ({type(error).__name__})") from error
        except FleetError as error:
            raise NotFoundError(f"the EndpointSlices of {name} cannot be read: {error!s:.200}") from error
        self._found_at_s = since_s
        return self._found

    def close(self) -> None:
        """Wait for no resolver any more."""
        if self._looking is not None:
            self._looking.cancel()
        if self._side is not None:
            self._side.close()

    async def _resolved(self, name: str) -> tuple[str, ...]:
        port = self._settings.port
        found = await asyncio.get_running_loop().getaddrinfo(name, port, type=socket.SOCK_STREAM)
        if not found:
            raise OSError("no address")
        return tuple(sorted({_written(str(address[0]), port) for *_, address in found}))

    async def _listed(self, name: str, side: ServiceSide) -> tuple[str, ...]:
        """Every endpoint, Ready or not: a proxy that is about to end, or hangs, may still send calls."""
        namespace, _, service = name.partition("/")
        endpoints = (await side.endpoints(namespace, (service,), self._settings.timeout_seconds)).get(service, ())
        found = {_written(address, self._settings.port) for one in endpoints for address in one.addresses}
        if not found:
            raise NotFoundError(f"{name} has no EndpointSlice with an address; look at its name and its selector")
        return tuple(sorted(found))


def _written(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _heard(looking: asyncio.Task[tuple[str, ...]]) -> None:
    """Take note of how it ended: whoever waited for it may have given up."""
    if not looking.cancelled():
        looking.exception()
