"""What a dispatcher's list says of a pod, held against what a real one answered."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Collection, Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler.fleet.proxies.destinations import (
    Destination,
    Listing,
    Pod,
    UnreadableError,
    listing,
    place,
)
from scaler.retirement.readings import Steering

CAPTURES = Path(__file__).parents[3] / "captures" / "kamailio"
POD = Pod(ip_address("10.0.0.7"), None)


def captured() -> dict[str, Any]:
    return json.loads((CAPTURES / "20-kamailio-dispatcher-list.json").read_text())["result"]


def steering_of(pod: Pod, told: Sequence[Destination], sets: Collection[int] = ()) -> Steering:
    return Listing(tuple(told)).steering_of(pod, sets)


def to_tell(told: Sequence[Destination], sets: Collection[int], steering: Steering) -> list[tuple[str, Destination]]:
    return Listing(tuple(told)).to_tell(POD, sets, steering)


def line(uri: str, *, set_id: int = 1, disabled: bool = False, duid: str = "") -> Destination:
    return Destination(set_id, uri, duid, disabled, place(uri))


def test_the_list_of_a_real_kamailio_is_read_line_by_line() -> None:
    found = listing(captured()).lines

    assert [(one.set_id, one.uri, one.duid, one.disabled) for one in found] == [
        (1, "sip:127.0.0.1:5083", "ast-3", False),
        (1, "sip:127.0.0.1:5082", "ast-2", False),
        (1, "sip:127.0.0.1:5081", "ast-1", False),
    ]
    assert {one.where for one in found} == {(ip_address("127.0.0.1"), port) for port in (5081, 5082, 5083)}


def test_of_all_states_that_a_real_kamailio_told_only_d_is_away() -> None:
    text = (CAPTURES / "21-kamailio-set-state.txt").read_text()
    told = {flags for states in re.findall(r"\{'5[^}]*\}", text) for flags in ast.literal_eval(states).values()}

    away = set()
    for flags in told:
        answer = captured()
        for target in answer["RECORDS"][0]["SET"]["TARGETS"]:
            target["DEST"]["FLAGS"] = flags
        if steering_of(Pod(ip_address("127.0.0.1"), None), listing(answer).lines, ()) is Steering.AWAY:
            away.add(flags)

    assert told == {"AP", "AX", "IP", "IX", "TP", "DX"}
    assert away == {"DX"}


def test_a_pod_is_away_only_when_every_line_of_it_is_disabled() -> None:
    one, other = line("sip:10.0.0.7:5060", disabled=True), line("sip:10.0.0.7:5060", set_id=2)

    assert steering_of(POD, [one, other], ()) is Steering.TOWARDS
    assert steering_of(POD, [one], ()) is Steering.AWAY


def test_one_open_line_among_those_of_others_is_towards() -> None:
    told = [line("sip:10.0.0.8:5060"), line("sip:10.0.0.7:5060"), line("sip:10.0.0.9:5060")]

    assert steering_of(POD, told, ()) is Steering.TOWARDS


def test_a_list_without_the_pod_sends_it_nothing() -> None:
    assert steering_of(POD, [line("sip:10.0.0.8:5060")], ()) is Steering.AWAY


def test_another_port_of_the_pods_address_is_the_pod_unless_a_port_is_named() -> None:
    told = [line("sip:10.0.0.7:5080")]

    assert steering_of(POD, told, ()) is Steering.TOWARDS
    assert steering_of(Pod(POD.address, 5060), told, ()) is Steering.AWAY
    assert steering_of(Pod(POD.address, 5080), told, ()) is Steering.TOWARDS


@pytest.mark.parametrize("uri", ["sip:acme-0.pbx.acme.svc:5060", "sip:10.0.0.8;maddr=10.0.0.7", "tel:+4930123456"])
def test_a_name_in_the_list_may_be_the_pod_so_nothing_is_known(uri: str) -> None:
    with pytest.raises(UnreadableError, match=r"set 4 has .* list pods by address"):
        steering_of(POD, [line(uri, set_id=4)], ())


def test_names_in_sets_that_have_no_pods_are_left_aside() -> None:
    told = [line("sip:sip.carrier.example", set_id=4), line("sip:10.0.0.7", disabled=True)]

    assert steering_of(POD, told, {1}) is Steering.AWAY


@pytest.mark.parametrize(
    ("uri", "where"),
    [
        ("sip:10.0.0.7:5060", ("10.0.0.7", 5060)),
        ("sip:10.0.0.7", ("10.0.0.7", 5060)),
        ("SIP:10.0.0.7;transport=tcp", ("10.0.0.7", 5060)),
        ("sip:10.0.0.7;transport=TLS", ("10.0.0.7", 5061)),
        ("sips:10.0.0.7", ("10.0.0.7", 5061)),
        ("sip:any@10.0.0.7:5070;lr?x=y", ("10.0.0.7", 5070)),
        ("sip:[fd00::7]:5060", ("fd00::7", 5060)),
        ("sip:[FD00:0::7]", ("fd00::7", 5060)),
    ],
)
def test_a_uri_is_where_it_leads_however_it_is_written(uri: str, where: tuple[str, int]) -> None:
    assert place(uri) == (ip_address(where[0]), where[1])


@pytest.mark.parametrize(
    "uri", ["", "10.0.0.7:5060", "sip:10.0.0.7:x", "sip:10.0.0.07", "sip:10.0.0.7 ", "sip:٤.0.0.7"]
)
def test_what_is_no_uri_of_an_address_is_nowhere(uri: str) -> None:
    assert place(uri) is None


def test_each_of_the_pods_lines_is_told_and_no_other() -> None:
    told = [
        line("sip:10.0.0.7:5060"),
        line("sip:10.0.0.7;transport=tcp"),
        line("sip:10.0.0.7:5060", set_id=2, disabled=True),
        line("sip:10.0.0.8:5060"),
        line("sip:carrier.example"),
    ]

    assert [(method, one.uri, one.set_id) for method, one in to_tell(told, (), Steering.AWAY)] == [
        ("dispatcher.set_state", "sip:10.0.0.7:5060", 1),
        ("dispatcher.set_state", "sip:10.0.0.7;transport=tcp", 1),
    ]
    assert [one.set_id for _, one in to_tell(told, (), Steering.TOWARDS)] == [2]
    assert [one.set_id for _, one in to_tell(told, {2}, Steering.TOWARDS)] == [2]
    assert to_tell(told, {2}, Steering.AWAY) == []


def test_a_uri_that_stands_twice_in_a_set_is_told_by_a_duid_where_its_uri_finds_the_other() -> None:
    told = [line("sip:10.0.0.7"), line("SIP:10.0.0.7", duid="tcp"), line("sip:10.0.0.7", set_id=2)]

    assert [(method, one.duid) for method, one in to_tell(told, (), Steering.AWAY)] == [
        ("dispatcher.set_state", ""),
        ("dispatcher.set_duid_state", "tcp"),
        ("dispatcher.set_state", ""),
    ]


@pytest.mark.parametrize("duid", ["", "same"])
def test_a_uri_that_stands_twice_and_cannot_be_told_apart_is_not_half_disabled(duid: str) -> None:
    with pytest.raises(UnreadableError, match="duid of its own"):
        to_tell([line("sip:10.0.0.7", duid=duid), line("sip:10.0.0.7", duid=duid)], (), Steering.AWAY)


def test_the_list_of_a_newer_kamailio_is_read_as_well() -> None:
    told = listing(json.loads((CAPTURES / "61-dispatcher-list.json").read_text())["result"])

    assert [(one.set_id, one.uri, one.duid) for one in told.lines] == [
        (2, "sip:127.0.0.9:5060", ""),
        (1, "sip:127.16.4.31:5060", ""),
        (1, "sip:127.16.4.31:5060", "b"),
    ]
    pod = Pod(ip_address("127.16.4.31"), None)
    assert [method for method, _ in told.to_tell(pod, (), Steering.AWAY)] == [
        "dispatcher.set_state",
        "dispatcher.set_duid_state",
    ]


KEYS = ["NRSETS", "RECORDS", "SET", "ID", "TARGETS", "DEST", "URI", "FLAGS", "ATTRS", "DUID"]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=12,
)


@given(JSON)
def test_an_answer_that_is_no_list_is_never_taken_for_an_empty_one(answer: Any) -> None:
    try:
        told = listing(answer).lines
    except UnreadableError:
        return
    # Whatever was understood is a list of at least one set, with every target of the answer in it.
    targets = [target for record in answer["RECORDS"] for target in record["SET"]["TARGETS"]]
    assert answer["RECORDS"]
    assert [(one.uri, one.disabled) for one in told] == [
        (target["DEST"]["URI"], target["DEST"]["FLAGS"] in ("DX", "DP")) for target in targets
    ]


@st.composite
def damaged(draw: st.DrawFn) -> dict[str, Any]:
    """The captured list with all destinations active, and one thing in it replaced or taken away."""
    answer = captured()
    spots: list[tuple[Any, Any]] = []

    def walk(node: Any) -> None:
        for key in list(node) if isinstance(node, dict) else range(len(node)):
            spots.append((node, key))
            if isinstance(node[key], dict | list):
                walk(node[key])

    walk(answer)
    node, key = draw(st.sampled_from(spots))
    if isinstance(node, dict) and draw(st.booleans()):
        del node[key]
    else:
        node[key] = draw(JSON)
    return answer


@given(damaged())
def test_a_damaged_list_of_active_destinations_never_says_away(answer: dict[str, Any]) -> None:
    untouched = sum(uri in json.dumps(answer) for uri in ("127.0.0.1:5081", "127.0.0.1:5082", "127.0.0.1:5083"))
    try:
        steering = steering_of(Pod(ip_address("127.0.0.1"), None), listing(answer).lines, ())
    except UnreadableError:
        return
    # Two of three lines are whole whatever was damaged; only a list that lost its lines in a whole could be believed.
    assert steering is Steering.TOWARDS or untouched == 0
