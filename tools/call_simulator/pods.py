"""A pod of the simulator: its object as the API server has it, and what is true of the PBX in it."""

from __future__ import annotations

from typing import NamedTuple

from scaler.retirement.evidence import DrainRecord, ReleaseEvidence
from scaler.retirement.states import RetirementState


class PodObject(NamedTuple):
    """What the API server knows. A leader keeps the one that it looked at; each change makes another version."""

    created_s: float
    version: int = 0
    state: RetirementState = RetirementState.STARTING
    protected: bool = True
    started: bool = False
    ready: bool = False
    was_ready: bool = False
    drain: DrainRecord | None = None
    evidence: ReleaseEvidence | None = None
    current_revision: bool = True
    node_lost_s: float | None = None
    """Since when its node has not renewed its lease."""


class Pod:
    """One pod, with its calls by their number and since when each is a channel."""

    __slots__ = (
        "boot",
        "calls",
        "emptying",
        "gone",
        "name",
        "object",
        "ordinal",
        "recordings",
        "setting_up",
        "shut",
        "steered",
        "uid",
        "up",
    )

    def __init__(self, number: int, ordinal: int, proxies: int, *, born: PodObject) -> None:
        self.uid, self.name, self.ordinal = f"uid-{number}", f"pod-{number}", ordinal
        self.object = born
        self.up, self.boot, self.shut, self.gone = False, 0, False, False
        self.calls: dict[int, float] = {}
        self.setting_up: set[int] = set()
        self.recordings = 0
        self.steered = [True] * proxies
        self.emptying = (-1e9, 0.0)
        """When the time to empty was computed, and what it was."""

    @property
    def live(self) -> int:
        """Calls that somebody would miss, channels or not yet."""
        return len(self.calls) + len(self.setting_up)

    def write(self, **changed: object) -> None:
        """Change the object: a new version."""
        self.object = self.object._replace(version=self.object.version + 1, **changed)  # type: ignore[arg-type]
