"""The baseline: what was seen at the same local weekday and time a week ago.

A gap a week ago is filled from the week before it, and so on; where a weekday was never seen, the newest observed day
at that time stands in. Its quantiles come from its own residuals of the last weeks, so that it is a fair opponent.
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
from forecasting.models.scale import ZERO, to_root
from forecasting.models.week_layout import FloatArray, WeekLayout


@dataclass(frozen=True, slots=True)
class SeasonalNaive:
    """Repeats the week before."""

    name: str = "seasonal-naive"

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
    weekly = layout.weekly(to_root(load, per_unit))
    newest = np.full((weekly.shape[0], layout.slots_per_week), np.nan, dtype=np.float32)
    before = np.empty_like(weekly)
    for week in range(layout.weeks):
        before[:, week] = newest
        newest = np.where(np.isnan(weekly[:, week]), newest, weekly[:, week])
    typical = np.nan_to_num(mean_of_known(weekly, axis=(1, 2)), nan=ZERO)
    return Repeated(weekly, before, _newest_day(weekly), typical)


def _newest_day(weekly: FloatArray) -> FloatArray:
    """The newest value at each slot of day on any day, NaN where there is none: (series, slots_per_day)."""
    days = weekly.reshape(weekly.shape[0], weekly.shape[1] * 7, -1)
    known = ~np.isnan(days)
    newest = days.shape[1] - 1 - np.argmax(known[:, ::-1], axis=1)
    value: FloatArray = np.take_along_axis(days, newest[:, None, :], axis=1)[:, 0]
    return value
