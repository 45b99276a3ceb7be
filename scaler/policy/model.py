"""The policy: everything an SRE may say about how a fleet is sized, and nothing else.

These models are the single source of the JSON Schema, the reference in the docs and the nearest-name hints of
errors, so each field carries its meaning, its unit and its default here. A policy names no host and no secret:
`history.source` refers to a source of the service's own configuration.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any, Literal, Self
from zoneinfo import available_timezones

import holidays
from cronsim import CronSim, CronSimError
from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

from scaler.policy.durations import parse_duration

API_VERSION = "calltide.io/v1"

_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")


def _known_time_zone(name: str) -> str:
    if name not in available_timezones():
        raise ValueError(f"{name!r} is not an IANA time zone; write it like 'Europe/Berlin'")
    return name


def _kubernetes_name(name: str) -> str:
    if not _NAME.fullmatch(name) or len(name) > 63:
        raise ValueError(f"{name!r} is not a name: lower-case letters, digits, '-' and '.', at most 63")
    return name


def _cron_that_fires(expression: str) -> str:
    # Any start will do: the question is whether the fields are well formed and can ever match.
    try:
        next(CronSim(expression, datetime(2026, 1, 1, tzinfo=UTC)))
    except (CronSimError, StopIteration):
        raise ValueError(f"{expression!r} is not five cron fields that ever match, like '30 8 * * 1-5'") from None
    return expression


Seconds = Annotated[
    int,
    BeforeValidator(parse_duration),
    Field(json_schema_extra={"type": ["string", "integer"], "examples": ["90s", "5m", "4h", "8w"]}),
]
"""A duration in whole seconds, written '90s', '5m', '4h', '2d', '8w' or as a number of seconds."""

Cron = Annotated[str, AfterValidator(_cron_that_fires)]
TimeZone = Annotated[str, AfterValidator(_known_time_zone)]
Name = Annotated[str, AfterValidator(_kubernetes_name)]
Share = Annotated[float, Field(ge=0, le=1)]
Pods = Annotated[int, Field(ge=0, le=10_000)]


class PolicyModel(BaseModel):
    """Common behaviour: camelCase in YAML, unknown fields refused, values frozen."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
        allow_inf_nan=False,
    )


class Mode(StrEnum):
    """What the policy lets calltide do."""

    OBSERVE = "observe"
    ASSIST = "assist"
    PRIMARY = "primary"


class Statistic(StrEnum):
    """Which statistic of a slot the history holds."""

    MEAN = "mean"
    MAXIMUM = "maximum"


class HistorySpec(PolicyModel):
    """Where the load of the past is read."""

    source: Name = "default"
    """Name of a source in the service's configuration."""
    channels: str | None = None
    """Query that yields the channels in use of every tenant: PromQL, LogQL, or for a file source a column."""
    call_rate: str | None = None
    """Query that yields the call set-ups per second of every tenant."""
    tenant_label: str = Field("tenant", min_length=1, max_length=200)
    """Label of the query's result that names the tenant."""
    completeness: str | None = None
    """Query that yields, per tenant, the share of its targets that were up. A slot with too few is a gap."""
    minimum_completeness: Share = 0.9
    """Share of targets that must be up for a slot to count as observed."""
    statistic: Statistic = Statistic.MAXIMUM
    """Which statistic of a slot the queries yield; the maximum drives capacity, the mean forecasts calmer."""
    step: Seconds = Field(300, ge=60, le=3600)
    """Width of a slot. It must divide an hour."""
    look_back: Seconds = Field(8 * 7 * 86400, ge=86400, le=3 * 366 * 86400)
    """How much history is fetched at first start and used for forecasts."""

    @model_validator(mode="after")
    def _step_divides_the_hour(self) -> Self:
        if 3600 % self.step:
            raise ValueError(f"step of {self.step} s does not divide an hour; use 1m, 5m, 10m, 15m, 30m or 1h")
        return self


class CalendarEvent(PolicyModel):
    """A local day, or a run of days, that follows no weekly habit."""

    name: str = Field(min_length=1, max_length=200)
    """What happens, for the explanation."""
    first: date = Field(alias="from")
    """First local day."""
    last: date | None = Field(None, alias="to")
    """Last local day; the same day when left out."""

    @model_validator(mode="after")
    def _ends_after_it_begins(self) -> Self:
        if self.last is not None and not self.first <= self.last <= self.first + timedelta(days=366):
            raise ValueError(f"'to' {self.last} must lie on or after 'from' {self.first}, at most a year later")
        return self

    @property
    def days(self) -> tuple[date, ...]:
        """Every local day of the event."""
        last = self.last or self.first
        return tuple(self.first + timedelta(days=n) for n in range((last - self.first).days + 1))


class HolidaySpec(PolicyModel):
    """Public holidays, by the codes of the `holidays` library."""

    country: str
    """ISO 3166-1 alpha-2 code, like US."""
    subdivision: str | None = None
    """Subdivision code, like NY."""

    @model_validator(mode="after")
    def _known(self) -> Self:
        supported = holidays.list_supported_countries(include_aliases=True)
        if self.country not in supported:
            raise ValueError(f"country {self.country!r} is not known; use an ISO code like 'US' or 'DE'")
        if self.subdivision is not None and self.subdivision not in supported[self.country]:
            known = ", ".join(supported[self.country]) or "none"
            raise ValueError(f"subdivision {self.subdivision!r} of {self.country} is not known; known: {known}")
        return self


class CalendarSpec(PolicyModel):
    """The civil time in which the working day repeats."""

    time_zone: TimeZone = "UTC"
    """IANA time zone of the tenants."""
    holidays: HolidaySpec | None = None
    """Public holidays."""
    events: tuple[CalendarEvent, ...] = ()
    """Days that follow no weekly habit."""
    closures: tuple[CalendarEvent, ...] = ()
    """Days without business."""


class ForecastSpec(PolicyModel):
    """Which part of the forecast sizes the fleet."""

    quantile: float = Field(0.95, ge=0.5, le=0.99)
    """Quantile of load that the forecast part must carry. With a grade of service the median is used instead."""
    horizon: Seconds = Field(48 * 3600, ge=3600, le=14 * 86400)
    """How far ahead forecast and plan reach."""


class GradeOfService(PolicyModel):
    """Blocking that is accepted (Erlang-B, Hayward)."""

    blocking: float = Field(0.001, gt=0, lt=0.5)
    """Share of calls that may find no free channel in the busy slot, like 0.001 for P.001."""


class CapacitySpec(PolicyModel):
    """What a pod carries."""

    channels_per_pod: int | None = Field(None, ge=1, le=100_000)
    """Channels that a pod can carry. Required when history has channels."""
    call_setups_per_second_per_pod: float | None = Field(None, gt=0, le=10_000)
    """Call set-ups per second that a pod can carry. Required when history has a call rate."""
    target_occupancy: float | None = Field(None, gt=0, le=1)
    """Share of a pod's capacity that is planned to be used (default 0.8). Excludes `gradeOfService`."""
    grade_of_service: GradeOfService | None = None
    """Size the channels by blocking instead of by occupancy. Excludes `targetOccupancy`."""

    @model_validator(mode="after")
    def _safety_counts_once(self) -> Self:
        if self.target_occupancy is not None and self.grade_of_service is not None:
            raise ValueError("targetOccupancy and gradeOfService both add safety; keep one of them")
        return self

    @property
    def occupancy(self) -> float:
        """The share of a pod's capacity that is planned to be used."""
        return 0.8 if self.target_occupancy is None else self.target_occupancy


class LeadSpec(PolicyModel):
    """How long a raised answer takes to become a pod that takes calls."""

    default: Seconds = Field(180, ge=1, le=3600)
    """Used until enough pod starts were measured."""
    quantile: float = Field(0.95, ge=0.5, le=0.99)
    """Quantile of the measured leads that is planned with."""
    routing_delay: Seconds = Field(10, ge=0, le=600)
    """From Ready to the first call: the proxies must learn of the pod."""
    minimum_samples: int = Field(8, ge=1, le=1000)
    """Pod starts that must be measured before the measured lead replaces the default."""


class ReactiveSpec(PolicyModel):
    """The floor under every answer: what is measured now, plus headroom."""

    headroom: float = Field(0.2, ge=0, le=5)
    """Share added to the load measured now. In `primary` a trusted forecast replaces it."""
    headroom_pods: Pods = 0
    """Pods added on top."""
    maximum_data_age: Seconds = Field(120, ge=15, le=3600)
    """A measurement older than this is missing, and the answer holds."""


class ScheduledMinimum(PolicyModel):
    """At least so many pods while a window of civil time is open."""

    name: str = Field(min_length=1, max_length=200)
    """What it is for, for the explanation."""
    cron: Cron
    """When the window opens: five cron fields in civil time, which daylight-saving changes neither skip nor repeat."""
    duration: Seconds = Field(alias="for", ge=60, le=7 * 86400)
    """How long the window stays open."""
    min_pods: Annotated[int, Field(ge=1, le=10_000)]
    """Pods that must stand while it is open."""
    time_zone: TimeZone | None = None
    """Civil time of `cron`; the calendar's when left out."""
    owner: str = Field("", max_length=200)
    """Whom to ask about it."""
    expires: AwareDatetime | None = None
    """After this instant the entry does nothing; write it with an offset or Z."""


class InhibitWindow(PolicyModel):
    """Civil time in which no pod is retired."""

    name: str = Field(min_length=1, max_length=200)
    """What it is for."""
    cron: Cron
    """When the window opens, five cron fields in the calendar's civil time."""
    duration: Seconds = Field(alias="for", ge=60, le=7 * 86400)
    """How long the window stays open."""


class GuardrailSpec(PolicyModel):
    """Limits on what the forecast may ask for. They never cut the reactive floor."""

    max_step: Annotated[int, Field(ge=1, le=10_000)] | None = None
    """Pods that the forecast's part may rise by in one step of 15 s."""
    priority: int = Field(0, ge=-1000, le=1000)
    """Who goes first when the cluster's launch budget is short: the higher number."""
    confirm_change_above: float = Field(0.5, ge=0, le=100)
    """A policy change that moves a fleet's need by more than this share waits for `calltide policy confirm`."""
    inhibit: tuple[InhibitWindow, ...] = ()
    """When nothing is retired."""


class RetirementMode(StrEnum):
    """Whether pods are retired."""

    OFF = "off"
    DRY_RUN = "dry-run"
    ON = "on"


class RetirementSpec(PolicyModel):
    """When and how a pod may leave."""

    mode: RetirementMode = RetirementMode.OFF
    """`dry-run` shows what would be done and does nothing."""
    look_ahead: Seconds = Field(3600, ge=300, le=86400)
    """A future need within this keeps a pod from being drained."""
    quiet_window: Seconds = Field(35, ge=5, le=3600)
    """How long the count must have stayed zero behind a closed pod gate."""
    drain_max: Seconds = Field(8 * 3600, ge=300, le=7 * 86400)
    """A drain that lasts longer is reported."""
    max_at_once: Annotated[int, Field(ge=1, le=1000)] = 1
    """Pods of a fleet that may drain at the same time."""
    pod_gate: Literal["asterisk", "none"] = "asterisk"
    """How a pod refuses new calls itself. `none` needs `acceptedRisk`."""
    accepted_risk: str | None = Field(None, max_length=1000)
    """Why it is accepted that a late call may reach a draining pod. Only with `podGate: none`."""

    @model_validator(mode="after")
    def _risk_is_written_down(self) -> Self:
        if self.pod_gate == "none" and not self.accepted_risk:
            raise ValueError("podGate: none lets a late call reach a draining pod; say why in acceptedRisk")
        if self.pod_gate != "none" and self.accepted_risk:
            raise ValueError("acceptedRisk belongs to podGate: none only; remove it")
        return self


class PolicyMetadata(PolicyModel):
    """Who the document is."""

    name: Name
    """Name that a trigger's `policy` refers to, unique over the directory."""
    labels: dict[str, str] = {}
    """Free labels; calltide does not read them."""
    annotations: dict[str, str] = {}
    """Free annotations; calltide does not read them."""


class PolicySpec(PolicyModel):
    """A policy after inheritance: what holds for one fleet or tenant."""

    mode: Mode = Mode.ASSIST
    """`observe` changes nothing, `assist` lets the forecast only add, `primary` lets it replace reactive headroom."""
    history: HistorySpec = HistorySpec()
    """Where the load of the past is read."""
    calendar: CalendarSpec = CalendarSpec()
    """The civil time in which the working day repeats."""
    forecast: ForecastSpec = ForecastSpec()
    """Which part of the forecast sizes the fleet."""
    capacity: CapacitySpec = CapacitySpec()
    """What a pod carries."""
    lead: LeadSpec = LeadSpec()
    """How long a new pod takes."""
    reactive: ReactiveSpec = ReactiveSpec()
    """The floor under every answer."""
    schedule: tuple[ScheduledMinimum, ...] = ()
    """Minimums by civil time."""
    min_pods: Annotated[int, Field(ge=1, le=10_000)] = 1
    """Never fewer pods."""
    max_pods: Annotated[int, Field(ge=1, le=10_000)] = 100
    """Never more pods asked for."""
    guardrails: GuardrailSpec = GuardrailSpec()
    """Limits on the forecast's part."""
    retirement: RetirementSpec = RetirementSpec()
    """When and how a pod may leave."""

    @model_validator(mode="after")
    def _measures_have_capacities(self) -> Self:
        if self.min_pods > self.max_pods:
            raise ValueError(
                f"minPods {self.min_pods} is above maxPods {self.max_pods}; raise maxPods or lower minPods"
            )
        history, capacity = self.history, self.capacity
        if history.channels is None and history.call_rate is None:
            raise ValueError("history has neither channels nor callRate; name at least one query")
        if (history.channels is None) != (capacity.channels_per_pod is None):
            raise ValueError("history.channels and capacity.channelsPerPod belong together; give both or neither")
        if (history.call_rate is None) != (capacity.call_setups_per_second_per_pod is None):
            raise ValueError(
                "history.callRate and capacity.callSetupsPerSecondPerPod belong together; give both or neither"
            )
        if capacity.grade_of_service is not None and history.channels is None:
            raise ValueError("gradeOfService sizes channels; it needs history.channels")
        return self


class ListedFleet(PolicyModel):
    """A fleet that no ScaledObject points to: watched in `observe`, and the simulated fleets of the demo."""

    namespace: Name = "default"
    """Namespace of the ScaledObject that would point here, or of the workload."""
    name: Name
    """Name of the ScaledObject that would point here, or of the workload."""
    tenants: tuple[str, ...] = Field(min_length=1, max_length=10_000)
    """Tenants whose calls the fleet serves."""


class Override(PolicyModel):
    """Fields that differ for one fleet, one tenant or one pool."""

    fleet: str | None = None
    """`namespace/name` of the fleet."""
    tenant: str | None = None
    """Name of the tenant (fleets that serve this tenant alone)."""
    spec: dict[str, Any]
    """Any fields of the policy; what is left out is inherited."""

    @model_validator(mode="after")
    def _one_target(self) -> Self:
        if (self.fleet is None) == (self.tenant is None):
            raise ValueError("name either a fleet or a tenant")
        return self


class PolicyDocument(PolicyModel):
    """One YAML document of the policy directory, before inheritance."""

    api_version: Literal["calltide.io/v1"]
    """Always `calltide.io/v1`."""
    kind: Literal["Policy"]
    """Always `Policy`."""
    metadata: PolicyMetadata
    """The policy's name."""
    extends: Name | None = None
    """Another policy whose spec this one inherits; without it the built-in defaults."""
    spec: dict[str, Any] = {}
    """Any fields of the policy; what is left out is inherited. Mappings merge, lists and scalars replace."""
    pools: dict[Name, tuple[str, ...]] = {}
    """Named groups of tenants that share a fleet; a trigger refers to one by `pool`."""
    fleets: tuple[ListedFleet, ...] = ()
    """Fleets that no ScaledObject points to."""
    overrides: tuple[Override, ...] = ()
    """Fields that differ for one fleet or tenant."""
