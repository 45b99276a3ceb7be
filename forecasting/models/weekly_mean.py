"""The floor of every report: the mean of the last four weeks at the same local weekday and time.

It costs nothing, and many a famous method does not beat it. Gaps leave their week out of the mean; where a weekday was
never seen, the last four days at that time stand in. Its quantiles come from its own residuals, so that it is a fair
opponent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from forecasting.calendar import CivilCalendar
from forecasting.forecast import QUANTILES, QuantileForecast
from forecasting.grid import SlotGrid
from forecasting.load import LoadMatrix
from forecasting.models.repeated_weeks import Repeated, forecast_repeated, mean_of_known
from forecasting.models.scale import to_root
from forecasting.models.week_layout import FloatArray, WeekLayout

_REPEATS = 4


@dataclass(frozen=True, slots=True)
class WeeklyMean:
    """Averages the last four weeks."""

    name: str = "weekly-mean"

    def forecast(
        self,
        history: LoadMatrix,
        calendars: Sequence[CivilCalendar],
        horizon: SlotGrid,
        quantiles: tuple[float, ...] = QUANTILES,
    ) -> QuantileForecast:
        """See `Forecaster`.

        Raises:
            ForecastInputError: grids, calendars or quantiles do not fit.
        """
        return forecast_repeated(self.name, _repeat, history, calendars, horizon, quantiles)


def _repeat(layout: WeekLayout, load: FloatArray, per_unit: float) -> Repeated:
    # Means are of counts and not of their roots: it is a mean that is compared.
    weekly = layout.weekly(load * np.float32(per_unit))
    typical = np.nan_to_num(mean_of_known(weekly, axis=(1, 2)))
    means, any_day = _mean_before(weekly), _newest_days(weekly)
    return Repeated(to_root(weekly, 1.0), to_root(means, 1.0), to_root(any_day, 1.0), to_root(typical, 1.0))


def _mean_before(weekly: FloatArray) -> FloatArray:
    """At each week and slot of week, the mean of the last four that were observed before: (series, weeks, slots)."""
    means = np.full(weekly.shape, np.nan, dtype=np.float32)
    newest = np.full((_REPEATS, weekly.shape[0], weekly.shape[2]), np.nan, dtype=np.float32)
    for week in range(weekly.shape[1]):
        means[:, week] = mean_of_known(newest, axis=0)
        seen = ~np.isnan(weekly[:, week])
        newest[:, seen] = np.concatenate([newest[1:, seen], weekly[None, :, week][:, seen]])
    return means


def _newest_days(weekly: FloatArray) -> FloatArray:
    """The mean of the last four days on which anything was seen, at each slot of day: (series, slots_per_day)."""
    days = weekly.reshape(weekly.shape[0], weekly.shape[1] * 7, -1)
    known = ~np.isnan(days)
    recent = known[:, ::-1].cumsum(axis=1)[:, ::-1] <= _REPEATS
    return mean_of_known(np.where(recent, days, np.float32(np.nan)), axis=1)
