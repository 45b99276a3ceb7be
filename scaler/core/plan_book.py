"""The last known good plans: what answers when the forecast is gone.

For each fleet it keeps the path of the newest plan that a forecast sized, what was asked for last, and the highest
need of each hour of the last week. Values in, values out; the file is the service's matter.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from forecasting.grid import SlotGrid
from keda_external_scaler.book import HOURS_OF_A_WEEK
from scaler.core.fleets import FleetKey
from scaler.core.inputs import LastPlan
from scaler.core.plan import Part, Plan

HOUR_S = 3600
UNKNOWN = -1
"""In the week: no need was recorded in that hour."""

Int32Array = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True, eq=False)
class FleetPages:
    """What the book knows of one fleet.

    `path` (slots,) on `grid` is that of the last plan that a forecast sized, of no slots before the first. `week`
    (168,) holds the highest need of each whole hour that has ended, by epoch hour modulo 168, and `UNKNOWN` for an
    hour of the last 168 without a plan. `hour` is the epoch hour of the last plan and `hour_need` its highest need
    so far: it enters the week when it is over, so that the same hour of the week before answers until then.
    """

    policy: str
    last: LastPlan
    grid: SlotGrid
    path: Int32Array
    week: Int32Array
    hour: int
    hour_need: int

    def week_at(self, hour: int) -> Int32Array:
        """The week as it is in an epoch hour: finished hours written, those more than a week old forgotten."""
        week = self.week.copy()
        if hour > self.hour:
            passed = np.arange(self.hour, min(hour, self.hour + HOURS_OF_A_WEEK))
            week[passed % HOURS_OF_A_WEEK] = UNKNOWN
            if hour - self.hour <= HOURS_OF_A_WEEK:
                week[self.hour % HOURS_OF_A_WEEK] = self.hour_need
        return week


@dataclass(frozen=True, slots=True)
class PlanBook:
    """The pages of every fleet."""

    pages: Mapping[FleetKey, FleetPages] = field(default_factory=dict)

    def need_at(self, fleet: FleetKey, at_s: float) -> int | None:
        """The need of a fleet at an instant: its slot's, after the path's end the same hour's of the week before.

        None: nothing is known, and the answer holds.
        """
        page = self.pages.get(fleet)
        if page is None:
            return None
        slot = page.grid.index_of(at_s)
        if 0 <= slot < page.grid.slots:
            return int(page.path[slot])
        hour = int(at_s // HOUR_S)
        need = int(page.week_at(hour)[hour % HOURS_OF_A_WEEK])
        return None if need == UNKNOWN else need

    def last_plan(self, fleet: FleetKey) -> LastPlan | None:
        """What was asked for last, for a plan made after a restart."""
        page = self.pages.get(fleet)
        return None if page is None else page.last


def recorded(book: PlanBook, plans: Iterable[Plan]) -> PlanBook:
    """The book after these plans. Fleets without a plan for more than a week are forgotten."""
    pages = dict(book.pages)
    newest_s = 0.0
    for plan in plans:
        pages[plan.fleet] = _recorded_page(pages.get(plan.fleet), plan)
        newest_s = max(newest_s, plan.made_at_s)
    oldest_s = newest_s - HOURS_OF_A_WEEK * HOUR_S
    return PlanBook({fleet: page for fleet, page in pages.items() if page.last.made_at_s >= oldest_s})


def _recorded_page(page: FleetPages | None, plan: Plan) -> FleetPages:
    hour = int(plan.made_at_s // HOUR_S)
    # A held need is an old one: recorded again it would outlive its hour.
    need = UNKNOWN if plan.explanation.binding is Part.HOLD else plan.need
    if page is None:
        nothing = np.zeros(0, dtype=np.int32)
        week = np.full(HOURS_OF_A_WEEK, UNKNOWN, dtype=np.int32)
        grid = SlotGrid(0, plan.grid.step_s, 0)
        page = FleetPages(plan.policy, LastPlan.of(plan), grid, nothing, week, hour, need)
    elif hour > page.hour:
        page = replace(page, week=page.week_at(hour), hour=hour, hour_need=need)
    else:
        page = replace(page, hour_need=max(page.hour_need, need))
    if plan.sized_ahead:
        page = replace(page, grid=plan.grid, path=plan.path)
    return replace(page, policy=plan.policy, last=LastPlan.of(plan))
