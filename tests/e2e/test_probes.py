"""The probes against a real Asterisk: what ARI and AMI say of calls, gate, restarts, faults and what a pod holds."""

from __future__ import annotations

import asyncio
import re
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from scaler.fleet.pbx.opening import open_media_server
from scaler.fleet.pbx.protocol import MediaServer, PbxAnswer, PbxError, PodTarget
from scaler.fleet.pbx.settings import AmiSettings, AriSettings
from scaler.retirement.readings import Doubt, GatePosition, Reading, Unproved
from tests.e2e.phone import Phone
from tests.e2e.plain import PlainContainer
from tests.e2e.plain_voice import plan, up
from tests.rig.images.asterisk import ASTERISK
from tests.rig.place import CALLERS_PART, Place
from tests.rig.voice.callers import Callers
from tests.rig.voice.pbx import Pbx
from tests.servers.processes import wait_for

MANAGER = Path(__file__).parents[2] / "deploy" / "asterisk" / "manager.conf"
PART = 5
"""Of the addresses: what this test starts is in nobody's way there."""
PATIENT_S, HASTY_S = 3.9, 1.0
"""For a PBX that answers, however busy the machine is; and for one that does not."""
LIVE_S = 60.0
WAYS = ("ari", "ami")
by_any_way = pytest.mark.parametrize("way", WAYS)


@dataclass
class Asked:
    """One real PBX, and both ways to ask it."""

    box: PlainContainer
    pod: PodTarget
    phone: Phone
    password: Path

    def server(self, way: str, **more: Any) -> MediaServer:
        login = {"username": "calltide", "passwordFile": str(self.password)}
        settings = {"login": login, "timeoutSeconds": PATIENT_S} | more
        kind = AriSettings if way == "ari" else AmiSettings
        return open_media_server(kind.model_validate(settings), time.monotonic)

    def read(self, way: str, **more: Any) -> PbxAnswer:
        return asyncio.run(self.server(way, **more).read(self.pod))

    def reading(self, way: str, **more: Any) -> Reading:
        found = self.read(way, **more).reading
        assert isinstance(found, Reading), found
        return found

    def doubt(self, way: str, **more: Any) -> Unproved:
        found = self.read(way, **more).reading
        assert isinstance(found, Unproved), found
        return found

    def counts(self) -> tuple[int, ...]:
        return tuple(self.reading(way).channels for way in WAYS)

    def set_gate(self, way: str, position: GatePosition) -> None:
        asyncio.run(self.server(way).set_gate(self.pod, self.reading(way).boot, position))

    def boot(self) -> None:
        self.box.start()
        wait_for(Pbx(self.box.address).ready, "the PBX to boot")
        wait_for(lambda: isinstance(self.read("ami").reading, Reading), "the manager interface to answer")

    def asterisk(self, command: str) -> None:
        self.box.run("asterisk", "-rx", command)


@pytest.fixture
def asked(place: Place, tmp_path: Path) -> Iterator[Asked]:
    phone = Phone(place.address(5, part=CALLERS_PART))
    box = PlainContainer(ASTERISK, place.address(11, PART), tmp_path, IVR_SECONDS="2")
    (tmp_path / "password").write_text("rig")
    found = Asked(box, PodTarget("uid", "plain-0", box.address, "containerd://1"), phone, tmp_path / "password")
    try:
        found.boot()
        yield found
    finally:
        phone.hang_up()
        box.kill()


def test_both_ways_agree_on_an_idle_pbx_and_on_five_calls(asked: Asked, place: Place, tmp_path: Path) -> None:
    assert asked.counts() == (0, 0)

    run = Callers([asked.box.address], place.address(1, part=CALLERS_PART), tmp_path).start(plan(5, hold=LIVE_S))
    up(run, 5)
    wait_for(lambda: _applications(asked.read("ari")) == {"Wait"}, "all to be past the answer")
    over_ari, over_ami = (asked.read(way) for way in WAYS)

    assert asked.counts() == (5, 5)
    assert {one.name for one in over_ari.channels} == {one.name for one in over_ami.channels}
    assert _applications(over_ami) == {"Wait"}
    ages_s = {one.name: one.age_s for one in over_ari.channels}
    # AMI tells whole seconds, and is asked a moment later.
    assert all(abs(one.age_s - ages_s[one.name]) < PATIENT_S + 2.0 for one in over_ami.channels)
    run.stop()
    assert run.wait(at_most_s=30.0).cut == 0
    wait_for(lambda: asked.counts() == (0, 0), "both ways to find it empty again")


def _applications(answer: PbxAnswer) -> set[str]:
    return {one.application for one in answer.channels}


def test_both_ways_agree_on_which_legs_a_call_has(asked: Asked) -> None:
    assert asked.phone.dial(asked.box.address, "5000").is_up

    # The caller, and both halves of the Local channel that its colleague is.
    assert asked.counts() == (3, 3)
    assert any(one.bridged for one in asked.read("ami").channels)


def test_a_sip_message_leaves_a_channel_behind_that_is_no_call(asked: Asked) -> None:
    asked.phone.message(asked.box.address, "1000")
    wait_for(lambda: _all_names(asked.box.address) == {"Message/ast_msg_queue"}, "the message to be handled")

    assert asked.counts() == (0, 0)


def _all_names(address: str) -> set[str]:
    """Of every channel that ARI lists, calls or not."""
    answer = httpx.get(f"http://{address}:8088/ari/channels", auth=("calltide", "rig"), trust_env=False)
    return {one["name"] for one in answer.raise_for_status().json()}


@by_any_way
def test_a_gate_that_one_way_shuts_is_shut_for_the_other_and_for_callers(asked: Asked, way: str) -> None:
    living = asked.phone.dial(asked.box.address, "1001")
    asked.set_gate(way, GatePosition.CLOSED)

    assert [asked.reading(each).gate for each in WAYS] == [GatePosition.CLOSED] * 2
    assert asked.phone.dial(asked.box.address, "1001").code == 503
    wait_for(lambda: asked.counts() == (1, 1), "the living call, and no other, to be there")
    asked.set_gate(way, GatePosition.OPEN)
    assert [asked.reading(each).gate for each in WAYS] == [GatePosition.OPEN] * 2
    assert asked.phone.dial(asked.box.address, "1001").is_up
    assert living.ask("BYE", 2) == 200


@by_any_way
def test_a_gate_that_somebody_set_to_a_word_of_his_own_is_in_doubt(asked: Asked, way: str) -> None:
    asked.asterisk("dialplan set global CALLTIDE_GATE shut")

    assert "CALLTIDE_GATE is 'shut', neither 'open' nor 'closed'" in asked.doubt(way).sentence
    assert asked.phone.dial(asked.box.address, "1001").code == 503


@by_any_way
def test_a_dialplan_without_the_gate_is_in_doubt(asked: Asked, way: str) -> None:
    assert "NO_SUCH_GATE is not set" in asked.doubt(way, gateVariable="NO_SUCH_GATE").sentence


@by_any_way
def test_a_restart_is_another_boot_whose_gate_is_left_alone(asked: Asked, way: str) -> None:
    asked.set_gate(way, GatePosition.CLOSED)
    before = asked.reading(way)
    asked.box.kill()
    # A PBX tells its start in whole seconds, and this one boots in less: a kubelet would name another container.
    read_s = int(time.time())
    wait_for(lambda: int(time.time()) > read_s, "the second of the first boot to be over")
    asked.boot()
    after = asked.reading(way)

    assert (before.gate, after.gate) == (GatePosition.CLOSED, GatePosition.OPEN)
    assert before.boot.started != after.boot.started
    with pytest.raises(PbxError, match="plain-0 has restarted"):
        asyncio.run(asked.server(way).set_gate(asked.pod, before.boot, GatePosition.CLOSED))
    assert asked.reading(way).gate is GatePosition.OPEN


@by_any_way
def test_a_wrong_password_is_refused(asked: Asked, way: str) -> None:
    asked.password.write_text("guessed")

    assert asked.doubt(way).doubt is Doubt.REFUSED
    assert "guessed" not in asked.doubt(way).sentence


@by_any_way
def test_a_pbx_that_stands_still_is_timed_out_and_its_node_is_heard(asked: Asked, way: str) -> None:
    asked.box.signal(signal.SIGSTOP)
    try:
        found = asked.doubt(way, timeoutSeconds=HASTY_S)
        heard = asyncio.run(asked.server(way, timeoutSeconds=HASTY_S).is_heard(asked.pod))
    finally:
        asked.box.signal(signal.SIGCONT)

    assert found.doubt is Doubt.TIMED_OUT
    assert heard
    assert asked.reading(way).channels == 0


@by_any_way
def test_a_pbx_that_is_gone_gives_no_answer_and_is_not_heard(asked: Asked, way: str) -> None:
    asked.box.kill()

    assert asked.doubt(way).doubt is Doubt.NO_ANSWER
    assert not asyncio.run(asked.server(way, timeoutSeconds=HASTY_S).is_heard(asked.pod))


@by_any_way
def test_sip_alone_is_heard(asked: Asked, way: str) -> None:
    assert asyncio.run(asked.server(way, port=9).is_heard(asked.pod))


def test_while_it_waits_to_stop_ami_is_in_doubt_and_ari_still_counts(asked: Asked) -> None:
    asked.phone.dial(asked.box.address, "1001")
    # The command itself comes back only when the last call has ended.
    asked.box.run("sh", "-c", "asterisk -rx 'core stop gracefully' >/dev/null 2>&1 &")
    over_ami = wait_for(lambda: _unproved(asked), "the manager interface to say that it shuts down")

    assert over_ami.doubt is Doubt.UNREADABLE
    assert "Asterisk is shutting down" in over_ami.sentence
    assert asked.reading("ari").channels == 1


def _unproved(asked: Asked) -> Unproved | None:
    found = asked.read("ami").reading
    return found if isinstance(found, Unproved) else None


def test_the_rights_that_deploy_gives_a_manager_are_enough_and_none_can_be_left_out(asked: Asked) -> None:
    login = {"username": "least", "passwordFile": str(asked.password)}
    more, own = "/etc/asterisk/more.conf", "/etc/asterisk/manager.conf"
    asked.box.run("sh", "-c", f"echo '#include {more}' >> {own}")
    boot = asked.reading("ami").boot

    def can(classes: str) -> tuple[bool, bool, bool]:
        """Read with the preflight, read without it, set the gate."""
        asked.box.run("sh", "-c", f"printf '[least]\\nsecret = rig\\nread =\\nwrite = {classes}\\n' > {more}")
        asked.asterisk("manager reload")
        reads = [isinstance(asked.read("ami", login=login, preflight=one).reading, Reading) for one in (True, False)]
        try:
            asyncio.run(asked.server("ami", login=login).set_gate(asked.pod, boot, GatePosition.CLOSED))
        except PbxError:
            return reads[0], reads[1], False
        return reads[0], reads[1], True

    (shipped,) = re.findall(r"^write = (.*)$", MANAGER.read_text(encoding="utf-8"), re.MULTILINE)
    assert {classes: can(classes) for classes in (shipped, "reporting", "call", "system")} == {
        "call,reporting": (True, True, True),
        "reporting": (False, True, False),
        "call": (False, False, False),
        "system": (False, False, False),
    }


REGISTRATION = """
[trunk-a]
type = registration
transport = udp
server_uri = sip:{nobody}
client_uri = sip:calltide@{nobody}
"""


def test_what_a_pbx_holds_without_a_call_is_found(asked: Asked) -> None:
    registration = REGISTRATION.format(nobody=asked.phone.address)
    asked.box.run("sh", "-c", f"cat >> /etc/asterisk/pjsip.conf <<'X'\n{registration}\nX")
    asked.asterisk("module reload res_pjsip_outbound_registration.so")
    asked.asterisk("queue add member Local/1001@services to support penalty 0 as one-more")
    parked = asked.phone.dial(asked.box.address, "700")

    expected = {
        "outbound registration trunk-a",
        "dynamic member one-more of queue support",
        "parked call in slot 701",
    }
    wait_for(lambda: set(asked.reading("ami").held) == expected, f"AMI to tell {expected}")
    login = {"username": "calltide", "passwordFile": str(asked.password)}
    assert set(asked.reading("ari", preflight={"login": login}).held) == expected
    assert asked.reading("ari").held == ()
    # A parked call is a channel as well, whoever forgets the preflight.
    assert asked.counts() == (1, 1)
    parked.hang_up()
    asked.asterisk("queue remove member Local/1001@services from support")
    wait_for(
        lambda: asked.reading("ami").held == ("outbound registration trunk-a",), "only the registration to be left"
    )
