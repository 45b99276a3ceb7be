"""How long the plans of many fleets take, beside the division that a plan cannot do without.

A plan is made for every fleet every 15 s. The baseline is numpy's bare ceil(load / capacity) over the same paths in
the same run: what lies above it is windows, floors, limits, the explanation and its sentences.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from rich.console import Console
from rich.table import Table

from forecasting.forecast import Trust
from forecasting.grid import SlotGrid
from forecasting.load import Float32Array, Measure
from scaler.core.capacity import pods_for_channels
from scaler.core.fleet_forecast import FleetForecast, MeasurePath
from scaler.core.fleets import FleetKey, FleetObservation, Pod, PodState
from scaler.core.inputs import Measurement, PlanInputs
from scaler.core.lead import Lead
from scaler.core.planner import plan_fleets
from scaler.policy.model import PolicySpec

SLOTS = 576
_STEP_S = 300
_NOW_S = 1_790_000_100
_PODS = 4

_CHANNELS = {"history": {"channels": "channels"}, "maxPods": 1000}
POLICIES = {
    "target occupancy": {**_CHANNELS, "capacity": {"channelsPerPod": 100}},
    "grade of service": {**_CHANNELS, "capacity": {"channelsPerPod": 100, "gradeOfService": {"blocking": 0.001}}},
    "occupancy and schedule": {
        **_CHANNELS,
        "capacity": {"channelsPerPod": 100},
        "calendar": {"timeZone": "Europe/Berlin"},
        "schedule": [{"name": "office", "cron": "0 8 * * 1-5", "for": "10h", "minPods": 4}],
    },
}


def main(argv: Sequence[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="plan_speed", description=__doc__)
    parser.add_argument("--fleets", type=int, nargs="+", default=[1_000, 10_000], help="how many fleets to plan")
    arguments = parser.parse_args(argv)
    table = Table("fleets", "what", "all (s)", "per fleet (µs)", "times the bare division")
    for fleets in arguments.fleets:
        _measure(table, fleets)
    Console().print(table)
    return 0


def _measure(table: Table, fleets: int) -> None:
    loads = np.random.default_rng(20_260).gamma(2.0, 150.0, (fleets, SLOTS)).astype(np.float32)
    bare_s = _seconds(lambda: [np.ceil(path / 80.0) for path in loads])

    def row(what: str, seconds: float) -> None:
        table.add_row(f"{fleets:,}", what, f"{seconds:.3f}", f"{seconds / fleets * 1e6:.1f}", f"{seconds / bare_s:.1f}")

    row("bare division, fleet by fleet", bare_s)
    row("bare division, all at once", _seconds(lambda: np.ceil(loads / 80.0)))
    for name, fields in POLICIES.items():
        policy = PolicySpec.model_validate(fields)
        row(f"pods, {name}", _seconds(partial(_pods, policy, loads)))
        inputs = [_inputs(policy, number, path) for number, path in enumerate(loads)]
        row(f"plan, {name}", _seconds(partial(plan_fleets, inputs, launch_budget_pods=500)))
    table.add_section()


def _pods(policy: PolicySpec, loads: Float32Array) -> None:
    for path in loads:
        pods_for_channels(policy.capacity, path)


def _seconds(work: Callable[[], object]) -> float:
    """The faster of two runs after one that fills the caches."""
    work()
    runs = []
    for _ in range(2):
        began = time.perf_counter()
        work()
        runs.append(time.perf_counter() - began)
    return min(runs)


def _inputs(policy: PolicySpec, number: int, load: Float32Array) -> PlanInputs:
    key = FleetKey("default", f"fleet-{number}")
    pods = tuple(Pod(f"uid-{number}-{n}", f"pod-{n}", PodState.SERVING, _NOW_S - 3600.0) for n in range(_PODS))
    observation = FleetObservation(
        key, "standard", (key.name,), None, f"deployment/{key.name}", _PODS, _PODS, pods, float(_NOW_S)
    )
    path = MeasurePath(median=load, upper=load, deviation=np.sqrt(load))
    forecast = FleetForecast(
        grid=SlotGrid(_NOW_S // _STEP_S * _STEP_S, _STEP_S, SLOTS),
        quantile=policy.forecast.quantile,
        paths={Measure.CHANNELS: path},
        trust=Trust.TRUSTED,
        trust_reason="made up",
        issued_at_s=_NOW_S - 60.0,
        newest_observation_s=_NOW_S - 60.0,
    )
    return PlanInputs(
        now_s=float(_NOW_S),
        policy=policy,
        observation=observation,
        lead=Lead(180.0, True, "made up"),
        measured={Measure.CHANNELS: Measurement(float(load[0]), 5.0)},
        forecast=forecast,
    )


if __name__ == "__main__":
    raise SystemExit(main())
