"""The pod gate of deploy/asterisk on a real Asterisk: what is refused while it is shut, and what still passes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.e2e.phone import Call, Phone
from tests.e2e.plain import PlainContainer
from tests.rig.images.asterisk import ASTERISK
from tests.rig.place import CALLERS_PART, Place
from tests.rig.voice.pbx import CLOSED, OPEN, Pbx
from tests.servers.processes import wait_for

PART = 6
"""Of the addresses: what this test starts is in nobody's way there."""
LAST_RESORT = "X-Calltide-Last-Resort: yes"
REFUSED = 503


@dataclass
class Gated:
    """One PBX, a phone anywhere, and one at the address of a proxy."""

    box: PlainContainer
    pbx: Pbx
    phone: Phone
    proxy: Phone

    def dial(self, number: str, *headers: str) -> Call:
        return self.phone.dial(self.box.address, number, *headers)

    def dial_from_proxy(self, number: str, *headers: str) -> Call:
        return self.proxy.dial(self.box.address, number, *headers)

    def empty(self) -> bool:
        return self.pbx.channels() == []


@pytest.fixture(scope="module")
def standing(place: Place, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gated]:
    phone, proxy = (Phone(place.address(host, part=CALLERS_PART)) for host in (6, 7))
    folder = tmp_path_factory.mktemp("gate")
    box = PlainContainer(ASTERISK, place.address(11, PART), folder, TRUSTED_PROXIES=proxy.address)
    pbx = Pbx(box.address)
    try:
        box.start()
        wait_for(pbx.ready, "the PBX to boot")
        yield Gated(box, pbx, phone, proxy)
    finally:
        pbx.close()
        box.kill()


@pytest.fixture
def gated(standing: Gated) -> Iterator[Gated]:
    standing.pbx.set_gate(OPEN)
    yield standing
    standing.phone.hang_up()
    standing.proxy.hang_up()
    # Who was transferred, or is somebody's colleague, has no phone here that could hang up.
    standing.box.run("asterisk", "-rx", "channel request hangup all")
    wait_for(standing.empty, "all calls to have ended")


@pytest.mark.parametrize("number", ["1001", "3000", "4000", "700", "701", "112", "9999"])
def test_a_call_that_is_new_to_the_pod_is_refused_so_that_the_proxy_takes_the_next(gated: Gated, number: str) -> None:
    gated.pbx.set_gate(CLOSED)

    assert gated.dial(number).code == REFUSED
    assert gated.dial_from_proxy(number).code == REFUSED


@pytest.mark.parametrize("value", ["Open", "open ", "yes", "", "0", "1"])
def test_whatever_is_not_open_is_closed(gated: Gated, value: str) -> None:
    gated.pbx.set_gate(value)

    assert gated.dial("1001").code == REFUSED


def test_a_late_joiner_finds_the_room_that_lives_here_and_nobody_opens_another(gated: Gated) -> None:
    first = gated.dial("4000")
    wait_for(lambda: gated.pbx.in_room() == 1, "the first to be in the room")
    gated.pbx.set_gate(CLOSED)
    late = gated.dial("4000")

    assert late.is_up
    wait_for(lambda: gated.pbx.in_room() == 2, "both to be in the room")
    for call in (first, late):
        call.hang_up()
    wait_for(gated.empty, "the room to be empty")
    assert gated.dial("4000").code == REFUSED


def test_a_parked_call_is_taken_back_and_an_empty_slot_is_refused(gated: Gated) -> None:
    assert gated.dial("700").is_up
    gated.pbx.set_gate(CLOSED)
    # Asterisk plays the slot's number first, and tells of the slot some moments later.
    wait_for(lambda: gated.dial("701").is_up, "the parked call to be taken back")

    assert gated.dial("702").code == REFUSED
    wait_for(lambda: gated.dial("701").code == REFUSED, "the slot to be empty again")


def test_a_queue_sends_a_caller_who_waits_here_to_its_agent(gated: Gated) -> None:
    gated.box.run("asterisk", "-rx", "queue pause member Local/agent@legs queue support")
    waiting = gated.dial("3000")
    gated.pbx.set_gate(CLOSED)
    gated.box.run("asterisk", "-rx", "queue unpause member Local/agent@legs queue support")

    wait_for(
        lambda: any(one["name"].startswith("Local/agent@legs") for one in gated.pbx.channels()),
        "the agent to have the caller",
    )
    assert waiting.ask("BYE", 2) == 200
    waiting.close()


def test_a_call_takes_the_place_of_one_that_lives_here(gated: Gated) -> None:
    """The last step of an attended transfer: an INVITE with Replaces is no new call, and meets no gate."""
    living = gated.dial("5000")
    gated.pbx.set_gate(CLOSED)

    assert gated.dial("5000", living.replaces).is_up
    assert gated.dial("5000").code == REFUSED


def test_a_transfer_of_a_call_that_lives_here_passes(gated: Gated) -> None:
    """By REFER: the colleague goes on to the room, whose number nobody may dial from outside now."""
    living = gated.dial("5000")
    gated.pbx.set_gate(CLOSED)

    assert living.ask("REFER", 2, f"Refer-To: <sip:4000@{gated.box.address}>") == 202
    wait_for(lambda: gated.pbx.in_room() == 1, "the colleague to be in the room")


def test_help_is_let_in_only_when_a_proxy_says_that_nobody_else_takes_the_call(gated: Gated) -> None:
    gated.pbx.set_gate(CLOSED)

    assert gated.dial_from_proxy("112").code == REFUSED
    assert gated.dial_from_proxy("112", LAST_RESORT).is_up


def test_only_a_proxy_may_say_so_and_only_of_emergency_numbers(gated: Gated) -> None:
    gated.pbx.set_gate(CLOSED)

    assert gated.dial("112", LAST_RESORT).code == REFUSED
    assert gated.dial_from_proxy("1001", LAST_RESORT).code == REFUSED


@pytest.mark.parametrize("value", ['yes" | "1', '" = "" | "', "1)?in", "${EVAL(1)}"])
def test_text_of_a_caller_opens_nothing(gated: Gated, value: str) -> None:
    gated.pbx.set_gate(CLOSED)

    assert gated.dial("112", f"X-Calltide-Last-Resort: {value}").code == REFUSED
    assert gated.dial("4000", f"Subject: {value}").code == REFUSED


def test_with_the_gate_open_all_of_it_passes(gated: Gated) -> None:
    assert [gated.dial(number).is_up for number in ("1001", "4000", "112")] == [True] * 3


@pytest.mark.parametrize("number", ["1001,1", "1001,1(x", "1001&1002", "1001%22"])
def test_a_number_that_is_more_than_a_number_does_not_get_past_a_shut_gate(gated: Gated, number: str) -> None:
    gated.pbx.set_gate(CLOSED)

    assert gated.dial(number).code >= 400


def test_numbers_that_begin_with_a_letter_or_a_sign_come_to_the_gate(gated: Gated) -> None:
    gated.box.run(
        "asterisk", "-rx", "dialplan add extension _.,1,Gosub,calltide-gate\\,${EXTEN}\\,1 into ingress replace"
    )
    gated.pbx.set_gate(CLOSED)
    numbers = ("+4930123", "*98", "alice", "a.b-c_d")

    assert [gated.dial(number).code for number in numbers] == [REFUSED] * 4
    gated.pbx.set_gate(OPEN)
    assert gated.dial("~alice").code >= 400
