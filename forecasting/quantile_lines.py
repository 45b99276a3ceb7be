"""Lines between and beyond the quantiles that a forecast carries.

Inside, a line lies straight between its two neighbours. Beyond the last one it goes on as those last two would if
roots of load were normal, or so many times further as past errors have: the largest load of an hour asks for a slot's
99.9 % line, and carrying that line for every slot of every series would cost memory for the few that are read.
"""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from forecasting.load import Float32Array

FARTHEST = 0.999
"""The highest quantile that a line may be asked for beyond those carried: further out nothing was learnt."""
_LARGEST_ROOT = np.float32(1e19)
"""Roots end here, so that their squares stay finite in float32."""
_TAILS = np.geomspace(0.5, 1e-5, 400)
_DEVIATIONS = np.array([NormalDist().inv_cdf(1.0 - tail) for tail in _TAILS])


def in_order(lines: Float32Array) -> Float32Array:
    """Lines (…, quantiles), each raised in place to those before it.

    Line by line, since numpy accumulates along a short axis several times slower.
    """
    for line in range(1, lines.shape[-1]):
        np.maximum(lines[..., line - 1], lines[..., line], out=lines[..., line])
    return lines


def at_quantile(
    values: Float32Array, quantiles: tuple[float, ...], wanted: float | npt.NDArray[np.float64], tail: float = 1.0
) -> Float32Array:
    """The lines at the quantiles wanted, shape (slots,).

    `values` (slots, quantiles) are loads at the rising `quantiles`; `wanted`, one or one for each slot (slots,), is not
    below the first of them. Beyond the last, the square root of load goes on in proportion to the normal law's
    deviations, whatever the load's unit, `tail` times as far; where there is only one, that is all that is known.
    """
    if len(quantiles) == 1:
        return values[:, 0]
    carried = np.asarray(quantiles)
    asked = np.broadcast_to(np.asarray(wanted, dtype=np.float64), values.shape[:1])
    upper = np.clip(np.searchsorted(carried, asked), 1, carried.size - 1)
    below, above = (np.take_along_axis(values, places[:, None], axis=1)[:, 0] for places in (upper - 1, upper))
    share = np.minimum((asked - carried[upper - 1]) / (carried[upper] - carried[upper - 1]), 1.0).astype(np.float32)
    lines: Float32Array = (1 - share) * below + share * above
    beyond = asked > carried[-1]
    if beyond.any():
        near, far = _deviations(carried[-2:])
        further = (tail * (_deviations(asked[beyond]) - far) / (far - near)).astype(np.float32)
        inner, outer = np.sqrt(values[beyond, -2]), np.sqrt(values[beyond, -1])
        lines[beyond] = np.minimum(outer + further * (outer - inner), _LARGEST_ROOT) ** 2
    return lines


def _deviations(quantiles: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Standard deviations from the middle of the normal law; from 50 % up."""
    # Looked up, since the plain library has the inverse for single numbers only.
    deviations: npt.NDArray[np.float64] = np.interp(-np.log1p(-quantiles), -np.log(_TAILS), _DEVIATIONS)
    return deviations
