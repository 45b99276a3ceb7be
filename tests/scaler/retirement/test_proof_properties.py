"""Any order of readings: a pod is released only on what a second, plainer account of them allows."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from scaler.retirement.actions import ReleasePod
from scaler.retirement.proof import Memory
from scaler.retirement.readings import GatePosition, PodReading, Reading
from scaler.retirement.states import RetirementState
from tests.scaler.retirement.made_up import (
    BOOT,
    CLOSED,
    LIMITS,
    OPEN,
    OTHER_BOOT,
    decide,
    fleet,
    leaving,
    pod,
    reading,
    silent,
)

STEP_S = 10.0
ANSWERS = st.tuples(
    st.sampled_from([CLOSED] * 12 + [OPEN]),
    st.sampled_from([0] * 12 + [1]),
    st.sampled_from([BOOT] * 12 + [OTHER_BOOT]),
)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.lists(st.one_of(ANSWERS, ANSWERS, ANSWERS, ANSWERS, st.none()), min_size=1, max_size=14))
def test_a_release_rests_on_zeros_of_one_boot_behind_a_gate_long_shut(answers):
    memory, said = Memory(), []
    for i, answer in enumerate(answers):
        at_s = STEP_S * i
        said.append(silent(at_s) if answer is None else reading(at_s, answer[1], answer[0], answer[2]))
        drained = leaving("b", RetirementState.DRAINED, reading=said[-1], version_read_s=at_s)
        decision = decide(fleet(pod("a", at_s), drained), at_s, memory)
        memory = decision.memory
        released = any(isinstance(action, ReleasePod) for action in decision.actions)
        assert released == may_go(said), said


def may_go(said: list[PodReading]) -> bool:
    """The rule, told backwards from the newest reading."""
    zeros = said[-LIMITS.zero_samples :]
    if len(zeros) < LIMITS.zero_samples or not all(isinstance(one, Reading) and one.channels == 0 for one in zeros):
        return False
    answered = [one for one in said if isinstance(one, Reading)]
    boot, shut_at_s = answered[-1].boot, None
    for one in reversed(answered):
        if one.boot != boot or one.gate is not GatePosition.CLOSED:
            break
        shut_at_s = one.answered_at_s
    return shut_at_s is not None and zeros[0].asked_at_s - shut_at_s >= LIMITS.quiet_window_s
