"""What the tenants of one clock have in common, as one more series: weather, a strike of the trains, a match.

A tenant's own last minutes are mostly noise; those of all tenants together are not. So their mean is looked at as a
series of its own, with a weekly profile of its own, and how far it lies off tells every tenant something of what
comes. It is a mean of roots, so that no large tenant decides, and by what each usually has, so that who comes or goes
moves nothing. What lowers it moves medians and hardly an upper line: it may be the failed trunk of some.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from forecasting.load import LoadMatrix
from forecasting.models.chunks import Chunk, Part
from forecasting.models.common_fall import CommonFall
from forecasting.models.level_breaks import level_breaks
from forecasting.models.recent import Past, past_of
from forecasting.models.scale import ZERO, counts_per_unit, to_counts, to_root
from forecasting.models.week_layout import Float64Array, FloatArray, WeekLayout
from forecasting.models.weekly_profile import learn_profile

_FEWEST = 16
"""Of fewer series the mean is too much of each of them."""
_LOOKED_AT = 128
"""Of so many the mean has an eleventh of one's noise: more would cost every refresh and tell little more."""
_KNOWN_S = 7 * 86400
_LEAST_SHARE = 0.5
"""Of all sizes together must have been seen in a slot."""
_LEAST_TYPICAL = 0.05
"""A tenant whose typical root lies nearer to that of no call at all has nothing to say."""


_Clock = tuple[WeekLayout, str | None]


@dataclass(frozen=True, slots=True, eq=False)
class CommonLoads:
    """By time zone and country: the load of a typical series, (slots,), NaN where nobody was observed."""

    loads: dict[_Clock, FloatArray]

    @classmethod
    def of(cls, history: LoadMatrix, chunks: Sequence[Chunk], falls: Sequence[CommonFall]) -> CommonLoads:
        """Of a sample of the series of all chunks, without falls common to many, each at its newest level."""
        alike: dict[_Clock, list[Chunk]] = {}
        for chunk in chunks:
            alike.setdefault((chunk.layout, chunk.country), []).append(chunk)
        loads = {}
        for clock, members in alike.items():
            if sum(chunk.rows.size for chunk in members) >= _FEWEST:
                loads[clock] = _typical_load(_sample(members), history, falls)
        return cls(loads)

    def for_chunk(self, chunk: Chunk) -> FloatArray | None:
        """The common load of the chunk's series; None where they are too few."""
        return self.loads.get((chunk.layout, chunk.country))


def _sample(chunks: Sequence[Chunk]) -> list[Chunk]:
    """Every so manieth series of all chunks together, however they are cut."""
    every = -(-sum(chunk.rows.size for chunk in chunks) // _LOOKED_AT)
    sample, passed = [], 0
    for chunk in chunks:
        first, passed = -passed % every, passed + chunk.rows.size
        if first < chunk.rows.size:
            sample.append(chunk.every(every, first))
    return sample


def _typical_load(chunks: Sequence[Chunk], history: LoadMatrix, falls: Sequence[CommonFall]) -> FloatArray:
    per_unit, slots = counts_per_unit(history.measure, history.grid.step_s), history.grid.slots
    total, usual = np.zeros((2, slots))
    told = np.zeros(slots, dtype=np.int64)
    typical: list[Float64Array] = []
    for chunk in chunks:
        load = Part.of(chunk, history, falls).load
        # Who has left for good, or doubled, says so of nobody else; nor does whose holiday or closure it is.
        load = np.where(
            (chunk.kinds > 0)[:, chunk.layout.day[:slots]],
            np.float32(np.nan),
            level_breaks(chunk, load, per_unit).taken_out(load),
        )
        roots = to_root(load, per_unit) - np.float32(ZERO)
        known = ~np.isnan(roots)
        roots[~known] = 0.0
        count = known.sum(axis=1)
        size = roots.sum(axis=1, dtype=np.float64) / np.maximum(count, 1)
        # Of less than a week the mean is that of the hours that happened to be seen.
        said = (size >= _LEAST_TYPICAL) & (count * history.grid.step_s >= _KNOWN_S)
        total += roots[said].sum(axis=0, dtype=np.float64)
        usual += size[said] @ known[said]
        told += known[said].sum(axis=0)
        typical.append(size[said])
    sizes = np.concatenate(typical)
    # What is left of a mean where most are missed is one of few.
    enough = (told >= _FEWEST) & (usual >= _LEAST_SHARE * sizes.sum())
    with np.errstate(invalid="ignore", divide="ignore"):
        root = np.where(enough, ZERO + (sizes.mean() if sizes.size else 0.0) * total / usual, np.nan)
    counts: FloatArray = np.where(np.isnan(root), np.float32(np.nan), to_counts(np.nan_to_num(root).astype(np.float32)))
    return counts / np.float32(per_unit)


def common_past(part: Part, per_unit: float, first_week: int) -> Past | None:
    """Profile and deviations of the part's common load, as of one series; None without it."""
    if part.common is None:
        return None
    layout, weekend = part.chunk.layout, part.chunk.weekend
    roots = to_root(part.common[None], per_unit)
    profile = learn_profile(layout.weekly(roots), weekend, np.zeros(1, dtype=np.int64), first_week=first_week)
    base = layout.by_slot(profile.level, first_week, np.float32(np.nan))
    return past_of(layout, profile, weekend, roots, base, np.zeros(base.shape, dtype=np.bool_))
