"""The states of a pod that may leave, and the edges between them.

    Starting ──▶ Active ──drain──▶ Draining ──zero──▶ Drained ──release──▶ Released ──▶ Gone
                   ▲                  │                  │
                   └──────recall──────┴──────────────────┘

They stand in an annotation on the pod, so that whoever leads next goes on from there. *Unproved* is no state: it lies
over any of them and stops every edge that leads towards Released.
"""

from __future__ import annotations

from enum import StrEnum


class RetirementState(StrEnum):
    """Where a pod stands on its way out. A pod without the annotation is Starting or Active."""

    STARTING = "starting"
    ACTIVE = "active"
    DRAINING = "draining"
    DRAINED = "drained"
    RELEASED = "released"
    """Irreversible: it takes no call again, whatever is needed."""
    GONE = "gone"

    @property
    def is_leaving(self) -> bool:
        """Whether the pod's gates are to be shut."""
        return self in _LEAVING

    @property
    def is_recallable(self) -> bool:
        """Whether it may serve again."""
        return self in (RetirementState.DRAINING, RetirementState.DRAINED)


_LEAVING = frozenset({RetirementState.DRAINING, RetirementState.DRAINED, RetirementState.RELEASED})

EDGES = frozenset(
    {
        (RetirementState.STARTING, RetirementState.ACTIVE),
        (RetirementState.ACTIVE, RetirementState.DRAINING),
        (RetirementState.DRAINING, RetirementState.DRAINED),
        (RetirementState.DRAINED, RetirementState.DRAINING),
        (RetirementState.DRAINING, RetirementState.ACTIVE),
        (RetirementState.DRAINED, RetirementState.ACTIVE),
        (RetirementState.DRAINED, RetirementState.RELEASED),
        (RetirementState.RELEASED, RetirementState.GONE),
    }
)
"""Drained → Draining is a proof that broke: the pod was restarted, a gate opened, a leg came.

A pod whose node is dead is released from any state; that edge carries other evidence (`evidence.DeadNode`).
"""


class Purpose(StrEnum):
    """What a release is for."""

    SHRINK = "shrink"
    """The fleet needs fewer: the target is lowered."""
    REPLACE = "replace"
    """This pod must go: the target stays, and the controller makes a successor."""


class Cause(StrEnum):
    """Why a pod leaves."""

    NOT_NEEDED = "not-needed"
    OLD_REVISION = "old-revision"
    CORDONED_NODE = "cordoned-node"
    ASKED = "asked"
    DEAD_NODE = "dead-node"


class Wish(StrEnum):
    """What a person asked for on this pod."""

    DRAIN = "drain"
    REPLACE = "replace"
    RECALL = "recall"
