"""Past origins from which forecasts are made again, each with nothing but what was known by then.

How many and how dense follows from how much there is: a single series needs every second hour of twelve weeks to fill
its tails, thousands of tenants fill them with an origin every five hours.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from math import gcd

import numpy as np

from forecasting.grid import Int64Array
from forecasting.models.regression import HORIZON_EDGES_S
from forecasting.models.week_layout import FloatArray

_DAY_S = 86400
_LONGEST_S = 84 * _DAY_S
"""Older weeks say too little about how the next one will go."""
_YOUNG_S = 21 * _DAY_S
"""A profile of fewer weeks errs more than any that will be used: such origins are not replayed where others are."""
_DENSEST_S, _SPARSEST_S = 6120, 5 * 3600
"""Between two origins, or a little more."""
_WANTED = 45_000
"""Origins times series that are enough."""
_LEADS_PER_CLASS = 4
_HALF_LIFE_S = 14 * _DAY_S
"""An error counts half as much when it is so much older: bands follow how the last weeks have gone."""


@dataclass(frozen=True, slots=True, eq=False)
class Replay:
    """Past origins (origins,) and the leads (leads,) that are forecast from each, in slots."""

    origins: Int64Array
    leads: Int64Array
    step_s: int

    @property
    def leads_s(self) -> Int64Array:
        """Seconds from an origin to the end of each slot that is forecast."""
        seconds: Int64Array = (self.leads + 1) * self.step_s
        return seconds

    @property
    def first(self) -> int:
        """The slot of the oldest origin, 0 when there is none."""
        return int(self.origins[0]) if self.origins.size else 0

    def weights(self, slots: int) -> FloatArray:
        """What each origin counts for when spread and bands are learnt, shape (origins,)."""
        age_s = (slots - self.origins) * self.step_s
        weights: FloatArray = (0.5 ** (age_s / _HALF_LIFE_S)).astype(np.float32)
        return weights

    def halves(self) -> tuple[Replay, Replay]:
        """Two interleaved parts of a week or so each, so that neighbouring origins stay together."""
        span_s = (int(self.origins[-1]) - self.first) * self.step_s if self.origins.size else 0
        blocks = max(4, round(span_s / (7 * _DAY_S)))
        block = np.arange(self.origins.size) * blocks // max(self.origins.size, 1)
        return (
            Replay(self.origins[block % 2 == 0], self.leads, self.step_s),
            Replay(self.origins[block % 2 == 1], self.leads, self.step_s),
        )

    def targets(self, slots: int) -> Int64Array:
        """The slot of every origin and lead, kept inside the history: shape (origins, leads)."""
        targets: Int64Array = np.minimum(self.origins[:, None] + self.leads, slots - 1)
        return targets

    def observed(self, roots: FloatArray) -> FloatArray:
        """What was seen at the targets, NaN after the history's end: (series, origins, leads)."""
        slots = roots.shape[1]
        ended = self.origins[:, None] + self.leads >= slots
        seen: FloatArray = np.where(ended, np.float32(np.nan), roots[:, self.targets(slots)])
        return seen


def replay_of(begun: int, slots: int, step_s: int, series: int) -> Replay:
    """The origins of the newest weeks and a sample of leads from every horizon class.

    The history's slots are [begun, slots); there are so many series to learn from.
    """
    known_s = (slots - begun) * step_s
    span_s = min(_LONGEST_S, max(known_s - _YOUNG_S, known_s // 2))
    between_s = min(max(span_s * series / _WANTED, _DENSEST_S), _SPARSEST_S)
    between = max(1, round(between_s / step_s))
    # Without a common divisor with the day, origins fall on every slot of it.
    while gcd(between, max(1, _DAY_S // step_s)) > 1:
        between += 1
    first = max(begun + round(_DAY_S / step_s), slots - round(span_s / step_s), 1)
    origins = np.arange(slots - 1, first - 1, -between, dtype=np.int64)[::-1]
    edges = np.array([0, *HORIZON_EDGES_S]) // step_s
    leads = [np.linspace(low, high - 1, _LEADS_PER_CLASS) for low, high in pairwise(edges) if high > low]
    return Replay(origins, np.unique(np.concatenate([[0.0], *leads]).round().astype(np.int64)), step_s)
