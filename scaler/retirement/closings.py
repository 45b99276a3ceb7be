"""The closings: what stands between a race and a cut call, each under a name.

In production all of them are in force, always. They are values only so that the model check can leave one out and
show that a call is then cut, or another promise broken: a guard whose absence nothing notices guards nothing.
"""

from __future__ import annotations

from enum import StrEnum


class Closing(StrEnum):
    """One guard of the protocol."""

    ZERO_BEHIND_GATE = "zero-behind-gate"
    """A count of zero is worth something only after the gate was read back shut."""
    PROOF_OF_THIS_DRAIN = "proof-of-this-drain"
    """What is gathered before a drain was written down does not count for it."""
    QUIET_WINDOW = "quiet-window"
    """And only when calls that were already let in, and gate writes under way, must have shown."""
    SAME_BOOT = "same-boot"
    """A restarted PBX has a gate of its own: what was proved of the one before says nothing."""
    UNPROVED_IS_BUSY = "unproved-is-busy"
    """No answer, a time-out, a parse error: never a zero."""
    FRESH_READING = "fresh-reading"
    """An edge towards Released needs a reading of now."""
    VERSION_BEFORE_READING = "version-before-reading"
    """The pod's version is read first, its count second: a restart in between makes the write fail."""
    PENDING_WORK = "pending-work"
    """A recording that is still written is work, though no channel is left."""
    COMPARE_AND_SWAP = "compare-and-swap"
    """An edge is written only over the pod that was looked at."""
    ANNOTATION_BEFORE_GATE = "annotation-before-gate"
    """A recall opens a gate only when the annotation already says that the pod is active."""
    RELEASED_IS_FINAL = "released-is-final"
    """What was released is never recalled."""
    PROOF_AT_DELETE = "proof-at-delete"
    """Between release and delete the evidence must still hold; a released pod that fails it is proved anew."""
    DELETE_PRECONDITIONS = "delete-preconditions"
    """A delete names UID and version, so that a late one meets only the pod that was looked at."""
    SCALE_TEST = "scale-test"
    """The target is lowered only from the number that was looked at."""
    SCALE_ABOVE_ANSWER = "scale-above-answer"
    """The target is never lowered below the answer, nor by more than the pods that were released."""
    NEED_WITHOUT_POD = "need-without-pod"
    """A pod is drained and released only while the need is met without it."""
    WAY_UP = "way-up"
    """Nothing is released while no new pod could come."""
    BREAKERS = "breakers"
    """Nothing is released in a freeze, an inhibit window, a common fall of load, or when many pods are unproved."""
    TAIL_FIRST = "tail-first"
    """A StatefulSet shrinks only by its drained tail."""
    FRONT_GATES = "front-gates"
    """Every proxy has acknowledged that it steers away; one that cannot be reached has not."""
    LEASE_AND_SILENCE = "lease-and-silence"
    """A node is dead only when its lease is stale and its pods are silent, over a time in which the API was there."""


Closings = frozenset[Closing]

ALL_CLOSINGS: Closings = frozenset(Closing)
