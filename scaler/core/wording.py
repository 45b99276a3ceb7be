"""The plain words in which a number of pods is explained. Whoever reads them has been woken up."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from forecasting.load import Measure
from scaler.policy.model import CapacitySpec


def pods(count: int) -> str:
    """'1 pod', '12 pods'."""
    return f"{count:,} pod" if count == 1 else f"{count:,} pods"


def load(measure: Measure, value: float) -> str:
    """'1,010 channels', '2.5 call set-ups a second'."""
    number = f"{value:,.0f}" if value >= 10 else f"{value:.2g}"
    unit = "channels" if measure is Measure.CHANNELS else "call set-ups a second"
    return f"{number} {unit}"


def share(value: float) -> str:
    """'80 %', '0.1 %'."""
    return f"{100 * value:.4g} %"


def per_pod(capacity: CapacitySpec, measure: Measure) -> str:
    """'at 130 channels a pod (80 % of 162)', or how the grade of service counts them."""
    if measure is Measure.CALL_RATE:
        rate = capacity.call_setups_per_second_per_pod or 0.0
        return f"at {load(measure, rate * capacity.occupancy)} a pod ({share(capacity.occupancy)} of {rate:g})"
    channels = capacity.channels_per_pod or 0
    if capacity.grade_of_service is not None:
        return f"of {channels:,} channels each for a blocking of {share(capacity.grade_of_service.blocking)}"
    return f"at {load(measure, channels * capacity.occupancy)} a pod ({share(capacity.occupancy)} of {channels:,})"


def civil_time(at_s: float, time_zone: str) -> str:
    """'Mon 09:00 Europe/Berlin': the clock on the tenant's wall."""
    return f"{datetime.fromtimestamp(at_s, ZoneInfo(time_zone)):%a %H:%M} {time_zone}"
