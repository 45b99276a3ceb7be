"""A pod of the model: what is true of it, what the leader remembers of it, and what is under way to it."""

from __future__ import annotations

from typing import NamedTuple

from scaler.retirement.proof import PodMemory
from scaler.retirement.readings import Doubt, Unproved
from scaler.retirement.states import Purpose, RetirementState

ACTIVE, DRAINING, DRAINED, RELEASED = range(4)
STATES = (RetirementState.ACTIVE, RetirementState.DRAINING, RetirementState.DRAINED, RetirementState.RELEASED)
PURPOSES = (Purpose.SHRINK, Purpose.REPLACE)
TOWARDS_OPEN, TOWARDS_SHUT = 1, 2
"""Gate writes under way, as bits. Each lands at any moment, in any order, or never."""
NO_EVIDENCE, NODE_GONE = -1, 99
"""What a release rests on, where it is not the number of a boot."""
NODE_OK, NODE_LOST, NODE_STALE = range(3)
"""A node that lost the API server is noticed a tick later."""
NOBODY_ANSWERS = Unproved(Doubt.NO_ANSWER, 0.0)
FORGOTTEN = PodMemory("", NOBODY_ANSWERS)

Write = tuple[str, int, int]
"""A write that was decided and not yet done: its kind ('move', 'release', 'delete'), and what it writes."""


class PodW(NamedTuple):
    """One pod. Whole numbers and flags, so that millions of them can be compared."""

    started: bool = True
    state: int = ACTIVE
    purpose: int = 0
    protected: bool = True
    ready: bool = True
    up: bool = True
    boot: int = 0
    shut: bool = False
    """The pod's own gate, as it is."""
    calls: int = 0
    admitted: int = 0
    """Calls that were let in and are no channel yet."""
    work: bool = False
    """A recording is still being written."""
    front: int = 3
    """Which of the proxies steer towards it, as bits; used where the pod has no gate of its own."""
    under_way: int = 0
    memory: PodMemory = FORGOTTEN
    reread: bool = True
    """Nothing has changed the object since the newest reading was asked for."""
    evidence: int = NO_EVIDENCE
    writes: tuple[Write, ...] = ()
    """What the leader has decided and not yet done. Its next decision replaces it."""
    late: tuple[Write, ...] = ()
    """What a leader had decided that crashed: it may still be done when another leads."""
    old: bool = False
    """Of an old revision: it is to be replaced."""
    ordinal: int = -1
    node: int = NODE_OK
    node_dead: bool = False

    @property
    def carries(self) -> bool:
        """Whether somebody would notice its end."""
        return self.calls > 0 or self.admitted > 0 or self.work

    @property
    def takes_calls(self) -> bool:
        """Whether a process is there that could take a call."""
        return self.started and self.up and not self.node_dead


NEWBORN = PodW(started=False, ready=False, up=False)
