"""What would have been carried if nobody had been refused.

A full fleet carries its capacity and no more, so a forecast that learns from carried load learns the ceiling and keeps
it. What callers asked for is the offered load. Where refusals are counted it is carried load and refusals' share;
where only the capacity is known it is the load that Erlang's loss formula says would have carried as much. Either way
the estimate is never below what was carried. `sources/offered.py` applies the first to what a source answers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from forecasting.errors import ForecastInputError
from forecasting.holding_times import Float64Array
from forecasting.load import LoadMatrix, Measure

MOST_BLOCKED = 0.5
"""Beyond this share of refusals carried load hardly rises and tells nothing more: the estimate stops growing."""
_HALVINGS = 60


def offered_rate(carried_per_s: Float64Array, refused_per_s: Float64Array, retry_share: float = 0.0) -> Float64Array:
    """Callers who asked per second: set-ups carried and refused, less those that were a refused caller's next try.

    `retry_share` is the share of refused set-ups that were tried again. Where one of the two is not known (NaN) the sum
    is not: a count of refusals that is missing is no proof that nobody was refused.

    Raises:
        ForecastInputError: the retry share is not inside [0, 1], or a rate is negative.
    """
    _check_share(retry_share)
    _check_not_negative(carried_per_s, "carried")
    _check_not_negative(refused_per_s, "refused")
    return carried_per_s + refused_per_s * (1.0 - retry_share)


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


def rows_of(load: LoadMatrix, series: Sequence[str]) -> Float64Array:
    """The values of these series in this order, NaN for one that the matrix does not know. Shape (series, slots)."""
    row_of = {name: row for row, name in enumerate(load.series)}
    values = np.full((len(series), load.grid.slots), np.nan)
    known = [row for row, name in enumerate(series) if name in row_of]
    values[known] = load.values[[row_of[series[row]] for row in known]]
    return values


def with_refused(
    carried: LoadMatrix, refused: LoadMatrix, holding_s: Float64Array | float, retry_share: float = 0.0
) -> LoadMatrix:
    """Carried load of either measure with the refused call set-ups per second added.

    The refused calls of a slot would have held channels for `holding_s` seconds each, a shape that broadcasts to
    (series, slots), NaN where that is not known; a call rate has no use for it. Rows of `refused` are matched by name.
    A slot whose refusals are not known is NaN, and so is one with refusals whose holding time is not.

    Raises:
        ForecastInputError: `refused` is no call rate or lies on another grid, the retry share is not inside [0, 1], or
            a holding time is not a positive number.
    """
    if refused.measure is not Measure.CALL_RATE:
        raise ForecastInputError(f"refused calls are set-ups per second, not {refused.measure.value}")
    if refused.grid != carried.grid:
        raise ForecastInputError(f"refused calls lie on {refused.grid}, the carried load on {carried.grid}")
    seconds = np.asarray(holding_s, float) if carried.measure is Measure.CHANNELS else np.ones(1)
    if (seconds <= 0).any() or np.isinf(seconds).any():
        raise ForecastInputError(f"a mean holding time of {holding_s} s is not a positive number of seconds")
    callers = offered_rate(np.zeros(carried.values.shape), rows_of(refused, carried.series), retry_share)
    # Nobody who was refused would have held nothing, however long.
    added = np.where(callers == 0, 0.0, callers * seconds)
    offered = carried.values + added
    # Beyond float32 there is no load; a count that says so is broken.
    offered[offered > np.finfo(np.float32).max] = np.nan
    return LoadMatrix(carried.measure, carried.series, carried.grid, offered.astype(np.float32))


def _check_share(share: float) -> None:
    if not (math.isfinite(share) and 0.0 <= share <= 1.0):
        raise ForecastInputError(f"retry share {share} is not between 0 and 1")


def _check_not_negative(values: Float64Array, what: str) -> None:
    if (np.asarray(values) < 0).any():
        raise ForecastInputError(f"a {what} value is negative: mark it NaN where it is read")
