"""How the last days went beside the forecasts that would have been made for them, counted by the hour.

Trust comes back only after hours in a row that went well, so each hour must be judged once and for all: forecasts are
made at fixed times, noon and midnight UTC, and hours are whole. Counted back from the issue instead, every refresh
would compare the same hour with another forecast, and a verdict near its limit would turn from one to the next.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from forecasting.grid import Int64Array, SlotGrid
from forecasting.models.trust import BACK_AFTER_HOURS, HOURS_A_DAY
from forecasting.models.week_layout import FloatArray

_HOUR_S = 3600
_APART_S = 12 * _HOUR_S
CHECKED_S = (HOURS_A_DAY + BACK_AFTER_HOURS) * _HOUR_S + _APART_S
"""No forecast of the past is made longer ago."""
_PER_HOUR = 2
"""Slots of an hour that are looked at: a day has 48, as many as a verdict on a share of it needs."""


@dataclass(frozen=True, slots=True, eq=False)
class CheckedDays:
    """Where forecasts of the past are made, and which slots ahead of each are compared with what came.

    `origins` (origins,) are slots of the history, `leads` (leads,) are slots ahead, 0 for the one at the origin.
    `hours` are judged, the last of them the last whole hour of the history.
    """

    origins: Int64Array
    leads: Int64Array
    hours: int
    _slots: int
    _first_hour: int

    @classmethod
    def of(cls, history: SlotGrid) -> CheckedDays:
        """The last day, and before it the hours that must have gone well after one that did not.

        Origins without a slot of history before them are left out, and with them their hours.
        """
        step_s, end_hour = history.step_s, history.end_s // _HOUR_S
        first_hour = max(end_hour - HOURS_A_DAY - BACK_AFTER_HOURS, -(-(history.start_s + step_s) // _HOUR_S))
        marks = np.arange(first_hour * _HOUR_S // _APART_S, -(-end_hour * _HOUR_S // _APART_S), dtype=np.int64)
        origins = (marks * _APART_S - history.start_s) // step_s
        kept = origins > 0
        per_hour = min(_PER_HOUR, max(1, _HOUR_S // step_s))
        begins_s = np.arange(_APART_S // _HOUR_S)[:, None] * _HOUR_S + np.arange(per_hour) * (_HOUR_S // per_hour)
        first_kept = int(marks[kept][0]) * (_APART_S // _HOUR_S) if kept.any() else end_hour
        first_hour = max(first_hour, first_kept)
        return cls(
            origins[kept],
            (begins_s.ravel() // step_s).astype(np.int64),
            max(0, end_hour - first_hour),
            history.slots,
            first_hour - first_kept,
        )

    def counts(self, values: FloatArray, band: FloatArray) -> Int64Array:
        """Slots that were compared, and those above and below the band, by the hour: (3, series, hours).

        `values` (series, slots of the history) is what came, NaN where nothing was seen; `band` (series, origins,
        leads, 2) the lower and the upper line.
        """
        targets = self.origins[:, None] + self.leads
        actual = values[:, np.minimum(targets, self._slots - 1)]
        # Slots after the end lie in hours that are not over, and those are left out below.
        known = ~np.isnan(actual)
        outcomes = np.stack([known, known & (actual > band[..., 1]), known & (actual < band[..., 0])])
        hours = _APART_S // _HOUR_S
        by_hour = outcomes.reshape(3, values.shape[0], self.origins.size * hours, self.leads.size // hours).sum(axis=3)
        counts: Int64Array = by_hour[:, :, self._first_hour : self._first_hour + self.hours].astype(np.int64)
        return counts
