"""What is to come: quantile paths of many series on one grid, and how far each may be trusted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from forecasting.calendar import CivilCalendar
from forecasting.errors import ForecastInputError
from forecasting.grid import SlotGrid
from forecasting.load import Float32Array, LoadMatrix, Measure

QUANTILES: tuple[float, ...] = (0.5, 0.75, 0.9, 0.95, 0.99)
"""The quantiles that every forecast carries unless a caller asks for others."""


class Trust(StrEnum):
    """What a series' forecast has earned so far."""

    COLD = "cold"
    """Too little history: the quantiles are only a guess and must not size anything."""
    LEARNING = "learning"
    TRUSTED = "trusted"
    DEGRADED = "degraded"


@dataclass(frozen=True, slots=True, eq=False)
class QuantileForecast:
    """Quantile paths of one measure.

    `values` has shape (series, slots, quantiles), float32, finite, not negative and not falling along the last axis.
    Rows of a `COLD` series may be NaN throughout. `newest_observation_s` (series,) is the end of the newest observed
    slot that the path was made from, epoch seconds, 0 for none. `trust_reasons` says in a sentence why each trust.

    Raises:
        ForecastInputError: shapes do not fit, quantiles do not rise inside (0, 1), or a path breaks its promises.
    """

    measure: Measure
    series: tuple[str, ...]
    grid: SlotGrid
    quantiles: tuple[float, ...]
    values: Float32Array
    issued_at_s: int
    newest_observation_s: npt.NDArray[np.int64]
    trust: tuple[Trust, ...]
    trust_reasons: tuple[str, ...]
    model: str

    def __post_init__(self) -> None:
        expected = (len(self.series), self.grid.slots, len(self.quantiles))
        if self.values.shape != expected:
            raise ForecastInputError(f"values have shape {self.values.shape}, expected {expected}")
        if not len(self.trust) == len(self.trust_reasons) == len(self.newest_observation_s) == len(self.series):
            raise ForecastInputError("trust, its reasons and the newest observations need one entry per series")
        if list(self.quantiles) != sorted(set(self.quantiles)) or not all(0 < q < 1 for q in self.quantiles):
            raise ForecastInputError(f"quantiles {self.quantiles} must rise strictly inside (0, 1)")
        known = self.values[[trust is not Trust.COLD for trust in self.trust]]
        if not np.isfinite(known).all():
            raise ForecastInputError("a series that is not cold has a path that is not finite")
        with np.errstate(invalid="ignore"):
            if (self.values < 0).any() or (np.diff(self.values, axis=2) < 0).any():
                raise ForecastInputError("a path is negative or falls from one quantile to the next")

    def path(self, series: str, quantile: float) -> Float32Array:
        """One series' path at the given quantile, linear between the quantiles that are carried. Shape (slots,).

        Raises:
            KeyError: no such series.
            ForecastInputError: the quantile lies outside those that are carried.
        """
        if series not in self.series:
            raise KeyError(series)
        if not self.quantiles[0] <= quantile <= self.quantiles[-1]:
            raise ForecastInputError(
                f"quantile {quantile} lies outside the forecast's {self.quantiles[0]} … {self.quantiles[-1]}"
            )
        paths: Float32Array = self.values[self.series.index(series)]
        upper = int(np.searchsorted(self.quantiles, quantile))
        if self.quantiles[upper] == quantile:
            exact: Float32Array = paths[:, upper]
            return exact
        below, above = self.quantiles[upper - 1], self.quantiles[upper]
        share = np.float32((quantile - below) / (above - below))
        between: Float32Array = (1 - share) * paths[:, upper - 1] + share * paths[:, upper]
        return between


class Forecaster(Protocol):
    """The one contract of every forecasting model."""

    @property
    def name(self) -> str:
        """How the model is called in results."""
        ...

    def forecast(
        self,
        history: LoadMatrix,
        calendars: Sequence[CivilCalendar],
        horizon: SlotGrid,
        quantiles: tuple[float, ...] = QUANTILES,
    ) -> QuantileForecast:
        """Forecast all series at once.

        `calendars` has one entry per series. The forecast is issued at the end of the history's grid, uses nothing
        after it, and draws `horizon` (same step, beginning at or after that end).
        """
        ...


@runtime_checkable
class TrainableForecaster(Forecaster, Protocol):
    """A model whose learning is worth keeping: trained once a day, it forecasts many times from newer history."""

    def trained(self, history: LoadMatrix, calendars: Sequence[CivilCalendar]) -> Forecaster:
        """Learn from the history. The result forecasts the same series, with the same calendars, for about a day."""
        ...
