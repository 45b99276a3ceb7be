"""The need to come, as retirement asks for it: is there room without this pod, and for how long?"""

from __future__ import annotations

from dataclasses import dataclass

from scaler.retirement.errors import RetirementError


@dataclass(frozen=True, slots=True)
class OutlookStep:
    """From `start_s` on (the leader's clock) so many serving pods are needed."""

    start_s: float
    pods: int


@dataclass(frozen=True, slots=True)
class Outlook:
    """The need from now until `end_s`, in steps that rise in time. What comes after the end is not known.

    The first step is the need of now, whatever its start.

    Raises:
        RetirementError: no step, or steps out of order.
    """

    steps: tuple[OutlookStep, ...]
    end_s: float

    def __post_init__(self) -> None:
        if not self.steps:
            raise RetirementError("steps: an outlook begins with the need of now; without one, pass Unproved")
        starts = [step.start_s for step in self.steps]
        if starts != sorted(starts):
            raise RetirementError(f"steps: their starts {starts} must rise")

    @property
    def now_pods(self) -> int:
        """Serving pods needed now."""
        return self.steps[0].pods

    def most(self, now_s: float, for_s: float) -> int:
        """The most pods that any instant of [now, now + for_s] needs, as far as is known."""
        return max(step.pods for i, step in enumerate(self.steps) if i == 0 or step.start_s <= now_s + for_s)

    def lasts_s(self, pods: int, now_s: float) -> float:
        """For how long so many pods are enough; 0 when they are too few now, at most until the outlook ends."""
        if self.now_pods > pods:
            return 0.0
        first = next((step.start_s for step in self.steps[1:] if step.pods > pods), self.end_s)
        return max(0.0, min(first, self.end_s) - now_s)
