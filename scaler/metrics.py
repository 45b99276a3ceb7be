"""The catalogue of every metric that calltide shows: name, type, unit, help, labels.

The one place where a name is written. The exposition, the docs page and the dashboards are made from it, so that
none of them can name a metric that another does not have. It knows nothing else of calltide.

Rules, after the conventions of Prometheus and OpenMetrics: base units, the unit is the name's suffix, `_total` on
counters only, `_info` for a constant 1 that carries labels, `_timestamp_seconds` for when something last happened
(an age is computed where it is asked for), a state as one series per value with 0 or 1. No label is called
`namespace`, `pod` or `job`: a scrape gives those itself and would rename ours.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

PREFIX = "calltide_"
UNITS = ("seconds", "bytes", "ratio", "pods", "replicas", "channels", "calls_per_second", "fleets")
RESERVED_LABELS = frozenset({"namespace", "pod", "job", "instance", "le"})

_WORDS = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")


class MetricType(StrEnum):
    """How a metric's samples are to be read."""

    GAUGE = "gauge"
    COUNTER = "counter"


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric family; `name` has no prefix.

    Raises:
        ValueError: the name breaks a rule of this catalogue.
    """

    name: str
    type: MetricType
    unit: str
    help: str
    labels: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not _WORDS.fullmatch(self.name):
            raise ValueError(f"{self.name!r} is not lower-case words joined by '_'")
        if self.unit and self.unit not in UNITS:
            raise ValueError(f"{self.name}: unit {self.unit!r} is none of {', '.join(UNITS)}")
        if (self.type is MetricType.COUNTER) != self.name.endswith("_total"):
            raise ValueError(f"{self.name}: counters, and only counters, end in '_total'")
        stem = self.name.removesuffix("_total")
        carried = next((unit for unit in UNITS if stem.endswith(f"_{unit}")), "")
        if carried != self.unit:
            raise ValueError(f"{self.name}: the name says unit {carried!r}, the entry {self.unit!r}")
        if RESERVED_LABELS & set(self.labels) or len(set(self.labels)) != len(self.labels):
            raise ValueError(f"{self.name}: a label repeats or is one that a scrape sets: {', '.join(self.labels)}")
        if not self.help.endswith("."):
            raise ValueError(f"{self.name}: the help is a sentence and ends with a full stop")

    @property
    def full_name(self) -> str:
        """The name as it is scraped and queried."""
        return PREFIX + self.name


def _gauge(name: str, unit: str, text: str, *labels: str) -> Metric:
    return Metric(name, MetricType.GAUGE, unit, text, labels)


def _counter(name: str, text: str, *labels: str) -> Metric:
    return Metric(name, MetricType.COUNTER, "", text, labels)


FLEET = ("fleet_namespace", "fleet")
"""Labels of every metric of a fleet: namespace and name of its ScaledObject."""

HORIZONS_S = {
    "15m": 900,
    "30m": 1800,
    "1h": 3600,
    "2h": 7200,
    "4h": 14400,
    "8h": 28800,
    "12h": 43200,
    "24h": 86400,
    "36h": 129600,
    "48h": 172800,
}
"""Values of the label `horizon`, and their seconds."""

BUILD_INFO = _gauge("build_info", "", "Always 1; the labels say what runs.", "version", "python")
CLOCK_TIMESTAMP = _gauge(
    "clock_timestamp_seconds", "seconds", "The clock that plans are made by; subtract a timestamp to get its age."
)
CLOCK_SPEED = _gauge(
    "clock_speed_ratio", "ratio", "Seconds of the plan's clock per second of the wall clock; 1 but in a demo."
)

FLEET_INFO = _gauge(
    "fleet_info",
    "",
    "Always 1; says policy, pool and, for a fleet of one tenant, the tenant.",
    *FLEET,
    "policy",
    "pool",
    "tenant",
)
FLEET_NEED = _gauge("fleet_need_pods", "pods", "Serving pods wanted now.", *FLEET)
FLEET_ANSWER = _gauge("fleet_answer_pods", "pods", "The number told to KEDA.", *FLEET)
FLEET_ALONE = _gauge(
    "fleet_alone_pods", "pods", "The number that KEDA is told once nothing can recall a draining pod.", *FLEET
)
FLEET_MEASURED = _gauge("fleet_measured_pods", "pods", "Pods that the load measured now fills, no headroom.", *FLEET)
FLEET_PEAK = _gauge("fleet_peak_pods", "pods", "Highest need of the hours to come.", *FLEET)
FLEET_PEAK_TIMESTAMP = _gauge("fleet_peak_timestamp_seconds", "seconds", "When the highest need begins.", *FLEET)
FLEET_UNMET_PEAK = _gauge(
    "fleet_unmet_peak_pods", "pods", "Pods that the highest need would take beyond what the limits allow.", *FLEET
)
FLEET_CONTRIBUTION = _gauge(
    "fleet_contribution_pods",
    "pods",
    "What each part of the explanation adds to the answer or takes from it; together they are the answer.",
    *FLEET,
    "part",
)
FLEET_BINDING = _gauge("fleet_binding", "", "Always 1; the label says which part decides.", *FLEET, "part")
FLEET_PODS = _gauge("fleet_pods", "pods", "Pods by state.", *FLEET, "state")
FLEET_SPEC_REPLICAS = _gauge("fleet_spec_replicas", "replicas", "Replicas that the workload is asked for.", *FLEET)
FLEET_STATUS_REPLICAS = _gauge("fleet_status_replicas", "replicas", "Replicas that the workload reports.", *FLEET)
FLEET_MINIMUM = _gauge("fleet_minimum_pods", "pods", "The policy's minPods.", *FLEET)
FLEET_MAXIMUM = _gauge("fleet_maximum_pods", "pods", "The policy's maxPods.", *FLEET)
FLEET_MODE = _gauge("fleet_mode", "", "1 for the policy's mode, 0 for the others.", *FLEET, "mode")
FLEET_EFFECTIVE_MODE = _gauge(
    "fleet_effective_mode", "", "1 for the mode that holds now, 0 for the others.", *FLEET, "mode"
)
FLEET_TRUST = _gauge("fleet_trust", "", "1 for what the forecast has earned, 0 for the others.", *FLEET, "trust")
FLEET_HELD = _gauge("fleet_held", "", "1 while the answer is held since data are missing, else 0.", *FLEET)
FLEET_STANDSTILL = _gauge(
    "fleet_standstill", "", "1 for each reason why no pod of the fleet may leave now.", *FLEET, "reason"
)
FLEET_RETIREMENT_CONDITION = _gauge(
    "fleet_retirement_condition",
    "",
    "Always 1 for a condition of retirement that does not mend itself; the label says which.",
    *FLEET,
    "condition",
)
FLEET_UNPROVED = _gauge(
    "fleet_unproved_pods",
    "pods",
    "Pods that were Ready once, on a node that is well, whose channels cannot be counted now.",
    *FLEET,
)
FLEET_DRAIN_BEGAN = _gauge(
    "fleet_oldest_drain_timestamp_seconds", "seconds", "When the oldest drain that goes on began.", *FLEET
)
FLEET_FAULT = _gauge("fleet_fault", "", "1 while the fleet cannot be sized, else 0.", *FLEET)
FLEET_UNCONFIRMED = _gauge(
    "fleet_unconfirmed", "", "1 while a policy change waits for `calltide policy confirm`, else 0.", *FLEET
)
LEAD = _gauge("lead_seconds", "seconds", "From a raised answer to a pod that takes calls, as planned with.", *FLEET)
OBSERVED_TIMESTAMP = _gauge("fleet_observed_timestamp_seconds", "seconds", "When the pods were last seen.", *FLEET)

LOAD_CHANNELS = _gauge("load_channels", "channels", "Channels in use now.", *FLEET)
LOAD_CALL_RATE = _gauge("load_calls_per_second", "calls_per_second", "Call set-ups per second now.", *FLEET)
FORECAST_CHANNELS = _gauge(
    "forecast_channels",
    "channels",
    "Channels forecast for now plus the horizon. Quantiles of fleets do not add up.",
    *FLEET,
    "quantile",
    "horizon",
)
FORECAST_CALL_RATE = _gauge(
    "forecast_calls_per_second",
    "calls_per_second",
    "Call set-ups per second forecast for now plus the horizon. Quantiles of fleets do not add up.",
    *FLEET,
    "quantile",
    "horizon",
)
BACKTEST_WAPE = _gauge(
    "backtest_wape_ratio",
    "ratio",
    "Weighted absolute percentage error of the median in the last daily backtest.",
    *FLEET,
    "measure",
    "model",
)
BACKTEST_PINBALL = _gauge(
    "backtest_pinball95_ratio",
    "ratio",
    "Pinball loss of the 95 % quantile over the mean load in the last daily backtest.",
    *FLEET,
    "measure",
    "model",
)
BACKTEST_COVERAGE = _gauge(
    "backtest_coverage95_ratio",
    "ratio",
    "Share of slots at or below the 95 % quantile in the last daily backtest.",
    *FLEET,
    "measure",
    "model",
)
LIVE_WAPE = _gauge(
    "forecast_wape_ratio",
    "ratio",
    "Weighted absolute percentage error of the median of forecasts published in the last five weeks.",
    *FLEET,
    "measure",
    "lead",
)
LIVE_NAIVE_WAPE = _gauge(
    "forecast_naive_wape_ratio",
    "ratio",
    "The same of the load a week before, over the cells that have one.",
    *FLEET,
    "measure",
    "lead",
)
LIVE_PINBALL = _gauge(
    "forecast_pinball95_ratio",
    "ratio",
    "Pinball loss of the 95 % quantile over the mean load, of published forecasts.",
    *FLEET,
    "measure",
    "lead",
)
LIVE_COVERAGE = _gauge(
    "forecast_coverage95_ratio",
    "ratio",
    "Share of slots at or below the 95 % quantile, of published forecasts.",
    *FLEET,
    "measure",
    "lead",
)
LIVE_BIAS = _gauge(
    "forecast_bias_ratio",
    "ratio",
    "Sum of median minus load over the sum of load, of published forecasts.",
    *FLEET,
    "measure",
    "lead",
)
FORECAST_ISSUED = _gauge(
    "forecast_issued_timestamp_seconds",
    "seconds",
    "When the forecast was made: its issue age counts from here.",
    *FLEET,
)
NEWEST_OBSERVATION = _gauge(
    "newest_observation_timestamp_seconds",
    "seconds",
    "End of the newest observation that the fleet is sized by; its data age counts from here.",
    *FLEET,
)
FORECAST_FLEETS_LEFT_OUT = _gauge(
    "forecast_left_out_fleets", "fleets", "Fleets without forecast gauges, since there are too many to scrape."
)

POLICIES_IN_FORCE = _gauge("policies_in_force", "", "Policies in force.")
POLICY_PROBLEMS = _gauge("policy_problems", "", "Errors of a policy directory that was rejected; 0 while none is.")
POLICY_CHANGES_PENDING = _gauge("policy_changes_pending", "", "Policy changes that wait to be confirmed.")

JOB_LAST_SUCCESS = _gauge("job_last_success_timestamp_seconds", "seconds", "When the job last succeeded.", "job_name")
JOB_LAST_DURATION = _gauge("job_last_duration_seconds", "seconds", "How long the job's last run took.", "job_name")
JOB_RUNS = _counter("job_runs_total", "Runs of the job since start.", "job_name")
JOB_FAILURES = _counter("job_failures_total", "Runs of the job since start that failed.", "job_name")

SOURCE_UP = _gauge("source_up", "", "1 when the source's last read succeeded, else 0.", "source")
SOURCE_NEWEST_OBSERVATION = _gauge(
    "source_newest_observation_timestamp_seconds", "seconds", "End of the source's newest observation.", "source"
)
ARCHIVE_BYTES = _gauge("archive_bytes", "bytes", "Size of the local archive.")

REPLICA_ROLE = _gauge(
    "replica_role", "", "1 for what this replica is (leader, follower, or single without replicas), else 0.", "role"
)
REPLICA_INFO = _gauge("replica_info", "", "Always 1; says which replica this is and which one leads.", "name", "leader")
REPLICA_TERM = _gauge(
    "replica_term", "", "Rises with each leadership, not by 1; of two leaders the one with the higher term is newer."
)
REPLICA_COPIED_TIMESTAMP = _gauge(
    "replica_copied_timestamp_seconds",
    "seconds",
    "When the leader's answers were last found to be those in use here.",
)

KEDA_UP = _gauge("keda_up", "", "1 while the process that answers KEDA reports, else 0.")
KEDA_BOOK_AGE = _gauge(
    "keda_book_age_seconds",
    "seconds",
    "Age of the answers that KEDA is given, by the wall clock of the process that gives them.",
)
KEDA_BOOK_FLEETS = _gauge("keda_book_fleets", "fleets", "Fleets that have an answer.")
KEDA_ANSWERS = _counter(
    "keda_answers_total",
    "Questions of KEDA by outcome: planned, alone (nothing could recall a draining pod) or refused.",
    "outcome",
)

CATALOGUE: tuple[Metric, ...] = tuple(value for value in list(globals().values()) if isinstance(value, Metric))
"""Every metric, in the order of this file."""
