"""What the residual table cannot see: how the errors ahead hang on the hour, the weekday and the last hours together.

Gradient-boosted trees learn quantiles of the scaled residuals of rolling origins, from the same features that the
regression reads. They correct the table and never replace the centre: with nothing to find they find nothing, and a
series that grows out of all it has seen is still followed by its own profile. Held-out weeks decide, per horizon and
level, how much of the correction is applied, and shift each quantile to the coverage that it promises (split conformal:
Romano, Patterson & Candès, "Conformalized quantile regression", NeurIPS 2019).
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import lru_cache, partial
from importlib import import_module
from typing import Protocol

import numpy as np
from threadpoolctl import ThreadpoolController

from forecasting.grid import Int64Array
from forecasting.load import BoolArray
from forecasting.models.residual_law import ResidualLaw, between_levels
from forecasting.models.spread import HORIZON_GROUPS, level_classes
from forecasting.models.week_layout import Float64Array, FloatArray
from forecasting.quantile_lines import in_order

LEVELS = (0.5, 0.9, 0.95, 0.99)
"""The quantile levels that are learnt. Between them the correction glides, outside them it stays as it is."""
MOST_ROWS = 60_000
_FEWEST_ROWS = 2_000
_FOLDS, _FOLDS_OF_FEW = 2, 5
"""Each fold holds its weeks out. Where rows are many those trees only judge and others, of all rows, speak; with few
rows every week that is learnt from counts, what all folds say is averaged, and trees of few cost little."""
_FEWEST_WEEKS = 5
"""What trees find in fewer weeks is of these weeks."""
_SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
"""How much of the correction may be applied."""
_LEANING_ROWS = 1_000.0
"""A cell's held-out losses lean on those of all cells as if it were so many rows more."""
_AT_ONCE = 2
"""Trees of so many levels are grown beside each other; each level's hang on nothing but their rows."""
_SEED = 20_030_303
_DECIMALS = 3


@dataclass(frozen=True, slots=True, eq=False)
class ResidualRows:
    """Scaled residuals of past forecasts with what was known when they were made. All of shape (rows, …).

    `context` (rows, features); `horizon` and `level` classes; `weight` says what a row counts for, newer ones more;
    `size` what a unit of its scaled residual is worth in load; `week` (rows,) in which week its origin lay.
    """

    context: FloatArray
    scaled: FloatArray
    horizon: Int64Array
    level: Int64Array
    weight: FloatArray
    size: FloatArray
    week: Int64Array

    def where(self, kept: BoolArray | Int64Array) -> ResidualRows:
        """Some of the rows."""
        return ResidualRows(
            self.context[kept],
            self.scaled[kept],
            self.horizon[kept],
            self.level[kept],
            self.weight[kept],
            self.size[kept],
            self.week[kept],
        )

    @classmethod
    def joined(cls, parts: Sequence[ResidualRows]) -> ResidualRows:
        """All rows of the parts, thinned evenly at random (seeded) to the most that training needs."""
        size = np.concatenate([part.size for part in parts])
        week = np.concatenate([part.week for part in parts])
        # Without the last digits and in an order of their own: which series came first is no matter then.
        scaled = np.round(np.concatenate([part.scaled for part in parts]), _DECIMALS)
        chosen = np.lexsort((week, np.round(size, _DECIMALS), scaled))
        if chosen.size > MOST_ROWS:
            drawn = np.random.default_rng(_SEED).choice(chosen.size, MOST_ROWS, replace=False)
            chosen = chosen[np.sort(drawn)]
        return cls(
            np.round(_taken([part.context for part in parts], chosen), _DECIMALS),
            scaled[chosen],
            np.concatenate([part.horizon for part in parts])[chosen],
            np.concatenate([part.level for part in parts])[chosen],
            np.concatenate([part.weight for part in parts])[chosen],
            size[chosen],
            week[chosen],
        )


def _taken(parts: Sequence[FloatArray], chosen: Int64Array) -> FloatArray:
    """Rows of parts (rows, features) that lie one behind the other, (chosen, features).

    The parts are not put together: of all rows they are hundreds of megabytes.
    """
    ends = np.cumsum([part.shape[0] for part in parts])
    of_part = np.searchsorted(ends, chosen, side="right")
    taken = np.empty((chosen.size, parts[0].shape[1]), dtype=np.float32)
    for index, (part, end) in enumerate(zip(parts, ends, strict=True)):
        places = np.flatnonzero(of_part == index)
        taken[places] = part[chosen[places] - (end - part.shape[0])]
    return taken


class _Regressor(Protocol):
    def predict(self, X: FloatArray) -> Float64Array: ...  # noqa: N803 - scikit-learn's name


@dataclass(frozen=True, slots=True, eq=False)
class BoostedLaw:
    """Corrections of the residual table, learnt from `ResidualRows`.

    `models` are averaged, each a tuple with one regressor per level of `LEVELS`; `offsets` (levels,) make the held-out
    coverage right; `shares` (horizon groups, level classes) say how much of the correction is applied.
    """

    models: tuple[tuple[_Regressor, ...], ...]
    offsets: FloatArray
    shares: FloatArray

    def correction(
        self, context: FloatArray, horizon: Int64Array, level: Int64Array, table: ResidualLaw, wanted: tuple[float, ...]
    ) -> FloatArray:
        """What to add to the table's scaled quantiles: (rows, wanted), for context (rows, features)."""
        told = np.mean([_told(levels, context) for levels in self.models], axis=0)
        found = in_order(told.astype(np.float32) + self.offsets)
        found -= table.quantiles(horizon, level, LEVELS)
        found *= self.shares[HORIZON_GROUPS[horizon], level][:, None]
        # What is learnt of the outermost level is no guide to where a line beyond it would go: it stays.
        inside = tuple(min(max(quantile, LEVELS[0]), LEVELS[-1]) for quantile in wanted)
        return between_levels(found, LEVELS, inside)


def learn_boosted(rows: ResidualRows, table: ResidualLaw) -> BoostedLaw | None:
    """Learn the corrections; None when there are too few rows, or too few weeks to hold any out, or no gain."""
    if rows.scaled.size < _FEWEST_ROWS or np.unique(rows.week).size < _FEWEST_WEEKS:
        return None
    many = rows.scaled.size >= MOST_ROWS
    models, held_out = _held_out(rows, _FOLDS if many else _FOLDS_OF_FEW)
    missed = rows.scaled[:, None] - held_out
    offsets = np.array(
        [_weighted_quantile(missed[:, index], rows.weight, quantile) for index, quantile in enumerate(LEVELS)],
        dtype=np.float32,
    )
    shares = _shares(rows, np.maximum.accumulate(held_out + offsets, axis=-1), table)
    if not shares.any():
        return None
    return BoostedLaw((_grown(rows),) if many else models, offsets, shares)


def _held_out(rows: ResidualRows, folds: int) -> tuple[tuple[tuple[_Regressor, ...], ...], FloatArray]:
    """The trees of each fold, and what those that have not seen a row's week say of it: (rows, levels)."""
    # Of the weeks that there are in turn, so that no fold is empty.
    fold_of = np.unique(rows.week, return_inverse=True)[1] % folds
    models, held_out = [], np.empty((rows.scaled.size, len(LEVELS)), dtype=np.float32)
    for fold in range(folds):
        outside = fold_of == fold
        models.append(_grown(rows.where(~outside)))
        held_out[outside] = _told(models[-1], rows.context[outside])
    return tuple(models), held_out


@lru_cache(maxsize=1)
def _trees() -> ThreadpoolController:
    """The pools of threads that the trees' library brings, once it is loaded.

    Only pools of libraries that are loaded can be limited, and to look for them takes longer than many a forecast.
    To load them takes a second and 90 MB that only a process that trains or forecasts has to pay.
    """
    import_module("sklearn.ensemble")
    return ThreadpoolController()


def _one_thread() -> AbstractContextManager[object]:
    """Trees on this thread alone: helpers that spin while they wait make them many times slower beside other work."""
    limits: AbstractContextManager[object] = _trees().limit(limits=1, user_api="openmp")
    return limits


def _grown(rows: ResidualRows) -> tuple[_Regressor, ...]:
    """Trees for each level."""
    # Looked for once, before several threads would at the same time.
    _trees()
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        return tuple(threads.map(partial(_fit, rows), LEVELS))


def _told(models: Sequence[_Regressor], context: FloatArray) -> Float64Array:
    """What the trees of each level say of contexts (rows, features): (rows, levels)."""
    with _one_thread():
        return np.stack([model.predict(context) for model in models], axis=-1)


def _fit(rows: ResidualRows, quantile: float) -> _Regressor:
    from sklearn.ensemble import HistGradientBoostingRegressor

    regressor = HistGradientBoostingRegressor(
        loss="quantile",
        quantile=quantile,
        max_iter=60,
        learning_rate=0.08,
        max_leaf_nodes=15,
        min_samples_leaf=200,
        l2_regularization=1.0,
        max_bins=63,
        max_features=0.8,
        early_stopping=False,
        random_state=_SEED,
    )
    with _one_thread():
        fitted: _Regressor = regressor.fit(rows.context, rows.scaled)
    return fitted


def _shares(rows: ResidualRows, boosted: FloatArray, table: ResidualLaw) -> FloatArray:
    """The share of the correction with the least held-out pinball loss per horizon group and level class."""
    plain = table.quantiles(rows.horizon, rows.level, LEVELS)
    group, levels = HORIZON_GROUPS[rows.horizon], level_classes()
    cell = group * levels + rows.level
    cells = (int(HORIZON_GROUPS.max()) + 1) * levels
    levels_asked = np.array(LEVELS, dtype=np.float32)
    losses = np.empty((len(_SHARES), cells))
    for index, share in enumerate(_SHARES):
        short = rows.scaled[:, None] - (plain + np.float32(share) * (boosted - plain))
        loss = np.maximum(levels_asked * short, (levels_asked - 1) * short).sum(axis=1)
        losses[index] = np.bincount(cell, weights=loss * rows.weight * rows.size, minlength=cells)
    count = np.maximum(np.bincount(cell, minlength=cells), 1)
    by_group = losses.reshape(len(_SHARES), -1, levels).sum(axis=2) / count.reshape(-1, levels).sum(axis=1)
    leaning = losses + _LEANING_ROWS * np.repeat(by_group, levels, axis=1)
    best: FloatArray = np.array(_SHARES, dtype=np.float32)[np.argmin(leaning, axis=0)]
    return best.reshape(-1, levels)


def _weighted_quantile(values: FloatArray, weights: FloatArray, quantile: float) -> float:
    order = np.argsort(values)
    reached = np.cumsum(weights[order], dtype=np.float64)
    return float(values[order][np.searchsorted(reached, quantile * reached[-1])])
