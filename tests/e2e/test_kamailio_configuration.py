"""deploy/kamailio in a real Kamailio, call by call, before PBXs that answer as a test wants."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import httpx
import pytest

from scaler.retirement.readings import Doubt, Steering
from tests.e2e.edge import PART, SET, Edge, Gates, MadeUpPbx, call, edges, shared_memory
from tests.rig.place import CALLERS_PART, Place
from tests.servers.processes import wait_for

AWAY, TOWARDS = Steering.AWAY, Steering.TOWARDS
CONFERENCE = "4000"


@pytest.fixture
def caller(place: Place) -> str:
    return place.address(1, part=CALLERS_PART)


@contextmanager
def made_up(place: Place, *codes: int, **defined: str) -> Iterator[tuple[Edge, tuple[MadeUpPbx, ...]]]:
    """One proxy before PBXs that answer so."""
    with ExitStack() as stack:
        found = tuple(MadeUpPbx(place.address(31 + number, PART)) for number in range(len(codes)))
        for pbx in found:
            stack.callback(pbx.close)
        (edge,) = stack.enter_context(edges(place, (24,), [pbx.address for pbx in found], **defined))
        edge.start()
        for pbx, code in zip(found, codes, strict=True):
            pbx.code = code
        yield edge, found


def test_a_call_that_one_pod_refuses_is_taken_by_the_next(place: Place, caller: str) -> None:
    with made_up(place, 503, 200) as (edge, pbxs):
        assert [call(edge, caller, "1000") for _ in range(4)] == [200] * 4
        assert len(pbxs[1].invites) == 4
        assert pbxs[0].invites


def test_what_the_number_decides_is_not_tried_elsewhere(place: Place, caller: str) -> None:
    with made_up(place, 404, 404) as (edge, pbxs):
        assert call(edge, caller, "1000") == 404
        assert sum(len(pbx.invites) for pbx in pbxs) == 1


def test_when_all_refuse_a_call_is_refused_with_503_but_one_for_help_is_let_in(place: Place, caller: str) -> None:
    with made_up(place, 503, 503) as (edge, pbxs):
        assert call(edge, caller, "1000") == 503
        assert not any("Last-Resort" in invite for pbx in pbxs for invite in pbx.invites)
        for pbx in pbxs:
            pbx.invites.clear()

        assert call(edge, caller, "112") == 200
        resorts = [invite for pbx in pbxs for invite in pbx.invites if "X-Calltide-Last-Resort: yes\r\n" in invite]
        assert (len(resorts), sum(len(pbx.invites) for pbx in pbxs)) == (1, 3)


def test_a_call_for_help_goes_to_the_pod_that_answered_last_when_all_are_disabled(place: Place, caller: str) -> None:
    with made_up(place, 200, 200) as (edge, pbxs):
        assert call(edge, caller, "1000") == 200
        gates = Gates(addresses=[edge.name])
        for pbx in pbxs:
            gates.read(pbx.address)
            gates.steer([edge], pbx.address, AWAY)
        assert call(edge, caller, "1000") == 503
        assert call(edge, caller, "112") == 200
        (last,) = [pbx for pbx in pbxs if pbx.invites]
        edge.proxy.call("dispatcher.remove", (SET, f"sip:{last.address}:5060"))
        assert call(edge, caller, "112") == 503


@pytest.mark.parametrize("number", ["1000", "112", CONFERENCE])
def test_nobody_outside_may_call_himself_a_last_resort(place: Place, caller: str, number: str) -> None:
    with made_up(place, 200) as (edge, (pbx,)):
        sent = ("X-Calltide-Last-Resort: yes", "x-calltide-last-resort : yes")
        assert [call(edge, caller, number, one) for one in sent] == [200, 200]
        assert len(pbx.invites) == 2
        assert not any("last-resort" in invite.lower() for invite in pbx.invites)


def test_a_room_whose_pod_shut_its_gate_or_left_the_list_is_made_anew_elsewhere(place: Place, caller: str) -> None:
    with made_up(place, 200, 200) as (edge, pbxs):
        assert call(edge, caller, CONFERENCE) == 200
        home = next(pbx for pbx in pbxs if pbx.invites)
        other = next(pbx for pbx in pbxs if pbx is not home)
        assert call(edge, caller, CONFERENCE) == 200
        assert (len(home.invites), len(other.invites)) == (2, 0)
        home.code = 503
        assert call(edge, caller, CONFERENCE) == 200
        assert len(other.invites) == 1
        home.code = 200
        assert call(edge, caller, CONFERENCE) == 200
        assert len(other.invites) == 2
        edge.proxy.call("dispatcher.remove", (SET, f"sip:{other.address}:5060"))
        assert call(edge, caller, CONFERENCE) == 200
        assert len(other.invites) == 2


def test_whoever_knows_where_something_lives_may_tell_a_proxy(place: Place, caller: str) -> None:
    with made_up(place, 200, 200) as (edge, pbxs):
        key, home = f"{SET}/acme.example/4701", pbxs[1].address
        edge.proxy.call("htable.sets", ("calltide_home", key, f"sip:{home}:5060"))
        gates = Gates(addresses=[edge.name])
        gates.read(home)
        gates.steer([edge], home, AWAY)

        assert [call(edge, caller, "4701") for _ in range(3)] == [200] * 3
        assert [len(pbx.invites) for pbx in pbxs] == [0, 3]


def test_a_stranger_is_not_taken_for_a_proxy(place: Place, caller: str) -> None:
    with made_up(place, 200, **shared_memory(place)) as (edge, _):
        assert call(edge, caller, "htable", method="KDMQ") == 403


def test_json_rpc_is_for_calltide_alone(place: Place, caller: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "EDGE_PASSWORD", "secret")
    login = {"username": "calltide", "passwordEnv": "EDGE_PASSWORD"}
    with ExitStack() as stack:
        pbx = MadeUpPbx(place.address(31, PART))
        stack.callback(pbx.close)
        defined = {"CALLTIDE_FROM": "127.0.0.1/32", "CALLTIDE_LOGIN": "calltide:secret"}
        (edge,) = stack.enter_context(edges(place, (24,), [pbx.address], **defined))
        edge.box.start()
        gates = Gates(addresses=[edge.name], login=login)
        wait_for(lambda: gates.read(pbx.address) == {edge.name: TOWARDS}, "the proxy to let calltide in")
        gates.steer([edge], pbx.address, AWAY)
        assert gates.read(pbx.address) == {edge.name: AWAY}

        assert Gates(addresses=[edge.name]).read(pbx.address) == {edge.name: Doubt.REFUSED}
        monkeypatch.setitem(os.environ, "EDGE_PASSWORD", "wrong")
        assert gates.read(pbx.address) == {edge.name: Doubt.REFUSED}
        with httpx.Client(transport=httpx.HTTPTransport(local_address=caller)) as stranger:
            asked = {"jsonrpc": "2.0", "id": 1, "method": "dispatcher.list", "params": []}
            for path in ("/RPC", "/"):
                answer = stranger.post(f"http://{edge.name}{path}", json=asked, auth=("calltide", "secret"))
                assert answer.status_code == httpx.codes.FORBIDDEN
