"""A made-up service to test and to look at the web layer with: eight fleets on a Monday morning.

`python -m tests.scaler.web.sample_state PORT` serves it; nothing in it moves but the clock.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from forecasting.explanation import Blend, members_of, with_announced_share
from forecasting.forecast import QUANTILES, Trust
from forecasting.grid import SlotGrid
from forecasting.load import Measure
from scaler.core.fleets import FleetKey, FleetObservation, Pod, PodState
from scaler.core.plan import Contribution, Explanation, Part, Plan
from scaler.policy.histories import HistorySpec
from scaler.policy.model import CapacitySpec, Mode, PolicySpec
from scaler.retirement.audit import AuditRecord, Outcome
from scaler.retirement.evidence import ProvedEmpty, ReleaseEvidence
from scaler.retirement.readings import Boot
from scaler.retirement.states import Cause, Purpose
from scaler.web import state as words

NOW_S = 1795419660.0
"""Monday, 23 November 2026, 07:41 UTC: the ramp of a European morning."""
STEP_S = 300
CHANNELS_PER_POD = 50
SCRIPT = "<script>alert(1)</script>"
HORIZON = 576
PAST = 14 * 288

KEDA = words.KedaStats(True, 3.0, 8, answers=4211, alone=12, refused=1)
LEADS = words.ReplicaStatus(words.ReplicaRole.LEADER, "calltide-a", "calltide-a", 4, NOW_S - 5000)
FOLLOWS = words.ReplicaStatus(words.ReplicaRole.FOLLOWER, "calltide-b", "calltide-a", 4, NOW_S - 2)

MEMBERS = with_announced_share(
    members_of(Blend(*(np.array([share]) for share in (0.15, 0.06, 0.5, 0.12))))[0], share=0.08
)
_SPREAD = dict(zip(QUANTILES, (1.0, 1.07, 1.15, 1.21, 1.34), strict=True))


@dataclass(frozen=True)
class Sample:
    """One fleet of the made-up service."""

    name: str
    tenants: tuple[str, ...]
    peak_channels: float
    mode: Mode = Mode.PRIMARY
    trust: Trust = Trust.TRUSTED
    trust_reason: str = "Coverage of the last two weeks is 94 %, close to the 95 % that was asked for."
    serving: int | None = None
    starting: int = 0
    maximum: int = 40
    held: str | None = None
    fault: str | None = None
    pending: str | None = None
    calls_per_second: float | None = None
    """Call set-ups per second at the peak, for a fleet that is sized by both measures."""

    @property
    def key(self) -> FleetKey:
        return FleetKey("voice", self.name)


SAMPLES = (
    Sample("acme", ("acme",), 820, serving=14, starting=2),
    Sample("bluebird-clinic", ("bluebird",), 420, maximum=9),
    Sample("city-hall", ("city-hall",), 260, mode=Mode.ASSIST, calls_per_second=2.4),
    Sample(
        "dove-insurance",
        ("dove", "dove-claims", "dove-life"),
        610,
        held="The load is 340 s old, the bound is 120 s: the answer holds at 13.",
    ),
    Sample(
        "evergreen",
        (SCRIPT,),
        300,
        trust=Trust.COLD,
        trust_reason="Two days of history; a forecast needs two weeks.",
        mode=Mode.ASSIST,
    ),
    Sample(
        "fjord-bank",
        ("fjord",),
        500,
        fault="The trigger names the policy 'voice-prmary', which is not in force; did you mean 'voice-primary'?",
    ),
    Sample(
        "gallery",
        ("gallery",),
        180,
        pending="The new policy needs 12 pods instead of 5; confirm with: calltide policy confirm voice/gallery",
    ),
    Sample(
        "harbour",
        ("harbour",),
        700,
        trust=Trust.DEGRADED,
        trust_reason="Coverage fell to 71 % over the last two days.",
        serving=9,
    ),
)


AUDIT = (
    AuditRecord(
        NOW_S - 900, "voice/acme", "uid-9", "acme-9", "active → draining", Outcome.DONE, "calltide-a", 4, "It leaves."
    ),
    AuditRecord(
        NOW_S - 90,
        "voice/acme",
        "uid-9",
        "acme-9",
        "drained → released",
        Outcome.DONE,
        "calltide-a",
        4,
        "acme-9 is released.",
        ReleaseEvidence(
            "uid-9",
            "acme-9",
            ProvedEmpty(
                Boot("2026-11-22T07:00:00", "containerd://9"), NOW_S - 200, (NOW_S - 100, NOW_S - 95), ("sip",)
            ),
            Purpose.SHRINK,
            Cause.NOT_NEEDED,
            NOW_S - 90,
            "calltide-a",
            4,
        ),
    ),
)

RETIREMENT = words.FleetRetirement(
    mode="on",
    at_s=NOW_S - 2,
    explanation="acme-3 is not proved empty: 7 channels.",
    standstills=(("inhibit", "The policy lets nothing leave during 'Monday opening', until Mon 11:00 Europe/Berlin."),),
    conditions=(("unproved", "acme-1: its channels cannot be counted (refused: 401); it counts as busy."),),
    failures=("the gate of acme-3 was not set within 4 s",),
    pods=(
        words.RetiringPod("acme-3", "draining", 7, NOW_S - 1500, "acme-3 is not proved empty: 7 channels."),
        words.RetiringPod("acme-1", "active", None, None, "Its channels cannot be counted: refused: 401."),
    ),
    unproved=1,
)


def day_shape(at_s: np.ndarray) -> np.ndarray:
    """A working day's share of the peak: ramp at eight, lunch dip, fall at five; weekends low."""
    hour = (at_s / 3600.0 + 1.0) % 24
    weekday = ((at_s // 86400 + 3) % 7) < 5
    rise, fall = 1 / (1 + np.exp(-(hour - 8.6) * 2.4)), 1 / (1 + np.exp((hour - 17.2) * 1.8))
    lunch = 1 - 0.22 * np.exp(-(((hour - 12.6) / 0.7) ** 2))
    return 0.04 + 0.96 * rise * fall * lunch * np.where(weekday, 1.0, 0.18)


@dataclass
class SampleState:
    """Implements `StateReader` from the samples. Fields may be set by a test to make something go wrong."""

    samples: Sequence[Sample] = SAMPLES
    moving: bool = False
    demo: bool = True
    speed: float = 60.0
    version: str = "0.1.0"
    started_s: float = NOW_S - 5400
    keda: words.KedaStats = KEDA
    replicas: words.ReplicaStatus = LEADS
    problems: tuple[str, ...] = ()
    ledger_problem: str | None = None
    wall_start_s: float = field(default_factory=time.time)

    def now_s(self) -> float:
        return NOW_S + (time.time() - self.wall_start_s) * self.speed * self.moving

    def fleets(self) -> Sequence[words.FleetStatus]:
        return [self._status(sample) for sample in self.samples]

    def fleet(self, key: FleetKey) -> words.FleetStatus | None:
        return next((self._status(sample) for sample in self.samples if sample.key == key), None)

    def scores(self, key: FleetKey) -> Mapping[Measure, Mapping[str, words.ForecastScores]]:
        sample = self._sample(key)
        if sample.trust is Trust.COLD:
            return {}
        nothing = float("nan")
        return {
            measure: {
                "seasonal-profile": words.ForecastScores(0.11, 0.018, 0.952, 0.08, NOW_S - 3600),
                "seasonal-naive": words.ForecastScores(0.17, 0.031, nothing, nothing, NOW_S - 3600),
            }
            for measure in _measures(sample)
        }

    def quality(self, key: FleetKey) -> Mapping[Measure, words.ForecastQuality]:
        sample = self._sample(key)
        if sample.fault:
            return {}
        nothing = float("nan")
        leads = (
            ("1h", 1680, 0.062, -0.004, 0.011, 0.958, 0.062, 0.171),
            ("6h", 1672, 0.081, -0.006, 0.014, 0.951, 0.081, 0.171),
            ("24h", 1640, 0.114, -0.011, 0.019, 0.947, 0.114, 0.172),
            ("48h", 0, *[nothing] * 6),
        )
        is_cold = sample.trust is Trust.COLD
        return {
            measure: words.ForecastQuality(
                sample.trust,
                sample.trust_reason,
                "seasonal-profile",
                () if is_cold else MEMBERS,
                () if is_cold else tuple(words.LiveScores(*lead) for lead in leads),
                0 if is_cold else 840,
                None if is_cold else NOW_S - 35 * 86400,
                None if is_cold else NOW_S - 1800,
                set_aside=1 if sample.name == "harbour" else 0,
                problem=self.ledger_problem,
            )
            for measure in _measures(sample)
        }

    def retirement(self, key: FleetKey) -> words.FleetRetirement | None:
        return RETIREMENT if self._sample(key).name == "acme" else None

    def evidence(self, pod: str) -> list[AuditRecord]:
        return [record for record in AUDIT if pod in (record.pod, record.uid)]

    def plan(self, key: FleetKey) -> Plan | None:
        sample = self._sample(key)
        if sample.fault:
            return None
        path = _pods(_load(sample, _future()) * _SPREAD[0.95], sample)
        ahead = np.array([path[at : at + 2].max() for at in range(path.size)], dtype=np.int32)
        explanation = _explain(sample, int(ahead[0]))
        answer = explanation.contributions[-1].total
        need = explanation.contributions[explanation.need_after].total
        return Plan(key, "voice-primary", NOW_S - 9, need, answer, answer + 1, _future(), ahead, explanation)

    def observation(self, key: FleetKey) -> FleetObservation | None:
        sample = self._sample(key)
        status = self._status(sample)
        pods = tuple(
            Pod(f"uid-{index}", f"{sample.name}-{index}", state, NOW_S - 9000 + 60 * index, NOW_S - 8900 + 60 * index)
            for index, state in enumerate([PodState.SERVING] * status.serving + [PodState.STARTING] * status.starting)
        )
        return FleetObservation(
            key, status.policy, sample.tenants, None, f"deployment/{sample.name}", len(pods), len(pods), pods, NOW_S - 4
        )

    def history(self, key: FleetKey) -> words.FleetHistory | None:
        sample = self._sample(key)
        grid = _past()
        load = _load(sample, grid) * np.random.default_rng(7).normal(1.0, 0.04, grid.slots)
        load[-40:-37] = np.nan
        at_s = grid.starts_s.astype(np.float64)
        need = _pods(_load(sample, grid) * _SPREAD[0.95], sample).astype(np.float32)
        ready = np.concatenate([need[:1], need[:-1]])
        recorded = words.RecordedPods(at_s, need, need, ready)
        measures = {measure: (load * share).clip(0).astype(np.float32) for measure, share in _measures(sample).items()}
        return words.FleetHistory(grid, measures, recorded)

    def forecast(self, key: FleetKey) -> Mapping[Measure, words.MeasureForecast]:
        sample = self._sample(key)
        if sample.fault:
            return {}
        grid = _future()
        values = np.stack([_load(sample, grid) * _SPREAD[q] for q in QUANTILES], axis=1).astype(np.float32)
        if sample.trust is Trust.COLD:
            values[:] = np.nan
        return {
            measure: words.MeasureForecast(
                grid=grid,
                quantiles=QUANTILES,
                values=values * np.float32(share),
                issued_at_s=NOW_S - 140,
                newest_observation_s=NOW_S - 160,
                trust=sample.trust,
                trust_reason=sample.trust_reason,
                model="seasonal-profile",
            )
            for measure, share in _measures(sample).items()
        }

    def policies(self) -> words.PoliciesStatus:
        spec = _spec(self.samples[0]) if self.samples else _spec(SAMPLES[0])
        in_force = {"voice-primary": words.PolicyInForce("voice-primary", "policies/voice.yaml", spec, {"all": ("a",)})}
        pending = tuple(
            words.PendingChange("voice-primary", sample.key, sample.pending, NOW_S - 600)
            for sample in self.samples
            if sample.pending
        )
        return words.PoliciesStatus(in_force, self.problems, NOW_S - 60 if self.problems else None, pending)

    def jobs(self) -> Sequence[words.JobStatus]:
        return [
            words.JobStatus("plan", NOW_S - 9, 0.12, 360, 0),
            words.JobStatus("forecast", NOW_S - 140, 2.4, 18, 0),
            words.JobStatus("ingest", NOW_S - 340, 0.8, 90, 4, "The source 'default' did not answer.", NOW_S - 40),
        ]

    def sources(self) -> Sequence[words.SourceStatus]:
        return [words.SourceStatus("default", "prometheus", False, "It did not answer within 10 s.", NOW_S - 340)]

    def replica(self) -> words.ReplicaStatus:
        return self.replicas

    def keda_stats(self) -> words.KedaStats:
        return self.keda

    def archive_bytes(self) -> int | None:
        return 48_211_004

    def _sample(self, key: FleetKey) -> Sample:
        return next(sample for sample in self.samples if sample.key == key)

    def _status(self, sample: Sample) -> words.FleetStatus:
        plan = self.plan(sample.key)
        load = float(_load(sample, SlotGrid(int(NOW_S // STEP_S) * STEP_S, STEP_S, 1))[0])
        measured = int(np.ceil(load / (CHANNELS_PER_POD * 0.8)))
        serving = sample.serving if sample.serving is not None else (plan.need if plan else measured + 1)
        pods = {PodState.SERVING: serving, PodState.STARTING: sample.starting}
        return words.FleetStatus(
            key=sample.key,
            policy="voice-prmary" if sample.fault else "voice-primary",
            tenants=sample.tenants,
            pool="dove" if len(sample.tenants) > 1 else None,
            spec=None if sample.fault else _spec(sample),
            effective_mode=None if sample.fault else _effective(sample),
            trust=sample.trust,
            trust_reason=sample.trust_reason,
            spec_replicas=serving + sample.starting,
            status_replicas=serving + sample.starting,
            pods=pods,
            load_now={} if sample.held else {m: round(load * share, 1) for m, share in _measures(sample).items()},
            measured_pods=None if sample.held or sample.fault else measured,
            need=plan.need if plan else None,
            answer=plan.answer if plan else None,
            peak=_peak(plan, sample) if plan else None,
            lead_s=None if sample.fault else 94.0,
            lead_is_measured=True,
            issue_age_s=None if sample.fault else 140.0,
            data_age_s=340.0 if sample.held else 25.0,
            observed_age_s=4.0,
            held=sample.held,
            fault=sample.fault,
            pending=sample.pending,
            summary=plan.explanation.summary if plan else "",
        )


def _future() -> SlotGrid:
    return SlotGrid(int(NOW_S // STEP_S) * STEP_S, STEP_S, HORIZON)


def _past() -> SlotGrid:
    return SlotGrid(int(NOW_S // STEP_S) * STEP_S - PAST * STEP_S, STEP_S, PAST)


def _load(sample: Sample, grid: SlotGrid) -> np.ndarray:
    return sample.peak_channels * day_shape(grid.starts_s.astype(np.float64))


def _pods(load: np.ndarray, sample: Sample) -> np.ndarray:
    return np.ceil(load / (CHANNELS_PER_POD * 0.8)).clip(2, sample.maximum).astype(np.int32)


def _measures(sample: Sample) -> Mapping[Measure, float]:
    """Each measure's share of the channels."""
    rate = (
        {} if sample.calls_per_second is None else {Measure.CALL_RATE: sample.calls_per_second / sample.peak_channels}
    )
    return {Measure.CHANNELS: 1.0, **rate}


def _spec(sample: Sample) -> PolicySpec:
    both = sample.calls_per_second is not None
    return PolicySpec(
        mode=sample.mode,
        history=HistorySpec(
            channels="sum by (tenant) (asterisk_channels)",
            call_rate="sum by (tenant) (rate(asterisk_calls_total[5m]))" if both else None,
        ),
        capacity=CapacitySpec(channels_per_pod=CHANNELS_PER_POD, call_setups_per_second_per_pod=0.6 if both else None),
        min_pods=2,
        max_pods=sample.maximum,
    )


def _effective(sample: Sample) -> Mode:
    return sample.mode if sample.trust is Trust.TRUSTED else Mode.ASSIST


def _peak(plan: Plan, sample: Sample) -> words.PeakAhead:
    at = int(plan.path[:144].argmax())
    wanted = _pods(_load(sample, _future()) * _SPREAD[0.95], replace(sample, maximum=10_000))
    most = int(plan.path[at])
    return words.PeakAhead(most, float(plan.grid.starts_s[at]), max(0, int(wanted[:144].max()) - most))


def _explain(sample: Sample, target: int) -> Explanation:
    load = float(_load(sample, _future())[0])
    measured = int(np.ceil(load / 40))
    steps = [(Part.MEASURED, measured, f"{load:.0f} channels in use fill {measured} pods at 80 % occupancy.")]
    if sample.held:
        steps = [(Part.HOLD, 13, sample.held)]
        target = 13
    elif sample.mode is Mode.ASSIST:
        steps.append((Part.HEADROOM, 1, "Headroom of 20 % on top."))
    so_far = sum(step[1] for step in steps)
    if target > so_far and sample.trust is Trust.TRUSTED:
        ask = f"The 95 % quantile within the lead of 94 s asks for {target} pods."
        steps.append((Part.FORECAST, target - so_far, ask))
    need_after = len(steps) - 1
    if sample.name == "acme":
        steps.append((Part.NOT_SERVING, 1, "One pod drains and cannot be recalled."))
    total, contributions = 0, []
    for part, pods, sentence in steps:
        total += pods
        contributions.append(Contribution(part, pods, total, sentence))
    binding = contributions[need_after].part
    words_for = {
        Part.FORECAST: f"{total} pods: the forecast asks for {target} within the next 94 s.",
        Part.HOLD: f"{total} pods: held, since the load is too old.",
    }
    summary = words_for.get(binding, f"{total} pods: the load measured now, with headroom.")
    return Explanation(
        tuple(contributions), need_after, binding, (), sample.mode, _effective(sample), sample.trust,
        sample.trust_reason, 140.0, 25.0, 94.0, summary,
    )  # fmt: skip


def serve(port: int) -> None:
    """Show it in a browser."""
    import uvicorn

    from scaler.web.app import create_app

    uvicorn.run(create_app(SampleState(moving=True)), host="127.0.0.1", port=port, log_level="warning")


if __name__ == "__main__":
    serve(int(sys.argv[1]))
