"""How good a forecast was: errors of the median, pinball losses, coverage. What was not observed is not scored."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from forecasting.load import BoolArray, Float32Array

Float64Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Scores:
    """Scores of one series, or of several pooled. NaN where nothing was scored or nothing was loaded.

    `wape`: sum of absolute errors of the median over the sum of load. `pinball`: mean pinball loss over mean load for
    each quantile, without a factor 2 (Koenker & Bassett, "Regression quantiles", Econometrica 46, 1978). `coverage`:
    share of slots at or below each quantile. `bias`: sum of (median - load) over the sum of load. `first_hour_wape`:
    the WAPE of the slots that end within an hour of the origin, or of the first slot where the step is longer.
    """

    slots: int
    mean_load: float
    wape: float
    first_hour_wape: float
    bias: float
    pinball: dict[float, float]
    coverage: dict[float, float]


@dataclass(slots=True)
class ScoreSums:
    """Adds up what scores are made of, so that any number of origins needs the memory of one."""

    series: int
    quantiles: tuple[float, ...]
    _sums: Float64Array = field(init=False)
    _losses: Float64Array = field(init=False)
    _covered: Float64Array = field(init=False)

    def __post_init__(self) -> None:
        self._sums = np.zeros((6, self.series))
        self._losses = np.zeros((self.series, len(self.quantiles)))
        self._covered = np.zeros((self.series, len(self.quantiles)))

    def add(self, actual: Float32Array, forecast: Float32Array, first_hour: BoolArray) -> None:
        """Add actual load (series, slots) and forecast quantiles (series, slots, quantiles).

        `first_hour` (slots,) marks the slots nearest to the origin. A slot where either is NaN is left out.
        """
        known = ~(np.isnan(actual) | np.isnan(forecast).any(axis=2))
        load = np.where(known, actual, 0).astype(np.float64)
        paths = np.where(known[..., None], forecast, 0).astype(np.float64)
        error = paths[..., self.quantiles.index(0.5)] - load
        self._sums += np.stack(
            [
                known.sum(axis=1),
                load.sum(axis=1),
                np.abs(error).sum(axis=1),
                error.sum(axis=1),
                load[:, first_hour].sum(axis=1),
                np.abs(error[:, first_hour]).sum(axis=1),
            ]
        )
        for index, quantile in enumerate(self.quantiles):
            short = load - paths[..., index]
            self._losses[:, index] += np.maximum(quantile * short, (quantile - 1) * short).sum(axis=1)
            self._covered[:, index] += (known & (short <= 0)).sum(axis=1)

    def of_series(self) -> list[Scores]:
        """The scores of each series."""
        return [self._scores(self._sums[:, row], self._losses[row], self._covered[row]) for row in range(self.series)]

    def pooled(self) -> Scores:
        """The scores of all slots of all series together."""
        return self._scores(self._sums.sum(axis=1), self._losses.sum(axis=0), self._covered.sum(axis=0))

    def _scores(self, sums: Float64Array, losses: Float64Array, covered: Float64Array) -> Scores:
        slots, load, absolute, signed, first_load, first_absolute = (float(value) for value in sums)
        return Scores(
            int(slots),
            _share(load, slots),
            _share(absolute, load),
            _share(first_absolute, first_load),
            _share(signed, load),
            {quantile: _share(float(loss), load) for quantile, loss in zip(self.quantiles, losses, strict=True)},
            {quantile: _share(float(count), slots) for quantile, count in zip(self.quantiles, covered, strict=True)},
        )


def _share(part: float, whole: float) -> float:
    return part / whole if whole > 0 else float("nan")
