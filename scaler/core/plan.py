"""The words for a decision: what a fleet needs, per slot and now, and why.

An explanation is a waterfall in pods: each contribution moves the running total, the last total is the answer. A
number that its contributions do not add up to cannot be built.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from forecasting.forecast import Trust
from forecasting.grid import SlotGrid
from scaler.core.fleets import FleetKey
from scaler.errors import CalltideError
from scaler.policy.model import Mode


class Part(StrEnum):
    """What can move a fleet's number of pods, in the order in which it is applied."""

    MEASURED = "measured"
    """Pods for the load measured now."""
    HEADROOM = "headroom"
    """Reactive headroom on top of it."""
    HOLD = "hold"
    """The last answer, kept because data are missing."""
    PLAN_BOOK = "plan-book"
    """The last known good plan, used because there is no forecast now."""
    FORECAST = "forecast"
    """What the forecast asks for above all that came before."""
    SCHEDULE = "schedule"
    """A scheduled minimum of civil time."""
    MINIMUM = "minimum"
    """The policy's or the ScaledObject's minimum."""
    MAX_STEP = "max-step"
    """Cut: the forecast's part may not rise faster."""
    LAUNCH_BUDGET = "launch-budget"
    """Cut: the cluster's budget of launches went to others first."""
    MAXIMUM = "maximum"
    """Cut: the policy's maximum."""
    UNCONFIRMED = "unconfirmed"
    """The difference that an old policy makes while a large change waits for confirmation."""
    OBSERVE = "observe"
    """In `observe` the answer is the current replica count."""
    NOT_SERVING = "not-serving"
    """Pods inside the target that neither serve nor can be recalled."""
    FREEZE = "freeze"
    """The last answer, kept because a person froze the fleet."""
    BAND = "band"
    """What a cluster without tolerance 0 needs on top to move at all."""


@dataclass(frozen=True, slots=True)
class Contribution:
    """One step of the waterfall: `pods` moved the running total to `total`."""

    part: Part
    pods: int
    total: int
    sentence: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a fleet gets its number.

    `need_after` is the index of the contribution whose total is the need; what follows it turns need into answer.
    `binding` is the part that set the need, `cut_by` the limits that lowered it.

    Raises:
        CalltideError: the contributions do not add up, or none of them gives the need.
    """

    contributions: tuple[Contribution, ...]
    need_after: int
    binding: Part
    cut_by: tuple[Part, ...]
    mode: Mode
    effective_mode: Mode
    trust: Trust
    trust_reason: str
    issue_age_s: float | None
    data_age_s: float | None
    lead_s: float
    summary: str
    warnings: tuple[str, ...] = ()
    """What somebody should mend, in sentences; none of them changes the number."""

    def __post_init__(self) -> None:
        total = 0
        for step in self.contributions:
            total += step.pods
            if total != step.total:
                raise CalltideError(f"{step.part}: {step.pods:+d} pods give {total}, not {step.total}")
        if not 0 <= self.need_after < len(self.contributions):
            raise CalltideError(f"need_after {self.need_after} points outside {len(self.contributions)} contributions")

    @property
    def need(self) -> int:
        """The running total that is the need."""
        return self.contributions[self.need_after].total

    @property
    def answer(self) -> int:
        """The last running total."""
        return self.contributions[-1].total


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """A fleet's decision at `made_at_s`.

    `need` is serving pods wanted now; `answer` what KEDA is told; `alone` what it is told once calltide's control
    plane is silent and nobody can recall a draining pod. `path` (slots,) int32 is the highest need of any instant of
    each slot of `grid`, with the lead already counted in: pods asked for in a slot stand when the load of the lead
    window comes. It knows forecast, schedule, minimum and maximum; what is measured now is in `need` alone.
    `sized_ahead` says whether a forecast is in the path; `unmet` (slots,) int32 how many pods each slot would need
    beyond the maximum; `measured_pods` what the load measured now fills, without headroom, None when it is missing.

    Raises:
        CalltideError: need or answer are not those of the explanation, or the path does not fit its grid.
    """

    fleet: FleetKey
    policy: str
    made_at_s: float
    need: int
    answer: int
    alone: int
    grid: SlotGrid
    path: npt.NDArray[np.int32]
    explanation: Explanation
    sized_ahead: bool = True
    unmet: npt.NDArray[np.int32] | None = None
    measured_pods: int | None = None

    def __post_init__(self) -> None:
        told = (self.explanation.need, self.explanation.answer)
        if told != (self.need, self.answer):
            raise CalltideError(f"{self.fleet}: need and answer are {(self.need, self.answer)}, explained are {told}")
        if self.path.shape != (self.grid.slots,) or self.path.dtype != np.int32:
            raise CalltideError(f"{self.fleet}: the path is {self.path.dtype} {self.path.shape}, not int32 per slot")
