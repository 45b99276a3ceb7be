"""The life of a pod on its way out, edge by edge, and what keeps it from taking one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from scaler.retirement.actions import LowerScale, MovePod, ReleasePod, SetPodGate
from scaler.retirement.evidence import DrainRecord, ProvedEmpty
from scaler.retirement.observed import ObservedNode, ObservedPod, Standstill, WayUp, Workload
from scaler.retirement.proof import Memory
from scaler.retirement.readings import Doubt, FrontGate, Steering, Unproved
from scaler.retirement.reports import Condition
from scaler.retirement.states import Cause, Purpose, RetirementState, Wish
from tests.scaler.retirement.made_up import (
    CLOSED,
    OPEN,
    OTHER_BOOT,
    WALL_S,
    decide,
    fleet,
    kinds,
    leaving,
    need,
    pod,
    reading,
    released,
    silent,
)

DRAINING, DRAINED = RetirementState.DRAINING, RetirementState.DRAINED


def gathered(
    name: str, readings: list[Any], state: RetirementState = DRAINING, **changed: Any
) -> tuple[Memory, ObservedPod, float]:
    """A draining pod after these readings, one each 10 s, beside one that serves."""
    memory, at_s, seen = Memory(), 0.0, leaving(name, state)
    for i, make in enumerate(readings):
        at_s = 10.0 * i
        seen = leaving(name, state, reading=make(at_s), **changed)
        memory = decide(fleet(pod("a", at_s), seen), at_s, memory).memory
    return memory, seen, at_s


def shut(at_s: float, channels: int = 0, **more: Any) -> Any:
    return reading(at_s, channels, CLOSED, **more)


def test_a_pod_that_nobody_needs_is_drained_the_soonest_empty_first():
    decision = decide(fleet(pod("a", time_to_empty_s=900.0), pod("b", time_to_empty_s=200.0), needed=1))
    (move,) = decision.actions
    assert isinstance(move, MovePod)
    assert (move.pod, move.to, move.version) == ("b", DRAINING, "7")
    assert move.drain is not None
    assert move.drain.purpose is Purpose.SHRINK


def test_a_drain_shuts_the_gates_only_after_the_annotation_was_read_back():
    assert "SetPodGate b" not in kinds(decide(fleet(pod("a", time_to_empty_s=9.0), pod("b"), needed=1)))
    decision = decide(fleet(pod("a"), leaving("b", DRAINING, reading=reading(0.0, 3)), needed=1))
    assert SetPodGate("uid-b", reading(0.0).boot, CLOSED) in decision.actions


def test_zeros_count_only_after_the_quiet_window_behind_a_shut_gate():
    memory, seen, at_s = gathered("b", [shut] * 6)  # shut at 0 s, zeros at 40 and 50 s
    assert kinds(decide(fleet(pod("a", at_s), seen), at_s, memory)) == []
    memory, seen, at_s = gathered("b", [shut] * 7)
    (move,) = decide(fleet(pod("a", at_s), seen), at_s, memory).actions
    assert isinstance(move, MovePod)
    assert move.to is DRAINED


@pytest.mark.parametrize(
    "spoiled",
    [
        lambda at_s: shut(at_s, 1),
        lambda at_s: shut(at_s, pending=("a recording",)),
        lambda at_s: shut(at_s, held=("a parked call",)),
        lambda at_s: shut(at_s, boot=OTHER_BOOT),
        lambda at_s: reading(at_s, 0, OPEN),
        silent,
    ],
    ids=["a channel", "a recording", "a parked call", "a restart", "an open gate", "silence"],
)
def test_whatever_does_not_fit_breaks_the_proof(spoiled):
    memory, seen, at_s = gathered("b", [shut] * 7 + [spoiled], DRAINED)
    decision = decide(fleet(pod("a", at_s), seen), at_s, memory)
    assert any(isinstance(action, MovePod) and action.to is DRAINING for action in decision.actions), (
        decision.explanation
    )
    assert not any(isinstance(action, ReleasePod) for action in decision.actions)


def test_a_proof_grows_stale_with_its_newest_reading():
    memory, seen, at_s = gathered("b", [shut] * 7, DRAINED)
    assert kinds(decide(fleet(pod("a", at_s), seen), at_s + 5, memory)) == ["ReleasePod b"]
    assert "last answer 6 s ago" in decide(fleet(pod("a", at_s), seen), at_s + 6, memory).explanation


def test_a_release_carries_its_evidence_in_wall_time():
    memory, seen, at_s = gathered("b", [shut] * 7, DRAINED, front=())
    (release,) = decide(fleet(pod("a", at_s), seen), at_s, memory).actions
    assert isinstance(release, ReleasePod)
    proof = release.evidence.ground
    assert isinstance(proof, ProvedEmpty)
    assert proof.closed_at_s == WALL_S - at_s
    assert [round(at - WALL_S) for at in proof.zeros_at_s] == [-20, -10, 0]
    assert (release.version, release.evidence.leader, release.evidence.term) == ("7", "calltide-0", 4)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"needed": need(1, 2, every_s=60.0)}, "the next lead"),
        ({"way_up": WayUp(("the ScaledObject is paused",))}, "the ScaledObject is paused"),
        ({"way_up": Unproved(Doubt.NO_ANSWER, 0.0)}, "is not known"),
        ({"needed": Unproved(Doubt.NO_ANSWER, 0.0)}, "The need is not known"),
        ({"standstills": (Standstill("freeze", "Frozen by ops."),)}, "Frozen by ops"),
    ],
)
def test_an_empty_pod_stays_while(changed, told):
    memory, seen, at_s = gathered("b", [shut] * 7, DRAINED)
    decision = decide(fleet(pod("a", at_s), seen, **changed), at_s, memory)
    assert kinds(decision) == []
    assert told in decision.explanation


@pytest.mark.parametrize(
    ("needed", "unmade_s", "stays"), [(3, 31.0, True), (3, 29.0, False), (2, 31.0, False), (1, 31.0, False)]
)
def test_nothing_leaves_while_pods_that_are_needed_are_not_made(needed, unmade_s, stays):
    lacking = fleet(pod("a"), pod("b"), needed=needed, spec_replicas=3, way_up=WayUp(unmade_s=unmade_s))
    told = [still.sentence for still in decide(lacking).standstills]
    assert told == (["No new pod could come now: for 31 s nobody has made 1 pod of the target."] if stays else [])


def test_many_silent_pods_stop_everything():
    memory, seen, at_s = gathered("b", [shut] * 7, DRAINED)
    others = [pod(name, at_s, reading=silent(at_s)) for name in "cd"]
    decision = decide(fleet(pod("a", at_s), seen, *others), at_s, memory)
    assert kinds(decision) == []
    assert "changed password" in decision.explanation


@pytest.mark.parametrize(("was_ready", "counts"), [(True, True), (False, False)])
def test_pods_that_lost_their_readiness_with_their_voice_count_as_silent_and_starting_ones_do_not(was_ready, counts):
    memory, seen, at_s = gathered("b", [shut] * 7, DRAINED)
    others = [pod(name, at_s, reading=silent(at_s), ready=False, was_ready=was_ready) for name in "cd"]
    decision = decide(fleet(pod("a", at_s), seen, *others), at_s, memory)
    assert ("mass-unproved" in [still.reason for still in decision.standstills]) is counts
    assert [report.uid for report in decision.reports if report.condition is Condition.UNPROVED] == (
        ["uid-c", "uid-d"] if counts else []
    )


def test_one_silent_pod_serves_but_nobody_is_let_go_on_its_word():
    quiet = fleet(pod("a"), pod("b"), pod("c", reading=silent(0.0)), needed=2)
    assert (decide(quiet).answer, kinds(decide(quiet))) == (2, [])
    assert kinds(decide(fleet(*quiet.pods, pod("d"), needed=2))) == ["MovePod a"]


def test_a_proxy_that_cannot_be_reached_has_not_acknowledged():
    away = FrontGate("sip-0", Steering.AWAY, 0.0)
    lost = FrontGate("sip-1", Unproved(Doubt.NO_ANSWER, 0.0), 0.0)
    seen = leaving("b", DRAINING, front=(away, lost))
    decision = decide(fleet(pod("a"), seen))
    assert decision.memory.of("uid-b").shut is None
    assert kinds(decision) == ["SetFrontGate b"]
    assert decide(fleet(pod("a"), replace(seen, front=(away,)))).memory.of("uid-b").shut is not None


def test_a_recall_comes_first_the_annotation_before_the_gate():
    seen = leaving("b", DRAINED)
    assert kinds(decide(fleet(pod("a"), seen, needed=2))) == ["MovePod b"]
    back = pod("b", reading=shut(0.0))
    assert decide(fleet(pod("a"), back, needed=2)).actions == (SetPodGate("uid-b", reading(0.0).boot, OPEN),)


@pytest.mark.parametrize(
    ("cause", "passed", "holds"),
    [
        (Cause.OLD_REVISION, {"current_revision": True}, {"current_revision": False}),
        (Cause.CORDONED_NODE, {}, {"node": "cordoned"}),
    ],
)
def test_a_pod_that_need_not_be_replaced_any_more_is_recalled(cause, passed, holds):
    drain = DrainRecord(Purpose.REPLACE, cause, WALL_S, "calltide-0", 4)
    nodes = (ObservedNode("cordoned", cordoned=True), ObservedNode("open"))

    def recalled(**changed):
        old = replace(leaving("a", DRAINING, purpose=Purpose.REPLACE, channels=3, node="open"), drain=drain, **changed)
        decision = decide(fleet(old, pod("b"), nodes=nodes))
        return kinds(decision) == ["MovePod a"] and "to be replaced for is no more" in decision.explanation

    assert recalled(**passed)
    assert not recalled(**holds)
    assert not recalled(**passed, ready=False), "a pod that does not serve brings nothing back"
    # Undone, but its node is to be emptied as well.
    assert not recalled(**passed, node="cordoned")


def test_a_pod_that_a_person_wants_replaced_is_replaced_although_no_wish_stands_on_it_any_more():
    drain = DrainRecord(Purpose.REPLACE, Cause.ASKED, WALL_S, "calltide-0", 4)
    asked = replace(leaving("a", DRAINING, purpose=Purpose.REPLACE, channels=3), drain=drain)
    assert kinds(decide(fleet(asked, pod("b")))) == []


def test_a_recall_that_is_not_read_back_open_counts_as_failed():
    back = pod("b", reading=shut(0.0))
    first = decide(fleet(pod("a"), back, needed=2))
    assert first.answer == 2
    late = decide(fleet(pod("a", 11.0), replace(back, reading=shut(11.0)), needed=2), 11.0, first.memory)
    assert late.answer == 3
    assert [report.condition.value for report in late.reports] == ["recall-failed"]


def test_what_was_released_is_never_recalled():
    decision = decide(fleet(pod("a"), released("b"), needed=2))
    assert not any(isinstance(action, MovePod) for action in decision.actions)


def test_the_target_is_lowered_before_the_released_pod_is_deleted():
    first = decide(fleet(pod("a"), released("b")))
    (scale,) = first.actions
    assert isinstance(scale, LowerScale)
    assert (scale.version, scale.replicas, scale.to) == ("70", 2, 1)
    assert kinds(decide(fleet(pod("a"), released("b"), spec_replicas=1))) == ["DeletePod b"]


def test_a_leader_that_does_not_know_the_need_yet_deletes_no_pod_that_would_be_made_anew():
    unknown = Unproved(Doubt.NOT_YET, 0.0, "the need was seen for 0 s of 10 s so far")
    held = decide(fleet(pod("a"), released("b"), needed=unknown))
    assert kinds(held) == []
    assert "b is released; the target is lowered first." in held.explanation
    # The target was lowered by the leader before, or the pod is to have a successor: then nothing is waited for.
    assert kinds(decide(fleet(pod("a"), released("b"), needed=unknown, spec_replicas=1))) == ["DeletePod b"]
    replaced = released("b", purpose=Purpose.REPLACE)
    assert kinds(decide(fleet(pod("a"), replaced, needed=unknown))) == ["DeletePod b"]


def test_a_need_that_rose_since_makes_of_the_shrink_a_replacement():
    assert kinds(decide(fleet(pod("a"), released("b"), needed=2))) == ["DeletePod b"]


def test_a_leader_that_takes_over_never_subtracts_a_pod_twice():
    # The target went to 2 for c; then a leader crashed. Two stand that serve, so nothing is left to subtract.
    decision = decide(fleet(pod("a"), pod("b"), released("c"), needed=1, spec_replicas=2))
    assert "DeletePod c" in kinds(decision)
    assert not any(isinstance(action, LowerScale) for action in decision.actions)


def test_a_released_pod_that_restarted_is_proved_once_more_before_it_is_deleted():
    again = released("b", reading=reading(0.0, 1, OPEN, OTHER_BOOT))
    assert kinds(decide(fleet(pod("a"), again))) == ["SetPodGate b"]
    memory = Memory()
    for i in range(7):
        seen = released("b", reading=shut(10.0 * i, boot=OTHER_BOOT))
        decision = decide(fleet(pod("a", 10.0 * i), seen), 10.0 * i, memory)
        memory = decision.memory
        assert kinds(decision) == (["ReleasePod b"] if i == 6 else [])


def test_a_released_pod_that_does_not_answer_is_not_deleted_unseen():
    decision = decide(fleet(pod("a"), released("b", reading=silent(0.0)), spec_replicas=1))
    assert kinds(decision) == []
    assert "proved empty once more: timed out" in decision.explanation


def test_a_freeze_keeps_even_what_is_released():
    freeze = (Standstill("freeze", "Frozen by ops.", stops_deletes=True),)
    for target in (1, 2):
        frozen = {"spec_replicas": target, "standstills": freeze}
        decision = decide(fleet(pod("a"), released("b"), **frozen))
        assert kinds(decision) == []
        assert "b is released and stays: Frozen by ops." in decision.explanation


def test_a_reading_from_before_the_pods_version_proves_nothing():
    memory, seen, at_s = gathered("b", [shut] * 7, DRAINED)
    newer = replace(seen, version_read_s=at_s + 1)
    assert kinds(decide(fleet(pod("a", at_s), newer), at_s + 2, memory)) == ["MovePod b"]
    assert kinds(decide(fleet(pod("a", at_s), seen), at_s + 2, memory)) == ["ReleasePod b"]


def test_pods_that_never_started_and_that_nobody_needs_go_by_the_target_alone():
    pending = pod("b", started=False, was_ready=False, ready=False, protected=False, state=RetirementState.STARTING)
    (scale,) = decide(fleet(pod("a"), pending)).actions
    assert isinstance(scale, LowerScale)
    assert scale.to == 1


def test_a_replaced_pod_counts_as_not_serving_and_takes_calls_until_its_successor_stands():
    old = pod("a", current_revision=False)
    assert kinds(decide(fleet(old))) == ["MovePod a"]
    drains = leaving("a", DRAINING, purpose=Purpose.REPLACE, reading=reading(0.0, 3), current_revision=False)
    waits = decide(fleet(drains))
    assert (waits.answer, kinds(waits)) == (2, [])
    assert kinds(decide(fleet(drains, pod("b")))) == ["SetPodGate a"]


def test_a_stateful_set_shrinks_from_its_tail_only():
    pods = [pod(f"s-{i}", ordinal=i, time_to_empty_s=100.0 * i) for i in range(3)]
    (move,) = decide(fleet(*pods, workload=Workload.STATEFUL_SET)).actions
    assert isinstance(move, MovePod)
    assert move.pod == "s-2"
    gap = [pods[0], released("s-1", ordinal=1), pods[2]]
    assert kinds(decide(fleet(*gap, workload=Workload.STATEFUL_SET, needed=2), max_at_once=1)) == ["DeletePod s-1"]


def test_a_short_valley_drains_nothing():
    for seconds, wanted in ((700.0, []), (3500.0, ["MovePod a"])):
        observed = fleet(
            pod("a", time_to_empty_s=600.0), pod("b", time_to_empty_s=601.0), needed=need(1, 2, every_s=seconds)
        )
        assert kinds(decide(observed)) == wanted


def test_what_is_pinned_recalled_lately_or_the_last_one_stays():
    assert kinds(decide(fleet(pod("a", pinned="never split"), pod("b", pinned="never split")))) == []
    assert kinds(decide(fleet(pod("a"), needed=0))) == []
    back = decide(fleet(pod("a"), leaving("b", DRAINING), needed=2)).memory
    dwells = fleet(pod("a", 60.0, pinned="x"), pod("b", 60.0), needed=1)
    assert kinds(decide(dwells, 60.0, back)) == []
    assert kinds(decide(fleet(pod("a", 700.0, pinned="x"), pod("b", 700.0)), 700.0, back)) == ["MovePod b"]


def test_a_person_may_ask_for_a_drain_and_for_a_recall():
    assert kinds(decide(fleet(pod("a"), pod("b", wish=Wish.DRAIN, time_to_empty_s=99.0)))) == ["MovePod b"]
    assert kinds(decide(fleet(pod("a"), leaving("b", DRAINING, wish=Wish.RECALL)))) == ["MovePod b"]


@pytest.mark.parametrize(
    ("node", "gone"),
    [
        (ObservedNode("n", lease_stale_for_s=400.0, silent_for_s=400.0), True),
        (ObservedNode("n", lease_stale_for_s=400.0, silent_for_s=60.0), False),
        (ObservedNode("n", silent_for_s=400.0), False),
        (ObservedNode("n", out_of_service=True), True),
    ],
)
def test_a_node_is_dead_when_its_lease_is_stale_and_its_pods_are_silent(node, gone):
    lost = pod("b", ready=False, node="n", reading=silent(0.0))
    decision = decide(fleet(pod("a"), lost, needed=2, nodes=(node,)))
    assert kinds(decision) == (["ReleasePod b"] if gone else [])
    assert decision.answer == 3


def test_when_many_nodes_fall_silent_none_is_dead():
    nodes = tuple(ObservedNode(name, lease_stale_for_s=400.0, silent_for_s=400.0) for name in "no")
    lost = pod("b", ready=False, node="n", reading=silent(0.0))
    decision = decide(fleet(pod("a"), lost, needed=2, nodes=nodes, cluster_nodes=9))
    assert kinds(decision) == []
    assert "above the 1 that may die at once" in decision.reports[0].sentence


def test_a_dead_nodes_pod_that_came_back_is_not_deleted():
    lost = pod("b", ready=False, node="n", reading=silent(0.0))
    dead = (ObservedNode("n", lease_stale_for_s=400.0, silent_for_s=400.0),)
    (release,) = decide(fleet(pod("a"), lost, needed=2, nodes=dead)).actions
    assert isinstance(release, ReleasePod)
    gone = replace(lost, state=RetirementState.RELEASED, protected=False, evidence=release.evidence)
    assert kinds(decide(fleet(pod("a"), gone, needed=2, nodes=dead))) == ["DeletePod b"]
    assert kinds(decide(fleet(pod("a"), gone, needed=2, nodes=(ObservedNode("n"),)))) == []


def test_a_drain_that_takes_too_long_is_reported_and_goes_on():
    old = leaving("b", DRAINING, channels=1)
    decision = decide(fleet(pod("a"), old, wall_s=WALL_S + 9 * 3600))
    assert [report.condition.value for report in decision.reports] == ["drain-too-long"]
    assert kinds(decision) == []
