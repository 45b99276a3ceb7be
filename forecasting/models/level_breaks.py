"""Lasting changes of a series' level, taken out of its past: half the agents left, a second site came.

A weekly profile needs a month to believe that a tenant has halved, and its bands stay wide for as long. So a break is
looked for directly: blocks of six local hours are compared with the same blocks of the weeks before, and when the
newest run of them all lie far off by much the same factor, everything before the run is multiplied by it. What follows
then learns from one history at one level.

More load than usual is believed after a day: too many pods for some days hang up on nobody. Less is believed after one
and a half, since a holiday in no calendar, a strike or an outage ends as suddenly as it began, and the morning after
must not meet half a fleet. Until then the regression on recent deviations follows as far as it has learnt to.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from zlib import crc32

import numpy as np

from forecasting.grid import Int64Array
from forecasting.load import BoolArray
from forecasting.models.chunks import Chunk, Part
from forecasting.models.count_law import are_counts
from forecasting.models.week_layout import Float64Array, FloatArray

_BLOCKS_PER_WEEK = 28
"""Four a day."""
_WEEKS_COMPARED = 5
_FEWEST_WEEKS = 2
_UP_AFTER, _DOWN_AFTER = 4, 6
"""Blocks that a change must have lasted to be believed. Closed hours do not count."""
_RUNS = ((_UP_AFTER, 1.0), (_DOWN_AFTER, -1.0))
_ROUNDING = 1e-9
"""A run so near to the limits may be over them when its logarithms are added up in another order."""
_FAR = 3.0
"""How many typical deviations the run must lie off on average."""
_LEAST_FACTOR = 1.33
_ALIKE = 0.5
"""Each block of a run must show at least so much of the change (of its logarithm) as the run on average."""
_NOISE_BLOCKS = 8 * _BLOCKS_PER_WEEK
_FEWEST_NOISE_BLOCKS = 14
_LEAST_SEEN = 0.5
"""A block of which less was seen than that share of what usually is says nothing."""
_AWAY_DAYS = 2
"""Days before and after a special one that say nothing of the level: long weekends, and weeks between holidays."""
_LARGEST_DRAWN = 1e6
"""Of counts beyond that the noise is no matter."""
_BESIDE = 2
"""Slots on each side of one that tell what is usual there: few, since a morning must stay as steep as it is."""
_LEAST_EVENTS = 16.0
"""Fewer expected events in a block say too little of its level."""


@dataclass(frozen=True, slots=True, eq=False)
class LevelBreaks:
    """Breaks of some series, in order of time: each of shape (breaks,).

    `series` its place, `slot` the first one at the new level, `believed` the slot from which on it was known, `factor`
    new level over old.
    """

    series: Int64Array
    slot: Int64Array
    believed: Int64Array
    factor: Float64Array

    def newest(self, series: int) -> Int64Array:
        """The slot of each series' newest break, -1 without any: (series,)."""
        slot = np.full(series, -1, dtype=np.int64)
        np.maximum.at(slot, self.series, self.slot)
        return slot

    def as_known_at(self, origins: Int64Array, roots: FloatArray) -> FloatArray:
        """Root forecasts (series, origins, …) from the newest level, at the level that was known at each origin."""
        if self.series.size == 0:
            return roots
        known = roots.copy()
        for series, believed, factor in zip(
            self.series.tolist(), self.believed.tolist(), self.factor.tolist(), strict=True
        ):
            known[series, origins < believed] /= np.float32(factor**0.5)
        return known

    def taken_out(self, values: FloatArray) -> FloatArray:
        """The values (series, slots) as if each series had always had its newest level; a copy where any had not."""
        if self.series.size == 0:
            return values
        level = values.copy()
        for series, slot, factor in zip(self.series.tolist(), self.slot.tolist(), self.factor.tolist(), strict=True):
            level[series, :slot] *= np.float32(factor)
        return level

    def to_learn_from(self, values: FloatArray, per_unit: float) -> FloatArray:
        """As `taken_out`, but counts stay counts, and as noisy as counts of their new size are.

        Half of a count scatters less than a count of half the size, and twice a count more than one of twice the size.
        So downwards each of its events is kept with the chance that makes the new level (binomial thinning of a Poisson
        process is one of the smaller rate), drawn by a generator that the series itself seeds: the same past gives the
        same draw. Upwards what is off the slots around it grows by the root of the factor.
        """
        if self.series.size == 0:
            return values
        level = values.copy()
        counted = are_counts(values, per_unit)
        for series, slot, factor in zip(self.series.tolist(), self.slot.tolist(), self.factor.tolist(), strict=True):
            before = level[series, :slot]
            if counted[series] and np.nanmax(before, initial=0.0) * per_unit < _LARGEST_DRAWN:
                before[:] = _resized(before * np.float32(per_unit), factor) / np.float32(per_unit)
            else:
                before *= np.float32(factor)
        return level


def _resized(counts: FloatArray, factor: float) -> FloatArray:
    """Counts (slots,) at another level, NaN where they were."""
    known = ~np.isnan(counts)
    resized = counts.copy()
    if factor >= 1:
        # Noise grows by the root of what the load grows by. What is noise is told by the slots around; nothing at
        # all is a closed hour, and stays.
        usual = _mean_around(counts, known)
        larger = np.float32(factor) * usual + np.float32(factor**0.5) * (counts - usual)
        some = counts > 0
        resized[some] = np.round(np.maximum(larger[some], np.float32(0.0)))
        return resized
    drawn = np.random.default_rng(crc32(counts.tobytes())).binomial(np.round(counts[known]).astype(np.int64), factor)
    resized[known] = drawn.astype(np.float32)
    return resized


def _mean_around(values: FloatArray, known: BoolArray) -> FloatArray:
    """Mean of the known values among each one and those beside it, (slots,)."""
    beside = np.ones(2 * _BESIDE + 1)
    total = np.convolve(np.where(known, values, np.float32(0.0)), beside, "same")
    mean: FloatArray = (total / np.maximum(np.convolve(known, beside, "same"), 1.0)).astype(np.float32)
    return mean


def level_breaks(chunk: Chunk, values: FloatArray, per_unit: float) -> LevelBreaks:
    """The breaks of a chunk's values (series, slots), NaN where nothing was seen. Nothing is read ahead of a block."""
    ends, roots = _block_roots(chunk, values, per_unit)
    rows = np.flatnonzero(_may_have_broken(roots))
    watch = _Watch(roots[rows])
    found = [
        (int(rows[place]), int(ends[first - 1]), int(ends[block]), ratio**2)
        for block in range(_FEWEST_WEEKS * _BLOCKS_PER_WEEK, roots.shape[1] if rows.size else 0)
        for place, first, ratio in watch.breaks_at(block)
    ]
    series, slot, believed, factor = zip(*found, strict=True) if found else ((), (), (), ())
    return LevelBreaks(
        np.array(series, dtype=np.int64),
        np.array(slot, dtype=np.int64),
        np.array(believed, dtype=np.int64),
        np.array(factor, dtype=np.float64),
    )


def at_newest_level(part: Part, breaks: LevelBreaks, per_unit: float) -> Part:
    """The part as if each series had always had its newest level, to learn from."""
    return replace(part, load=breaks.to_learn_from(part.load, per_unit))


def _block_roots(chunk: Chunk, values: FloatArray, per_unit: float) -> tuple[Int64Array, Float64Array]:
    """End slot of each block, and the root of its events as if all of its usual slots had been seen; NaN for none."""
    layout, slots = chunk.layout, values.shape[1]
    blocks_a_day = _BLOCKS_PER_WEEK // 7
    block_of = (
        layout.day[:slots] * blocks_a_day + layout.time.slot_of_day[:slots] * blocks_a_day // layout.slots_per_day
    )
    starts = np.flatnonzero(np.diff(block_of, prepend=-1))
    which = block_of[starts]
    known = ~np.isnan(values)
    ordinary = ~_near_special(chunk)[:, which // blocks_a_day]
    total, count = _sum_and_count(values, known, starts)
    blocks = layout.weeks * _BLOCKS_PER_WEEK
    sums = np.full((values.shape[0], blocks), np.nan)
    seen = np.zeros((values.shape[0], blocks))
    sums[:, which], seen[:, which] = np.where(ordinary, total, np.nan), count
    usual = seen.reshape(values.shape[0], -1, _BLOCKS_PER_WEEK).max(axis=1)
    usual = np.tile(usual, layout.weeks)
    whole = (seen > _LEAST_SEEN * usual) & (usual > 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        roots = np.where(whole, 2.0 * np.sqrt(sums * usual / seen * per_unit + 0.375), np.nan)
    if slots - starts[-1] < layout.slots_per_day // blocks_a_day:
        # The block that is not over yet says nothing.
        roots[:, int(which[-1])] = np.nan
    ends = np.full(blocks, slots, dtype=np.int64)
    ends[which] = np.append(starts[1:], slots)
    return ends, roots[:, : int(which[-1]) + 1]


def _sum_and_count(values: FloatArray, known: BoolArray, starts: Int64Array) -> tuple[Float64Array, Float64Array]:
    """Of the known values from each start to the next: (series, starts) each."""
    if known.all():
        # Nothing to leave out and nothing to count: mostly so.
        length = np.diff(starts, append=values.shape[1]).astype(np.float64)
        total = np.add.reduceat(values, starts, axis=1, dtype=np.float64)
        return total, np.broadcast_to(length, total.shape)
    total = np.add.reduceat(np.where(known, values, np.float32(0.0)), starts, axis=1, dtype=np.float64)
    return total, np.add.reduceat(known, starts, axis=1, dtype=np.int64).astype(np.float64)


def _near_special(chunk: Chunk) -> BoolArray:
    """Special days and those around them, when many are away: (series, days)."""
    special = chunk.kinds > 0
    near = special.copy()
    for days in range(1, _AWAY_DAYS + 1):
        near[:, days:] |= special[:, :-days]
        near[:, :-days] |= special[:, days:]
    return near


def _expected(same: Float64Array) -> Float64Array:
    """Median of roots (series, weeks, …) over the weeks, NaN with fewer than two or too small to tell a level."""
    ordered = np.sort(same, axis=1)
    count = (~np.isnan(same)).sum(axis=1, keepdims=True)
    lower, upper = (
        np.take_along_axis(ordered, places, axis=1)
        for places in (np.maximum(count - 1, 0) // 2, count // 2 % same.shape[1])
    )
    middle: Float64Array = ((lower + upper) / 2)[:, 0]
    with np.errstate(invalid="ignore"):
        middle[(count[:, 0] < _FEWEST_WEEKS) | (middle < 2.0 * np.sqrt(_LEAST_EVENTS))] = np.nan
    return middle


def _may_have_broken(roots: Float64Array) -> BoolArray:
    """Which series (series,) have a run of blocks that shows a change at all; of roots (series, blocks).

    Most have none, and until a series' first break nothing of its past is changed: so all blocks are compared at once,
    and only those with a run are watched block by block.
    """
    series, blocks = roots.shape
    weeks = -(-blocks // _BLOCKS_PER_WEEK)
    if weeks <= _FEWEST_WEEKS:
        return np.zeros(series, dtype=np.bool_)
    laid = np.full((series, weeks * _BLOCKS_PER_WEEK), np.nan)
    laid[:, :blocks] = roots
    laid = laid.reshape(series, weeks, _BLOCKS_PER_WEEK)
    before = [laid[:, max(0, week - _WEEKS_COMPARED) : week] for week in range(_FEWEST_WEEKS, weeks)]
    ratio = laid[:, _FEWEST_WEEKS:] / np.stack([_expected(same) for same in before], axis=1)
    ratio = ratio.reshape(series, -1)
    known = ~np.isnan(ratio)
    rows, _ = np.nonzero(known)
    # One after the other, without the blocks that could not be compared.
    logs = np.full((series, max(_DOWN_AFTER, ratio.shape[1])), np.nan)
    logs[rows, (np.cumsum(known, axis=1) - 1)[known]] = np.log(ratio[known])
    may = np.zeros(series, dtype=np.bool_)
    for wanted, sign in _RUNS:
        runs = [sign * logs[:, start : logs.shape[1] - wanted + 1 + start] for start in range(wanted)]
        may |= _shows(np.add.reduce(runs) / wanted + _ROUNDING, np.minimum.reduce(runs) + _ROUNDING).any(axis=1)
    return may


def _shows(mean: Float64Array, least: Float64Array) -> BoolArray:
    """Which runs show one rise that is large enough, by the mean and the least logarithm of their root ratios."""
    shows: BoolArray = (2 * mean >= np.log(_LEAST_FACTOR)) & (least >= _ALIKE * mean)
    return shows


class _Watch:
    """Goes through the blocks in order of time and sees the past at the newest level found so far."""

    def __init__(self, roots: Float64Array) -> None:
        self._roots = roots
        self._expected = np.full(roots.shape, np.nan)
        self._newest = np.full((roots.shape[0], _DOWN_AFTER), -1, dtype=np.int64)
        """The newest blocks that could be compared, the last one last, of each series."""

    def breaks_at(self, block: int) -> list[tuple[int, int, float]]:
        """Breaks believed as this block ends: the series' place, the first block of the new level, the root's ratio."""
        same = self._roots[:, block - _BLOCKS_PER_WEEK :: -_BLOCKS_PER_WEEK][:, :_WEEKS_COMPARED]
        expected = _expected(same)
        self._expected[:, block] = expected
        rows = np.flatnonzero(~np.isnan(self._roots[:, block] / expected))
        self._newest[rows, :-1] = self._newest[rows, 1:]
        self._newest[rows, -1] = block
        found = []
        for wanted, sign in _RUNS:
            for series, first in self._runs(rows, wanted, sign):
                run = self._newest[series, -wanted:]
                ratio = float(self._roots[series, run].sum() / self._expected[series, run].sum())
                self._take_out(series, first, block, ratio)
                found.append((series, first, ratio))
        return found

    def _runs(self, rows: Int64Array, wanted: int, sign: float) -> list[tuple[int, int]]:
        """Which series' newest `wanted` blocks show one change, and the first of them."""
        runs = self._newest[rows, -wanted:]
        rows, runs = rows[runs[:, 0] >= 0], runs[runs[:, 0] >= 0]
        if rows.size == 0:
            return []
        logs = sign * np.log(self._roots[rows[:, None], runs] / self._expected[rows[:, None], runs])
        shows = _shows(logs.mean(axis=1), logs.min(axis=1))
        return [
            (int(series), int(run[0]))
            for series, run in zip(rows[shows], runs[shows], strict=True)
            if self._is_far(int(series), run)
        ]

    def _is_far(self, series: int, run: Int64Array) -> bool:
        """Whether the run lies further off than the series' blocks usually do."""
        off = self._roots[series, : run[-1] + 1] - self._expected[series, : run[-1] + 1]
        before = off[max(0, run[0] - _NOISE_BLOCKS) : run[0]]
        before = before[~np.isnan(before)]
        if before.size < _FEWEST_NOISE_BLOCKS:
            return False
        # The median's multiple is the standard deviation of a normal law, and a wild week does not move it.
        noise = max(1.0, 1.4826 * float(np.median(np.abs(before))))
        return abs(float(off[run].mean())) > _FAR * noise

    def _take_out(self, series: int, first: int, block: int, ratio: float) -> None:
        self._roots[series, :first] *= ratio
        # What was expected of a block came from the week before, so from the old level for a week more.
        self._expected[series, : min(first + _BLOCKS_PER_WEEK, block + 1)] *= ratio
        self._newest[series] = -1
