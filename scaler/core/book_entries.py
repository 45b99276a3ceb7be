"""From plans to what the KEDA process is told: today's number, and what to say when nobody tells it any more."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from keda_external_scaler.book import BookEntry
from scaler.core.fleets import FleetKey, FleetObservation
from scaler.core.plan import Plan
from scaler.core.plan_book import HOUR_S, FleetPages, PlanBook
from scaler.policy.model import Mode


def to_book_entries(
    plans: Iterable[Plan], observations: Mapping[FleetKey, FleetObservation], plan_book: PlanBook
) -> tuple[BookEntry, ...]:
    """One entry per plan whose fleet is observed.

    A plan without a forecast carries the last good path of the plan book as long as that reaches into the future.
    """
    return tuple(
        _entry(plan, observations[plan.fleet], plan_book.pages.get(plan.fleet))
        for plan in plans
        if plan.fleet in observations
    )


def _entry(plan: Plan, observation: FleetObservation, page: FleetPages | None) -> BookEntry:
    # What is only observed is told its own count, now and later: no path, no week, and nothing for tolerance.
    observing = plan.explanation.effective_mode is Mode.OBSERVE
    grid, path = plan.grid, plan.path
    if not plan.sized_ahead and page is not None and page.grid.end_s > plan.made_at_s:
        grid, path = page.grid, page.path
    week = page.week_at(int(plan.made_at_s // HOUR_S)) if page is not None else np.zeros(0, dtype=np.int32)
    return BookEntry(
        namespace=plan.fleet.namespace,
        name=plan.fleet.name,
        policy=plan.policy,
        tenants=observation.tenants,
        pool=observation.pool,
        need=plan.answer if observing else plan.need,
        answer=plan.answer,
        alone=plan.alone,
        # An inactive fleet is one that KEDA may take to zero past every safety of the HPA.
        active=plan.answer > 0,
        replicas=observation.spec_replicas,
        exact_tolerance=observation.exact_tolerance or observing,
        path_start_s=grid.start_s,
        path_step_s=grid.step_s,
        path=() if observing else tuple(path.tolist()),
        week=() if observing else tuple(week.tolist()),
    )
