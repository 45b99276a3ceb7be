"""How many channels a load needs so that hardly a call finds none free: Erlang-B, its inverse, and Hayward.

Everything here takes whole arrays, because a plan asks for every slot of the horizon of every fleet, and real
numbers of servers, because Hayward's approximation asks for them. One integral serves all cases: it is smooth,
needs the same few nodes for one server as for ten thousand, and never overflows.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from scaler.errors import CapacityError

FloatArray = npt.NDArray[np.float64]

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(80)
# exp(-40) of the peak is left out on either side: far below the last digit of the sum.
_DROP = 40.0
# Elements per pass: 80 nodes each, so that the working set stays inside the processor's cache.
_CHUNK = 2048
_STEPS = 60
_SMALLEST_LOAD = 1e-100


def blocking(load: npt.ArrayLike, servers: npt.ArrayLike) -> FloatArray:
    """Share of calls that find no free server, Erlang's first formula for a real number of servers.

    `load` in Erlangs and `servers` broadcast against each other; the result has their common shape and is exact to
    about 1e-11 relative up to a million servers.

    Raises:
        CapacityError: a load or a number of servers is negative or not finite.

    Source: Jagerman, "Some properties of the Erlang loss function", Bell System Technical Journal 53 (1974), which
    gives Fortet's integral 1/B(a, x) = a ∫₀^∞ exp(-a t) (1 + t)^x dt; here with 1 + t = exp(w).
    """
    loads, counts = _checked(load, servers)
    return _in_chunks(lambda a, x: np.exp(-_log_inverse(a, x)[0]), loads, counts)


def servers_for(load: npt.ArrayLike, target: float) -> FloatArray:
    """The real number of servers at which the blocking of `load` Erlangs is exactly `target`; 0 for no load.

    Raises:
        CapacityError: a load is negative or not finite, or the target is not inside (0, 1).
    """
    if not 0 < target < 1:
        raise CapacityError(f"a blocking of {target} is not inside (0, 1); write it like 0.001 for P.001")
    loads, _ = _checked(load, 0.0)
    wanted = -np.log(target)
    return _in_chunks(lambda a, _x: _newton(a, wanted), loads, np.zeros_like(loads))


def channels_for(load: npt.ArrayLike, target: float) -> npt.NDArray[np.int64]:
    """The smallest whole number of channels that carries `load` Erlangs with at most `target` blocking.

    Raises:
        CapacityError: as `servers_for`.
    """
    exact = servers_for(load, target)
    # The root is known to twelve digits: what lies above a whole number by less is that number.
    return np.ceil(exact * (1 - 1e-11)).astype(np.int64)


def hayward_blocking(load: npt.ArrayLike, servers: npt.ArrayLike, peakedness: npt.ArrayLike) -> FloatArray:
    """Blocking of traffic whose variance is `peakedness` times its mean: B(load / z, servers / z).

    Raises:
        CapacityError: a peakedness is not positive, or as `blocking`.

    Source: Fredericks, "Congestion in blocking systems: a simple approximation technique", Bell System Technical
    Journal 59 (1980), who names W. S. Hayward.
    """
    z = _positive(peakedness)
    return blocking(np.asarray(load, dtype=np.float64) / z, np.asarray(servers, dtype=np.float64) / z)


def hayward_servers_for(load: npt.ArrayLike, target: float, peakedness: npt.ArrayLike) -> FloatArray:
    """The real number of servers that peaked traffic needs: z · servers_for(load / z).

    Raises:
        CapacityError: as `servers_for` and `hayward_blocking`.
    """
    z = _positive(peakedness)
    return z * servers_for(np.asarray(load, dtype=np.float64) / z, target)


def _positive(peakedness: npt.ArrayLike) -> FloatArray:
    z = np.asarray(peakedness, dtype=np.float64)
    if not (np.isfinite(z).all() and (z > 0).all()):
        raise CapacityError("a peakedness is not a positive number; plain Poisson traffic has 1")
    return z


def _checked(load: npt.ArrayLike, servers: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
    loads, counts = np.broadcast_arrays(np.asarray(load, dtype=np.float64), np.asarray(servers, dtype=np.float64))
    for name, values in (("load", loads), ("number of servers", counts)):
        if not (np.isfinite(values).all() and (values >= 0).all()):
            raise CapacityError(f"a {name} is negative or not finite: missing load must be left out before")
    return loads, counts


def _in_chunks(
    function: Callable[[FloatArray, FloatArray], FloatArray], loads: FloatArray, counts: FloatArray
) -> FloatArray:
    """The function of every element with a load; 0 where there is none."""
    result = np.zeros(loads.shape)
    busy = np.flatnonzero(loads > 0)
    # A load that is too small to divide by is as good as this one.
    a, x = np.maximum(loads.ravel()[busy], _SMALLEST_LOAD), counts.ravel()[busy]
    for first in range(0, busy.size, _CHUNK):
        part = slice(first, first + _CHUNK)
        result.ravel()[busy[part]] = function(a[part], x[part])
    return result


def _newton(load: FloatArray, wanted: float) -> FloatArray:
    # log(1/B) is convex and rises in the number of servers, so that after one step Newton comes from the right and
    # cannot miss, wherever it began.
    servers = load.copy()
    for _ in range(_STEPS):
        value, slope = _log_inverse(load, servers)
        after = np.maximum(servers - (value - wanted) / slope, 0.0)
        moved = np.abs(after - servers) > 1e-13 * (1 + servers)
        servers = after
        if not moved.any():
            break
    return servers


def _log_inverse(load: FloatArray, servers: FloatArray) -> tuple[FloatArray, FloatArray]:
    """log(1/B) and its derivative by the number of servers, for positive loads of shape (n,).

    1/B = a ∫₀^∞ exp(h(w)) dw with h(w) = (x + 1) w - a (exp(w) - 1), strictly concave; Gauss-Legendre over the
    stretch in which h lies within `_DROP` of its peak.
    """
    k = servers + 1
    peak_w = np.log(np.maximum(k / load, 1.0))
    # With y = w - peak: h = h(peak) - slope · y - curvature · (exp(y) - 1 - y), so that nothing large is subtracted
    # from something large. The slope is 0 unless w = 0 cuts the peak off.
    slope, curvature = np.maximum(load - k, 0.0), np.maximum(load, k)
    left, right = np.minimum(_left_reach(k), peak_w), _right_reach(slope, curvature)
    half = (left + right) / 2
    y = ((right - left) / 2)[:, None] + half[:, None] * _NODES
    mass = _WEIGHTS * np.exp(-slope[:, None] * y - curvature[:, None] * (np.expm1(y) - y))
    total = mass.sum(axis=1)
    log_inverse = np.log(load * half * total) + k * peak_w - load * np.expm1(peak_w)
    return log_inverse, peak_w + (mass * y).sum(axis=1) / total


def _left_reach(curvature: FloatArray) -> FloatArray:
    """A distance to the left of the peak beyond which h has fallen by `_DROP`: exp(-u) - 1 + u ≥ u² / (2 + u)."""
    d = _DROP / curvature
    return (d + np.sqrt(d * d + 8 * d)) / 2


def _right_reach(slope: FloatArray, curvature: FloatArray) -> FloatArray:
    """The same to the right: from exp(y) - 1 - y ≥ y² / 2, then twice closer by the fixed point's own map."""
    reach = np.sqrt(2 * _DROP / curvature)
    reach = np.minimum(reach, _DROP / np.maximum(slope, _DROP / reach))
    for _ in range(2):
        reach = np.log1p(reach + (_DROP - slope * reach) / curvature)
    return reach
