"""What a real Asterisk answered, understood: over ARI and over AMI, and where the two differ."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from datetime import datetime
from typing import Any

import pytest

from scaler.fleet.pbx.ami import Ami
from scaler.fleet.pbx.ari import Ari
from scaler.fleet.pbx.protocol import PbxAnswer, PodTarget
from scaler.fleet.pbx.settings import AmiSettings, AriSettings, Login
from scaler.retirement.readings import Doubt, Reading, Unproved
from tests.scaler.fleet.pbx import captures
from tests.scaler.fleet.pbx.conftest import PATIENT_S, Ask
from tests.scaler.fleet.pbx.made_up_pbx import ADDRESS, STARTED, USER, MadeUpPbx, listed

POD = PodTarget("uid-1", "acme-0", ADDRESS, "containerd://1/0")
HELD = captures.ami("50-held-ami.txt")
HOLDING = {
    "PJSIPShowRegistrationsOutbound": captures.ami_list("50-held-ami.txt", "Following are Events"),
    "QueueStatus": captures.ami_list("50-held-ami.txt", "Queue status"),
    "ParkedCalls": captures.ami_list("50-held-ami.txt", "Parked calls"),
}
NAMED = ("outbound registration trunk-a", "dynamic member Local/x@legs of queue support", "parked call in slot 701")
PERMISSION_DENIED = next(one for one in HELD if "Permission denied" in one)
SHUTTING_DOWN = captures.ami("04-graceful-ami.txt")[0]


def read(pbx: MadeUpPbx, ask: Ask, **more: Any) -> PbxAnswer:
    return run(pbx, lambda: ask(pbx, **more).read(POD))


def run(pbx: MadeUpPbx, body: Callable[[], Coroutine[Any, Any, PbxAnswer]]) -> PbxAnswer:
    async def running() -> PbxAnswer:
        async with pbx:
            return await body()

    return asyncio.run(running())


def reading(answer: PbxAnswer) -> Reading:
    assert isinstance(answer.reading, Reading), answer.reading
    return answer.reading


def doubt(answer: PbxAnswer) -> Unproved:
    assert isinstance(answer.reading, Unproved), answer.reading
    return answer.reading


def test_ari_tells_ten_channels_with_their_ages_and_what_they_do(password_file: Any) -> None:
    pbx = MadeUpPbx(channels=captures.ari("02-5calls-ari-channels.txt"))
    a_minute_later_s = max(datetime.fromisoformat(one["creationtime"]) for one in pbx.channels).timestamp() + 60.0

    def server() -> Ari:
        login = Login(username=USER, password_file=password_file)
        settings = AriSettings(port=pbx.http_port, login=login, timeout_seconds=PATIENT_S)
        return Ari(settings, clock=lambda: 7.0, wall_clock=lambda: a_minute_later_s)

    answer = run(pbx, lambda: server().read(POD))

    assert reading(answer).channels == len(answer.channels) == 10
    assert reading(answer).boot.started == STARTED
    assert min(one.age_s for one in answer.channels) == pytest.approx(60.0)
    assert {one.application for one in answer.channels} == {"Wait", "Echo"}
    assert {one.bridged for one in answer.channels} == {None}


def test_ami_tells_the_same_ten_channels(ask_over_ami: Ask) -> None:
    pbx = MadeUpPbx(
        lists={
            "CoreStatus": captures.ami("02-5calls-ami-corestatus.txt"),
            "CoreShowChannels": captures.ami("02-5calls-ami-coreshowchannels.txt"),
        }
    )
    answer = read(pbx, ask_over_ami)

    assert reading(answer).channels == 10
    assert reading(answer).boot.started == "2026-11-22 18:27:56"
    assert {one.name for one in answer.channels} == {one["name"] for one in captures.ari("02-5calls-ari-channels.txt")}
    assert sorted(one.age_s for one in answer.channels) == [4, 4, 5, 5, 6, 6, 6, 6, 6, 6]


def test_ami_tells_which_channels_are_bridged(ask_over_ami: Ask) -> None:
    status, *channels = captures.ami("03-sip-3calls-ami.txt")
    answer = read(MadeUpPbx(lists={"CoreStatus": [status], "CoreShowChannels": channels}), ask_over_ami)

    assert {one.name: one.bridged for one in answer.channels} == {
        "PJSIP/uas-00000002": True,
        "PJSIP/uas-00000004": True,
        "PJSIP/kam-00000000": False,
        "PJSIP/kam-00000001": True,
        "PJSIP/kam-00000003": True,
    }


def test_the_channel_that_a_sip_message_leaves_behind_is_no_call(ask_over_ari: Ask, ask_over_ami: Ask) -> None:
    over_ari = read(MadeUpPbx(channels=captures.ari_after_a_message()), ask_over_ari)
    over_ami = read(MadeUpPbx(lists={"CoreShowChannels": captures.ami_after_a_message()}), ask_over_ami)

    assert (reading(over_ari).channels, reading(over_ami).channels) == (0, 0)
    assert (over_ari.channels, over_ami.channels) == ((), ())


def test_a_channel_that_the_list_does_not_show_yet_counts(ask_over_ami: Ask) -> None:
    assert reading(read(MadeUpPbx(current_calls=1), ask_over_ami)).channels == 1


@pytest.mark.parametrize("told", ["", "-1", "none", "1e3", "²", "9" * 5000])
def test_a_count_that_is_none_is_no_reading(ask_over_ami: Ask, told: str) -> None:
    status = f"Response: Success\nCoreStartupDate: 2026-11-22\nCoreStartupTime: 18:27:56\nCoreCurrentCalls: {told}"

    assert doubt(read(MadeUpPbx(lists={"CoreStatus": [status]}), ask_over_ami)).doubt is Doubt.UNREADABLE


@pytest.mark.parametrize(
    "messages",
    [
        pytest.param(listed([], claimed=2), id="fewer than it says"),
        pytest.param(listed(["Event: CoreShowChannel\nChannel: PJSIP/a\nDuration: 00:00:01"], claimed=0), id="more"),
        pytest.param([*listed([])[:1], "Event: Complete\nEventList: Complete"], id="an end without a number"),
        pytest.param(["Response: Success\nMessage: nothing"], id="no list"),
        pytest.param(listed(["Event: CoreShowChannel\nChannel: PJSIP/a"]), id="no duration"),
        pytest.param(listed(["Event: CoreShowChannel\nDuration: 00:00:01"]), id="no name"),
        pytest.param(
            listed(["Event: CoreShowChannel\nChannel: PJSIP/a\nDuration: soon"]), id="a duration that is none"
        ),
    ],
)
def test_a_list_that_is_not_complete_is_no_reading(ask_over_ami: Ask, messages: list[str]) -> None:
    assert doubt(read(MadeUpPbx(lists={"CoreShowChannels": messages}), ask_over_ami)).doubt is Doubt.UNREADABLE


def test_a_list_that_does_not_end_is_no_reading(ask_over_ami: Ask) -> None:
    pbx = MadeUpPbx(lists={"CoreShowChannels": listed([])[:1]})

    assert doubt(read(pbx, ask_over_ami, timeout_seconds=0.3)).doubt is Doubt.TIMED_OUT


@pytest.mark.parametrize("filler", [b"Event: X\r\nActionID: %ID\r\n\r\n", b"x" * 1000 + b"\r\n", b"\r\n", b"x" * 1000])
def test_an_answer_without_end_is_given_up(ask_over_ami: Ask, filler: bytes) -> None:
    async def endless(question: str) -> bytes | None:
        start = b"Response: Success\r\nActionID: %ID\r\nEventList: start\r\n\r\n"
        return start + filler * (12_000_000 // len(filler)) if question == "channels" else None

    # Whichever bound it meets first: of a line, of a conversation, of time.
    assert doubt(read(MadeUpPbx(hook=endless), ask_over_ami)).doubt in (Doubt.UNREADABLE, Doubt.TIMED_OUT)


def test_while_asterisk_shuts_down_ami_says_so_and_nobody_looks_for_a_wrong_password(ask_over_ami: Ask) -> None:
    found = doubt(read(MadeUpPbx(lists={"Login": [SHUTTING_DOWN]}), ask_over_ami))

    assert found.doubt is Doubt.UNREADABLE
    assert "Asterisk is shutting down" in found.sentence


def test_a_manager_without_the_right_classes_is_refused_with_a_hint(ask_over_ami: Ask) -> None:
    found = doubt(read(MadeUpPbx(lists={"Getvar": [PERMISSION_DENIED]}), ask_over_ami))

    assert found.doubt is Doubt.REFUSED
    assert "Getvar: permission denied; look at the user's write classes in manager.conf" in found.sentence


def test_something_else_that_listens_there_is_no_pbx(ask_over_ari: Ask, password_file: Any) -> None:
    pbx = MadeUpPbx()

    async def over_ami_at_the_port_of_ari() -> PbxAnswer:
        settings = AmiSettings(port=pbx.http_port, login=Login(username=USER, password_file=password_file))
        return await Ami(settings, lambda: 1.0).read(POD)

    assert doubt(run(pbx, over_ami_at_the_port_of_ari)).doubt is not Doubt.REFUSED


def test_what_a_pbx_holds_without_a_channel_is_named_over_ami(ask_over_ami: Ask) -> None:
    assert reading(read(MadeUpPbx(lists=HOLDING), ask_over_ami)).held == NAMED


def test_over_ari_it_is_told_by_the_ami_of_the_preflight(ask_over_ari: Ask, password_file: Any) -> None:
    pbx = MadeUpPbx(lists=HOLDING)

    async def body() -> PbxAnswer:
        login = Login(username=USER, password_file=password_file)
        return await ask_over_ari(pbx, preflight=AmiSettings(port=pbx.ami_port, login=login)).read(POD)

    assert reading(run(pbx, body)).held == NAMED


def test_over_ari_a_preflight_that_is_not_told_is_no_reading(ask_over_ari: Ask, password_file: Any) -> None:
    pbx = MadeUpPbx(lists={"QueueStatus": [PERMISSION_DENIED]})

    async def body() -> PbxAnswer:
        login = Login(username=USER, password_file=password_file)
        return await ask_over_ari(pbx, preflight=AmiSettings(port=pbx.ami_port, login=login)).read(POD)

    assert doubt(run(pbx, body)).sentence.startswith("refused: AMI: QueueStatus: permission denied")


def test_without_a_preflight_nobody_asks_what_is_held(ask_over_ami: Ask) -> None:
    pbx = MadeUpPbx(lists=HOLDING)

    assert reading(read(pbx, ask_over_ami, preflight=False)).held == ()
    assert pbx.asked == ["login", "gate", "run", "channels"]


def test_a_registration_that_just_failed_is_held_and_one_that_was_stopped_is_not(ask_over_ami: Ask) -> None:
    def held_with(status: str) -> tuple[str, ...]:
        event = f"Event: OutboundRegistrationDetail\nObjectName: trunk-a\nStatus: {status}"
        return reading(read(MadeUpPbx(lists={"PJSIPShowRegistrationsOutbound": listed([event])}), ask_over_ami)).held

    assert {status: bool(held_with(status)) for status in ("Registered", "Rejected", "Unregistered", "Stopped")} == {
        "Registered": True,
        "Rejected": True,
        "Unregistered": True,
        "Stopped": False,
    }


def test_a_module_that_is_not_loaded_holds_nothing_and_any_other_error_is_no_reading(ask_over_ami: Ask) -> None:
    unknown = next(one for one in HELD if "Invalid/unknown command" in one)
    other = "Response: Error\nMessage: Unable to get them"

    assert reading(read(MadeUpPbx(lists={"QueueStatus": [unknown]}), ask_over_ami)).held == ()
    assert "Unable to get them" in doubt(read(MadeUpPbx(lists={"QueueStatus": [other]}), ask_over_ami)).sentence


def test_the_passwords_of_trunks_that_asterisk_tells_along_go_nowhere(ask_over_ami: Ask) -> None:
    told = HOLDING["PJSIPShowRegistrationsOutbound"]
    assert any("secret-of-trunk" in message for message in told)
    broken = [*told[:-1], told[-1].replace("ListItems: 1", "ListItems: 7")]

    assert "secret-of-trunk" not in repr(read(MadeUpPbx(lists=HOLDING), ask_over_ami))
    assert "secret-of-trunk" not in repr(
        read(MadeUpPbx(lists={"PJSIPShowRegistrationsOutbound": broken}), ask_over_ami)
    )


@pytest.mark.parametrize("secret", ["two\nlines", "an\raction"])
def test_a_secret_with_a_line_break_is_not_sent(ask_over_ami: Ask, password_file: Any, secret: str) -> None:
    password_file.write_bytes(secret.encode())
    pbx = MadeUpPbx()
    found = doubt(read(pbx, ask_over_ami))

    assert "the value of Secret holds a line break" in found.sentence
    assert secret not in found.sentence
    assert pbx.asked == []


def test_ari_asks_in_the_order_of_the_proof(ask_over_ari: Ask, password_file: Any) -> None:
    pbx = MadeUpPbx()
    read(pbx, ask_over_ari)

    assert pbx.asked == ["run", "gate", "channels", "run"]
