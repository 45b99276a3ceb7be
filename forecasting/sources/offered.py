"""The load that was asked for: what was carried, and what was refused for want of room. The same for every source.

A full fleet carries its capacity and no more. Where a query says how refused calls are counted, they are asked for
beside the load and added slot by slot, so that what is archived and learnt is the offered load.

**What is missing is not zero.** Where nobody tells how many were refused the slot is a gap: the carried load alone may
be the ceiling of a full fleet, and a ceiling that is learnt keeps the fleet full. A counter that never counted has no
series, which looks the same as one that is not scraped, and only the query can tell them apart: by a zero while its
counters are seen (`(… or 0 * …) and on () (min(up) == 1)`). No rule of silence stands in for that, not even Loki's for
call rates: who vouches for the lines of calls does not vouch for those of refusals. A query that fails, fails the read.

The load right now is not treated so. There the carried load is a floor that only raises; it must not go away with a
counter.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np

from forecasting.errors import ForecastInputError, SourceError
from forecasting.load import BoolArray, LoadMatrix, Measure
from forecasting.sources.protocol import HistoryQuery, RefusedCalls, SlotStatistic
from forecasting.sources.samples import Float64Array
from forecasting.uncensored import rows_of, with_refused

ReadPart = Callable[[HistoryQuery], LoadMatrix]
"""Reads one query without refused calls, on the grid that the reading is about."""

_log = logging.getLogger(__name__)


def read_offered(query: HistoryQuery, read: ReadPart, where: str) -> LoadMatrix:
    """What `read` answers, with the refused calls added if the query says how they are counted.

    A tenant of whom nothing tells the refused calls in any observed slot is logged with the remedy.

    Raises:
        SourceError: what `read` raises; for a part of the refused calls with the policy's field before it.
        ForecastInputError: channels are asked for, and nobody says how long a call would have held one.
    """
    carried = read(query)
    counted = query.refused
    if counted is None or not carried.observed.any():
        return carried
    with _naming("history.refused.query"):
        refused = read(_part(query, Measure.CALL_RATE, counted.expression))
    rates = rows_of(refused, carried.series)
    _tell_silent(carried, carried.observed, ~np.isnan(rates), f"{where}: history.refused.query")
    holding_s = _holding_s(query, counted, carried, read)
    _tell_silent(
        carried,
        carried.observed & (rates > 0),
        np.broadcast_to(~np.isnan(holding_s), rates.shape),
        f"{where}: history.refused.holdingTimeQuery",
    )
    return with_refused(carried, refused, holding_s, counted.retry_share)


def _holding_s(query: HistoryQuery, counted: RefusedCalls, carried: LoadMatrix, read: ReadPart) -> Float64Array:
    """Seconds that a call holds channels, NaN where they are not known. Shape (series, slots), or (1,) for all."""
    if query.measure is Measure.CALL_RATE:
        return np.ones(1)
    if counted.holding_expression is None:
        if counted.holding_s is None:
            raise ForecastInputError("refused calls without a holding time cannot become channels; give one")
        return np.array([counted.holding_s])
    with _naming("history.refused.holdingTimeQuery"):
        answered = read(_part(query, Measure.CHANNELS, counted.holding_expression))
    holding_s = rows_of(answered, carried.series)
    # A call that holds nothing is none: the mean of no calls.
    holding_s[holding_s == 0] = np.nan
    return holding_s


def _part(query: HistoryQuery, measure: Measure, expression: str) -> HistoryQuery:
    # Without completeness: where the load is incomplete it is a gap already, and of refusals it tells nothing.
    return HistoryQuery(
        measure,
        expression,
        query.tenant_label,
        minimum_completeness=query.minimum_completeness,
        statistic=SlotStatistic.MEAN,
    )


@contextmanager
def _naming(field: str) -> Iterator[None]:
    """Say which of a policy's queries a fault belongs to: several go to one source."""
    try:
        yield
    except SourceError as fault:
        raise type(fault)(f"{field}: {fault}") from fault


def _tell_silent(carried: LoadMatrix, needed: BoolArray, known: BoolArray, what: str) -> None:
    """Log the tenants for which nothing was known in any slot that needed it: their history does not grow."""
    silent = np.flatnonzero(needed.any(axis=1) & ~(needed & known).any(axis=1))
    if silent.size:
        _log.warning(
            "%s: nothing for %d of %d tenants with load (%s%s), so their slots are gaps; let it yield a "
            "number wherever it is known, a zero too: docs/sources.md, Refused calls",
            what,
            silent.size,
            np.count_nonzero(needed.any(axis=1)),
            ", ".join(carried.series[row] for row in silent[:3]),
            " …" if silent.size > 3 else "",
        )
