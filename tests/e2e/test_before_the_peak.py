"""A steep peak that eight weeks of history announce: the pods stand before it, and no caller hears a refusal.

The same calls at the same time on the same rig go to two fleets that differ in nothing but their trigger: KEDA's own
prometheus scaler on the channels in use, and KEDA's cron at the minute of the peak, as one would write it for nine
o'clock. What each refused and what it cost is printed as one table.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise

import pytest

from tests.rig import fleets
from tests.rig.installation import Installation
from tests.rig.rig import Rig
from tests.rig.telephony import Telephony
from tests.rig.voice import workloads
from tests.rig.voice.ledger import Ledger
from tests.rig.voice.plan import CallPlan, Segment
from tests.servers.processes import wait_for

NAMESPACE = "peak"
PREDICTIVE, REACTIVE, BY_CLOCK = FLEETS = ("peak-calltide", "peak-prometheus", "peak-cron")
CALLS_PER_POD, OCCUPANCY = 10, 0.8
START_DELAY = "45s"
"""Pulling the image and booting, before Asterisk's own start."""
USUAL_CALLS, PEAK_CALLS = 4, 40
PEAK_PODS = math.ceil(PEAK_CALLS / (CALLS_PER_POD * OCCUPANCY))
RAMP_S, PLATEAU_S, HOLD_S = 10, 80, 50
AHEAD_S = 240
"""From the end of the history to the peak, at least: time to read it, learn it and start pods."""
WEEKS, SLOT_S, DAY_S = 8, 60, 86400
PEAK_SLOTS = 5

POLICY = f"""
apiVersion: calltide.io/v1
kind: Policy
metadata: {{name: peak}}
spec:
  history:
    channels: sum by (tenant) (max_over_time(asterisk_channels_count{{tenant="{PREDICTIVE}"}}[1m]))
    step: 1m
    lookBack: {WEEKS}w
  capacity: {{channelsPerPod: {CALLS_PER_POD}, targetOccupancy: {OCCUPANCY}}}
  lead: {{default: 2m}}
  maxPods: 12
"""


@dataclass(frozen=True)
class Outcome:
    """What one fleet did with the calls."""

    fleet: str
    calls: Ledger
    ready_at_the_peak: int
    pod_minutes: float


@pytest.fixture(scope="module")
def outcomes(rig: Rig, calltide: Installation, telephony: Telephony, tables: list[str]) -> Iterator[dict[str, Outcome]]:
    peak_s = math.ceil((time.time() + AHEAD_S) / SLOT_S) * SLOT_S
    _write_history(rig, peak_s)
    began_s = time.time()
    _start_fleets(rig, calltide, peak_s)
    ledger = _call(telephony, peak_s)
    ended_s = time.time()
    made = {name: _outcome(rig, name, ledger, began_s, peak_s, ended_s) for name in FLEETS}
    tables.append(_table(made.values()))
    yield made
    # A fleet whose load is gone all at once is a failed trunk to calltide: nothing would leave another fleet for hours.
    rig.control_plane.kubectl("delete", "scaledobjects,deployments", "--all", f"--namespace={NAMESPACE}")


def test_the_pods_stand_before_the_peak(outcomes: dict[str, Outcome]) -> None:
    assert outcomes[PREDICTIVE].ready_at_the_peak >= PEAK_PODS


def test_no_caller_is_refused_or_cut(outcomes: dict[str, Outcome]) -> None:
    calls = outcomes[PREDICTIVE].calls
    assert calls.completed == calls.offered, calls.table()


def test_the_peak_is_steep_enough_to_prove_that(outcomes: dict[str, Outcome]) -> None:
    # Had a reactive scaler carried it as well, nobody would need a forecast.
    assert outcomes[REACTIVE].calls.refused > 0
    assert outcomes[REACTIVE].ready_at_the_peak < PEAK_PODS


def test_no_call_is_cut_anywhere(outcomes: dict[str, Outcome]) -> None:
    assert {name: outcome.calls.cut for name, outcome in outcomes.items()} == dict.fromkeys(FLEETS, 0)


def _write_history(rig: Rig, peak_s: int) -> None:
    """Eight weeks in which every day had its peak at this minute."""
    until_s = int(time.time()) // SLOT_S * SLOT_S - SLOT_S
    times_s = range(until_s - WEEKS * 7 * DAY_S, until_s, SLOT_S)
    values = [PEAK_CALLS if 0 <= (at_s - peak_s) % DAY_S < PEAK_SLOTS * SLOT_S else USUAL_CALLS for at_s in times_s]
    rig.monitoring.write_history(
        "asterisk_channels_count", [{"tenant": PREDICTIVE, "pod": "of-the-past"}], times_s, [values]
    )


def _start_fleets(rig: Rig, calltide: Installation, peak_s: int) -> None:
    rig.control_plane.apply(fleets.namespace(NAMESPACE))
    for name in FLEETS:
        environment = {"ASTERISK_MAXCALLS": str(CALLS_PER_POD)}
        fleet = workloads.fleet(name, namespace=NAMESPACE, replicas=1, environment=environment)
        annotations = fleet["spec"]["template"]["metadata"].setdefault("annotations", {})
        annotations["rig.calltide.io/start-delay"] = START_DELAY
        rig.control_plane.apply(fleet)
    calltide.add_policy("peak", POLICY)
    rig.control_plane.apply(
        fleets.scaled_object(
            PREDICTIVE,
            namespace=NAMESPACE,
            metadata={"scalerAddress": calltide.address, "policy": "peak", "tenant": PREDICTIVE},
            maximum=12,
        ),
        fleets.scaled_object_by(REACTIVE, namespace=NAMESPACE, triggers=[_on_channels(rig)], maximum=12),
        fleets.scaled_object_by(BY_CLOCK, namespace=NAMESPACE, triggers=[_on_the_minute(peak_s)], maximum=12),
    )
    wait_for(lambda: min(rig.ready_replicas(NAMESPACE).values()) >= 1, "one pod of each fleet", at_most_s=120)


def _on_channels(rig: Rig) -> fleets.Object:
    return {
        "type": "prometheus",
        "metricType": "AverageValue",
        "metadata": {
            "serverAddress": rig.monitoring.url,
            "query": f'sum(asterisk_channels_count{{tenant="{REACTIVE}"}})',
            "threshold": f"{CALLS_PER_POD * OCCUPANCY:g}",
        },
    }


def _on_the_minute(peak_s: int) -> fleets.Object:
    start, end = (datetime.fromtimestamp(at_s, UTC) for at_s in (peak_s, peak_s + 3600))
    return {
        "type": "cron",
        "metadata": {
            "timezone": "Etc/UTC",
            "start": f"{start:%-M %-H} * * *",
            "end": f"{end:%-M %-H} * * *",
            "desiredReplicas": str(PEAK_PODS),
        },
    }


def _call(telephony: Telephony, peak_s: int) -> Ledger:
    """Place the calls: a few all the time, and at the minute of the peak as many as the history says."""
    before_s = peak_s - time.time()
    assert before_s > 0, (
        f"the fleets stood {-before_s:.0f} s after the peak began: AHEAD_S is too little for this machine"
    )
    usual_per_s, peak_per_s = USUAL_CALLS / HOLD_S, PEAK_CALLS / HOLD_S
    segments = [
        segment
        for name in FLEETS
        for segment in (
            Segment(name, 0, before_s, usual_per_s, HOLD_S),
            Segment(name, before_s, RAMP_S, (PEAK_CALLS - USUAL_CALLS) / RAMP_S, HOLD_S),
            Segment(name, before_s + HOLD_S, PLATEAU_S, peak_per_s, HOLD_S),
        )
    ]
    return telephony.callers().start(CallPlan(tuple(segments))).wait()


def _outcome(rig: Rig, name: str, ledger: Ledger, began_s: float, peak_s: float, ended_s: float) -> Outcome:
    seen = rig.history.of(NAMESPACE, name)
    # Each version stands until the next one, inside the time that is looked at.
    bounds_s = [min(max(at_s, began_s), ended_s) for at_s in (*(one.at_s for one in seen), ended_s)]
    stood_s = sum(
        one.standing * (until_s - from_s) for one, (from_s, until_s) in zip(seen, pairwise(bounds_s), strict=True)
    )
    return Outcome(
        fleet=name,
        calls=ledger.where(lambda call: call.fleet == name),
        ready_at_the_peak=[one.ready for one in seen if one.at_s <= peak_s][-1],
        pod_minutes=stood_s / 60,
    )


def _table(outcomes: Iterable[Outcome]) -> str:
    rows = [("fleet", "offered", "refused", "cut", "pods at the peak", "pod-minutes")]
    rows += [
        (
            outcome.fleet,
            *(str(number) for number in (outcome.calls.offered, outcome.calls.refused, outcome.calls.cut)),
            str(outcome.ready_at_the_peak),
            f"{outcome.pod_minutes:.1f}",
        )
        for outcome in outcomes
    ]
    return "\n" + "\n".join("  ".join(f"{cell:>16}" for cell in row) for row in rows)
