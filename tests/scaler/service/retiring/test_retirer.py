"""The rounds on a made-up platform: what is written, in which order, and what keeps it from being written."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from scaler.policy.model import PolicySpec
from scaler.retirement.evidence import ProvedEmpty
from scaler.retirement.observed import Standstill, WayUp
from scaler.retirement.readings import GatePosition, Reading, Unproved
from scaler.retirement.states import Wish
from scaler.service.retiring import asking
from scaler.service.retiring.audit_log import FOLDER, AuditLog
from tests.scaler.service.retiring.made_up_platform import ACME, Driven, Platform, wished

Start = Callable[[Platform], Driven]
GONE_WITHIN_S = 300.0


def spec(**retirement: object) -> PolicySpec:
    return PolicySpec.model_validate(
        {
            "history": {"channels": "q"},
            "capacity": {"channelsPerPod": 100},
            "retirement": {"mode": "on", "quietWindow": "35s", "lookAhead": "1m"} | retirement,
        }
    )


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    driven: list[Driven] = []

    def begin(platform: Platform) -> Driven:
        driven.append(Driven(platform, AuditLog(tmp_path)))
        return driven[-1]

    yield begin
    for one in driven:
        one.close()


def test_a_pod_that_is_not_needed_leaves_when_it_is_proved_empty_and_not_before(start: Start) -> None:
    platform = Platform(spec(), need=2)
    platform.pods["acme-0"].channels = platform.pods["acme-1"].channels = 9
    platform.pods["acme-2"].channels = 1
    driven = start(platform)

    driven.run(120)
    assert platform.states()["acme-2"] == "draining"
    assert platform.pods["acme-2"].gate is GatePosition.CLOSED
    platform.pods["acme-2"].channels = 0
    driven.run(60)

    assert sorted(platform.pods) == ["acme-0", "acme-1"]
    assert platform.replicas == 2
    assert platform.writes == [
        "acme-2 active→draining",
        "acme-2 draining→drained",
        "release acme-2",
        "scale 3→2",
        "delete acme-2",
    ]


def test_a_pod_whose_last_call_ends_is_gone_within_15_seconds(start: Start) -> None:
    platform = Platform(spec(), need=2)
    driven = start(platform)
    for one in platform.pods.values():
        one.channels = 1
    driven.run(100)  # KEDA may have read a larger number of the leader before until then
    empty_s = platform.now_s
    for one in platform.pods.values():
        one.channels = 0
    while len(platform.pods) == 3 and platform.now_s < empty_s + 60:
        driven.run(1)

    # The gates have been shut for longer than the quiet window by now.
    assert platform.now_s - empty_s < 15


def test_the_evidence_of_a_release_is_in_the_audit_log_with_all_its_writes(start: Start, tmp_path: Path) -> None:
    platform = Platform(spec(), need=2)
    start(platform).run(GONE_WITHIN_S)
    gone = ({"acme-0", "acme-1", "acme-2"} - set(platform.pods)).pop()

    records = AuditLog(tmp_path).of_pod(gone)
    assert [(record.edge, record.outcome.value) for record in records] == [
        ("active → draining", "sent"),
        ("active → draining", "done"),
        ("draining → drained", "sent"),
        ("draining → drained", "done"),
        ("drained → released", "sent"),
        ("drained → released", "done"),
        ("released → gone", "sent"),
        ("released → gone", "done"),
    ]
    evidence = records[4].evidence
    assert evidence is not None
    assert isinstance(evidence.ground, ProvedEmpty)
    zeros = evidence.ground.zeros_at_s
    assert len(zeros) == 3
    assert zeros[0] - evidence.ground.closed_at_s >= 35


def test_nothing_is_released_while_the_audit_log_cannot_be_written(start: Start, tmp_path: Path) -> None:
    (tmp_path / FOLDER).write_text("a file where the folder should be")
    platform = Platform(spec(), need=2)
    driven = start(platform)
    driven.run(GONE_WITHIN_S)

    assert len(platform.pods) == 3
    assert not any(write.startswith(("release", "delete", "scale")) for write in platform.writes)
    assert "cannot be written" in driven.retirer.rounds()[ACME].failures[0]


def test_a_need_that_rises_recalls_the_pod_before_anything_else_and_opens_its_gate(start: Start) -> None:
    platform = Platform(spec(), need=2)
    driven = start(platform)
    platform.pods["acme-0"].channels = 5
    driven.run(20)
    name = next(name for name, state in platform.states().items() if state == "draining")
    assert platform.pods[name].gate is GatePosition.CLOSED
    platform.need = 3
    driven.run(4)

    assert platform.states()[name] == "active"
    assert platform.pods[name].gate is GatePosition.OPEN
    assert len(platform.pods) == 3


@pytest.mark.parametrize(
    "hindrance",
    [
        {"way_up": WayUp(("the ScaledObject is paused",))},
        {"standstills": (Standstill("freeze", "Frozen.", stops_deletes=True),)},
    ],
    ids=["way up", "freeze"],
)
def test_nothing_begins_to_leave_while_something_holds_it(start: Start, hindrance: dict[str, object]) -> None:
    platform = Platform(spec(), need=2, **hindrance)
    driven = start(platform)
    driven.run(GONE_WITHIN_S)

    assert platform.writes == []
    assert driven.retirer.rounds()[ACME].decision.standstills


def test_pods_that_all_refuse_to_answer_keep_their_place_and_one_warning_is_told(start: Start) -> None:
    platform = Platform(spec(), need=1)
    for one in platform.pods.values():
        one.answers = False
    start(platform).run(GONE_WITHIN_S)

    assert platform.writes == []
    assert len([event for event in platform.events if "Unproved" in event]) == 3, "one for each pod, once"


def test_a_replica_that_does_not_lead_asks_and_writes_nothing(start: Start) -> None:
    platform = Platform(spec(), need=1, term_now=None)
    start(platform).run(GONE_WITHIN_S)

    assert (platform.writes, platform.asked) == ([], 0)


def test_a_new_leader_goes_on_from_what_stands_on_the_pods_and_proves_anew(start: Start) -> None:
    platform = Platform(spec(), need=2)
    first = start(platform)
    while "release" not in " ".join(platform.writes):
        first.run(1)
    platform.term_now = 5
    second = start(platform)
    second.run(GONE_WITHIN_S)

    assert len(platform.pods) == 2
    assert platform.replicas == 2


def test_a_dry_run_writes_nothing_and_shows_what_it_would_do(start: Start) -> None:
    platform = Platform(spec(mode="dry-run"), need=2)
    driven = start(platform)
    driven.run(GONE_WITHIN_S)

    assert platform.writes == []
    assert all(one.gate is GatePosition.OPEN for one in platform.pods.values())
    assert "drains: the need is met without it" in driven.retirer.rounds()[ACME].decision.explanation


def test_what_drains_is_recalled_when_the_policy_turns_retirement_off(start: Start) -> None:
    platform = Platform(spec(), need=2)
    driven = start(platform)
    for one in platform.pods.values():
        one.channels = 2
    driven.run(20)
    assert "draining" in platform.states().values()
    platform.spec = spec(mode="off")
    driven.run(5)

    assert set(platform.states().values()) == {"active"}
    assert all(one.gate is GatePosition.OPEN for one in platform.pods.values())


def test_a_policy_that_is_off_retires_nothing_and_has_each_protected_pod_asked_once(start: Start) -> None:
    platform = Platform(spec(mode="off"), need=1)
    start(platform).run(GONE_WITHIN_S)

    assert (platform.writes, platform.asked) == ([], 3)


def test_a_pinned_fleet_keeps_its_pods_and_is_still_replaced_when_asked(start: Start) -> None:
    platform = Platform(spec(pinned="It registers a trunk."), need=1)
    driven = start(platform)
    driven.run(GONE_WITHIN_S)
    assert platform.writes == []


def test_a_person_may_ask_for_a_pod(start: Start) -> None:
    platform = Platform(spec(), need=2)
    for one in platform.pods.values():
        one.channels = 1
    wished(platform.pods["acme-1"], Wish.DRAIN)
    start(platform).run(20)

    assert platform.writes == ["acme-1 active→draining"]


def test_without_a_forecast_a_pod_stays_until_it_was_not_needed_for_the_look_ahead(start: Start) -> None:
    platform = Platform(spec(lookAhead="10m"), need=2, ahead=False)
    driven = start(platform)
    driven.run(590)
    assert platform.writes == []
    driven.run(30)
    assert len(platform.writes) > 0


def test_a_trunk_that_fails_lets_nothing_leave(start: Start) -> None:
    platform = Platform(spec(), need=3, channels=200.0)
    driven = start(platform)
    driven.run(120)
    platform.channels, platform.need = 0.0, 1
    driven.run(GONE_WITHIN_S)
    assert platform.writes == []
    assert "rather a failed trunk" in driven.retirer.rounds()[ACME].decision.explanation
    platform.channels, platform.need = 200.0, 3
    driven.run(310)  # nothing is surplus any more, so the fleet is looked at seldom
    assert not driven.retirer.rounds()[ACME].decision.standstills


def test_a_write_that_follows_slow_ones_is_put_off_and_not_done_on_an_old_reading(start: Start) -> None:
    platform = Platform(spec(maxAtOnce=2), need=1, slow_write_s=6.0)
    driven = start(platform)
    driven.run(1)

    assert len(platform.writes) == 1
    assert "put off" in driven.retirer.rounds()[ACME].failures[0]


def test_a_quiet_fleet_is_asked_seldom(start: Start) -> None:
    platform = Platform(spec(), need=3)
    start(platform).run(290)
    assert platform.asked == 3


def test_while_one_drains_the_others_are_asked_seldom_and_it_every_second(start: Start) -> None:
    platform = Platform(spec(), replicas=10, need=9)
    for one in platform.pods.values():
        one.channels = 3
    driven = start(platform)
    while "draining" not in platform.states().values():
        driven.run(1)
    before = platform.asked
    driven.run(150)
    assert platform.asked - before == 150 + 9 * 150 / asking.SERVING_EVERY_S


def test_a_pod_that_falls_silent_while_another_drains_is_noticed_soon_and_its_voice_at_once(start: Start) -> None:
    platform = Platform(spec(), need=2)
    platform.pods["acme-0"].channels = platform.pods["acme-1"].channels = 9
    platform.pods["acme-2"].channels = 1
    driven = start(platform)
    while "draining" not in platform.states().values():
        driven.run(1)
    platform.pods["acme-0"].answers = False
    driven.run(asking.SERVING_EVERY_S + 1)
    readings = {pod.name: pod.reading for pod in driven.retirer.rounds()[ACME].observed.pods}
    assert isinstance(readings["acme-0"], Unproved)
    platform.pods["acme-0"].answers = True
    driven.run(2)
    readings = {pod.name: pod.reading for pod in driven.retirer.rounds()[ACME].observed.pods}
    assert isinstance(readings["acme-0"], Reading)


def test_a_pod_that_was_restarted_after_its_release_is_not_deleted_while_it_carries_a_call(start: Start) -> None:
    platform = Platform(spec(), need=2)
    driven = start(platform)
    while "release" not in " ".join(platform.writes):
        driven.run(1)
    one = next(one for one in platform.pods.values() if one.pod.state.value == "released")
    one.boot, one.gate, one.channels = "boot-2", GatePosition.OPEN, 1
    driven.run(GONE_WITHIN_S)
    assert one.pod.name in platform.pods
    one.channels = 0
    driven.run(60)
    assert one.pod.name not in platform.pods


def test_a_leadership_that_ends_between_two_writes_ends_the_writing(start: Start) -> None:
    platform = Platform(spec(maxAtOnce=2), need=1, lose_leadership_after=1)
    start(platform).run(1)
    assert len(platform.writes) == 1


def test_a_new_leader_lowers_no_target_while_an_hpa_may_read_what_the_one_before_told(start: Start) -> None:
    platform = Platform(spec(quietWindow="5s"), need=2)
    driven = start(platform)
    driven.run(55)
    assert any(write.startswith("release") for write in platform.writes)
    assert platform.replicas == 3
    driven.run(10)
    assert platform.replicas == 2


def test_a_pod_stays_when_it_will_be_needed_within_the_look_ahead(start: Start) -> None:
    platform = Platform(spec(lookAhead="3h"), need=2, path=[2, 2, 3])
    start(platform).run(GONE_WITHIN_S)
    assert platform.writes == []
    platform = Platform(spec(lookAhead="1h"), need=2, path=[2, 2, 3])
    start(platform).run(20)
    assert len(platform.writes) == 1


def lost_node(**more: object) -> Platform:
    """A fleet of one pod whose node has no Lease, and whose PBX does not answer the probe."""
    platform = Platform(spec(nodeDeathAfter="60s"), replicas=1, need=1, node="n", stale_for_s=1.0, **more)
    (one,) = platform.pods.values()
    one.answers, one.pod = False, replace(one.pod, node="n", ready=False)
    return platform


def test_a_node_without_a_lease_and_without_a_sound_is_dead_after_the_policys_time(start: Start) -> None:
    platform = lost_node()
    driven = start(platform)
    for _ in range(80):
        platform.stale_for_s += 1
        driven.run(1)
        if platform.now_s < 1055:
            assert platform.writes == []
    assert platform.writes[0] == "release acme-0"


def test_a_node_on_which_anything_answers_is_alive_however_long_it_has_no_lease(start: Start) -> None:
    platform = lost_node(heard=True)
    driven = start(platform)
    for _ in range(200):
        platform.stale_for_s += 1
        driven.run(1)
    assert platform.writes == []


def test_a_pod_that_never_answers_is_unproved_and_holds_up_nobody(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "ANSWER_WITHIN_S", 0.05)
    platform = Platform(spec(), need=1, hangs=True)
    driven = start(platform)
    driven.run(3)
    assert platform.writes == []
    assert {pod.reading.sentence for pod in driven.retirer.rounds()[ACME].observed.pods} == {"timed out"}
