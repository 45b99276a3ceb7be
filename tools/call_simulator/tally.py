"""What is counted: how each call ended, what it cost in pods, and which promise was broken how often."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Self


@dataclass
class Tally:
    """Counts of one run, or of many added up.

    `cut` were on a pod, as a channel or not yet one, when its deletion was accepted. `crashed` were on a PBX that died
    by itself, `at_trunk` never reached the fleet. `back_s` is how long each want of pods lasted that an unforeseen load
    made, until as many served as that load needs.
    """

    offered: int = 0
    refused: int = 0
    cut: int = 0
    crashed: int = 0
    at_trunk: int = 0
    recordings_lost: int = 0
    pods_gone: int = 0
    drains: int = 0
    recalls: int = 0
    refused_deletes: int = 0
    rounds: int = 0
    pod_s: float = 0.0
    below_need_s: float = 0.0
    back_s: list[float] = field(default_factory=list)
    broken: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)

    @property
    def back_mean_s(self) -> float:
        """How long a want of pods lasted on average, seconds."""
        return sum(self.back_s) / len(self.back_s) if self.back_s else 0.0

    def figure(self, name: str) -> int:
        """A count by its field's name, or how often a promise was broken by its text."""
        return int(getattr(self, name)) if hasattr(self, name) else self.broken[name]

    def __iadd__(self, other: Tally) -> Self:
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) + value)
        return self
