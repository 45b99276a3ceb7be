"""What a dispatcher's list says of a pod. Pure: an answer goes in, a steering or a doubt comes out.

A list that is understood and does not have the pod sends it nothing, which is AWAY. Whoever fills the list may put the
pod into it at any moment: it is read and told again in every round, and until then the pod's own gate refuses. But a
list that names hosts says nothing of a pod that it does not have by address: any of those names may be the pod.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Annotated, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from scaler.retirement.readings import Steering

_URI = re.compile(
    r"(?P<scheme>sips?):(?:[^@]*@)?(?P<host>\[[0-9a-f:.]+\]|[0-9.]+)(?::(?P<port>[0-9]{1,5}))?(?P<rest>[;?].*)?",
    re.IGNORECASE | re.ASCII,
)
_PORT, _TLS_PORT = 5060, 5061
SET_STATE, SET_DUID_STATE = "dispatcher.set_state", "dispatcher.set_duid_state"
Address: TypeAlias = IPv4Address | IPv6Address


class UnreadableError(Exception):
    """An answer is no list of destinations."""


@dataclass(frozen=True, slots=True)
class Destination:
    """One line of a dispatcher's list: its set, its URI and its `duid` as they are written there.

    Without `where` nobody can say which host it is: it is no address.
    """

    set_id: int
    uri: str
    duid: str
    disabled: bool
    where: tuple[Address, int] | None


@dataclass(frozen=True, slots=True)
class Pod:
    """Where a pod takes calls; without a port on all of them."""

    address: Address
    port: int | None

    def is_at(self, destination: Destination) -> bool:
        """Whether a line of the list is this pod."""
        if destination.where is None:
            return False
        address, port = destination.where
        return address == self.address and self.port in (None, port)


@dataclass(frozen=True)
class Listing:
    """A dispatcher's whole list, in its order: of two lines with one URI, a proxy finds the first."""

    lines: tuple[Destination, ...]

    def steering_of(self, pod: Pod, sets: Collection[int]) -> Steering:
        """Where a proxy with this list sends the pod's new calls. Without `sets` all of them count.

        Disabled (D) alone is AWAY: a destination that is inactive or tried (I, T) comes back when it answers a ping.

        Raises:
            UnreadableError: the pod may be one of the names in the list.
        """
        if any(not one.disabled for one in self._of(pod, sets)):
            return Steering.TOWARDS
        unknown = next((one for one in self._at.get(None, ()) if not one.disabled and _counts(one, sets)), None)
        if unknown is not None:
            raise UnreadableError(
                f"set {unknown.set_id} has {unknown.uri[:80]!r}, which is no address and may be the pod: list pods by "
                "address, or name the pods' sets in the settings"
            )
        return Steering.AWAY

    def to_tell(self, pod: Pod, sets: Collection[int], steering: Steering) -> list[tuple[str, Destination]]:
        """The lines of a pod that are not as they should be, each with the method that reaches it.

        Raises:
            UnreadableError: one of them cannot be reached, since another has its URI, and its duid if it has one.
        """
        disabled = steering is Steering.AWAY
        return [(self._method(one), one) for one in self._of(pod, sets) if one.disabled is not disabled]

    def _method(self, wanted: Destination) -> str:
        same_set = [one for one in self.lines if one.set_id == wanted.set_id]
        if next(one for one in same_set if one.uri.lower() == wanted.uri.lower()) is wanted:
            return SET_STATE
        if wanted.duid and next(one for one in same_set if one.duid.lower() == wanted.duid.lower()) is wanted:
            return SET_DUID_STATE
        raise UnreadableError(
            f"set {wanted.set_id} has {wanted.uri[:80]} more than once: give each line a duid of its own"
        )

    def _of(self, pod: Pod, sets: Collection[int]) -> list[Destination]:
        return [one for one in self._at.get(pod.address, ()) if pod.is_at(one) and _counts(one, sets)]

    @cached_property
    def _at(self) -> Mapping[Address | None, Sequence[Destination]]:
        found: dict[Address | None, list[Destination]] = {}
        for one in self.lines:
            found.setdefault(None if one.where is None else one.where[0], []).append(one)
        return found


def listing(result: object) -> Listing:
    """The list that `dispatcher.list` answered with.

    Raises:
        UnreadableError: it is no such list. An empty one is not: a dispatcher without sets answers with an error.
    """
    try:
        told = _List.model_validate(result)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise UnreadableError(f"dispatcher.list: {where or 'result'}: {first['msg']}") from error
    lines = tuple(
        Destination(one.SET.ID, dest.URI, (dest.ATTRS and dest.ATTRS.DUID) or "", dest.FLAGS[0] == "D", place(dest.URI))
        for one in told.RECORDS
        for dest in (target.DEST for target in one.SET.TARGETS)
    )
    return Listing(lines)


def _counts(one: Destination, sets: Collection[int]) -> bool:
    return not sets or one.set_id in sets


@lru_cache(maxsize=50_000)
def place(uri: str) -> tuple[Address, int] | None:
    """Address and port that a SIP URI leads to; None where that is no address, or not the one that it begins with."""
    found = _URI.fullmatch(uri)
    if found is None:
        return None
    rest = (found["rest"] or "").lower()
    if "maddr=" in rest:
        return None
    try:
        address = ip_address(found["host"].strip("[]"))
    except ValueError:
        return None
    tls = found["scheme"].lower() == "sips" or "transport=tls" in rest
    port = int(found["port"]) if found["port"] else _TLS_PORT if tls else _PORT
    return address, port


class _Told(BaseModel):
    """Names are those of the dispatcher module; what else it tells is not needed."""

    model_config = ConfigDict(strict=True, frozen=True, hide_input_in_errors=True)


class _Attributes(_Told):
    DUID: str | None = None


class _Destination(_Told):
    URI: Annotated[str, Field(min_length=1)]
    FLAGS: Annotated[str, Field(pattern=r"^[AITD][PX]$")]
    ATTRS: _Attributes | None = None


class _Target(_Told):
    DEST: _Destination


class _Set(_Told):
    ID: int
    TARGETS: list[_Target]


class _Record(_Told):
    SET: _Set


class _List(_Told):
    RECORDS: Annotated[list[_Record], Field(min_length=1)]
