"""How far a forecast may be believed, and the sentence that says why."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from forecasting.forecast import Trust
from forecasting.load import BoolArray

_DAY_S = 86400
COLD_BELOW_S = _DAY_S
"""Less history than this is a guess."""
_COLD_BELOW_SLOTS = 6
_LEARNING_BELOW_S = 14 * _DAY_S
_OLD_AFTER_S = 3600
_OLD_AFTER_SLOTS = 3
_ENOUGH_SCORED = 12
_JUDGED_FROM_S = 3 * _DAY_S
"""Younger, the forecasts that the last day is compared with had no day to learn from themselves."""
COMPARED_S = (86400, 43200)
"""How long before the issue the forecasts were made that the last day is compared with: each covers half of it."""
BAND = (0.05, 0.95)
"""The lines that the last day should lie between."""
_MAY_LIE_ABOVE = 0.3
_MAY_LIE_BELOW = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """What trust is judged by. Each of shape (series,).

    `span_s` from the first observed slot to the issue; `slots` observed; `missed` slots without an observation since
    the newest one that other weeks did observe; `scored`, `above` and `below`: slots of the last day that were
    compared with the forecasts made for them, and those that lay above its 95 % and below its 5 % line.
    """

    span_s: npt.NDArray[np.int64]
    slots: npt.NDArray[np.int64]
    missed: npt.NDArray[np.int64]
    scored: npt.NDArray[np.int64]
    above: npt.NDArray[np.int64]
    below: npt.NDArray[np.int64]


def is_cold(span_s: npt.NDArray[np.int64], slots: npt.NDArray[np.int64]) -> BoolArray:
    """Which series have too little history for a forecast."""
    cold: BoolArray = (span_s < COLD_BELOW_S) | (slots < _COLD_BELOW_SLOTS)
    return cold


def assess(evidence: Evidence, step_s: int) -> tuple[tuple[Trust, ...], tuple[str, ...]]:
    """Trust and its reason for each series."""
    old = (evidence.missed * step_s > _OLD_AFTER_S) & (evidence.missed > _OLD_AFTER_SLOTS)
    scored = np.maximum(evidence.scored, 1)
    enough = (evidence.scored >= _ENOUGH_SCORED) & (evidence.span_s >= _JUDGED_FROM_S)
    exceeded = enough & (evidence.above > _MAY_LIE_ABOVE * scored)
    undercut = enough & (evidence.below > _MAY_LIE_BELOW * scored)
    cold = is_cold(evidence.span_s, evidence.slots)
    learning = evidence.span_s < _LEARNING_BELOW_S
    checks: list[tuple[BoolArray, Trust, npt.NDArray[np.generic], str]] = [
        (cold, Trust.COLD, evidence.slots, "only {:.0f} observed slots, or less than a day of history"),
        (
            old,
            Trust.DEGRADED,
            evidence.missed * step_s / 60,
            "for {:.0f} minutes nothing was seen that usually is",
        ),
        (exceeded, Trust.DEGRADED, 100 * evidence.above / scored, "{:.0f} % of the last day lay above the 95 % line"),
        (undercut, Trust.DEGRADED, 100 * evidence.below / scored, "{:.0f} % of the last day lay below the 5 % line"),
        (learning, Trust.LEARNING, evidence.span_s / _DAY_S, "{:.1f} days of history, two weeks are needed"),
    ]
    trust = [Trust.TRUSTED] * cold.size
    reasons = ["two weeks or more of history, and the last day went as forecast"] * cold.size
    # The first check that holds decides, so they are written in reverse.
    for holds, verdict, figure, sentence in reversed(checks):
        for series in np.flatnonzero(holds):
            trust[series], reasons[series] = verdict, sentence.format(figure[series])
    return tuple(trust), tuple(reasons)
