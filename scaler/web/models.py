"""The API's answers. Names carry their units; times are epoch seconds; null means not known and never zero."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from forecasting.forecast import Trust
from scaler.core.plan import Part
from scaler.policy.model import Mode, PolicySpec
from scaler.web.health import Check
from scaler.web.state import ReplicaRole
from scaler.web.urgency import Urgency

Numbers = list[float | None]
"""One number per slot or sample, null where nothing is known."""


class Answer(BaseModel):
    """Common behaviour of all answers."""

    model_config = ConfigDict(use_attribute_docstrings=True, allow_inf_nan=False)


class Peak(Answer):
    """The highest need of the hours to come."""

    need: int
    """Pods."""
    at_s: float
    """When it begins."""
    unmet: int
    """Pods that the load would fill beyond what the limits allow."""


class Path(Answer):
    """Pods per slot from a start on."""

    start_s: int
    """Start of the first slot."""
    step_s: int
    """Width of a slot."""
    pods: list[int]
    """Pods per slot."""


class Fleet(Answer):
    """A fleet at a glance."""

    namespace: str
    name: str
    policy: str
    tenants: list[str]
    """The fleet's tenants, in a list of fleets only the first five."""
    tenant_count: int
    pool: str | None
    urgency: Urgency
    reason: str
    """Why it is as urgent as that, in a sentence."""
    summary: str
    """Why the fleet gets its number, in a sentence."""
    mode: Mode | None
    """What the policy lets calltide do."""
    effective_mode: Mode | None
    """What holds now; below `mode` while the forecast is not trusted."""
    trust: Trust
    trust_reason: str
    spec_replicas: int
    status_replicas: int
    serving: int
    """Pods that take calls now."""
    pods: dict[str, int]
    """Pods by state."""
    load_now: dict[str, float]
    """What is measured now, per measure."""
    measured_pods: int | None
    """Pods that the load measured now fills."""
    headroom_pods: int | None
    """Serving pods beyond those; negative when there are too few."""
    need: int | None
    """Serving pods wanted now."""
    answer: int | None
    """The number told to KEDA."""
    minimum_pods: int | None
    maximum_pods: int | None
    peak: Peak | None
    need_ahead: Path | None
    """The need of the next 24 hours, the highest of each half hour."""
    lead_s: float | None
    """From a raised answer to a pod that takes calls."""
    lead_is_measured: bool
    """Whether the lead was measured; else it is the policy's default."""
    issue_age_s: float | None
    """Age of the forecast."""
    data_age_s: float | None
    """Age of the newest observation."""
    observed_age_s: float | None
    """Age of what is known of the pods."""
    held: str | None
    """Why the answer is held."""
    fault: str | None
    """Why the fleet cannot be sized."""
    pending: str | None
    """What waits to be confirmed."""


class PodRow(Answer):
    """One pod."""

    name: str
    state: str
    created_s: float
    ready_s: float | None
    node: str | None


class FleetDetail(Fleet):
    """A fleet with its pods and what it is sized by."""

    workload: str | None
    paused: bool
    """Whether KEDA is told to leave the fleet alone."""
    pod_rows: list[PodRow]
    time_zone: str | None
    """The tenants' time zone."""
    quantile: float | None
    """The forecast's quantile that sizes the fleet."""
    data_old_after_s: float | None
    """A data age above this is not the usual wait for the next slot any more."""
    pod_capacity: dict[str, float]
    """What one pod carries at most, per measure."""


class Fleets(Answer):
    """Fleets, the most urgent first."""

    now_s: float
    total: int
    """How many match, shown or not."""
    fleets: list[Fleet]


class QuantilePath(Answer):
    """One quantile's path."""

    quantile: float
    values: Numbers


class MeasureForecast(Answer):
    """What is to come of one measure."""

    start_s: int
    step_s: int
    paths: list[QuantilePath]
    issued_at_s: float
    newest_observation_s: float | None
    trust: Trust
    trust_reason: str
    model: str


class Forecast(Answer):
    """What is to come."""

    now_s: float
    measures: dict[str, MeasureForecast]
    """Per measure; empty until the first forecast is made."""


class Scores(Answer):
    """How one model did. Shares of the mean load; null where nothing could be scored."""

    wape: float | None
    """Weighted absolute percentage error of the median, over the whole day ahead."""
    first_hour_wape: float | None
    """The same over the first hour."""
    pinball95: float | None
    """Pinball loss of the 95 % quantile."""
    coverage95: float | None
    """Share of slots at or below the 95 % quantile."""
    scored_until_s: float
    """End of the history that was replayed."""


class FleetScores(Answer):
    """The last daily backtest of a fleet's forecasts."""

    now_s: float
    measures: dict[str, dict[str, Scores]]
    """Per measure and model; empty until the first backtest."""


class PlanAnswer(Answer):
    """The need per slot. The lead is counted in: pods asked for at a slot's start stand in time."""

    now_s: float
    made_at_s: float
    policy: str
    need: int
    answer: int
    alone: int
    """What KEDA is told once nothing can recall a draining pod."""
    path: Path


class Contribution(Answer):
    """One step of the waterfall."""

    part: Part
    pods: int
    """What this step adds or takes."""
    total: int
    """The running total after it."""
    sentence: str


class ExplanationAnswer(Answer):
    """Why the fleet gets its number. The contributions add up to the answer."""

    now_s: float
    made_at_s: float
    summary: str
    contributions: list[Contribution]
    need_after: int
    """Index of the contribution whose total is the need; what follows turns the need into the answer."""
    need: int
    answer: int
    binding: Part
    """The part that decides."""
    cut_by: list[Part]
    """Limits that took pods away."""
    mode: Mode
    effective_mode: Mode
    trust: Trust
    trust_reason: str
    issue_age_s: float | None
    data_age_s: float | None
    lead_s: float
    warnings: list[str]
    """What somebody should look at, beside the number."""


class LoadPath(Answer):
    """The load that was measured, per slot; null is a gap and not a zero."""

    start_s: int
    step_s: int
    values: Numbers


class Recorded(Answer):
    """What was needed, answered and ready. Only samples at which something changed are given."""

    at_s: list[float]
    need: Numbers
    answer: Numbers
    ready: Numbers


class History(Answer):
    """A fleet's past."""

    now_s: float
    measures: dict[str, LoadPath]
    """Per measure; empty until history was read."""
    recorded: Recorded


class PolicyLine(Answer):
    """A policy in a list."""

    name: str
    file: str
    mode: Mode
    fleets: int
    """Fleets that it sizes now."""


class Pending(Answer):
    """A change that waits to be confirmed."""

    policy: str
    namespace: str
    name: str
    sentence: str
    since_s: float


class Policies(Answer):
    """What is in force and what is not."""

    policies: list[PolicyLine]
    problems: list[str]
    """Errors of a policy directory that was rejected; what is in force stays in force."""
    rejected_at_s: float | None
    pending: list[Pending]


class Policy(Answer):
    """One policy as it is in force."""

    name: str
    file: str
    spec: PolicySpec
    pools: dict[str, list[str]]
    fleets: list[str]
    """Fleets that it sizes now, as `namespace/name`."""


class Job(Answer):
    """One of the service's jobs."""

    name: str
    last_success_s: float | None
    last_duration_s: float | None
    runs: int
    failures: int
    error: str | None
    """What the last run failed with, null when it succeeded."""
    error_at_s: float | None


class Jobs(Answer):
    """The service's jobs."""

    now_s: float
    jobs: list[Job]


class Source(Answer):
    """One history source."""

    name: str
    kind: str
    up: bool
    problem: str | None
    newest_observation_s: float | None


class Keda(Answer):
    """The process that answers KEDA."""

    alive: bool
    book_age_s: float | None
    """Age of its answers, by the wall clock."""
    book_fleets: int
    answers: int
    alone: int
    refused: int


class Replica(Answer):
    """What this calltide is among its replicas."""

    role: ReplicaRole
    name: str
    """Its own name, empty where there are no replicas."""
    leader: str | None
    """The replica that leads, null while none is known."""
    term: int | None
    """Rises with each leadership, not by 1."""
    copied_at_s: float | None
    """When the leader's answers were last found to be those in use here."""
    problem: str | None
    """What hinders this replica in the election, null when nothing does. Why a copy failed, the job `copy` says."""


class Status(Answer):
    """The service at a glance."""

    version: str
    now_s: float
    """The clock that plans are made by."""
    started_s: float
    demo: bool
    """Calls and pods are simulated."""
    speed: float
    """Seconds of that clock per second of the wall clock."""
    ready: bool
    checks: list[Check]
    fleets: dict[str, int]
    """How many fleets there are of each urgency."""
    policies: int
    policy_problems: list[str]
    pending: list[Pending]
    sources: list[Source]
    failing_jobs: list[Job]
    """Jobs whose last run failed."""
    keda: Keda
    replica: Replica
    archive_bytes: int | None
