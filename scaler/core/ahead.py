"""What the forecast asks for: pods per slot, and the most that any instant of the lead window needs.

A pod that is asked for now takes calls one lead from now, so the need of now is the largest of the window. The largest
load of several slots lies above a slot's 95 % line more often than 5 times in 100; where the forecast has learnt how
far, the policy's quantile is that of the largest load. A cold forecast is a guess and asks for nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from forecasting.forecast import Trust
from forecasting.grid import SlotGrid
from forecasting.load import Measure
from scaler.core import wording
from scaler.core.capacity import IntArray, peakedness, pods_for_call_rate, pods_for_channels
from scaler.core.fleet_forecast import FleetForecast, MeasurePath
from scaler.core.inputs import PlanInputs
from scaler.policy.durations import format_duration
from scaler.policy.model import CapacitySpec


@dataclass(frozen=True, slots=True, eq=False)
class Ahead:
    """The forecast's part: `pods` now with a sentence, and `path` (slots,) with the lead counted in."""

    pods: int
    sentence: str
    grid: SlotGrid
    path: IntArray


def forecast_ahead(inputs: PlanInputs) -> Ahead | None:
    """What the forecast asks for, None when there is none that may size the fleet now."""
    forecast = inputs.forecast
    if forecast is None or forecast.trust is Trust.COLD:
        return None
    grid, lead_s = forecast.grid, inputs.lead.seconds
    # A lead that may begin anywhere in a slot touches so many slots on average.
    window_s = lead_s + grid.step_s
    paths = {
        measure: path.of_windows(forecast.quantile, window_s)
        for measure, path in forecast.paths.items()
        if measure in inputs.wanted_measures
    }
    by_measure = {measure: pods_of_path(inputs.policy.capacity, measure, path) for measure, path in paths.items()}
    first = max(0, grid.index_of(inputs.now_s))
    end = min(grid.slots, grid.index_of(inputs.now_s + lead_s) + 1)
    if not by_measure or first >= end:
        return None
    pods = np.maximum.reduce(list(by_measure.values()))
    slot = first + int(np.argmax(pods[first:end]))
    largest = max(by_measure, key=lambda measure: int(by_measure[measure][slot]))
    return Ahead(
        pods=int(pods[slot]),
        sentence=_sentence(inputs, forecast, largest, paths[largest], slot, int(pods[slot])),
        grid=grid,
        path=window_maximum(pods, 1 + _ceil_div(lead_s, grid.step_s)),
    )


def pods_of_path(capacity: CapacitySpec, measure: Measure, path: MeasurePath) -> IntArray:
    """Pods per slot, with safety counted once: the policy's quantile at target occupancy, or a grade of service."""
    if measure is Measure.CALL_RATE:
        return pods_for_call_rate(capacity, path.upper)
    if capacity.grade_of_service is not None:
        return pods_for_channels(capacity, path.median, peakedness(path.median, path.deviation))
    return pods_for_channels(capacity, path.upper)


def window_maximum(values: IntArray, width: int) -> IntArray:
    """The largest of each value and the `width - 1` after it, as far as there are any. Shape of `values`."""
    result = values.copy()
    reach = 1
    # Each pass joins two windows to one, so that an hour of minutes takes six.
    while reach < width:
        shift = min(reach, width - reach)
        np.maximum(result[:-shift], result[shift:], out=result[:-shift])
        reach += shift
    return result


def _ceil_div(value: float, step: int) -> int:
    return -int(-value // step)


def _sentence(
    inputs: PlanInputs, forecast: FleetForecast, measure: Measure, path: MeasurePath, slot: int, pods: int
) -> str:
    capacity, lead = inputs.policy.capacity, format_duration(inputs.lead.seconds)
    at_s = max(inputs.now_s, float(forecast.grid.start_s + slot * forecast.grid.step_s))
    when = "now" if at_s <= inputs.now_s else f"at {wording.civil_time(at_s, inputs.policy.calendar.time_zone)}"
    quantile = f"{100 * forecast.quantile:g} % quantile"
    if measure is Measure.CHANNELS and capacity.grade_of_service is not None:
        median = path.median[slot : slot + 1]
        z = peakedness(median, path.deviation[slot : slot + 1]).item()
        load = f"{wording.load(measure, median.item())} (median, peakedness {z:.2g})"
        seen = f"{load} {when}, the most within the lead of {lead}"
    elif path.knows_windows:
        load = wording.load(measure, path.upper[slot].item())
        seen = f"{load} {when}, the {quantile} of the largest load within the lead of {lead}"
    else:
        load = wording.load(measure, path.upper[slot].item())
        seen = f"{load} ({quantile}) {when}, the most within the lead of {lead}"
    return f"The forecast sees {seen}: {wording.pods(pods)} {wording.per_pod(capacity, measure)}."
