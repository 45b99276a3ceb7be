"""What the page, the API and the metrics read of the running service, and nothing else.

Everything here but the audit log is answered from memory and never waits: a browser that asks often must not slow down
a plan. The service implements `StateReader`; tests hand in a made-up one. Ages are on the plan's clock, which a demo
runs faster than the wall clock; the one exception, the age of the answers that KEDA reads, says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

import numpy as np
import numpy.typing as npt

from forecasting.explanation import MemberShare
from forecasting.forecast import Trust
from forecasting.grid import SlotGrid
from forecasting.load import Float32Array, Measure
from scaler.core.fleets import FleetKey, FleetObservation, PodState
from scaler.core.plan import Plan
from scaler.policy.model import Mode, PolicySpec
from scaler.retirement.audit import AuditRecord


@dataclass(frozen=True, slots=True)
class PeakAhead:
    """The highest need of the hours to come.

    `at_s` is the start of its slot, epoch seconds; `unmet` how many pods more the load would fill than the limits
    (maximum, launch budget) let through then, 0 where nothing is cut.
    """

    need: int
    at_s: float
    unmet: int = 0


@dataclass(frozen=True, slots=True)
class FleetStatus:
    """One fleet at a glance.

    `spec` is the policy in force for this fleet after overrides, None while its policy is not known; `pods` counts
    pods by state; `load_now` is what is measured now per measure; `measured_pods` the pods which that load fills at
    the policy's occupancy, without headroom. None means not known, never zero.
    """

    key: FleetKey
    policy: str
    tenants: tuple[str, ...]
    pool: str | None
    spec: PolicySpec | None
    effective_mode: Mode | None
    trust: Trust
    trust_reason: str
    spec_replicas: int
    status_replicas: int
    pods: Mapping[PodState, int]
    load_now: Mapping[Measure, float]
    measured_pods: int | None
    need: int | None
    answer: int | None
    peak: PeakAhead | None
    lead_s: float | None
    lead_is_measured: bool
    issue_age_s: float | None
    data_age_s: float | None
    observed_age_s: float | None
    """Seconds since the pods were last seen."""
    held: str | None = None
    """Why the answer is held, None while it is not."""
    fault: str | None = None
    """Why the fleet cannot be sized, with the remedy."""
    pending: str | None = None
    """What waits for `calltide policy confirm`, in a sentence."""
    summary: str = ""
    """The explanation in one sentence."""

    @property
    def serving(self) -> int:
        """Pods that take calls now."""
        return self.pods.get(PodState.SERVING, 0)

    @property
    def starting(self) -> int:
        """Pods on their way to their first Ready."""
        return self.pods.get(PodState.STARTING, 0)

    @property
    def headroom_pods(self) -> int | None:
        """Serving pods beyond what the load now fills; negative when calls run into each other."""
        return None if self.measured_pods is None else self.serving - self.measured_pods


@dataclass(frozen=True, slots=True, eq=False)
class RecordedPods:
    """What was needed, answered and ready, as the service recorded it: samples in rising time.

    All arrays have shape (samples,); `at_s` float64 epoch seconds, the others float32 with NaN for not known.
    """

    at_s: npt.NDArray[np.float64]
    need: Float32Array
    answer: Float32Array
    ready: Float32Array


@dataclass(frozen=True, slots=True, eq=False)
class FleetHistory:
    """A fleet's past: the load per slot, shape (slots,) per measure with NaN for gaps, and the recorded pods."""

    grid: SlotGrid
    load: Mapping[Measure, Float32Array]
    recorded: RecordedPods


@dataclass(frozen=True, slots=True, eq=False)
class MeasureForecast:
    """Quantile paths of one measure of a fleet: `values` has shape (slots, quantiles), NaN throughout when cold."""

    grid: SlotGrid
    quantiles: tuple[float, ...]
    values: Float32Array
    issued_at_s: float
    newest_observation_s: float | None
    trust: Trust
    trust_reason: str
    model: str


@dataclass(frozen=True, slots=True)
class ForecastScores:
    """How one model's forecasts of a fleet did in the last daily backtest, over its newest week.

    WAPE and pinball loss are shares of the mean load; `scored_until_s` is the end of the history that was replayed.
    NaN where nothing could be scored.
    """

    wape: float
    pinball95: float
    coverage95: float
    first_hour_wape: float
    scored_until_s: float


@dataclass(frozen=True, slots=True)
class LiveScores:
    """How forecasts of a fleet that were published did at some leads, beside the weekly naive.

    `lead` is the longest of these leads, as "6h"; `cells` how many values were scored. Errors are of the median, as
    shares of the load: `beside_wape` and `naive_wape` over the cells that the weekly naive has too. NaN where nothing
    could be scored.
    """

    lead: str
    cells: int
    wape: float
    bias: float
    pinball95: float
    coverage95: float
    beside_wape: float
    naive_wape: float


@dataclass(frozen=True, slots=True)
class ForecastQuality:
    """What a fleet's forecast of one measure is made of, how far it is trusted, and how those before it did.

    `issues` forecasts are kept, from `since_s` to `until_s` (epoch seconds, None for none), and scored in `live`;
    `set_aside` damaged files of them are not. `problem` says why none could be kept or read, None when all is well.
    """

    trust: Trust
    trust_reason: str
    model: str
    members: tuple[MemberShare, ...]
    live: tuple[LiveScores, ...] = ()
    issues: int = 0
    since_s: float | None = None
    until_s: float | None = None
    set_aside: int = 0
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class PolicyInForce:
    """A policy as it is in force: after inheritance, without the overrides of single fleets."""

    name: str
    file: str
    spec: PolicySpec
    pools: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PendingChange:
    """A policy change that moves a fleet's need too far to take effect by itself."""

    policy: str
    fleet: FleetKey
    sentence: str
    since_s: float


@dataclass(frozen=True, slots=True)
class PoliciesStatus:
    """What is in force, and what is not.

    `problems` are the errors of a directory that was rejected whole (file:line: field: what, remedy), empty while the
    directory and what is in force agree.
    """

    in_force: Mapping[str, PolicyInForce]
    problems: tuple[str, ...] = ()
    rejected_at_s: float | None = None
    pending: tuple[PendingChange, ...] = ()


@dataclass(frozen=True, slots=True)
class JobStatus:
    """One of the service's jobs. `error` is that of the last run, None when it succeeded; times are epoch seconds."""

    name: str
    last_success_s: float | None
    last_duration_s: float | None
    runs: int
    failures: int
    error: str | None = None
    error_at_s: float | None = None


@dataclass(frozen=True, slots=True)
class SourceStatus:
    """One history source: whether its last read succeeded, and how new its newest observation is."""

    name: str
    kind: str
    up: bool
    problem: str | None
    newest_observation_s: float | None


@dataclass(frozen=True, slots=True)
class RetiringPod:
    """A pod as retirement sees it.

    `channels` is None where they could not be counted; `since_s` (epoch seconds) is when its drain began; `why` says
    what it waits for, or what was reported of it.
    """

    name: str
    state: str
    channels: int | None
    since_s: float | None = None
    why: str = ""

    @property
    def is_leaving(self) -> bool:
        """Whether it takes no new calls."""
        return self.since_s is not None


@dataclass(frozen=True, slots=True)
class FleetRetirement:
    """Retirement of one fleet after its last round at `at_s` (epoch seconds).

    `mode` is the policy's; `standstills` say why nothing may leave, `conditions` what somebody should look at as
    (condition, sentence), `failures` which writes did not go through; `pods` are those that leave or cannot be read.
    """

    mode: str
    at_s: float
    explanation: str
    standstills: tuple[tuple[str, str], ...] = ()
    conditions: tuple[tuple[str, str], ...] = ()
    failures: tuple[str, ...] = ()
    pods: tuple[RetiringPod, ...] = ()
    unproved: int = 0


class ReplicaRole(StrEnum):
    """What this calltide is among its replicas."""

    SINGLE = "single"
    """It has none: nothing is elected."""
    LEADER = "leader"
    FOLLOWER = "follower"


@dataclass(frozen=True, slots=True)
class ReplicaStatus:
    """This replica, and whom it follows.

    `leader` is the name of the replica that leads, itself or another, None while none is known; `term` rises with
    each leadership; `copied_at_s` is when the leader's answers were last found to be those in use here, on the plan's
    clock, None before the first copy; `problem` says what hinders the election.
    """

    role: ReplicaRole = ReplicaRole.SINGLE
    name: str = ""
    leader: str | None = None
    term: int | None = None
    copied_at_s: float | None = None
    problem: str | None = None

    @property
    def follows(self) -> bool:
        """Whether fleets are planned elsewhere."""
        return self.role is ReplicaRole.FOLLOWER


@dataclass(frozen=True, slots=True)
class KedaStats:
    """What the KEDA process reports.

    `alive` is whether it reported lately. Counted since it started: `answers` all numbers given, `alone` those among
    them given while the control plane was silent, `refused` the questions ended with a gRPC error. `book_age_s` is
    the age of the answers on disk in wall-clock seconds, None before the first.
    """

    alive: bool
    book_age_s: float | None
    book_fleets: int
    answers: int = 0
    alone: int = 0
    refused: int = 0
    stale_after_s: float = 30.0
    """Answers older than this are given as `alone`."""
    has_book: bool = True
    """Whether the process has any answers, however old."""


class StateReader(Protocol):
    """The service as the web layer sees it. Nothing here changes anything; but for `evidence`, nothing waits or blocks.

    `/metrics` reads it from a thread of its own, so each method hands out values that nobody changes afterwards.
    """

    @property
    def version(self) -> str:
        """Version of calltide."""
        ...

    @property
    def started_s(self) -> float:
        """When the service started, epoch seconds of the plan's clock."""
        ...

    @property
    def demo(self) -> bool:
        """Whether calls and pods are simulated."""
        ...

    @property
    def speed(self) -> float:
        """Seconds of the plan's clock per second of the wall clock; 1 everywhere but in a demo."""
        ...

    def now_s(self) -> float:
        """Epoch seconds of the plan's clock."""
        ...

    def fleets(self) -> Sequence[FleetStatus]:
        """Every fleet that was seen or is listed, in any order."""
        ...

    def fleet(self, key: FleetKey) -> FleetStatus | None:
        """One fleet, None when it is neither seen nor listed."""
        ...

    def scores(self, key: FleetKey) -> Mapping[Measure, Mapping[str, ForecastScores]]:
        """The fleet's last daily backtest by measure and model, empty before the first."""
        ...

    def quality(self, key: FleetKey) -> Mapping[Measure, ForecastQuality]:
        """What the fleet's forecasts are made of and how they did, by measure; empty before the first forecast."""
        ...

    def retirement(self, key: FleetKey) -> FleetRetirement | None:
        """Retirement of the fleet after its last round, None before the first and where nothing is retired."""
        ...

    def evidence(self, pod: str) -> list[AuditRecord]:
        """What this replica wrote about a pod, by name or UID, in the order of time. It reads files: not on the loop.

        Raises:
            CalltideError: the log cannot be read.
        """
        ...

    def plan(self, key: FleetKey) -> Plan | None:
        """The fleet's last plan, None when there is none yet."""
        ...

    def observation(self, key: FleetKey) -> FleetObservation | None:
        """The fleet as it was last seen, None when it never was."""
        ...

    def history(self, key: FleetKey) -> FleetHistory | None:
        """The fleet's past, None when nothing was read yet."""
        ...

    def forecast(self, key: FleetKey) -> Mapping[Measure, MeasureForecast]:
        """The fleet's forecast per measure, empty when there is none yet."""
        ...

    def policies(self) -> PoliciesStatus:
        """Policies in force, problems of a rejected directory, pending changes."""
        ...

    def jobs(self) -> Sequence[JobStatus]:
        """The service's jobs."""
        ...

    def sources(self) -> Sequence[SourceStatus]:
        """The history sources."""
        ...

    def replica(self) -> ReplicaStatus:
        """What this calltide is among its replicas."""
        ...

    def keda_stats(self) -> KedaStats:
        """The KEDA process and its book of answers."""
        ...

    def archive_bytes(self) -> int | None:
        """Size of the local archive, None when it is not known."""
        ...
