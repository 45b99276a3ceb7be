"""Pods leave while people talk: real calls through two real proxies to real PBXs, and whatever may go wrong meanwhile.

The load that sizes a fleet is what a test sets, so that it says when a pod is not needed; the calls are real, and do
not stop. Whatever a test does, no call may be cut.
"""

from __future__ import annotations

import time

import pytest
from typer.testing import CliRunner

from scaler.cli.main import app
from tests.e2e.retiring import (
    LONG_CALLS_PER_POD,
    NAMESPACE,
    MakeFleet,
    RetiringFleet,
    assert_none_cut,
    proxy_states,
)
from tests.rig.rig import Rig
from tests.rig.voice.callers import Callers
from tests.rig.voice.plan import CallPlan, Segment
from tests.rig.voice.proxy import Proxy

HOLD_S = 75.0


@pytest.fixture(scope="module")
def plain(make: MakeFleet) -> RetiringFleet:
    """Three pods, for the tests that leave three."""
    return make("plain")


def test_one_of_three_leaves_when_its_calls_have_ended_and_no_caller_notices(make: MakeFleet) -> None:
    fleet = make("one-of-three")
    run = fleet.call(hold_s=HOLD_S)
    fleet.need(2)
    name = fleet.until_drains()
    carried = fleet.channels(name)
    fleet.until_gone(name)
    ledger = run.wait()

    assert carried >= 20
    assert_none_cut(ledger)
    assert fleet.wanted() == 2
    assert len(fleet.ready()) == 2
    last_s = max(call.ended_s or 0.0 for call in ledger.calls)
    assert time.time() >= last_s
    leader = fleet.calltide.leader()
    assert leader is not None
    told = CliRunner().invoke(app, ["evidence", f"{NAMESPACE}/{name}", "--url", fleet.calltide.page_of(leader)])
    assert told.exit_code == 0, told.output
    proxies = ", ".join(sorted(f"{address}:8090" for address in fleet.telephony.proxies()))
    assert f"Proxies that had acknowledged: {proxies}." in told.stdout


def test_a_call_that_comes_after_the_gate_is_refused_by_the_pod_and_carried_by_another(plain: RetiringFleet) -> None:
    run = plain.call(hold_s=HOLD_S)
    plain.need(2)
    name = plain.until_drains()
    with plain.pbx(name) as pbx:
        # As a proxy that knows of nothing would send it: straight to the pod.
        straight = Callers((pbx.address,), plain.rig.place.address(1, part=9), plain.rig.place.folder / "late")
        late = straight.start(CallPlan((Segment(plain.name, 0.0, 1.0, 5.0, 2.0),))).wait()
    assert late.refusals == {503: 5}, late.table()
    plain.need(3)
    plain.until(lambda: not plain.leaving(), "the pod to be recalled")
    assert_none_cut(run.wait())
    assert len(plain.ready()) == 3


def test_a_recall_in_the_middle_gives_the_pod_its_calls_back(plain: RetiringFleet) -> None:
    run = plain.call(hold_s=HOLD_S)
    plain.need(2)
    name = plain.until_drains()
    plain.need(3)
    with plain.pbx(name) as pbx:
        plain.until(lambda: pbx.gate() == "open", f"the gate of {name} to open")
    plain.until(lambda: plain.proxied() == 6, "both proxies to send calls to all three")
    assert_none_cut(run.wait())
    assert plain.wanted() == 3, "a recall needs no new pod"


def test_a_proxy_that_forgets_is_told_again(plain: RetiringFleet) -> None:
    run = plain.call(hold_s=HOLD_S)
    plain.need(2)
    name = plain.until_drains()
    uri = f"sip:{plain.ready()[name]}:5060"
    first = plain.telephony.proxies()[0]
    proxy = Proxy(first)
    proxy.call("dispatcher.reload", ())
    proxy.close()
    plain.until(lambda: proxy_states(first).get(uri, "").startswith("D"), "the proxy to know again")
    plain.need(3)
    plain.until(lambda: not plain.leaving(), "the pod to be recalled")
    # Its list was empty for a moment: a caller of that moment was refused, and none that talked was cut.
    ledger = run.wait()
    assert (ledger.cut, ledger.failed) == (0, 0), ledger.table()


@pytest.mark.long
def test_nothing_is_released_while_a_proxy_does_not_answer(make: MakeFleet, rig: Rig) -> None:
    fleet = make("deaf-proxy")
    run = fleet.call(hold_s=45.0, late_s=30.0, through=fleet.hearing_proxies())
    fleet.need(2)
    name = fleet.until_drains()
    with fleet.deaf_proxy():
        fleet.until(lambda: fleet.channels(name) == 0, "its calls to end")
        # Long enough for all that would follow.
        fleet.until(lambda: "not read back shut" in fleet.waits_for(name), "calltide to wait for the proxy")
        assert fleet.states()[name] == "draining"
    fleet.until_gone(name)
    ledger = run.wait()
    assert ledger.cut == 0, ledger.table()


@pytest.mark.long
def test_a_pbx_that_dies_while_it_drains_proves_nothing(make: MakeFleet, rig: Rig) -> None:
    fleet = make("dies-draining")
    run = fleet.call(hold_s=HOLD_S)
    fleet.need(2)
    name = fleet.until_drains()
    lost = fleet.channels(name)
    rig.agent.kill_container(NAMESPACE, name, "asterisk")
    ledger = run.wait()

    # The crash takes its own calls. Nobody else loses one.
    assert ledger.cut <= lost, ledger.table()
    fleet.until(lambda: len(fleet.ready()) == fleet.wanted(), "the fleet to be whole")


@pytest.mark.long
def test_a_pbx_that_hangs_is_busy(make: MakeFleet) -> None:
    fleet = make("hangs")
    run = fleet.call(hold_s=30.0, late_s=40.0)
    fleet.need(2)
    name = fleet.until_drains()
    fleet.until(lambda: fleet.channels(name) == 0, "its calls to end")
    with fleet.hung(name):
        fleet.until(lambda: "timed out" in fleet.waits_for(name), "calltide to know nothing of it")
        assert fleet.states()[name] in ("draining", "drained")
    ledger = run.wait()
    assert ledger.cut == 0, ledger.table()


def test_a_password_that_changed_everywhere_keeps_everything_and_is_one_alert(make: MakeFleet) -> None:
    fleet = make("password")
    # The pod still carries calls when its password changes: else it has left, and the others are asked seldom.
    run = fleet.call(hold_s=HOLD_S, late_s=40.0)
    fleet.need(2)
    name = fleet.until_drains()
    with fleet.password_rotated():
        fleet.until(lambda: "mass-unproved" in fleet.held_by(), "calltide to see that none answers")
        fleet.until(lambda: "unproved" in fleet.conditions(), "it to be told")
        assert fleet.wanted() <= 4
        assert name in fleet.states()
    ledger = run.wait()
    # The readiness probe of these pods signs in, of which `calltide doctor` warns: no proxy knows of any of them for as
    # long as none is Ready, and refuses new calls. Those that are up go on.
    assert (ledger.cut, ledger.failed) == (0, 0), ledger.table()
    assert LONG_CALLS_PER_POD >= 20
