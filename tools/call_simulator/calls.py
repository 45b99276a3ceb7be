"""The calls of a fleet, drawn before anything happens to them, and the need that a forecast of them comes to.

Arrivals are a non-homogeneous Poisson process over the working days of a tenant. Calls last log-normally, three
minutes on average, and a few are conferences of hours. The same calls are given to whatever scales the fleet.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from scaler.retirement.emptying import DEFAULT_HOLDING_TIMES

Float64Array = npt.NDArray[np.float64]

DAY_S, STEP_S = 86400.0, 300.0
CONFERENCE_MEDIAN_S, CONFERENCE_LOG_SD = 5400.0, 0.6
_CONFERENCE_S = CONFERENCE_MEDIAN_S * math.exp(CONFERENCE_LOG_SD**2 / 2)
_HOURS = np.arange(0, 25)
_WORKING_DAY = np.array(
    [3, 2, 2, 2, 3, 5, 12, 30, 70, 95, 100, 92, 62, 68, 88, 90, 78, 55, 32, 20, 14, 10, 6, 4, 3], dtype=np.float64
)
"""Offered load by hour in hundredths of the peak: a morning, a lunch, an afternoon, a night that is not empty."""


@dataclass(frozen=True, slots=True)
class Tenant:
    """Whose calls a fleet takes. `pods` serve its usual peak; nobody foresees the one at `second_peak_h`."""

    pods: int
    channels_per_pod: int = 12
    days: float = 1.0
    shift_h: float = 0.0
    foreseen: bool = True
    second_peak_h: float | None = None
    flat: float = 0.0
    """Calls at this share of the peak all day long instead of a working day's, 0 for a working day."""
    mean_s: float = DEFAULT_HOLDING_TIMES.mean_s
    """How long its calls last on average, conferences not counted."""
    conferences: float = 0.001
    """The share of its calls that last an hour and a half, or hours."""


@dataclass(frozen=True, slots=True, eq=False)
class Calls:
    """Instants of arrival (seconds, rising) and durations, one of each per call, and the load by steps of 300 s.

    `load` is what was really offered in Erlang, `forecast` what was expected. Plain lists where single calls are asked
    for, since that is many times faster.
    """

    starts_s: list[float]
    lasted_s: list[float]
    load: Float64Array
    forecast: Float64Array
    end_s: float = field(default=0.0)


def pods_for(erlangs: float, channels_per_pod: int) -> int:
    """Pods that carry a load of so many Erlang: the mean and 2.33 deviations of a Poisson count, one at least."""
    return max(1, math.ceil((erlangs + 2.33 * math.sqrt(max(erlangs, 0.0))) / channels_per_pod))


def calls_of(tenant: Tenant, rng: np.random.Generator) -> Calls:
    """Draw the calls of one fleet."""
    end_s = tenant.days * DAY_S
    middles_s = np.arange(0.0, end_s, STEP_S) + STEP_S / 2
    hours = (middles_s / 3600.0 + tenant.shift_h) % 24.0
    peak = _erlangs_of(tenant.pods, tenant.channels_per_pod)
    shape = np.full(hours.shape, tenant.flat) if tenant.flat else np.interp(hours, _HOURS, _WORKING_DAY) / 100.0
    forecast = peak * shape
    # A day is larger or smaller than expected as a whole; what is expected of it is not known better than so.
    days = (middles_s // DAY_S).astype(np.int64)
    load = forecast * rng.lognormal(0.0, 0.08, int(days[-1]) + 1)[days]
    if tenant.second_peak_h is not None:
        load = np.where(np.abs(hours - tenant.second_peak_h) < 0.75, np.maximum(load, 0.8 * peak), load)
    counts = rng.poisson(load / (tenant.mean_s + tenant.conferences * _CONFERENCE_S) * STEP_S)
    starts_s = np.repeat(middles_s - STEP_S / 2, counts) + rng.uniform(0.0, STEP_S, int(counts.sum()))
    starts_s.sort()
    log_sd = DEFAULT_HOLDING_TIMES.log_sd
    lasted_s = rng.lognormal(math.log(tenant.mean_s) - log_sd**2 / 2, log_sd, starts_s.size)
    long = rng.random(starts_s.size) < tenant.conferences
    lasted_s[long] = rng.lognormal(math.log(CONFERENCE_MEDIAN_S), CONFERENCE_LOG_SD, int(long.sum()))
    return Calls(starts_s.tolist(), lasted_s.tolist(), load, forecast, end_s)


def _erlangs_of(pods: int, channels_per_pod: int) -> float:
    """The load that so many pods just carry: the inverse of `pods_for`."""
    root = (-2.33 + math.sqrt(2.33**2 + 4 * pods * channels_per_pod)) / 2
    return root * root
