"""The policy: everything an SRE may say about how a fleet is sized, and nothing else.

These models are the single source of the JSON Schema, the reference in the docs and the nearest-name hints of
errors, so each field carries its meaning, its unit, its default and an example here. A policy names no host and no
secret: `history.source` refers to a source of the service's own configuration.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from scaler.policy.calendars import CalendarSpec
from scaler.policy.fields import (
    Cron,
    Day,
    FieldsError,
    Instant,
    Label,
    Pods,
    PodsAtLeastOne,
    Tenant,
    TimeZone,
)
from scaler.policy.fields import Name as Name
from scaler.policy.fields import PolicyModel as PolicyModel
from scaler.policy.fields import Seconds as Seconds
from scaler.policy.histories import HistorySpec
from scaler.policy.words import shown


class Mode(StrEnum):
    """What the policy lets calltide do."""

    OBSERVE = "observe"
    ASSIST = "assist"
    PRIMARY = "primary"


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

    channels_per_pod: int | None = Field(None, ge=1, le=100_000, examples=[120])
    """Channels that a pod can carry. Required when history has channels."""
    call_setups_per_second_per_pod: float | None = Field(None, gt=0, le=10_000, examples=[25])
    """Call set-ups per second that a pod can carry. Required when history has a call rate."""
    target_occupancy: float | None = Field(None, gt=0, le=1, examples=[0.75])
    """Share of a pod's capacity that is planned to be used (default 0.8). Excludes `gradeOfService`."""
    grade_of_service: GradeOfService | None = None
    """Size the channels by blocking instead of by occupancy. Excludes `targetOccupancy`."""

    @model_validator(mode="after")
    def _safety_counts_once(self) -> Self:
        if self.target_occupancy is not None and self.grade_of_service is not None:
            raise FieldsError(
                "targetOccupancy and gradeOfService both add safety; keep one (null drops what is inherited)",
                "targetOccupancy",
                "gradeOfService",
            )
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

    name: Label = Field(examples=["Spring campaign"])
    """What it is for, for the explanation."""
    cron: Cron = Field(examples=["30 7 * * 1-5"])
    """When the window opens: five cron fields in civil time, which daylight-saving changes neither skip nor repeat."""
    duration: Seconds = Field(alias="for", ge=60, le=7 * 86400, examples=["4h"])
    """How long the window stays open."""
    min_pods: PodsAtLeastOne = Field(examples=[12])
    """Pods that must stand while it is open."""
    time_zone: TimeZone | None = Field(None, examples=["Europe/London"])
    """Civil time of `cron`; the calendar's when left out."""
    owner: str = Field("", max_length=200, examples=["marketing@example.com"])
    """Whom to ask about it."""
    expires: Instant | None = Field(None, examples=["2026-12-24T18:00:00+01:00"])
    """After this instant the entry does nothing; write it with an offset or Z."""


class InhibitWindow(PolicyModel):
    """Civil time in which no pod is retired."""

    name: Label = Field(examples=["Monday opening"])
    """What it is for."""
    cron: Cron = Field(examples=["0 7 * * 1"])
    """When the window opens, five cron fields in the calendar's civil time."""
    duration: Seconds = Field(alias="for", ge=60, le=7 * 86400, examples=["4h"])
    """How long the window stays open."""


class GuardrailSpec(PolicyModel):
    """Limits on what the forecast may ask for. They never cut the reactive floor."""

    max_step: PodsAtLeastOne | None = Field(None, examples=[10])
    """Pods that the forecast's part may rise by in one step of 15 s."""
    priority: int = Field(0, ge=-1000, le=1000)
    """Who goes first when the cluster's launch budget is short: the higher number."""
    confirm_change_above: float = Field(0.5, ge=0, le=100)
    """A policy change that moves a fleet's need by more than this share waits for `calltide policy confirm`."""
    inhibit: tuple[InhibitWindow, ...] = Field((), max_length=200)
    """When nothing is retired."""


def _named_once(names: tuple[str, ...]) -> tuple[str, ...]:
    twice = next((name for i, name in enumerate(names) if name in names[:i]), None)
    if twice is not None:
        raise ValueError(f"{shown(twice)} is named twice; remove one")
    return names


class RetirementMode(StrEnum):
    """Whether pods are retired."""

    OFF = "off"
    DRY_RUN = "dry-run"
    ON = "on"


class RetirementSpec(PolicyModel):
    """When and how a pod may leave."""

    mode: RetirementMode = RetirementMode.OFF
    """`dry-run` shows what would be done and does nothing."""
    media_server: Name = Field("default", examples=["asterisk"])
    """How pods are asked what they carry: a name in the configuration's `retirement.mediaServers`."""
    front_gates: Annotated[tuple[Name, ...], AfterValidator(_named_once)] = Field(
        (), max_length=20, examples=[["edge"]]
    )
    """What steers calls to the pods and has to be told: names in the configuration's `retirement.frontGates`."""
    pinned: str | None = Field(None, min_length=1, max_length=1000, examples=["Registers a trunk from its only pod."])
    """Why no pod of the fleet is ever drained because fewer are needed. Left out, they are."""
    look_ahead: Seconds = Field(3600, ge=10, le=86400)
    """A need within this keeps a pod from being drained: a forecast one or, without a forecast, one just past."""
    quiet_window: Seconds = Field(35, ge=5, le=3600)
    """How long the count must have stayed zero behind a closed pod gate."""
    drain_max: Seconds = Field(8 * 3600, ge=300, le=7 * 86400)
    """A drain that lasts longer is reported."""
    node_death_after: Seconds = Field(300, ge=20, le=86400)
    """For how long a node must have no lease and its pods no answer, until they are given up."""
    max_at_once: Annotated[int, Field(ge=1, le=1000)] = 1
    """Pods of a fleet that may drain at the same time."""
    pod_gate: Literal["asterisk", "none"] = "asterisk"
    """How a pod refuses new calls itself. `none` needs `acceptedRisk`."""
    accepted_risk: str | None = Field(None, max_length=1000, examples=["The proxies shut the front gate first."])
    """Why it is accepted that a late call may reach a draining pod. Only with `podGate: none`."""

    @model_validator(mode="after")
    def _risk_is_written_down(self) -> Self:
        if self.pod_gate == "none" and not self.accepted_risk:
            raise FieldsError("none lets a late call reach a draining pod; say why in acceptedRisk", "podGate")
        if self.pod_gate != "none" and self.accepted_risk:
            raise FieldsError("it belongs to 'podGate: none' only; remove it", "acceptedRisk")
        return self


class AnnouncedTenant(PolicyModel):
    """A tenant that is known before its calls are, with its size."""

    tenant: Tenant = Field(examples=["initech"])
    """Its name as the history's label will have it."""
    first: Day = Field(alias="from", examples=["2026-12-01"])
    """Local day on which its calls begin."""
    endpoints: int = Field(ge=1, le=10_000_000, examples=[250])
    """Telephones, agents or lines that can make a call."""
    channels_per_endpoint: float | None = Field(None, gt=0, le=100, examples=[0.1])
    """Channels in use per endpoint in its busy hour, until tenants of known size tell; 0.2 when left out."""


def _announced_once(announced: tuple[AnnouncedTenant, ...]) -> tuple[AnnouncedTenant, ...]:
    seen: set[str] = set()
    for each in announced:
        if each.tenant in seen:
            raise ValueError(f"{shown(each.tenant)} is announced twice and would count twice; remove one entry")
        seen.add(each.tenant)
    return announced


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
    schedule: tuple[ScheduledMinimum, ...] = Field((), max_length=200)
    """Minimums by civil time."""
    announced: Annotated[tuple[AnnouncedTenant, ...], AfterValidator(_announced_once)] = Field((), max_length=1000)
    """Tenants to come. An entry adds to the fleets that serve the tenant until its first week is over.

    Left in the list it teaches what an endpoint of the policy's tenants needs.
    """
    min_pods: PodsAtLeastOne = 1
    """Never fewer pods."""
    max_pods: PodsAtLeastOne = 100
    """Never more pods asked for."""
    guardrails: GuardrailSpec = GuardrailSpec()
    """Limits on the forecast's part."""
    retirement: RetirementSpec = RetirementSpec()
    """When and how a pod may leave."""

    @model_validator(mode="after")
    def _fields_fit_together(self) -> Self:
        if self.min_pods > self.max_pods:
            raise FieldsError(
                f"minPods {self.min_pods} is above maxPods {self.max_pods}; raise maxPods or lower minPods",
                "minPods",
                "maxPods",
            )
        history, capacity = self.history, self.capacity
        if history.channels is None and history.call_rate is None:
            raise FieldsError(
                "there is neither channels nor callRate; name at least one query",
                "history.channels",
                "history.callRate",
            )
        pairs = (
            (history.channels, capacity.channels_per_pod, "channels", "channelsPerPod"),
            (history.call_rate, capacity.call_setups_per_second_per_pod, "callRate", "callSetupsPerSecondPerPod"),
        )
        for query, per_pod, query_name, per_pod_name in pairs:
            if query is not None and per_pod is None:
                fields = (f"history.{query_name}", f"capacity.{per_pod_name}")
                raise FieldsError(f"it needs capacity.{per_pod_name}; say what a pod carries", *fields)
            if query is None and per_pod is not None:
                fields = (f"capacity.{per_pod_name}", f"history.{query_name}")
                raise FieldsError(f"it needs the query history.{query_name}; give it or remove this", *fields)
        if capacity.grade_of_service is not None and history.channels is None:
            fields = ("capacity.gradeOfService", "history.channels")
            raise FieldsError("it sizes channels and needs history.channels; give it or use targetOccupancy", *fields)
        return self
