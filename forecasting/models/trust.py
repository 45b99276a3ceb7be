"""How far a forecast may be believed, and the sentence that says why.

Trust falls at once and comes back slowly: a forecast that missed a day must go well for two before a fleet shrinks by
it again, else fleets would follow every turn of a load that is just finding its new habit. Nothing is remembered for
that. What decides is derived from how the past days went, so that a restart gives the same answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from forecasting.forecast import QuantileForecast, Trust
from forecasting.grid import Int64Array
from forecasting.load import BoolArray

Float64Array = npt.NDArray[np.float64]

_DAY_S = 86400
HOURS_A_DAY = 24
COLD_BELOW_S = _DAY_S
"""Less history than this is a guess."""
_COLD_BELOW_SLOTS = 6
_LEARNING_BELOW_S = 14 * _DAY_S
OLD_AFTER_S = 3600
OLD_AFTER_SLOTS = 3
SEEN_AGAIN_S = 3 * 3600
"""After a longer silence observations must have come for so long before they are relied upon again."""
_ENOUGH_SCORED = 12
_JUDGED_FROM_S = 3 * _DAY_S
"""Younger, the forecasts that the last day is compared with had no day to learn from themselves."""
COMPARED_S = (86400, 43200)
"""How long before the issue the forecasts were made that the last day is compared with: each covers half of it."""
BAND = (0.05, 0.95)
"""The lines that the last day should lie between."""
_MAY_LIE_ABOVE = 0.3
_MAY_LIE_BELOW = 0.5
BACK_AFTER_HOURS = 48
"""So many hours in a row must each end a day that went as forecast, after one that did not."""
NAIVE_DAYS = 14
"""Days of forecasts over which the weekly naive is compared."""
_VERDICTS_IN_FORCE = 3
"""The worst verdict of so many days in a row holds, so that one good day does not turn it."""
_MAY_BE_WORSE = 1.1
_MATTERS_ABOVE = 0.01
"""A loss that is larger by less than this share of the load harms nobody, even where the naive hardly errs at all."""


@dataclass(frozen=True, slots=True, eq=False)
class BesideNaive:
    """A forecast's losses beside those of the weekly naive on the same cells, by the day on which it was issued.

    Each of shape (series, days) from the oldest day to the newest, NaN where a day was not scored: sums of absolute
    errors of the median, of the naive, and of load.
    """

    loss: Float64Array
    naive_loss: Float64Array
    load: Float64Array


HELD_REASON = "it fell together with many others: that is held and not learnt"


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """What trust is judged by.

    Of shape (series,): `span_s` from the first observed slot to the issue; `slots` observed; `missed` slots without
    an observation since the newest one that other weeks did observe, `missed_lately` the most that it was at any time
    of the last `SEEN_AGAIN_S`; `falling` who is in a fall common to many that is held.

    Of shape (series, hours), from the oldest hour to the newest: `scored`, `above` and `below`, the slots that were
    compared with the forecasts made for them, and those that lay above the 95 % and below the 5 % line. The last 24
    columns are the last day. A single column is a whole day of which nothing before is known.
    """

    span_s: Int64Array
    slots: Int64Array
    missed: Int64Array
    missed_lately: Int64Array
    scored: Int64Array
    above: Int64Array
    below: Int64Array
    beside_naive: BesideNaive | None = None
    falling: BoolArray | None = None


def is_cold(span_s: Int64Array, slots: Int64Array) -> BoolArray:
    """Which series have too little history for a forecast."""
    cold: BoolArray = (span_s < COLD_BELOW_S) | (slots < _COLD_BELOW_SLOTS)
    return cold


def worse_than_naive(beside: BesideNaive) -> Float64Array:
    """By how much the loss over two weeks is larger than that of the weekly naive, where it matters. Shape (series,).

    0.25 is a quarter larger; NaN where the naive was not better by a margin that counts, or where fewer than
    `NAIVE_DAYS` days were scored. Only scored days count, the newest. The worst of the last verdicts is told.
    """
    scored = ~np.isnan(beside.loss)
    verdicts = np.full((_VERDICTS_IN_FORCE, beside.loss.shape[0]), np.nan)
    # Each scored day's place counted back from the newest, 1 for that.
    place = np.cumsum(scored[:, ::-1], axis=1)[:, ::-1]
    for back in range(_VERDICTS_IN_FORCE):
        counted = scored & (place > back) & (place <= back + NAIVE_DAYS)
        loss, naive, load = (
            np.where(counted, part, 0.0).sum(axis=1) for part in (beside.loss, beside.naive_loss, beside.load)
        )
        worse = (loss > _MAY_BE_WORSE * naive) & (loss - naive > _MATTERS_ABOVE * load)
        told = worse & (counted.sum(axis=1) == NAIVE_DAYS)
        # A naive without any error at all: then larger by a whole is as much as can be said.
        verdicts[back] = np.where(told, (loss - naive) / np.where(naive > 0, naive, np.maximum(loss, 1e-30)), np.nan)
    worst: Float64Array = np.fmax.reduce(verdicts)
    return worst


def with_naive_verdict(forecast: QuantileForecast, beside: BesideNaive) -> QuantileForecast:
    """The forecast with trust taken from the series that the weekly naive forecasts better; `beside` has its rows.

    Only what is trusted can lose it so: whoever is not has a weightier reason already.
    """
    worse = worse_than_naive(beside)
    rows = [row for row in np.flatnonzero(~np.isnan(worse)).tolist() if forecast.trust[row] is Trust.TRUSTED]
    if not rows:
        return forecast
    trust, reasons = list(forecast.trust), list(forecast.trust_reasons)
    for row in rows:
        trust[row], reasons[row] = Trust.DEGRADED, _NAIVE_WAS_BETTER.format(100 * worse[row])
    return replace(forecast, trust=tuple(trust), trust_reasons=tuple(reasons))


def assess(evidence: Evidence, step_s: int) -> tuple[tuple[Trust, ...], tuple[str, ...]]:
    """Trust and its reason for each series."""
    trust = [Trust.TRUSTED] * evidence.slots.size
    reasons = ["two weeks or more of history, and the last days went as forecast"] * evidence.slots.size
    # The first check that holds decides, so they are written in reverse.
    for check in reversed([*_of_observations(evidence, step_s), *_of_days(evidence)]):
        for series in np.flatnonzero(check.holds):
            trust[series], reasons[series] = check.verdict, check.sentence.format(check.figure[series])
    return tuple(trust), tuple(reasons)


_NAIVE_WAS_BETTER = (
    f"the weekly naive was better: over {NAIVE_DAYS} days of forecasts the median's error was {{:.0f}} % larger"
)


@dataclass(frozen=True, slots=True, eq=False)
class _Check:
    """Which series it holds for (series,), the verdict, and the figure (series,) in its sentence."""

    holds: BoolArray
    verdict: Trust
    figure: npt.NDArray[np.generic]
    sentence: str


def _of_observations(evidence: Evidence, step_s: int) -> Sequence[_Check]:
    """What is decided by what was seen at all, the weightiest first."""
    nobody = np.zeros(evidence.slots.size, dtype=np.bool_)
    is_old, was_old = (
        (missed * step_s > OLD_AFTER_S) & (missed > OLD_AFTER_SLOTS)
        for missed in (evidence.missed, evidence.missed_lately)
    )
    return (
        _Check(
            is_cold(evidence.span_s, evidence.slots),
            Trust.COLD,
            evidence.slots,
            "only {:.0f} observed slots, or less than a day of history",
        ),
        _Check(
            nobody if evidence.falling is None else evidence.falling,
            Trust.DEGRADED,
            evidence.slots,
            HELD_REASON,
        ),
        _Check(
            is_old,
            Trust.DEGRADED,
            evidence.missed * step_s / 60,
            "for {:.0f} minutes nothing was seen that usually is",
        ),
        _Check(
            was_old,
            Trust.DEGRADED,
            evidence.missed_lately,
            f"after a silence it has been seen again for less than {SEEN_AGAIN_S // 3600} hours",
        ),
    )


def _of_days(evidence: Evidence) -> Sequence[_Check]:
    """What is decided by how the last days went, the weightiest first."""
    exceeded, undercut = _missed_days(evidence)
    hours = hours_since(exceeded | undercut)
    per_cent = 100 / np.maximum(_last_day(evidence.scored), 1)
    learning = evidence.span_s < _LEARNING_BELOW_S
    beside = evidence.beside_naive
    worse = np.full(learning.size, np.nan) if beside is None else worse_than_naive(beside)
    return (
        _Check(
            exceeded[:, -1],
            Trust.DEGRADED,
            _last_day(evidence.above) * per_cent,
            "{:.0f} % of the last day lay above the 95 % line",
        ),
        _Check(
            undercut[:, -1],
            Trust.DEGRADED,
            _last_day(evidence.below) * per_cent,
            "{:.0f} % of the last day lay below the 5 % line",
        ),
        _Check(~np.isnan(worse) & ~learning, Trust.DEGRADED, 100 * worse, _NAIVE_WAS_BETTER),
        _Check(
            (hours >= 0) & (hours < BACK_AFTER_HOURS),
            Trust.DEGRADED,
            hours,
            f"{{:.0f}} hours since a day that did not go as forecast, {BACK_AFTER_HOURS} are needed",
        ),
        _Check(learning, Trust.LEARNING, evidence.span_s / _DAY_S, "{:.1f} days of history, two weeks are needed"),
    )


def _missed_days(evidence: Evidence) -> tuple[BoolArray, BoolArray]:
    """Where the day that an hour ends lay too often above the 95 % line, and where below the 5 % line: (series, hours).

    The hours of the first day end no whole one and are left out, unless that is all there is.
    """
    scored, above, below = (_days_ending(counts) for counts in (evidence.scored, evidence.above, evidence.below))
    ages_s = np.arange(scored.shape[1])[::-1] * (_DAY_S // HOURS_A_DAY)
    enough = (scored >= _ENOUGH_SCORED) & (evidence.span_s[:, None] - ages_s >= _JUDGED_FROM_S)
    return enough & (above > _MAY_LIE_ABOVE * scored), enough & (below > _MAY_LIE_BELOW * scored)


def _days_ending(counts: Int64Array) -> Int64Array:
    """Sums of the day that each hour ends, from (series, hours); of the last alone where there are fewer than a day."""
    if counts.shape[1] <= HOURS_A_DAY:
        only: Int64Array = counts.sum(axis=1, keepdims=True)
        return only
    total = np.cumsum(counts, axis=1, dtype=np.int64)
    days: Int64Array = total[:, HOURS_A_DAY - 1 :].copy()
    days[:, 1:] -= total[:, :-HOURS_A_DAY]
    return days


def _last_day(counts: Int64Array) -> Int64Array:
    total: Int64Array = counts[:, -HOURS_A_DAY:].sum(axis=1)
    return total


def hours_since(missed: BoolArray) -> Int64Array:
    """Columns since the newest that holds, 0 for the last one, -1 where none does. Shape (series,)."""
    back = np.argmax(missed[:, ::-1], axis=1)
    return np.where(missed.any(axis=1), back, -1).astype(np.int64)
