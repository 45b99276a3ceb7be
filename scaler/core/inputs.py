"""Everything that a plan is made from, as one value: the same inputs always give the same plan."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from forecasting.load import Measure
from scaler.core.fleet_forecast import FleetForecast
from scaler.core.fleets import FleetObservation
from scaler.core.lead import Lead
from scaler.core.plan import Part, Plan
from scaler.policy.model import PolicySpec


@dataclass(frozen=True, slots=True)
class Measurement:
    """A load that was read `age_s` seconds ago: channels in use, or call set-ups per second."""

    value: float
    age_s: float

    def is_fresh(self, maximum_age_s: float) -> bool:
        """Whether it says how things are now."""
        return math.isfinite(self.value) and self.value >= 0 and self.age_s <= maximum_age_s


@dataclass(frozen=True, slots=True)
class LastPlan:
    """What the plan before asked for: it is held when data are missing, and steps are counted from it.

    `answer` is without what a cluster's tolerance asked for on top, so that holding it never adds that twice.
    """

    need: int
    answer: int
    made_at_s: float

    @classmethod
    def of(cls, plan: Plan) -> LastPlan:
        """The part of a plan that the next one needs."""
        band = sum(step.pods for step in plan.explanation.contributions if step.part is Part.BAND)
        return cls(plan.need, plan.answer - band, plan.made_at_s)


@dataclass(frozen=True, slots=True, eq=False)
class PlanInputs:
    """One fleet at `now_s` (epoch seconds of the plan's clock).

    `measured` has an entry for each measure that could be read; `forecast` is that of the fleet's own sum, None when
    there is none; `book_need` what the plan book says for now, asked only when no forecast answers; `launch_grant`
    how many pods the forecast may launch in this step, None without a limit.
    """

    now_s: float
    policy: PolicySpec
    observation: FleetObservation
    lead: Lead
    measured: Mapping[Measure, Measurement] = field(default_factory=dict)
    forecast: FleetForecast | None = None
    last: LastPlan | None = None
    book_need: int | None = None
    launch_grant: int | None = None

    @property
    def wanted_measures(self) -> tuple[Measure, ...]:
        """The measures that this policy sizes by."""
        history = self.policy.history
        queries = {Measure.CHANNELS: history.channels, Measure.CALL_RATE: history.call_rate}
        return tuple(measure for measure, query in queries.items() if query is not None)

    @property
    def fresh_loads(self) -> dict[Measure, float]:
        """What is measured now, per measure that the policy sizes by and that is neither missing nor too old."""
        oldest = self.policy.reactive.maximum_data_age
        found = {measure: self.measured.get(measure) for measure in self.wanted_measures}
        return {measure: now.value for measure, now in found.items() if now is not None and now.is_fresh(oldest)}

    @property
    def maximum(self) -> int:
        """The policy's maximum or the ScaledObject's, whichever is lower."""
        limits = (self.policy.max_pods, self.observation.maximum_replicas)
        return min(limit for limit in limits if limit is not None)

    @property
    def minimum(self) -> int:
        """The policy's minimum or the ScaledObject's, whichever is higher."""
        return max(self.policy.min_pods, self.observation.minimum_replicas or 0)
