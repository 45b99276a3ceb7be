"""What stands on a pod is read back as it was written, and a person's edit of it never lets a pod go."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler.fleet.kubernetes.annotations import (
    frozen_by,
    told,
    written_drain,
    written_evidence,
    written_state,
)
from scaler.retirement.evidence import DeadNode, DrainRecord, OutOfService, ProvedEmpty, ReleaseEvidence
from scaler.retirement.readings import Boot
from scaler.retirement.states import Cause, Purpose, RetirementState, Wish

NOON_S = 1_767_614_400.0
"""2026-01-05 12:00 UTC."""
RECALLABLE = DrainRecord(Purpose.SHRINK, Cause.ASKED, 0.0, "", 0)
"""What a drain is taken for that nobody can read: by this record a pod may be recalled, and the target is lowered."""

times_s = st.integers(0, 4_000_000_000_000).map(lambda ms: ms / 1000)
texts = st.text(max_size=40)
purposes, causes = st.sampled_from(Purpose), st.sampled_from(Cause)
drains = st.builds(DrainRecord, purposes, causes, times_s, texts, st.integers(0, 2**53))
grounds = st.one_of(
    st.builds(
        ProvedEmpty,
        st.builds(Boot, texts, texts),
        times_s,
        st.lists(times_s, min_size=1, max_size=3).map(tuple),
        st.lists(texts, max_size=3).map(tuple),
    ),
    st.builds(OutOfService, texts),
    st.builds(DeadNode, texts, times_s, times_s),
)
evidences = st.builds(ReleaseEvidence, texts, texts, grounds, purposes, causes, times_s, texts, st.integers(0, 2**53))
states = st.sampled_from(
    [RetirementState.ACTIVE, RetirementState.DRAINING, RetirementState.DRAINED, RetirementState.RELEASED]
)


@given(states, drains, evidences)
def test_what_was_written_is_read_back(state, drain, evidence):
    read = told(written_state(state), written_drain(drain), written_evidence(evidence), None)
    assert (read.state, read.pinned) == (state, "")
    leaves = state is not RetirementState.ACTIVE
    assert read.drain == (drain if leaves else None)
    assert read.evidence == (evidence if leaves else None)


def test_a_pod_without_annotations_serves_and_one_that_is_active_has_none():
    assert told(None, None, None, None).state is RetirementState.ACTIVE
    assert written_state(RetirementState.ACTIVE) is None
    assert written_drain(None) is None


@pytest.mark.parametrize(
    ("text", "state"),
    [
        ("released", RetirementState.RELEASED),
        (" Drained\n", RetirementState.DRAINED),
        ("DRAINING", RetirementState.DRAINING),
        ("active", RetirementState.ACTIVE),
        ("", RetirementState.ACTIVE),
    ],
)
def test_a_state_is_understood_however_a_person_writes_it(text, state):
    assert told(text, None, None, None).state is state


@given(
    st.text(min_size=1, max_size=100).filter(
        lambda text: text.strip().lower() not in {state.value for state in states.elements}
    )
)
def test_a_state_that_means_nothing_pins_the_pod_and_says_so(text):
    read = told(text, None, None, None)
    assert read.state is RetirementState.ACTIVE
    assert "calltide.io/state" in read.pinned
    assert len(read.pinned) < 200


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
keys = st.sampled_from(["purpose", "cause", "beganAt", "leader", "term", "ground", "uid", "kind", "zeros_at_s"])
edits = st.one_of(texts, json_values.map(json.dumps), st.dictionaries(keys, json_values).map(json.dumps))


@given(st.sampled_from(["draining", "drained"]), edits, edits, edits)
def test_a_drain_whose_record_nobody_can_read_can_be_recalled(state, drain, evidence, wish):
    read = told(state, drain, evidence, wish)
    assert read.state.is_recallable
    assert read.drain == RECALLABLE


@given(edits)
def test_evidence_that_nobody_can_read_proves_nothing(evidence):
    read = told("released", None, evidence, None)
    assert (read.state, read.evidence) == (RetirementState.RELEASED, None)


@pytest.mark.parametrize(
    "spoilt",
    [
        {"ground": {"kind": "proved-empty", "boot": {"started": "a", "container": "b"}, "zeros_at_s": []}},
        {"ground": {"kind": "a kind of tomorrow"}},
        {"ground": None},
        {"purpose": "grow"},
        {"more": 1},
    ],
)
def test_one_spoilt_field_spoils_the_evidence(spoilt):
    ground = ProvedEmpty(Boot("12:00", "c1"), 1.0, (2.0,))
    whole = ReleaseEvidence("u", "acme-1", ground, Purpose.SHRINK, Cause.NOT_NEEDED, 3.0, "a", 1)
    text = written_evidence(whole)
    assert told("released", None, text, None).evidence == whole
    assert told("released", None, json.dumps(json.loads(text) | spoilt), None).evidence is None


@pytest.mark.parametrize(
    ("text", "wish"),
    [("drain", Wish.DRAIN), (" Replace ", Wish.REPLACE), ("recall", Wish.RECALL), ("remove", None), ("", None)],
)
def test_a_wish_is_one_of_three_words(text, wish):
    assert told(None, None, None, text).wish is wish


@pytest.mark.parametrize(
    ("text", "held"),
    [
        (None, None),
        ("maintenance", "maintenance"),
        ("", "no reason given"),
        ("until=2026-01-05T13:00:00Z carrier works", "carrier works, until 2026-01-05T13:00:00Z"),
        ("until=2026-01-05T13:00:00+00:00", "no reason given, until 2026-01-05T13:00:00+00:00"),
        ("until=2026-01-05T11:59:59Z carrier works", None),
        ("until=2026-01-05T14:00:00+03:00 works", None),
        ("until=tomorrow works", "works (its end 'tomorrow' cannot be read)"),
        ("until=2026-01-05T11:00:00 works", "works (its end '2026-01-05T11:00:00' has no time zone)"),
        ("until the carrier is back", "until the carrier is back"),
    ],
)
def test_a_freeze_holds_until_an_end_that_can_be_read(text, held):
    assert frozen_by(text, NOON_S) == held


@given(texts, st.floats(0, 4e9))
def test_no_freeze_is_too_odd_to_be_read(text, now_s):
    assert frozen_by(text, now_s) is None or frozen_by(text, now_s)
