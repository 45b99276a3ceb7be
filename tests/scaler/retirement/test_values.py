"""What cannot be built: a proof without a zero, a count that was not read, an unknown need."""

from __future__ import annotations

from dataclasses import replace

import pytest

from scaler.policy.model import PolicySpec
from scaler.retirement.audit import Outcome, audit_record, from_line, of_pod, to_line
from scaler.retirement.errors import RetirementError
from scaler.retirement.evidence import DeadNode, OutOfService, ProvedEmpty
from scaler.retirement.limits import RetirementLimits, limits_of
from scaler.retirement.outlook import Outlook, OutlookStep
from scaler.retirement.readings import Doubt, Reading, Unproved, as_of
from tests.scaler.retirement.made_up import BOOT, CLOSED, WALL_S, decide, fleet, need, pod, reading, released


def test_unproved_has_no_number_to_mistake_for_zero():
    unproved = Unproved(Doubt.TIMED_OUT, 0.0)
    assert not hasattr(unproved, "channels")
    assert unproved != reading(0.0, 0)
    assert unproved.sentence == "timed out"


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: ProvedEmpty(BOOT, 0.0, ()), "zeros_at_s"),
        (lambda: Reading(0.0, 0.0, BOOT, CLOSED, -1), "channels"),
        (lambda: Reading(1.0, 0.0, BOOT, CLOSED, 0), "answered_at_s"),
        (lambda: Outlook((), 0.0), "steps"),
        (lambda: Outlook((OutlookStep(2.0, 1), OutlookStep(1.0, 1)), 3.0), "steps"),
        (lambda: RetirementLimits(90.0, quiet_window_s=4.0), "gate_deadline_s"),
        (lambda: RetirementLimits(90.0, zero_samples=0), "zero_samples"),
        (lambda: RetirementLimits(90.0, floor=0), "floor"),
    ],
)
def test_a_value_that_cannot_be_is_refused_with_its_field(make, told):
    with pytest.raises(RetirementError, match=told):
        make()


def test_an_old_reading_is_not_known_any_more():
    assert as_of(reading(0.0), 5.0, 5.0) == reading(0.0)
    old = as_of(reading(0.0), 6.0, 5.0)
    assert isinstance(old, Unproved)
    assert old.doubt is Doubt.STALE


def test_an_outlook_says_how_long_so_many_pods_are_enough_and_no_longer_than_it_knows():
    outlook = need(2, 3, 5)
    assert [outlook.lasts_s(pods, 600.0) for pods in (1, 2, 3)] == [0.0, 3000.0, 6600.0]
    assert outlook.lasts_s(5, 0.0) == 48 * 3600.0
    assert [outlook.most(0.0, for_s) for for_s in (60.0, 3600.0, 7200.0)] == [2, 3, 5]


def test_limits_are_the_policys():
    limits = limits_of(PolicySpec.model_validate(SPEC), lead_s=120.0)
    assert (limits.quiet_window_s, limits.max_at_once, limits.floor, limits.pod_gate) == (50.0, 3, 2, True)


SPEC = {
    "history": {"channels": "sum by (tenant) (asterisk_channels_count)"},
    "capacity": {"channelsPerPod": 100},
    "minPods": 2,
    "maxPods": 9,
    "retirement": {"quietWindow": 50, "maxAtOnce": 3},
}


@pytest.mark.parametrize(
    "ground", [ProvedEmpty(BOOT, 1.0, (2.0, 3.0), ("sip-0",)), OutOfService("n"), DeadNode("n", 400.0, 380.0)]
)
def test_the_audit_log_gives_back_what_was_written(ground):
    observed = fleet(pod("a"), released("b"), spec_replicas=1)
    (delete,) = decide(observed).actions
    record = audit_record(delete, observed, Outcome.DONE)
    assert record is not None
    evidence = released("b").evidence
    assert evidence is not None
    record = replace(record, evidence=replace(evidence, ground=ground))
    assert from_line(to_line(record)) == record


def test_the_log_tells_a_pods_story_in_order_and_names_a_line_that_is_none():
    observed = fleet(pod("a"), pod("b", time_to_empty_s=9.0))
    (move,) = decide(observed).actions
    record = audit_record(move, observed, Outcome.SENT)
    assert record is not None
    assert (record.edge, record.at_s) == ("active → draining", WALL_S)
    assert of_pod([to_line(record), ""], "a") == of_pod([to_line(record)], "uid-a") == [record]
    assert of_pod([to_line(record)], "b") == []
    with pytest.raises(RetirementError, match="no line of the audit log"):
        from_line('{"at_s": 1}')
