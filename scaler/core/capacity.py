"""How many pods carry a load.

Two loads can size a fleet, channels and call set-ups per second, and the larger number of pods wins. Safety is
counted once: either the load is a high quantile and pods are filled to a target occupancy, or the load is the median
and the channels are found by grade of service, with the forecast's own variance as peakedness. Both over whole paths.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from scaler.core.erlang import FloatArray, hayward_servers_for, servers_for
from scaler.errors import CapacityError
from scaler.policy.model import CapacitySpec

IntArray = npt.NDArray[np.int64]

LARGEST_PEAKEDNESS = 5.0
"""Beyond this the variance says more about the forecast's ignorance than about how calls arrive."""

# Loads are float32 where they come from: a millionth of a pod is rounding, not load.
_ROUNDING = 1e-6

_TABLE_LOADS = np.geomspace(1e-3, 1e6, 8_192)
_TABLE_LOGS = np.log(_TABLE_LOADS)
# Largest relative error of the table's straight lines, with a margin of two.
_TABLE_ERROR = 2e-6


def pods_for_channels(capacity: CapacitySpec, load: npt.ArrayLike, peakedness: npt.ArrayLike = 1.0) -> IntArray:
    """Pods for this many channels; with a grade of service, so that all their channels carry it at that blocking.

    Without a grade of service the peakedness is not used. Shape of `load`.

    Raises:
        CapacityError: the policy has no channels per pod, or a load is negative or not finite.
    """
    per_pod = capacity.channels_per_pod
    if per_pod is None:
        raise CapacityError("channels cannot size a fleet without capacity.channelsPerPod; add it to the policy")
    loads = _checked(load)
    if capacity.grade_of_service is None:
        return _whole_pods(loads / (per_pod * capacity.occupancy))
    z = np.broadcast_to(np.asarray(peakedness, dtype=np.float64), loads.shape)
    return _pods_for_blocking(loads, z, per_pod, capacity.grade_of_service.blocking)


def pods_for_call_rate(capacity: CapacitySpec, rate: npt.ArrayLike) -> IntArray:
    """Pods for this many call set-ups per second, always by occupancy. Shape of `rate`.

    Raises:
        CapacityError: the policy has no call set-ups per second per pod, or a rate is negative or not finite.
    """
    per_pod = capacity.call_setups_per_second_per_pod
    if per_pod is None:
        raise CapacityError(
            "a call rate cannot size a fleet without capacity.callSetupsPerSecondPerPod; add it to the policy"
        )
    return _whole_pods(_checked(rate) / (per_pod * capacity.occupancy))


def peakedness(median: npt.ArrayLike, deviation: npt.ArrayLike) -> FloatArray:
    """Variance over mean of a load that is forecast with this standard deviation, held inside [1, 5].

    A Poisson load m whose rate is itself uncertain by the share √phi has the variance m + phi m², so the peakedness
    is 1 + phi m. The forecast's deviation is that of the load and holds both terms already.

    Source: mixed-Poisson staffing, Whitt, "Staffing a call center with uncertain arrival rate and absenteeism",
    Production and Operations Management 15 (2006).
    """
    mean, spread = np.asarray(median, dtype=np.float64), np.asarray(deviation, dtype=np.float64)
    ratio: FloatArray = np.divide(spread * spread, mean, out=np.ones_like(mean), where=mean > 0)
    return np.clip(ratio, 1.0, LARGEST_PEAKEDNESS)


def _checked(load: npt.ArrayLike) -> FloatArray:
    loads = np.asarray(load, dtype=np.float64)
    if not (np.isfinite(loads).all() and (loads >= 0).all()):
        raise CapacityError("a load is negative or not finite: missing load must be left out before pods are counted")
    return loads


def _whole_pods(pods: FloatArray) -> IntArray:
    return np.ceil(pods * (1 - _ROUNDING)).astype(np.int64)


def _pods_for_blocking(load: FloatArray, z: FloatArray, per_pod: int, blocking: float) -> IntArray:
    """The smallest number of pods whose channels carry the load. Looked up, and worked out where a look-up is close."""
    scaled = load / z
    inside = (scaled >= _TABLE_LOADS[0]) & (scaled <= _TABLE_LOADS[-1])
    logs = np.log(np.where(inside, scaled, 1.0))
    servers = np.where(inside, np.interp(logs, _TABLE_LOGS, _servers_table(blocking)), 0.0)
    if not inside.all():
        servers[~inside] = servers_for(scaled[~inside], blocking)
    pods = z * servers / per_pod
    close = np.ceil(pods * (1 - _TABLE_ERROR)) < np.ceil(pods * (1 + _TABLE_ERROR))
    if close.any():
        # Minus what the root itself may be off by, so that a whole number of pods stays that number.
        pods[close] = hayward_servers_for(load[close], blocking, z[close]) / per_pod * (1 - 1e-11)
    pods = np.ceil(pods)
    return pods.astype(np.int64)


@lru_cache(maxsize=32)
def _servers_table(blocking: float) -> FloatArray:
    return servers_for(_TABLE_LOADS, blocking)
