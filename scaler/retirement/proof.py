"""Gathering the proof that a pod is empty, reading by reading.

Two things are remembered per pod: since when its gates have been seen shut in one boot, and which readings found it
empty after the quiet window. Whatever does not fit throws one or both away. A leader that takes over remembers nothing
and gathers anew: that costs a quiet window, never a call.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property

from scaler.retirement.closings import Closing, Closings
from scaler.retirement.evidence import ProvedEmpty, is_empty
from scaler.retirement.limits import RetirementLimits
from scaler.retirement.observed import ObservedFleet, ObservedPod
from scaler.retirement.readings import (
    Boot,
    Doubt,
    FrontGate,
    GatePosition,
    PodReading,
    Reading,
    Steering,
    Unproved,
    as_of,
)
from scaler.retirement.states import RetirementState


@dataclass(frozen=True, slots=True)
class ShutSince:
    """Since when all gates of a pod have been seen shut, in which boot."""

    boot: Boot
    at_s: float


@dataclass(frozen=True, slots=True)
class PodMemory:
    """What the leader remembers of one pod. Times are those of its own clock.

    `recalled_s` is when it was recalled last; `waits_open_s` since when it has been active and not read back open.
    """

    uid: str
    newest: PodReading = field(default_factory=lambda: Unproved(Doubt.NEVER_ASKED, 0.0))
    shut: ShutSince | None = None
    zeros_at_s: tuple[float, ...] = ()
    recalled_s: float | None = None
    waits_open_s: float | None = None


@dataclass(frozen=True)
class Memory:
    """What the leader remembers of one fleet. Nothing in it is needed for a decision to be safe."""

    pods: tuple[PodMemory, ...] = ()

    def of(self, uid: str) -> PodMemory:
        """What is remembered of a pod; nothing, when it is new."""
        return self._by_uid.get(uid) or PodMemory(uid)

    @cached_property
    def _by_uid(self) -> dict[str, PodMemory]:
        return {pod.uid: pod for pod in self.pods}


def remembered(
    memory: Memory, observed: ObservedFleet, limits: RetirementLimits, now_s: float, closings: Closings
) -> Memory:
    """The memory after one more look. Pods that are gone are forgotten."""
    return Memory(tuple(_after_look(memory.of(pod.uid), pod, limits, now_s, closings) for pod in observed.pods))


def _after_look(
    before: PodMemory, pod: ObservedPod, limits: RetirementLimits, now_s: float, closings: Closings
) -> PodMemory:
    if not pod.state.is_leaving and Closing.PROOF_OF_THIS_DRAIN in closings:
        # A gate that was still shut from the last drain, or a proxy that was, says nothing of the next one.
        after = replace(before, newest=pod.reading, shut=None, zeros_at_s=())
    elif pod.reading != before.newest:
        after = _after_reading(before, pod, limits, closings)
    else:
        after = before
    open_again = pod.state is not RetirementState.ACTIVE or not is_shut(pod.reading, pod.front, limits, closings)
    waits_open_s = None if open_again else before.waits_open_s if before.waits_open_s is not None else now_s
    return replace(after, waits_open_s=waits_open_s)


def _after_reading(before: PodMemory, pod: ObservedPod, limits: RetirementLimits, closings: Closings) -> PodMemory:
    reading = pod.reading
    if isinstance(reading, Unproved):
        if Closing.UNPROVED_IS_BUSY in closings or before.shut is None:
            return replace(before, newest=reading, zeros_at_s=())
        return replace(before, newest=reading, zeros_at_s=(*before.zeros_at_s, reading.asked_at_s))
    shut = _shut_since(before.shut, reading, pod.front, limits, closings)
    zeros_at_s = before.zeros_at_s if shut is not None and shut == before.shut else ()
    if not _counts_as_zero(reading, shut, limits, closings):
        return replace(before, newest=reading, shut=shut, zeros_at_s=())
    return replace(
        before, newest=reading, shut=shut, zeros_at_s=(*zeros_at_s, reading.asked_at_s)[-limits.zero_samples :]
    )


def _shut_since(
    before: ShutSince | None,
    reading: Reading,
    front: tuple[FrontGate, ...],
    limits: RetirementLimits,
    closings: Closings,
) -> ShutSince | None:
    if not is_shut(reading, front, limits, closings):
        return None
    same_boot = before is not None and (before.boot == reading.boot or Closing.SAME_BOOT not in closings)
    # Counted from the answer: the gate may have shut at any moment before it.
    return before if same_boot else ShutSince(reading.boot, reading.answered_at_s)


def is_shut(reading: PodReading, front: tuple[FrontGate, ...], limits: RetirementLimits, closings: Closings) -> bool:
    """Whether no gate lets a new call in, as far as each of them was read back. An unread gate is not shut."""
    if not isinstance(reading, Reading):
        return False
    if Closing.ZERO_BEHIND_GATE not in closings:
        return True
    pod_shut = reading.gate is GatePosition.CLOSED or not limits.pod_gate
    front_shut = all(_steers_away(gate, reading.asked_at_s - limits.fresh_s) for gate in front)
    return pod_shut and (front_shut or Closing.FRONT_GATES not in closings)


def _steers_away(gate: FrontGate, not_before_s: float) -> bool:
    return gate.steering is Steering.AWAY and gate.read_at_s >= not_before_s


def _counts_as_zero(reading: Reading, shut: ShutSince | None, limits: RetirementLimits, closings: Closings) -> bool:
    if shut is None or not is_empty(reading, pending_counts=Closing.PENDING_WORK in closings):
        return False
    quiet = reading.asked_at_s - shut.at_s >= limits.quiet_window_s
    return quiet or Closing.QUIET_WINDOW not in closings


def current_reading(pod: ObservedPod, limits: RetirementLimits, now_s: float, closings: Closings) -> PodReading:
    """The pod's reading if it tells of the pod as it is about to be written over; Unproved otherwise."""
    reading = as_of(pod.reading, now_s, limits.fresh_s) if Closing.FRESH_READING in closings else pod.reading
    too_early = isinstance(reading, Reading) and reading.asked_at_s < pod.version_read_s
    if too_early and Closing.VERSION_BEFORE_READING in closings:
        return Unproved(Doubt.STALE, reading.asked_at_s, "asked before this version of the pod was looked at")
    return reading


def proved_empty(
    memory: PodMemory, pod: ObservedPod, limits: RetirementLimits, now_s: float, closings: Closings
) -> ProvedEmpty | Unproved:
    """The proof that the pod is empty as of now, or why there is none.

    The newest reading has to be fresh and one of those that found it empty: an old proof of a pod that has fallen
    silent proves nothing.
    """
    reading = current_reading(pod, limits, now_s, closings)
    if isinstance(reading, Unproved) and (Closing.UNPROVED_IS_BUSY in closings or isinstance(pod.reading, Reading)):
        return reading
    asked_at_s = reading.asked_at_s
    if memory.shut is None or (isinstance(reading, Reading) and not is_shut(reading, pod.front, limits, closings)):
        return Unproved(Doubt.NOT_YET, asked_at_s, "its gates were not read back shut")
    if len(memory.zeros_at_s) < limits.zero_samples:
        return Unproved(Doubt.NOT_YET, asked_at_s, _not_yet(pod.reading, memory.shut, limits, now_s, memory))
    proxies = tuple(gate.proxy for gate in pod.front)
    return ProvedEmpty(memory.shut.boot, memory.shut.at_s, memory.zeros_at_s, proxies)


def _not_yet(reading: PodReading, shut: ShutSince, limits: RetirementLimits, now_s: float, memory: PodMemory) -> str:
    if isinstance(reading, Reading):
        if reading.channels:
            return f"{reading.channels} channels"
        if reading.pending or reading.held:
            return f"no channel, but {', '.join((*reading.pending, *reading.held))}"
    quiet_for_s = now_s - shut.at_s
    if quiet_for_s < limits.quiet_window_s:
        return f"gates shut for {quiet_for_s:.0f} s of the quiet window's {limits.quiet_window_s:.0f} s"
    return f"{len(memory.zeros_at_s)} of {limits.zero_samples} readings found it empty"
