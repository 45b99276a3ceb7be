"""What would have been carried if nobody had been refused.

A full fleet carries its capacity and no more, so a forecast that learns from carried load learns the ceiling and keeps
it. What callers asked for is the offered load. Where refusals are counted it is carried load and refusals' share;
where only the capacity is known it is the load that Erlang's loss formula says would have carried as much. Either way
the estimate is never below what was carried.
"""

from __future__ import annotations

import math

import numpy as np

from forecasting.errors import ForecastInputError
from forecasting.holding_times import Float64Array
from forecasting.load import LoadMatrix, Measure

MOST_BLOCKED = 0.5
"""Beyond this share of refusals carried load hardly rises and tells nothing more: the estimate stops growing."""
_HALVINGS = 60


def offered_rate(carried_per_s: Float64Array, refused_per_s: Float64Array, retry_share: float = 0.0) -> Float64Array:
    """Callers who asked per second: set-ups carried and refused, less those that were a refused caller's next try.

    `retry_share` is the share of refused set-ups that were tried again. Where refusals are not known (NaN) the carried
    rate stands; where the carried rate is not known nothing is.

    Raises:
        ForecastInputError: the retry share is not inside [0, 1], or a rate is negative.
    """
    _check_share(retry_share)
    _check_not_negative(carried_per_s, "carried")
    _check_not_negative(refused_per_s, "refused")
    refused = np.where(np.isnan(refused_per_s), 0.0, refused_per_s)
    return carried_per_s + refused * (1.0 - retry_share)


def erlang_b(offered: Float64Array, channels: Float64Array) -> Float64Array:
    """Share of calls refused when `offered` Erlangs meet so many whole channels. Shapes broadcast; 0 at no load.

    Source: Erlang (1917) by the recurrence 1/B(n) = 1 + n/a · 1/B(n - 1), which loses no digits.
    """
    offered, channels = np.broadcast_arrays(offered, channels)
    inverse = np.ones(offered.shape)
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        for count in range(1, int(channels.max(initial=0)) + 1):
            following = 1.0 + count / offered * inverse
            inverse = np.where(count <= channels, following, inverse)
    return np.where(offered > 0, 1.0 / inverse, np.where(channels > 0, 0.0, 1.0))


def offered_from_carried(carried: Float64Array, channels: Float64Array) -> Float64Array:
    """Erlangs offered to so many channels that on average `carried` of them were in use. Shapes broadcast, NaN stays.

    Inverts carried = offered · (1 - B(channels, offered)) by bisection. Carried load at or above the capacity is
    censored, and answered with channels / (1 - `MOST_BLOCKED`), the most that it tells.

    Raises:
        ForecastInputError: carried load or channels are negative, or channels are not whole.
    """
    carried, channels = np.broadcast_arrays(np.asarray(carried, float), np.asarray(channels, float))
    _check_not_negative(carried, "carried")
    _check_not_negative(channels, "channels")
    if not np.array_equal(channels, np.floor(channels)):
        raise ForecastInputError("channels are not whole: Erlang's formula counts them; round them down")
    low = np.where(np.isnan(carried), 0.0, carried)
    high = np.maximum(low, channels / (1.0 - MOST_BLOCKED))
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        enough = middle * (1.0 - erlang_b(middle, channels)) >= carried
        low, high = np.where(enough, low, middle), np.where(enough, middle, high)
    offered: Float64Array = np.where(np.isnan(carried), np.nan, np.maximum(high, carried))
    return offered


def with_refused(
    carried: LoadMatrix, refused: LoadMatrix, holding_mean_s: Float64Array | float, retry_share: float = 0.0
) -> LoadMatrix:
    """Carried load of either measure with the refused call set-ups per second added.

    The refused calls of a slot would have held a channel each for the mean holding time, seconds, of one series
    (series,) or of all. Rows of `refused` are matched by name; a series or slot that it does not know adds nothing.

    Raises:
        ForecastInputError: `refused` is no call rate or lies on another grid, the retry share is not inside [0, 1], or
            the holding time is not a positive number.
    """
    if refused.measure is not Measure.CALL_RATE:
        raise ForecastInputError(f"refused calls are set-ups per second, not {refused.measure.value}")
    if refused.grid != carried.grid:
        raise ForecastInputError(f"refused calls lie on {refused.grid}, the carried load on {carried.grid}")
    holding_s = np.broadcast_to(np.asarray(holding_mean_s, float), len(carried.series))
    if not (np.isfinite(holding_s) & (holding_s > 0)).all():
        raise ForecastInputError(f"a mean holding time of {holding_mean_s} s is not a positive number of seconds")
    row_of = {name: row for row, name in enumerate(refused.series)}
    rates = np.full(carried.values.shape, np.nan)
    known = [row for row, name in enumerate(carried.series) if name in row_of]
    rates[known] = refused.values[[row_of[carried.series[row]] for row in known]]
    seconds = holding_s[:, None] if carried.measure is Measure.CHANNELS else 1.0
    added = offered_rate(np.zeros_like(rates), rates, retry_share) * seconds
    return LoadMatrix(carried.measure, carried.series, carried.grid, (carried.values + added).astype(np.float32))


def _check_share(share: float) -> None:
    if not (math.isfinite(share) and 0.0 <= share <= 1.0):
        raise ForecastInputError(f"retry share {share} is not between 0 and 1")


def _check_not_negative(values: Float64Array, what: str) -> None:
    if (np.asarray(values) < 0).any():
        raise ForecastInputError(f"a {what} value is negative: mark it NaN where it is read")
