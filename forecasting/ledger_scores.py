"""How published forecasts did once the truth had come, beside what the weekly naive would have said of the same cells.

Unlike a backtest this is no replay: it scores the very numbers that fleets were sized by, with whatever the source
had told by then. A cell is one series at one lead of one issue; cells without a truth are left out, never guessed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from forecasting.archive.keys import DAY_S
from forecasting.grid import Int64Array
from forecasting.ledger_pages import Page, rounded
from forecasting.load import Float32Array, LoadMatrix
from forecasting.models.trust import BesideNaive

Float64Array = npt.NDArray[np.float64]

LEAD_CLASSES_S = {"1h": 3600, "6h": 6 * 3600, "24h": 24 * 3600, "48h": 48 * 3600}
"""Each lead belongs to the first class that it does not exceed, by the end of its slot."""

WEEK_S = 7 * DAY_S
_SAME_PAST = 0.02
"""A week-old load that reads otherwise by more than this share is that of other members: see `truth_of`."""
_ENOUGH_CELLS_A_DAY = 12
_PLAIN, _BESIDE = 8, slice(4, 8)
"""How many figures a cell has besides those per quantile, and which of them compare with the naive: see `_figures`."""


@dataclass(frozen=True, slots=True, eq=False)
class LedgerScores:
    """Scores of published forecasts by series and lead class. NaN where nothing was scored or nothing was loaded.

    Of shape (series, classes): `cells` scored, `mean_load`, `wape` and `bias` of the median as in `Scores`; over the
    cells that the weekly naive has as well, `beside_wape` and `naive_wape`. Of shape (series, classes, quantiles):
    `pinball` over the mean load, without a factor 2, and `coverage`. `issues` forecasts are kept, the oldest of
    `since_s`, the newest of `until_s` (epoch seconds, 0 for none). `by_day` has the days whose truth is complete;
    `set_aside` files were found damaged.
    """

    series: tuple[str, ...]
    quantiles: tuple[float, ...]
    cells: Int64Array
    mean_load: Float32Array
    wape: Float32Array
    bias: Float32Array
    pinball: Float32Array
    coverage: Float32Array
    beside_wape: Float32Array
    naive_wape: Float32Array
    by_day: BesideNaive
    issues: int
    since_s: int
    until_s: int
    set_aside: int

    def beside_naive(self, series: tuple[str, ...]) -> BesideNaive:
        """The days of these series, in their order; NaN for those that have none."""
        if series == self.series:
            return self.by_day
        row_of = {name: row for row, name in enumerate(self.series)}
        rows = np.array([row_of.get(name, -1) for name in series], dtype=np.int64)
        parts = (self.by_day.loss, self.by_day.naive_loss, self.by_day.load)
        return BesideNaive(*(np.where(rows[:, None] >= 0, part[rows], np.nan) for part in parts))


def values_at(load: LoadMatrix, series: Sequence[str], ends_s: Int64Array) -> Float32Array:
    """The load of these series in the slots that end then, NaN where it is not known: (issues, series, leads).

    `ends_s` has shape (issues, leads), epoch seconds.
    """
    row_of = {name: row for row, name in enumerate(load.series)}
    rows = np.array([row_of.get(name, -1) for name in series], dtype=np.int64)
    slots = (ends_s - load.grid.start_s) // load.grid.step_s - 1
    inside = (slots >= 0) & (slots < load.grid.slots)
    found = np.full((ends_s.shape[0], rows.size, ends_s.shape[1]), np.nan, dtype=np.float32)
    if load.grid.slots and (rows >= 0).any():
        at = np.clip(slots, 0, load.grid.slots - 1)
        known = load.values[rows[rows >= 0][:, None, None], at[None]]
        found[:, rows >= 0] = np.where(inside[None], known, np.nan).transpose(1, 0, 2)
    return found


def truth_of(page: Page, load: LoadMatrix) -> Float32Array:
    """What came of a page's cells, NaN where it is not known (yet). Shape (issues, series, leads).

    A fleet's sum is always that of today's members, in the past too. Where the load of a week before an issue now
    reads otherwise than it did when the forecast was made, somebody came or left since: that forecast was of another
    sum and is not scored.
    """
    ends_s = page.issued_s[:, None] + page.leads_s
    before = rounded(values_at(load, page.series, ends_s - WEEK_S))
    with np.errstate(invalid="ignore"):
        apart = np.abs(before - page.naive) > _SAME_PAST * np.maximum(before, page.naive)
    actual = rounded(values_at(load, page.series, ends_s))
    return np.where(apart.any(axis=2, keepdims=True), np.float32(np.nan), actual)


class Tally:
    """Adds up what scores are made of, page by page, for series that may come and go."""

    def __init__(self, quantiles: tuple[float, ...]) -> None:
        self.quantiles = quantiles
        self._row_of: dict[str, int] = {}
        self._sums = np.zeros((0, len(LEAD_CLASSES_S), _PLAIN + 2 * len(quantiles)))
        self._days: dict[int, Float64Array] = {}

    def add(self, page: Page, actual: Float32Array, *, is_settled: bool) -> None:
        """Add a page's cells with what came of them; only settled pages are compared with the naive day by day."""
        for name in page.series:
            self._row_of.setdefault(name, len(self._row_of))
        rows = np.array([self._row_of[name] for name in page.series], dtype=np.int64)
        of_leads = _figures(page, actual)
        self._sums = _grown(self._sums, len(self._row_of))
        edges_s = np.array(list(LEAD_CLASSES_S.values()))
        classes = np.minimum(np.searchsorted(edges_s, page.leads_s), edges_s.size - 1)
        for index in range(edges_s.size):
            self._sums[rows, index] += of_leads[:, classes == index].sum(axis=1)
        if is_settled:
            day = int(page.issued_s[0]) // DAY_S
            sums = _grown(self._days.get(day, np.zeros((0, _PLAIN - _BESIDE.start))), len(self._row_of))
            sums[rows] += of_leads[:, :, _BESIDE].sum(axis=1)
            self._days[day] = sums

    def copy(self) -> Tally:
        """The same sums, to add more to."""
        twin = Tally(self.quantiles)
        twin._row_of, twin._sums = dict(self._row_of), self._sums.copy()
        twin._days = {day: sums.copy() for day, sums in self._days.items()}
        return twin

    def scores(self, series: tuple[str, ...], issued_s: Sequence[int], set_aside: int) -> LedgerScores:
        """The scores of these series, from issues at these times."""
        rows = np.array([self._row_of.get(name, -1) for name in series], dtype=np.int64)
        sums, quantiles = _of_rows(self._sums, rows), len(self.quantiles)
        cells, load, absolute, signed, _, both_load, both_absolute, naive_absolute = np.moveaxis(
            sums[..., :_PLAIN], -1, 0
        )
        days = np.stack([_of_rows(self._days[day], rows) for day in sorted(self._days)] or [np.zeros((rows.size, 4))])
        by_day = np.where(days[..., :1] >= _ENOUGH_CELLS_A_DAY, days, np.nan).transpose(2, 1, 0)
        return LedgerScores(
            series=series,
            quantiles=self.quantiles,
            cells=cells.astype(np.int64),
            mean_load=_share(load, cells),
            wape=_share(absolute, load),
            bias=_share(signed, load),
            pinball=_share(sums[..., _PLAIN : _PLAIN + quantiles], load[..., None]),
            coverage=_share(sums[..., _PLAIN + quantiles :], cells[..., None]),
            beside_wape=_share(both_absolute, both_load),
            naive_wape=_share(naive_absolute, both_load),
            by_day=BesideNaive(loss=by_day[2], naive_loss=by_day[3], load=by_day[1]),
            issues=len(issued_s),
            since_s=min(issued_s, default=0),
            until_s=max(issued_s, default=0),
            set_aside=set_aside,
        )


def _figures(page: Page, actual: Float32Array) -> Float64Array:
    """Sums over a page's issues: (series, leads, figures).

    Cells, load, absolute and signed error of the median; of the cells that the naive has too: cells, load, absolute
    error of the median and of the naive; then the pinball losses, then which quantiles covered.
    """
    known = ~(np.isnan(actual) | np.isnan(page.values).any(axis=3))
    both = known & ~np.isnan(page.naive)
    load = np.where(known, actual, np.float32(0.0))
    values = np.where(known[..., None], page.values, np.float32(0.0))
    error = values[..., page.quantiles.index(0.5)] - load
    naive_error = np.where(both, np.abs(page.naive - load), np.float32(0.0))
    figures = [known, load, np.abs(error), error, both, load * both, np.abs(error) * both, naive_error]
    short = load[..., None] - values
    levels = np.array(page.quantiles, dtype=np.float32)
    losses, covered = np.maximum(levels * short, (levels - 1) * short), known[..., None] & (short <= 0)
    sums = [each.sum(axis=0, dtype=np.float64) for each in figures]
    return np.concatenate(
        [np.stack(sums, axis=-1), *(each.sum(axis=0, dtype=np.float64) for each in (losses, covered))], axis=-1
    )


def _grown(sums: Float64Array, rows: int) -> Float64Array:
    """With zeros for the rows that are new."""
    new = np.zeros((rows - sums.shape[0], *sums.shape[1:]))
    return np.concatenate([sums, new]) if new.shape[0] else sums


def _of_rows(sums: Float64Array, rows: Int64Array) -> Float64Array:
    """The sums of these rows, nothing where a row is not there (yet)."""
    found = np.zeros((rows.size, *sums.shape[1:]))
    there = (rows >= 0) & (rows < sums.shape[0])
    found[there] = sums[rows[there]]
    return found


def _share(part: Float64Array, whole: Float64Array) -> Float32Array:
    share: Float32Array = np.where(whole > 0, part / np.where(whole > 0, whole, 1.0), np.nan).astype(np.float32)
    return share
