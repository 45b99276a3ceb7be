"""How good a forecast was: errors of the median, pinball losses, coverage. What was not observed is not scored."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from forecasting.grid import Int64Array
from forecasting.load import Float32Array

Float64Array = npt.NDArray[np.float64]

_FIRST_SLOT_S = 900
_FIRST_HOUR_S = 3600
_SERIES_AT_ONCE = 512


@dataclass(frozen=True, slots=True)
class Scores:
    """Scores of one series, or of several pooled. NaN where nothing was scored or nothing was loaded.

    `wape`: sum of absolute errors of the median over the sum of load. `pinball`: mean pinball loss over mean load for
    each quantile, without a factor 2 (Koenker & Bassett, "Regression quantiles", Econometrica 46, 1978). `coverage`:
    share of slots at or below each quantile. `bias`: sum of (median - load) over the sum of load. `first_hour_wape`:
    the WAPE of the slots that end within an hour of the origin, or of the first slot where the step is longer;
    `first_slot_wape` that of the slot a quarter of an hour ahead alone.
    """

    slots: int
    mean_load: float
    wape: float
    first_slot_wape: float
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
        self._sums = np.zeros((8, self.series))
        self._losses = np.zeros((self.series, len(self.quantiles)))
        self._covered = np.zeros((self.series, len(self.quantiles)))

    def add(self, actual: Float32Array, forecast: Float32Array, ends_s: Int64Array) -> None:
        """Add actual load (series, slots) and forecast quantiles (series, slots, quantiles).

        `ends_s` (slots,) is when each slot ends, seconds after the origin. A slot where either is NaN is left out.
        """
        # Some series at a time: in double precision, thousands of paths are as large as all the rest.
        for start in range(0, self.series, _SERIES_AT_ONCE):
            rows = slice(start, start + _SERIES_AT_ONCE)
            self._add(rows, actual[rows], forecast[rows], ends_s)

    def _add(self, rows: slice, actual: Float32Array, forecast: Float32Array, ends_s: Int64Array) -> None:
        known = ~(np.isnan(actual) | np.isnan(forecast).any(axis=2))
        load = np.where(known, actual, 0).astype(np.float64)
        paths = np.where(known[..., None], forecast, 0).astype(np.float64)
        error = paths[..., self.quantiles.index(0.5)] - load
        sums = [known.sum(axis=1), load.sum(axis=1), np.abs(error).sum(axis=1), error.sum(axis=1)]
        quarter = (ends_s > _FIRST_SLOT_S - ends_s[:1]) & (ends_s <= _FIRST_SLOT_S)
        hour = ends_s <= _FIRST_HOUR_S
        for near in (quarter, hour):
            # A slot may be longer than that.
            near[0] |= not near.any()
            sums += [load[:, near].sum(axis=1), np.abs(error[:, near]).sum(axis=1)]
        self._sums[:, rows] += np.stack(sums)
        for index, quantile in enumerate(self.quantiles):
            short = load - paths[..., index]
            self._losses[rows, index] += np.maximum(quantile * short, (quantile - 1) * short).sum(axis=1)
            self._covered[rows, index] += (known & (short <= 0)).sum(axis=1)

    def without(self, part: ScoreSums) -> ScoreSums:
        """What is left when a part of what was added is taken away: two parts of a test from the sums of one."""
        rest = ScoreSums(self.series, self.quantiles)
        rest._sums = self._sums - part._sums
        rest._losses = self._losses - part._losses
        rest._covered = self._covered - part._covered
        return rest

    def of_series(self) -> list[Scores]:
        """The scores of each series."""
        return [self._scores(self._sums[:, row], self._losses[row], self._covered[row]) for row in range(self.series)]

    def pooled(self) -> Scores:
        """The scores of all slots of all series together."""
        return self._scores(self._sums.sum(axis=1), self._losses.sum(axis=0), self._covered.sum(axis=0))

    def _scores(self, sums: Float64Array, losses: Float64Array, covered: Float64Array) -> Scores:
        slots, load, absolute, signed, slot_load, slot_absolute, hour_load, hour_absolute = sums.tolist()
        return Scores(
            int(slots),
            _share(load, slots),
            _share(absolute, load),
            _share(slot_absolute, slot_load),
            _share(hour_absolute, hour_load),
            _share(signed, load),
            {quantile: _share(float(loss), load) for quantile, loss in zip(self.quantiles, losses, strict=True)},
            {quantile: _share(float(count), slots) for quantile, count in zip(self.quantiles, covered, strict=True)},
        )


def _share(part: float, whole: float) -> float:
    return part / whole if whole > 0 else float("nan")
