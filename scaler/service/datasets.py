"""Which histories are kept: one dataset for each distinct question that the policies ask of a source.

Fleets whose policies ask the same question share its answer, so that a source is read once for all tenants however
many fleets there are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from forecasting.announced import AnnouncedTenant
from forecasting.archive import DatasetKey
from forecasting.calendar import CivilCalendar, SizedEvent
from forecasting.load import Measure
from forecasting.sources.protocol import HistoryQuery, RefusedCalls
from scaler.core.fleets import FleetKey
from scaler.policy.calendars import CalendarSpec
from scaler.policy.histories import HistorySpec, RefusedSpec
from scaler.policy.model import PolicySpec


@dataclass(frozen=True, slots=True)
class Dataset:
    """One measure of one source on one grid."""

    source: str
    query: HistoryQuery
    step_s: int

    @property
    def name(self) -> str:
        """Its folder in the archive: unlike any other dataset's."""
        return self.key.folder

    @property
    def key(self) -> DatasetKey:
        """Its name in the archive."""
        return DatasetKey.of(self.source, self.query, self.step_s)


@dataclass(frozen=True, slots=True)
class DatasetUse:
    """A dataset, and what is asked of it: how far back, how far ahead, for which fleets."""

    dataset: Dataset
    look_back_s: int
    horizon_s: int
    members: Mapping[FleetKey, tuple[str, ...]]
    calendars: Mapping[FleetKey, CivilCalendar]
    announced: Mapping[FleetKey, tuple[AnnouncedTenant, ...]] = field(default_factory=dict)

    def tenant_calendars(self) -> dict[str, CivilCalendar]:
        """Each tenant's calendar is that of the (last) fleet that serves it."""
        return {tenant: self.calendars[fleet] for fleet, tenants in self.members.items() for tenant in tenants}


def civil_calendar(spec: CalendarSpec) -> CivilCalendar:
    """A policy's calendar in the words of the forecasting room."""
    closed = [event for event in spec.events if event.is_closed]
    sized = [event for event in spec.events if event.factor is not None or event.like is not None]
    return CivilCalendar(
        time_zone=spec.time_zone,
        country=spec.holidays.country if spec.holidays else None,
        subdivision=spec.holidays.subdivision if spec.holidays else None,
        closures=tuple(day for days in (*spec.closures, *closed) for day in days.days),
        events=tuple(day for event in spec.events if event.effect is None for day in event.days),
        sized_events=tuple(SizedEvent(day, event.factor, event.like) for event in sized for day in event.days),
    )


def announced_tenants(spec: PolicySpec) -> tuple[AnnouncedTenant, ...]:
    """A policy's announced tenants in the words of the forecasting room."""
    return tuple(
        AnnouncedTenant(each.tenant, each.first, each.endpoints, each.channels_per_endpoint) for each in spec.announced
    )


def datasets_of(history: HistorySpec) -> dict[Measure, Dataset]:
    """The one or two datasets that a policy's history asks for."""
    expressions = {Measure.CHANNELS: history.channels, Measure.CALL_RATE: history.call_rate}
    return {
        measure: Dataset(
            history.source,
            HistoryQuery(
                measure,
                expression,
                history.tenant_label,
                history.completeness,
                history.minimum_completeness,
                history.statistic,
                _refused_calls(history.refused, measure),
            ),
            history.step,
        )
        for measure, expression in expressions.items()
        if expression is not None
    }


def _refused_calls(spec: RefusedSpec | None, measure: Measure) -> RefusedCalls | None:
    """A policy's refused calls in the words of the forecasting room."""
    if spec is None:
        return None
    if measure is Measure.CALL_RATE:
        # Without the holding time, which it has no use for: another one must not make it read its history anew.
        return RefusedCalls(spec.query, retry_share=spec.retry_share)
    return RefusedCalls(spec.query, spec.holding_time, spec.holding_time_query, spec.retry_share)


@dataclass(slots=True)
class _Parts:
    """A `DatasetUse` while fleet after fleet is added to it: a copy for each would cost the square of their number."""

    look_back_s: int = 0
    horizon_s: int = 0
    members: dict[FleetKey, tuple[str, ...]] = field(default_factory=dict)
    calendars: dict[FleetKey, CivilCalendar] = field(default_factory=dict)
    announced: dict[FleetKey, tuple[AnnouncedTenant, ...]] = field(default_factory=dict)


def dataset_uses(fleets: Iterable[tuple[FleetKey, tuple[str, ...], PolicySpec]]) -> dict[Dataset, DatasetUse]:
    """Every dataset that these fleets need, with the widest look-back and horizon that any of them asks for."""
    parts: dict[Dataset, _Parts] = {}
    for key, tenants, spec in fleets:
        calendar = civil_calendar(spec.calendar)
        for dataset in datasets_of(spec.history).values():
            part = parts.setdefault(dataset, _Parts())
            part.look_back_s = max(part.look_back_s, spec.history.look_back)
            part.horizon_s = max(part.horizon_s, spec.forecast.horizon)
            part.members[key] = tenants
            part.calendars[key] = calendar
            if spec.announced:
                part.announced[key] = announced_tenants(spec)
    return {
        dataset: DatasetUse(dataset, part.look_back_s, part.horizon_s, part.members, part.calendars, part.announced)
        for dataset, part in parts.items()
    }
