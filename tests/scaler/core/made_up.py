"""Fleets, forecasts and inputs made up for tests: each test names only what it is about."""

from __future__ import annotations

from typing import Any

import numpy as np

from forecasting.forecast import QUANTILES, QuantileForecast, Trust
from forecasting.grid import SlotGrid
from forecasting.load import Measure
from forecasting.window_levels import WindowLevels
from scaler.core.fleet_forecast import FleetForecast, fleet_forecasts
from scaler.core.fleets import FleetKey, FleetObservation, Pod, PodState
from scaler.core.inputs import Measurement, PlanInputs
from scaler.core.lead import Lead
from scaler.policy.model import PolicySpec

STEP_S = 300
NOW_S = 1_790_000_100 // STEP_S * STEP_S
ACME = FleetKey("default", "acme")
LEAD = Lead(300.0, True, "made up")


def policy(**fields: Any) -> PolicySpec:
    """A policy of 100 channels a pod, of which 80 are planned with, unless said otherwise."""
    spec: dict[str, Any] = {
        "history": {"channels": "channels"},
        "capacity": {"channelsPerPod": 100},
    }
    return PolicySpec.model_validate({**spec, **fields})


def observation(
    spec: int = 3,
    *pods: Pod,
    key: FleetKey = ACME,
    status: int | None = None,
    minimum: int | None = None,
    maximum: int | None = None,
    exact: bool = True,
    **more: Any,
) -> FleetObservation:
    return FleetObservation(
        key=key,
        policy="standard",
        tenants=("acme",),
        pool=None,
        workload="deployment/acme",
        spec_replicas=spec,
        status_replicas=spec if status is None else status,
        pods=pods or tuple(pod(f"uid-{n}") for n in range(spec)),
        observed_at_s=NOW_S,
        minimum_replicas=minimum,
        maximum_replicas=maximum,
        exact_tolerance=exact,
        **more,
    )


def pod(uid: str, state: PodState = PodState.SERVING, **more: Any) -> Pod:
    return Pod(uid=uid, name=uid, state=state, created_s=NOW_S - 3600, **more)


def quantile_forecast(
    loads: np.ndarray | list[float],
    *,
    trust: Trust = Trust.TRUSTED,
    spread: float = 0.0,
    measure: Measure = Measure.CHANNELS,
    start_s: int = NOW_S,
    series: tuple[str, ...] = ("acme",),
    issued_at_s: int = NOW_S,
) -> QuantileForecast:
    """All quantiles alike, or `spread` apart from one to the next."""
    median = np.asarray(loads, dtype=np.float32)
    values = median[np.newaxis, :, np.newaxis] + spread * np.arange(len(QUANTILES), dtype=np.float32)
    values = np.broadcast_to(values, (len(series), len(median), len(QUANTILES))).astype(np.float32)
    if trust is Trust.COLD:
        values = np.full_like(values, np.nan)
    return QuantileForecast(
        measure=measure,
        series=series,
        grid=SlotGrid(start_s, STEP_S, len(median)),
        quantiles=QUANTILES,
        values=values,
        issued_at_s=issued_at_s,
        newest_observation_s=np.full(len(series), issued_at_s, dtype=np.int64),
        trust=(trust,) * len(series),
        trust_reasons=(f"{trust} for the test",) * len(series),
        model="made-up",
    )


def window_levels(counts_for: float) -> WindowLevels:
    """A window of eight slots counts for so many, whatever load and quantile."""
    counts = np.array([[[1.0], [counts_for]]])
    return WindowLevels(STEP_S, np.array([1.0]), np.array([1, 8]), np.array([0.95]), counts)


def forecast(loads: np.ndarray | list[float], quantile: float = 0.95, **more: Any) -> FleetForecast:
    return fleet_forecasts([quantile_forecast(loads, **more)], {"acme": quantile})["acme"]


def inputs(channels: float | None = 0.0, spec: int = 3, **more: Any) -> PlanInputs:
    """A fleet with this many channels now (None: not known), and no forecast unless one is given."""
    measured = {} if channels is None else {Measure.CHANNELS: Measurement(channels, 5.0)}
    fields: dict[str, Any] = {
        "now_s": float(NOW_S),
        "policy": policy(),
        "observation": observation(spec),
        "lead": LEAD,
        "measured": measured,
    }
    return PlanInputs(**{**fields, **more})
