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
from forecasting.explanation import MemberShare
from forecasting.grid import SlotGrid
from forecasting.load import Float32Array, LoadMatrix, Measure
from forecasting.quantile_lines import FARTHEST, at_quantile
from forecasting.window_levels import WindowLevels

QUANTILES: tuple[float, ...] = (0.5, 0.75, 0.9, 0.95, 0.99)
"""The quantiles that every forecast carries unless a caller asks for others."""

_SERIES_AT_ONCE = 64
"""Of a check, so that what it needs in between stays in the cache."""


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
    `members` tells what each series' path is made of; empty where the model does not say. `window_levels` tells which
    line the largest load of a window stays under; None where the model does not.

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
    members: tuple[tuple[MemberShare, ...], ...] = ()
    window_levels: WindowLevels | None = None

    def __post_init__(self) -> None:
        expected = (len(self.series), self.grid.slots, len(self.quantiles))
        if self.values.shape != expected:
            raise ForecastInputError(f"values have shape {self.values.shape}, expected {expected}")
        if not len(self.trust) == len(self.trust_reasons) == len(self.newest_observation_s) == len(self.series):
            raise ForecastInputError("trust, its reasons and the newest observations need one entry per series")
        if len(self.members) not in (0, len(self.series)):
            raise ForecastInputError(f"members of {len(self.members)} series for {len(self.series)}: tell all or none")
        if list(self.quantiles) != sorted(set(self.quantiles)) or not all(0 < q < 1 for q in self.quantiles):
            raise ForecastInputError(f"quantiles {self.quantiles} must rise strictly inside (0, 1)")
        cold = np.array([trust is Trust.COLD for trust in self.trust], dtype=np.bool_)
        # By blocks of series: copies and masks of the whole would be twice as large as the forecast itself.
        for start in range(0, len(self.series), _SERIES_AT_ONCE):
            rows = slice(start, start + _SERIES_AT_ONCE)
            self._check_paths(self.values[rows], cold[rows])

    def _check_paths(self, paths: Float32Array, cold: npt.NDArray[np.bool_]) -> None:
        """Whether paths (series, slots, quantiles) keep their promises."""
        finite = np.isfinite(paths)
        if not finite.all() and not finite[~cold].all():
            raise ForecastInputError("a series that is not cold has a path that is not finite")
        # Of anything and NaN neither comparison holds.
        if (paths < 0).any() or (paths[..., 1:] < paths[..., :-1]).any():
            raise ForecastInputError("a path is negative or falls from one quantile to the next")

    def path(self, series: str, quantile: float | npt.NDArray[np.float64]) -> Float32Array:
        """One series' path at the given quantile, or one for each slot (slots,). Shape (slots,).

        Linear between the quantiles that are carried; beyond the last, up to `FARTHEST`, see `at_quantile`.

        Raises:
            KeyError: no such series.
            ForecastInputError: a quantile lies outside that.
        """
        if series not in self.series:
            raise KeyError(series)
        paths: Float32Array = self.values[self.series.index(series)]
        # A single line says nothing about how it would go on.
        farthest = max(self.quantiles[-1], FARTHEST) if len(self.quantiles) > 1 else self.quantiles[0]
        lowest, highest = float(np.min(quantile)), float(np.max(quantile))
        if not self.quantiles[0] <= lowest <= highest <= farthest:
            wrong = lowest if lowest < self.quantiles[0] else highest
            raise ForecastInputError(
                f"quantile {wrong:g} lies outside the forecast's {self.quantiles[0]} … {farthest}: ask for one inside"
            )
        return at_quantile(paths, self.quantiles, quantile, self.window_levels.tail if self.window_levels else 1.0)


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
