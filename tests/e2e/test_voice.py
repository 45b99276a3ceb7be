"""Real calls: SIPp through two Kamailio to two Asterisk, without a cluster. Every class of the ledger is provoked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.e2e.plain import PlainContainer
from tests.e2e.plain_voice import FLEET, MAXCALLS, PART, SET, Voice, ami, assert_all_went_well, plan, standing, up
from tests.rig.images.asterisk import ASTERISK
from tests.rig.place import Place
from tests.rig.voice.dispatcher import Destination, Wanted
from tests.rig.voice.pbx import CLOSED, Pbx
from tests.rig.voice.plan import ANSWERED, RINGING, TONE, LogNormal
from tests.servers.processes import wait_for

LONG_S = 300.0
HELD_S = 10.0
"""For calls to which something is done while they are up: a machine that stands still for seconds misses none."""


@pytest.fixture(scope="module")
def shared(place: Place, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Voice]:
    with standing(place, tmp_path_factory.mktemp("calls")) as voice:
        yield voice


@pytest.fixture
def voice(shared: Voice) -> Voice:
    shared.fresh()
    return shared


@pytest.mark.parametrize(
    "extension",
    [
        pytest.param("1000", id="echo"),
        pytest.param(ANSWERED, id="hold"),
        pytest.param("2000", id="ivr"),
        pytest.param("3000", id="queue"),
        pytest.param("4000", id="conference"),
        pytest.param("5000", id="colleague"),
        pytest.param("700", id="parking"),
    ],
)
def test_a_normal_call_is_completed_whatever_it_is_for(voice: Voice, extension: str) -> None:
    ledger = voice.callers.start(plan(8, hold=3.0, extension=extension)).wait()

    assert_all_went_well(ledger, 8)


def test_many_calls_of_uneven_length_go_to_both_pbxs_through_both_proxies(voice: Voice) -> None:
    run = voice.callers.start(plan(200, rate_per_s=20.0, hold=LogNormal(0.6, 0.8, at_most_s=3.0)))
    wait_for(lambda: all(voice.channels()), "both PBXs to have calls at once")
    ledger = run.wait()

    assert_all_went_well(ledger, 200)
    assert {call.proxy for call in ledger.calls} == {proxy.address for proxy in voice.proxies}


def test_calls_beyond_what_the_fleet_may_carry_are_refused_with_503_and_the_others_live_on(voice: Voice) -> None:
    room = 2 * MAXCALLS
    run = voice.callers.start(plan(room + 10, rate_per_s=20.0, hold=12.0))
    up(run, room)
    ledger = run.wait()

    assert (ledger.completed, ledger.refusals, ledger.cut) == (room, {503: 10}, 0), ledger.table()


def test_a_caller_who_gives_up_while_it_rings_is_abandoned_and_not_refused(voice: Voice) -> None:
    ledger = voice.callers.start(plan(4, hold=0.5, extension=RINGING, abandons=True)).wait()

    assert (ledger.offered, ledger.abandoned, ledger.answered) == (4, 4, 0), ledger.table()


def test_a_wrong_number_is_refused_by_the_pbx_and_not_tried_on_another(voice: Voice) -> None:
    ledger = voice.callers.start(plan(2, extension="9999")).wait()

    # 603: the dialplan ends where nothing has that number.
    assert ledger.refused == 2, ledger.table()
    assert 503 not in ledger.refusals


def test_calls_on_a_pbx_that_crashes_are_cut_and_those_on_the_other_are_not(voice: Voice) -> None:
    run = voice.callers.start(plan(12, hold=HELD_S))
    up(run, 12)
    lost, kept = voice.channels()
    voice.boxes[0].kill()
    ledger = run.wait()

    assert lost > 0
    assert (ledger.cut, ledger.completed) == (lost, kept), ledger.table()
    assert {call.how for call in ledger.calls if call.code} == {"the caller's BYE was answered 408"}


def test_calls_on_a_pbx_that_is_told_to_stop_now_are_cut_by_its_bye(voice: Voice) -> None:
    run = voice.callers.start(plan(12, hold=HELD_S))
    up(run, 12)
    lost, kept = voice.channels()
    voice.boxes[1].terminate()
    ledger = run.wait()

    assert kept > 0
    assert (ledger.cut, ledger.completed) == (kept, lost), ledger.table()
    assert "BYE from the far side" in ledger.table()


def test_a_bye_to_a_pbx_that_restarted_meanwhile_is_answered_481_and_counts_as_cut(voice: Voice) -> None:
    voice.serve_from(0)
    # Longer than the PBX takes to boot, also on a machine that is busy.
    run = voice.callers.start(plan(4, hold=20.0))
    up(run, 4)
    voice.boxes[0].kill()
    voice.boxes[0].start()
    wait_for(voice.pbx(0).ready, "the PBX to boot again")
    ledger = run.wait()

    assert ledger.cut == 4, ledger.table()
    assert {call.code for call in ledger.calls} == {481}, ledger.table()


def test_a_call_that_the_plan_lets_the_far_side_end_is_not_cut(voice: Voice) -> None:
    run = voice.callers.start(plan(4, hold=60.0, callee_hangs_up=True))
    up(run, 4)
    for box in voice.boxes:
        box.run("asterisk", "-rx", "channel request hangup all")
    ledger = run.wait()

    assert (ledger.completed, ledger.cut) == (4, 0), ledger.table()


def test_a_closed_gate_sends_new_calls_to_the_other_pbx_and_ends_none(voice: Voice) -> None:
    living = voice.callers.start(plan(10, hold=2 * HELD_S))
    up(living, 10)
    voice.pbx(0).set_gate(CLOSED)
    before = voice.channels()
    late = voice.callers.start(plan(10, hold=HELD_S))
    up(late, 10)

    assert voice.pbx(0).gate() == CLOSED
    assert voice.channels() == (before[0], before[1] + 10)
    assert_all_went_well(late.wait(), 10)
    assert_all_went_well(living.wait(), 10)


def test_with_every_gate_closed_new_calls_are_refused_with_503_and_a_living_call_gets_its_next_leg(
    voice: Voice,
) -> None:
    voice.serve_from(0)
    in_the_ivr = voice.callers.start(plan(1, hold=HELD_S, extension="2000"))
    up(in_the_ivr, 1)
    voice.pbx(0).set_gate(CLOSED)
    late = voice.callers.start(plan(3))
    wait_for(
        lambda: any(channel["name"].startswith("Local/agent@legs") for channel in voice.pbx(0).channels()),
        "the IVR to pass its caller on, behind the closed gate",
    )

    ledger = late.wait()
    assert (ledger.refusals, ledger.answered) == ({503: 3}, 0), ledger.table()
    assert_all_went_well(in_the_ivr.wait(), 1)


def test_a_disabled_destination_gets_no_new_call_and_keeps_its_calls(voice: Voice) -> None:
    living = voice.callers.start(plan(10, hold=2 * HELD_S))
    up(living, 10)
    before = voice.channels()
    voice.serve_from(0, 1, disabled=(0,))
    late = voice.callers.start(plan(10, hold=HELD_S))
    up(late, 10)

    assert voice.channels() == (before[0], before[1] + 10)
    assert_all_went_well(late.wait(), 10)
    assert_all_went_well(living.wait(), 10)


def test_a_proxy_that_a_dead_pbx_is_still_in_tries_the_next(voice: Voice) -> None:
    voice.boxes[0].kill()
    ledger = voice.callers.start(plan(10, hold=1.0)).wait()

    assert_all_went_well(ledger, 10)


def test_with_no_destination_at_all_calls_are_refused_with_503(voice: Voice) -> None:
    voice.serve_from()
    ledger = voice.callers.start(plan(4)).wait()

    assert ledger.refusals == {503: 4}, ledger.table()


def test_stopping_a_run_hangs_up_and_leaves_no_call_without_a_class(voice: Voice) -> None:
    run = voice.callers.start(plan(1000, rate_per_s=5.0, hold=LONG_S))
    wait_for(lambda: run.so_far().up >= 5, "five calls to be up")
    run.stop()
    ledger = run.wait(at_most_s=30.0)

    assert 5 <= ledger.offered == ledger.unfinished < 1000, ledger.table()
    wait_for(lambda: voice.channels() == (0, 0), "the PBXs to be empty after the stop")


@pytest.mark.parametrize("extension", [pytest.param("3000", id="queue"), pytest.param("5000", id="colleague")])
def test_a_pbx_whose_agents_are_sip_phones_places_legs_to_them(voice: Voice, place: Place, extension: str) -> None:
    phone = voice.boxes[0].address
    box = PlainContainer(
        ASTERISK,
        place.address(13, PART),
        voice.boxes[0].folder,
        CALLTIDE_AGENT=f"PJSIP/agent/sip:{ANSWERED}@{phone}:5060",
    )
    box.start()
    try:
        wait_for(Pbx(box.address).ready, "the third PBX to boot")
        for proxy in voice.proxies:
            proxy.bring_to(Wanted({FLEET: SET}, frozenset({Destination(SET, f"sip:{box.address}:5060", False)})))
        run = voice.callers.start(plan(2, hold=HELD_S, extension=extension))
        wait_for(lambda: voice.channels()[0] == 2, "the phone to have a leg of each call")
        assert len(Pbx(box.address).channels()) == 4
        assert_all_went_well(run.wait(), 2)
        # A caller is done before the leg behind is: killed in between, the PBX would leave it on the phone for good.
        wait_for(lambda: voice.channels()[0] == 0, "the phone's legs to have ended")
    finally:
        box.kill()


def test_a_call_is_heard_without_a_gap_while_the_gate_of_its_pbx_is_closed(voice: Voice) -> None:
    run = voice.callers.start(plan(6, hold=HELD_S, extension=TONE, listens=True))
    up(run, 6)
    for number in range(2):
        voice.pbx(number).set_gate(CLOSED)
    ledger = run.wait()

    assert_all_went_well(ledger, 6)
    # Packets come every 20 ms. A busy machine may hold them back for a while, but what the gate silenced would be
    # silent to the end.
    assert max(call.silence_s for call in ledger.calls) < HELD_S / 4, [call.silence_s for call in ledger.calls]


def test_the_silence_of_a_call_whose_pbx_crashed_is_measured(voice: Voice) -> None:
    voice.serve_from(0)
    run = voice.callers.start(plan(2, hold=HELD_S, extension=TONE, listens=True))
    up(run, 2)
    voice.boxes[0].kill()
    ledger = run.wait()

    assert ledger.cut == 2, ledger.table()
    assert min(call.silence_s for call in ledger.calls) > HELD_S / 4, [call.silence_s for call in ledger.calls]


def test_a_gate_closes_over_ami_as_well(voice: Voice) -> None:
    said = ami(voice.boxes[0].address, "Action: Setvar", "Variable: CALLTIDE_GATE", f"Value: {CLOSED}")

    assert "Variable Set" in said
    assert voice.pbx(0).gate() == CLOSED


def test_a_living_call_is_transferred_behind_a_closed_gate(voice: Voice) -> None:
    voice.serve_from(0)
    run = voice.callers.start(plan(1, hold=HELD_S, extension="5000"))
    up(run, 1)
    voice.pbx(0).set_gate(CLOSED)
    (colleague,) = [channel["name"] for channel in voice.pbx(0).channels() if channel["name"].endswith(";1")]
    ami(voice.boxes[0].address, "Action: BlindTransfer", f"Channel: {colleague}", "Context: services", "Exten: 4000")
    wait_for(
        lambda: [channel["dialplan"]["exten"] for channel in voice.pbx(0).channels()].count("4000") == 1,
        "the caller to be in the conference",
    )

    assert_all_went_well(run.wait(), 1)


def test_both_kinds_of_server_tell_prometheus_about_themselves(voice: Voice) -> None:
    def fetch(address: str, port: int) -> str:
        return httpx.get(f"http://{address}:{port}/metrics", trust_env=False).raise_for_status().text

    assert "asterisk_channels_count" in fetch(voice.boxes[0].address, 8088)
    assert "kamailio_dialog_active_dialogs" in fetch(voice.proxies[0].address, 8090)


def test_a_written_ledger_has_a_line_per_call(voice: Voice, tmp_path: Path) -> None:
    voice.callers.start(plan(3)).wait().write(tmp_path / "calls.jsonl")

    assert len((tmp_path / "calls.jsonl").read_text().splitlines()) == 3
