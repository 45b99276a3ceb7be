"""Which destinations a proxy should have, from the pods of the cluster, and what to tell it to get there.

Pure: pods and the proxy's own list in, JSON-RPC calls out. A fleet is a dispatcher set; its destinations are the Ready
pods with the fleet's label. A pod that is being retired stays in the set, disabled: the proxy neither selects nor pings
it, while what is inside a dialogue goes on by its route set.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

FLEET_LABEL = "calltide.io/fleet"
SET_LABEL = "calltide.io/dispatcher-set"
STATE_ANNOTATION = "calltide.io/state"
RETIRING = frozenset({"draining", "drained", "released"})
SIP_PORT = 5060
DISABLED = 4
"""The dispatcher's flag for a destination that an administrator switched off."""


class DispatcherError(Exception):
    """Pods or a proxy's answer from which no list can be made, with the remedy."""


@dataclass(frozen=True, slots=True, order=True)
class Destination:
    """One pod in a dispatcher set."""

    set_id: int
    uri: str
    disabled: bool


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a proxy should know: fleet name → set, and all destinations."""

    fleets: Mapping[str, int]
    destinations: frozenset[Destination]


@dataclass(frozen=True, slots=True)
class Rpc:
    """One JSON-RPC call to a proxy."""

    method: str
    params: tuple[int | str, ...]


def set_number(fleet: str, label: str | None) -> int:
    """The dispatcher set of a fleet: what its pods' label says, or a number that only its name decides.

    Raises:
        DispatcherError: the label is no positive number.
    """
    if label is None:
        return 1 + zlib.crc32(fleet.encode()) % 1_000_000_000
    if not label.isdecimal() or int(label) == 0:
        raise DispatcherError(f"fleet {fleet}: label {SET_LABEL}: {label!r} is not a positive whole number")
    return int(label)


def wanted(pods: Iterable[Mapping[str, Any]]) -> Wanted:
    """Fleets and destinations from pods as the API server has them. Pods without the fleet's label are not ours.

    Raises:
        DispatcherError: two fleets share a set, or one fleet's pods name two.
    """
    fleets: dict[str, int] = {}
    destinations: set[Destination] = set()
    for pod in pods:
        labels = pod["metadata"].get("labels") or {}
        if FLEET_LABEL not in labels:
            continue
        fleet = labels[FLEET_LABEL]
        number = set_number(fleet, labels.get(SET_LABEL))
        if fleets.setdefault(fleet, number) != number:
            raise DispatcherError(
                f"fleet {fleet}: its pods say {SET_LABEL} {fleets[fleet]} and {number}; give them one number"
            )
        if _takes_calls(pod):
            destinations.add(Destination(number, f"sip:{pod['status']['podIP']}:{SIP_PORT}", _retiring(pod)))
    _no_set_twice(fleets)
    return Wanted(fleets, frozenset(destinations))


def known(answer: Mapping[str, Any]) -> list[Destination]:
    """The destinations in a proxy's answer to `dispatcher.list`, one by one: the same one may be there twice.

    Raises:
        DispatcherError: the answer is not such a list.
    """
    try:
        return [
            Destination(entry["SET"]["ID"], target["DEST"]["URI"], target["DEST"]["FLAGS"].startswith("D"))
            for entry in answer["RECORDS"]
            for target in entry["SET"]["TARGETS"]
        ]
    except (KeyError, TypeError, AttributeError) as error:
        raise DispatcherError(f"dispatcher.list answered what is no list of destinations: {answer!r:.300}") from error


def steps(want: Wanted, have: Iterable[Destination], fleets: Mapping[str, int]) -> list[Rpc]:
    """What to tell a proxy that has these destinations and fleets, so that it has the wanted ones.

    New ones first, so that no set is empty in between. What the proxy found out by pinging (inactive, trying) is its
    own: only disabled or not is decided here. A fleet without pods keeps its name, so that its callers hear 503.
    """
    have = list(have)
    state = {(each.set_id, each.uri): each.disabled for each in have}
    target = {(each.set_id, each.uri): each.disabled for each in want.destinations}
    twice = {key for key in state if sum((each.set_id, each.uri) == key for each in have) > 1}
    told = [
        Rpc("htable.sets", ("fleet", name, str(number)))
        for name, number in sorted(want.fleets.items())
        if fleets.get(name) != number
    ]
    for (number, uri), disabled in sorted(target.items()):
        if (number, uri) not in state:
            told.append(Rpc("dispatcher.add", (number, uri, DISABLED if disabled else 0)))
        elif state[number, uri] != disabled:
            told.append(Rpc("dispatcher.set_state", ("dx" if disabled else "ap", number, uri)))
    # One that stands twice goes altogether, and comes back once in the next round.
    gone = sorted((state.keys() - target.keys()) | twice)
    return told + [Rpc("dispatcher.remove", key) for key in gone]


def _takes_calls(pod: Mapping[str, Any]) -> bool:
    status = pod.get("status") or {}
    conditions = {condition["type"]: condition["status"] for condition in status.get("conditions") or ()}
    terminating = "deletionTimestamp" in pod["metadata"]
    return not terminating and conditions.get("Ready") == "True" and bool(status.get("podIP"))


def _retiring(pod: Mapping[str, Any]) -> bool:
    annotations = pod["metadata"].get("annotations") or {}
    return annotations.get(STATE_ANNOTATION, "").lower() in RETIRING


def _no_set_twice(fleets: Mapping[str, int]) -> None:
    by_number: dict[int, str] = {}
    for fleet, number in sorted(fleets.items()):
        other = by_number.setdefault(number, fleet)
        if other != fleet:
            raise DispatcherError(
                f"fleets {other} and {fleet} have the same dispatcher set {number}; "
                f"label one's pods {SET_LABEL}: another number"
            )
