"""Exponential smoothing of weekly levels: a level that stays, or one with a trend that fades.

The states are those of statsmodels' Kalman filter with fixed weights, so that a missing week is no observation: the
level goes on without it, and the next week that was seen counts for more. The weights are not fitted to each series,
for which some dozens of weeks are too few; held-out weeks choose among the few ways here.

Source: Hyndman, Koehler, Ord & Snyder, "Forecasting with exponential smoothing: the state space approach" (2008).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np

from forecasting.errors import ForecastingError
from forecasting.grid import Int64Array
from forecasting.models.week_layout import Float64Array


class SmoothingNotInstalledError(ForecastingError):
    """The library that smooths is not installed."""


@dataclass(frozen=True, slots=True)
class Way:
    """One way to carry weekly levels forward.

    `level` is the weight of the newest week in the level; `trend` that of its change in the growth, 0 for a level that
    stays; `damping` what is left of a week's growth in the week after.
    """

    level: float
    trend: float = 0.0
    damping: float = 0.9


STEADY = Way(0.4)
"""A level that stays: the newest weeks count most, and no single one for more than the others together."""
GROWING = tuple(
    Way(level, share * level, damping)
    for level in (0.2, 0.4)
    for share in (0.05, 0.2)
    for damping in (0.8, 0.9, 0.95, 0.98)
)
"""Levels with a trend, from one that is over within weeks to one that goes on for a year."""


@dataclass(frozen=True, slots=True, eq=False)
class States:
    """Where one series stood after each week, and its growth in that week: (weeks,) each, NaN before its first."""

    level: Float64Array
    growth: Float64Array
    damping: float

    def ahead(self, weeks: Int64Array) -> Float64Array:
        """What was expected so many weeks (horizons,) after each week: (weeks, horizons)."""
        # A week's growth fades before it is added: damping + damping² + … of it.
        carried = self.damping * (1.0 - self.damping**weeks) / (1.0 - self.damping)
        expected: Float64Array = self.level[:, None] + self.growth[:, None] * carried
        return expected


def states(roots: Float64Array, ways: Sequence[Way]) -> list[States]:
    """The states of one series (weeks,), NaN where a week is missing but for one at least, by each way.

    Raises:
        SmoothingNotInstalledError: statsmodels is not installed.
    """
    first = int(np.argmax(~np.isnan(roots)))
    model = _library().ExponentialSmoothing(
        roots[first:],
        trend=True,
        damped_trend=True,
        initialization_method="known",
        initial_level=float(roots[first]),
        initial_trend=0.0,
        concentrate_scale=False,
    )
    return [_smoothed(model, roots.size, way) for way in ways]


def _smoothed(model: Any, weeks: int, way: Way) -> States:
    # The states hang on the weights alone, whatever the variance, which comes last: held-out weeks tell that.
    model.update([way.level, way.trend, way.damping, 1.0])
    level, growth = np.full((2, weeks), np.nan)
    # Of error, level and growth; each column is what the weeks before it let expect, so that growth is added already.
    expected, faded = model.ssm.filter().predicted_state[1:, 1:]
    level[weeks - faded.size :], growth[weeks - faded.size :] = expected - faded, faded / way.damping
    return States(level, growth if way.trend else np.zeros(weeks), way.damping)


def _library() -> Any:
    try:
        # Imported when an outlook is asked for and not before: it takes a second, and the service never asks.
        return import_module("statsmodels.tsa.statespace.exponential_smoothing")
    except ModuleNotFoundError as error:
        raise SmoothingNotInstalledError(
            "an outlook needs statsmodels, which is not installed; pip install 'calltide[outlook]'"
        ) from error
