"""Front gates on real Kamailio, as deploy/kamailio configures it, under calls to real Asterisk."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from scaler.fleet.proxies import finding
from scaler.fleet.proxies.opening import open_front_gates
from scaler.fleet.proxies.settings import KamailioSettings
from scaler.policy.model import PolicySpec
from scaler.retirement.readings import Doubt, Steering
from scaler.service.retiring.audit_log import AuditLog
from tests.e2e.edge import PART, SET, Edge, Gates, edges, landed, shared_memory
from tests.e2e.plain import PlainContainer
from tests.e2e.plain_voice import assert_all_went_well, plan, up
from tests.rig.images.asterisk import ASTERISK
from tests.rig.place import CALLERS_PART, Place
from tests.rig.voice.callers import Callers
from tests.rig.voice.pbx import Pbx
from tests.scaler.service.retiring.made_up_platform import Driven, Platform
from tests.servers.processes import wait_for

AWAY, TOWARDS = Steering.AWAY, Steering.TOWARDS
HELD_S = 12.0
CONFERENCE = "4000"


@dataclass
class Telephony:
    """Two PBXs behind two proxies, calltide's gates on both, and callers."""

    pbxs: tuple[Pbx, ...]
    edges: tuple[Edge, ...]
    gates: Gates
    callers: Callers

    def channels(self) -> tuple[int, ...]:
        return tuple(len(pbx.channels()) for pbx in self.pbxs)

    def steering(self) -> list[Steering | Doubt]:
        """What each proxy does with the first PBX."""
        read = self.gates.read(self.pbxs[0].address)
        assert list(read) == [edge.name for edge in self.edges]
        return list(read.values())

    def steer(self, steering: Steering, *which: Edge) -> None:
        self.gates.steer(which or self.edges, self.pbxs[0].address, steering)


@pytest.fixture(scope="module")
def pbxs(place: Place) -> Iterator[tuple[Pbx, ...]]:
    folder = place.folder / "edge-pbxs"
    folder.mkdir()
    boxes = [PlainContainer(ASTERISK, place.address(host, PART), folder) for host in (11, 12)]
    found = tuple(Pbx(box.address) for box in boxes)
    try:
        for box in boxes:
            box.start()
        for pbx in found:
            wait_for(pbx.ready, f"PBX {pbx.address} to boot")
        yield found
    finally:
        for pbx in found:
            pbx.close()
        for box in boxes:
            box.kill()


@contextmanager
def standing(place: Place, pbxs: tuple[Pbx, ...], calls: Path, **defined: str) -> Iterator[Telephony]:
    with edges(place, (21, 22), [pbx.address for pbx in pbxs], **defined) as found:
        for edge in found:
            edge.start()
        gates = Gates(addresses=[edge.name for edge in found])
        callers = Callers([edge.box.address for edge in found], place.address(1, part=CALLERS_PART), calls)
        wait_for(lambda: not any(len(pbx.channels()) for pbx in pbxs), "all calls of before to have ended")
        yield Telephony(pbxs, found, gates, callers)


@pytest.fixture
def telephony(place: Place, pbxs: tuple[Pbx, ...], tmp_path: Path) -> Iterator[Telephony]:
    with standing(place, pbxs, tmp_path) as found:
        yield found


def test_no_new_call_lands_where_every_proxy_steers_away_and_those_that_live_there_go_on(telephony: Telephony) -> None:
    assert telephony.steering() == [TOWARDS, TOWARDS]
    stream = telephony.callers.start(plan(120, rate_per_s=4.0, hold=1.0))
    living = telephony.callers.start(plan(20, hold=2.5 * HELD_S))
    up(living, 20)

    telephony.steer(AWAY)
    assert telephony.steering() == [AWAY, AWAY]
    wait_for(lambda: telephony.channels()[0] <= 10, "what had been let in before to end")
    before = landed(telephony.pbxs[0].address), landed(telephony.pbxs[1].address)
    assert_all_went_well(telephony.callers.start(plan(30, rate_per_s=4.0, hold=1.0)).wait(), 30)
    assert_all_went_well(living.wait(), 20)
    assert landed(telephony.pbxs[0].address) == before[0]
    assert landed(telephony.pbxs[1].address) >= before[1] + 30
    assert_all_went_well(stream.wait(), 120)

    telephony.steer(TOWARDS)
    assert telephony.steering() == [TOWARDS, TOWARDS]
    assert_all_went_well(telephony.callers.start(plan(10)).wait(), 10)
    assert landed(telephony.pbxs[0].address) > before[0]


def test_a_reload_forgets_which_is_read_and_told_again(telephony: Telephony) -> None:
    living = telephony.callers.start(plan(10, hold=HELD_S))
    up(living, 10)
    telephony.steer(AWAY)
    telephony.edges[0].proxy.call("dispatcher.reload", ())

    assert telephony.steering() == [TOWARDS, AWAY]
    telephony.steer(AWAY)
    assert telephony.steering() == [AWAY, AWAY]
    before = telephony.channels()
    late = telephony.callers.start(plan(10, hold=HELD_S))
    up(late, 10)
    assert telephony.channels() == (before[0], before[1] + 10)
    for run in (living, late):
        assert_all_went_well(run.wait(), 10)


def test_a_proxy_that_restarts_is_a_doubt_until_it_is_back_and_has_to_be_told_again(telephony: Telephony) -> None:
    living = telephony.callers.start(plan(10, hold=2 * HELD_S))
    up(living, 10)
    telephony.steer(AWAY)
    telephony.edges[1].box.kill()
    assert telephony.steering() == [AWAY, Doubt.NO_ANSWER]
    telephony.edges[1].start()

    assert telephony.steering() == [AWAY, TOWARDS]
    telephony.steer(AWAY)
    assert telephony.steering() == [AWAY, AWAY]
    assert_all_went_well(living.wait(), 10)


def test_a_proxy_that_stands_still_is_a_doubt_and_what_it_was_told_before_holds(telephony: Telephony) -> None:
    telephony.steer(AWAY)
    living = telephony.callers.start(plan(10, hold=HELD_S))
    up(living, 10)
    box = telephony.edges[0].box
    # Everything in it but its first process, which does nothing itself.
    box.run("sh", "-c", "kill -STOP -1")
    assert telephony.steering() == [Doubt.TIMED_OUT, AWAY]
    box.run("sh", "-c", "kill -CONT -1")

    wait_for(lambda: telephony.steering() == [AWAY, AWAY], "the proxy to answer again")
    assert telephony.channels() == (0, 10)
    assert_all_went_well(living.wait(), 10)


def test_a_proxy_that_appears_under_the_name_is_seen_and_told(
    place: Place, pbxs: tuple[Pbx, ...], tmp_path: Path
) -> None:
    name = "proxies.edge.example"

    def known(found: tuple[Edge, ...]) -> None:
        own = [line for line in place.hosts.read_text().splitlines(keepends=True) if name not in line]
        place.hosts.write_text("".join([*own, *(f"{edge.box.address} {name}\n" for edge in found)]))

    with edges(place, (21, 22, 23), [pbx.address for pbx in pbxs]) as found, ExitStack() as stack:
        stack.callback(known, ())
        gates, pbx = Gates(dns=name), pbxs[0].address
        assert gates.read(pbx) == {"edge": Doubt.NO_ANSWER}
        for edge in found:
            edge.start()
        known(found[:2])
        gates.read(pbx)
        gates.steer(found[:2], pbx, AWAY)
        assert gates.read(pbx) == {edge.name: AWAY for edge in found[:2]}
        known(found)

        wait_for(lambda: len(gates.read(pbx)) == 3, "the third to be found", at_most_s=10 * finding.REMEMBERED_FOR_S)
        assert list(gates.read(pbx).values()) == [AWAY, AWAY, TOWARDS]
        gates.steer(found, pbx, AWAY)
        assert list(gates.read(pbx).values()) == [AWAY, AWAY, AWAY]
        known(found[1:])
        wait_for(lambda: list(gates.read(pbx)) == [edge.name for edge in found[1:]], "the first to be dropped")


def test_what_a_leader_left_shut_is_opened_by_the_next_for_the_pod_or_for_one_at_its_address(
    telephony: Telephony, place: Place, tmp_path: Path
) -> None:
    foreign = f"sip:{place.address(99, PART)}:5060"
    for edge in telephony.edges:
        # Somebody took a host that is no pod out of service.
        edge.proxy.call("dispatcher.add", (SET, foreign, 0, 0, ""))
        edge.proxy.call("dispatcher.set_state", ("d", SET, foreign))
    retirement = {"mode": "on", "frontGates": ["edge"]}
    spec = {"history": {"channels": "q"}, "capacity": {"channelsPerPod": 100}, "retirement": retirement}
    platform = Platform(PolicySpec.model_validate(spec), replicas=2, need=2)
    for one, pbx in zip(platform.pods.values(), telephony.pbxs, strict=True):
        one.address = pbx.address
    # A recall was written, and its leader died before it opened a gate.
    telephony.steer(AWAY)
    known = {"type": "kamailio", "addresses": [edge.name for edge in telephony.edges], "timeoutSeconds": 3.9}
    gates = open_front_gates("edge", KamailioSettings.model_validate(known), platform.clock)
    leader = Driven(platform, AuditLog(tmp_path), {"edge": gates})
    try:
        leader.run(2)
        assert telephony.steering() == [TOWARDS, TOWARDS]

        # A pod left with its lines disabled, and the list was not read anew when another came to its address.
        telephony.steer(AWAY)
        del platform.pods["acme-0"]
        platform.add("acme-9").address = telephony.pbxs[0].address
        leader.run(3)
        assert telephony.steering() == [TOWARDS, TOWARDS]
        for edge in telephony.edges:
            assert {uri for uri, flags in edge.proxy.states().items() if flags.startswith("D")} == {foreign}
    finally:
        leader.close()


def test_a_pod_that_is_listed_twice_is_steered_by_all_of_its_lines(telephony: Telephony) -> None:
    address = telephony.pbxs[0].address
    for edge in telephony.edges:
        # What stands in the list by now stands there once more, and once with another transport, in another set.
        edge.proxy.call("dispatcher.add", (SET + 1, f"sip:{address};transport=tcp", 0, 0, "duid=tcp"))
    assert telephony.steering() == [TOWARDS, TOWARDS]
    telephony.steer(AWAY)

    assert telephony.steering() == [AWAY, AWAY]
    for edge in telephony.edges:
        disabled = {uri for uri, flags in edge.proxy.states().items() if flags.startswith("D")}
        assert disabled == {f"sip:{address}:5060", f"sip:{address};transport=tcp"}


def test_who_joins_a_conference_on_a_pod_that_is_steered_away_from_finds_the_others_through_either_proxy(
    place: Place, pbxs: tuple[Pbx, ...], tmp_path: Path
) -> None:
    with standing(place, pbxs, tmp_path, **shared_memory(place)) as telephony:
        first = telephony.callers.start(plan(1, hold=2 * HELD_S, extension=CONFERENCE))
        up(first, 1)
        home = telephony.channels().index(1)
        telephony.gates.steer(telephony.edges, telephony.pbxs[home].address, AWAY)
        joining = telephony.callers.start(plan(6, hold=HELD_S, extension=CONFERENCE))
        others = telephony.callers.start(plan(6, hold=HELD_S))
        up(joining, 6)
        up(others, 6)
        placed = telephony.channels()

        assert_all_went_well(joining.wait(), 6)
        assert {one.proxy for one in joining.wait().calls} == {edge.box.address for edge in telephony.edges}
        assert_all_went_well(others.wait(), 6)
        assert_all_went_well(first.wait(), 1)
        assert (placed[home], placed[1 - home]) == (7, 6)
