"""Whether tenants fell together, and who: a mixture of those who go on as usual and those who fell.

In a short piece of time a tenant either has about its usual load or has fallen to a share of it, both as Poisson
counts; the logarithm of the ratio of the two likelihoods is what the tenant says. The share of tenants who fell is what
makes all of it together likeliest (a mixture of two known laws: McLachlan and Peel, "Finite Mixture Models", 2000). Of
thousands of sparse tenants none says anything alone, and together they are sure; a busy one that fails by itself says
no more than `_CAP`, and is no outage.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from forecasting.grid import Int64Array
from forecasting.load import BoolArray, Float32Array
from forecasting.models.root_sums import EARLY_OR_LATE_S, Clock, Float64Array, runs

_ROWS_AT_ONCE = 1024
_PIECE_EVENTS, _PIECE_S = 40.0, 7200
"""A piece of time is as long as so many calls of all tenants usually take, and no longer than this."""
_CAP = 4.0
"""What one tenant may say at most, in nats: two alone are never sure, however large."""
_SURE = 10.0
"""Nats: odds of twenty thousand to one."""
_SHARES = np.array([0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.99])
_NEARLY_ALL = 0.7
_LEFT_OF_ALL, _LEFT_OF_MANY = 0.3, 0.1
"""Nearly all tenants fell to about this share of their load, or many to that: an ordinary day, too, may halve some."""
_SUDDEN_S = 3600
_THERE_BEFORE = 0.7
"""An outage begins at once: in the hour before, so much of the usual load was there."""
_AT_ONCE = 0.25
"""Or what is left is less than this share of what there was."""
_TELLING_EVENTS = 20.0
"""With fewer usual calls in the hour before, at night, nobody can say whether it began at once."""
_NOTHING = 0.15
"""Then only a fall of nearly all to less than this is one: a holiday that no calendar names leaves more."""
_RAMP_S, _REBOUND_S = 1800, 7200
"""How long after a fall the load may climb back, and callers who redial lift it, without teaching anything."""
_BACK, _ABOVE = 0.93, 1.1
"""Shares of the usual load at which it is back, and above which it is more than back."""


@dataclass(frozen=True, slots=True, eq=False)
class Judge:
    """What tenants' loads are judged by: `values` (series, slots), and the `level` (slots,) of the days before."""

    values: Float32Array
    clocks: Sequence[Clock]
    level: Float64Array
    per_unit: float
    step_s: int

    def events(self, part: slice) -> Iterator[tuple[Int64Array, Float32Array, Float32Array]]:
        """For all rows in turn: rows, and their events seen and expected (rows, slots), both 0 where one is unknown."""
        expected = (self.level[part] * self.per_unit).astype(np.float32)
        for clock in self.clocks:
            for start in range(0, clock.rows.size, _ROWS_AT_ONCE):
                places = slice(start, start + _ROWS_AT_ONCE)
                seen, usual = clock.seen_and_usual(self.values, places, part)
                yield clock.rows[places], seen * np.float32(self.per_unit), usual * expected


@dataclass(frozen=True, slots=True, eq=False)
class Pieces:
    """The pieces of one fall, between the slots `cuts` (pieces + 1,).

    `left` (pieces,) is the share of their load that tenants who fell still have, `fell` (pieces,) the share of the
    tenants who did.
    """

    cuts: Int64Array
    left: Float64Array
    fell: Float64Array


def sudden_falls(judge: Judge, first: int, last: int, until: int) -> Iterator[Pieces]:
    """The common falls in the slots [first, last) that began at once, or soon after one that ended at `until`."""
    before = max(1, _SUDDEN_S // judge.step_s)
    start = max(0, first - before - 1)
    parts = list(judge.events(slice(start, last)))
    seen, usual = (np.concatenate([part[which] for part in parts]) for which in (1, 2))
    cuts = first - start + _cuts(usual[:, first - start :].sum(axis=0), judge.step_s)
    left, fell = _verdicts(_in_pieces(seen, cuts), _in_pieces(usual, cuts))
    for begin, end in runs(fell > 0):
        for piece in range(begin, end):
            own = slice(int(cuts[piece]), int(cuts[piece + 1]))
            # The slot just before may be the one in which it began.
            hour = slice(max(0, own.start - before - 1), max(0, own.start - 1))
            if start + hour.start < until or _at_once(seen, usual, own, hour, left[piece], fell[piece]):
                yield Pieces(start + cuts[piece : end + 1], left[piece:end], fell[piece:end])
                until = start + int(cuts[end])
                break


def _at_once(seen: Float32Array, usual: Float32Array, own: slice, hour: slice, left: float, fell: float) -> bool:
    """Whether those who are down in their own slots were there in the hour before."""
    down = _is_down(seen[:, own].sum(axis=1), usual[:, own].sum(axis=1), left, fell)
    share = float(seen[down, own].sum()) / max(float(usual[down, own].sum()), 1e-9)
    had, expected = float(seen[down, hour].sum()), float(usual[down, hour].sum())
    if expected < _TELLING_EVENTS:
        return share < _NOTHING and fell >= _NEARLY_ALL
    return had > min(_THERE_BEFORE, share / _AT_ONCE) * expected


def _cuts(expected: Float32Array, step_s: int) -> Int64Array:
    """Where to cut slots with these expected events, first and last included."""
    longest = max(1, _PIECE_S // step_s)
    cuts, had = [0], 0.0
    for slot, events in enumerate(expected.tolist(), start=1):
        had += events
        if had >= _PIECE_EVENTS or slot - cuts[-1] >= longest or slot == expected.size:
            cuts.append(slot)
            had = 0.0
    return np.array(cuts, dtype=np.int64)


def _in_pieces(events: Float32Array, cuts: Int64Array) -> Float32Array:
    """Events per piece, shape (rows, pieces)."""
    pieces: Float32Array = np.add.reduceat(events[:, : cuts[-1]], cuts[:-1], axis=1)
    return pieces


def _nats_for_fall(seen: Float32Array, usual: Float32Array, left: npt.ArrayLike) -> Float64Array:
    """Logarithm of the ratio of Poisson likelihoods: fallen to the share that is left, over as usual."""
    share = np.asarray(left, dtype=np.float64)
    return (1 - share) * usual + seen * np.log(share)


def _verdicts(seen: Float32Array, usual: Float32Array) -> tuple[Float64Array, Float64Array]:
    """For each piece the share of load that is left to those who fell, and the share of tenants who did, 0 for none."""
    left, fell = np.full((2, seen.shape[1]), [[_LEFT_OF_ALL], [0.0]])
    for share_left, least in ((_LEFT_OF_MANY, 0.0), (_LEFT_OF_ALL, _NEARLY_ALL)):
        odds = np.expm1(np.minimum(_nats_for_fall(seen, usual, share_left), _CAP))
        shares = _SHARES[least <= _SHARES]
        nats = np.stack([np.log1p(share * odds).sum(axis=0) for share in shares])
        sure = nats.max(axis=0) > _SURE
        left[sure], fell[sure] = share_left, shares[np.argmax(nats, axis=0)][sure]
    return left, fell


def _is_down(seen: Float32Array, usual: Float32Array, left: npt.ArrayLike, fell: npt.ArrayLike) -> BoolArray:
    """Who rather fell than not; who says nothing goes with most of the others. Any shape, (rows,) first."""
    down: BoolArray = _nats_for_fall(seen, usual, left) + _prior_nats(fell) > 0
    return down


def _prior_nats(fell: npt.ArrayLike) -> Float64Array:
    share = np.asarray(fell, dtype=np.float64)
    return np.log(share / (1 - share))


def _with_neighbours(nats: Float64Array) -> Float64Array:
    """What the pieces just before and after say as well, (rows, pieces): one alone may mislead, one more than two."""
    total = nats.copy()
    total[:, 1:] += nats[:, :-1]
    total[:, :-1] += nats[:, 1:]
    return total


def who_fell(judge: Judge, pieces: Pieces) -> tuple[BoolArray, int, int]:
    """Which tenants fell, (series, pieces), from which slot on, and the slot at which they were back.

    The slots before the first cut in which it already began are included, and those after the last in which the load
    climbed back or callers redialled.
    """
    nearby = EARLY_OR_LATE_S // judge.step_s + 1
    first, last = int(pieces.cuts[0]), int(pieces.cuts[-1])
    ramp, rebound = (max(1, seconds // judge.step_s) for seconds in (_RAMP_S, _REBOUND_S))
    wide = slice(max(0, first - nearby), min(judge.values.shape[1], last + ramp + rebound))
    fell = np.zeros((judge.values.shape[0], pieces.fell.size), dtype=np.bool_)
    pooled = np.zeros((2, wide.stop - wide.start))
    inner = slice(first - wide.start, last - wide.start)
    prior = _prior_nats(pieces.fell)
    for rows, seen, usual in judge.events(wide):
        cuts = pieces.cuts - wide.start
        nats = _nats_for_fall(_in_pieces(seen, cuts), _in_pieces(usual, cuts), pieces.left)
        fell[rows] = _with_neighbours(np.clip(nats, -_CAP, _CAP)) + prior > 0
        # Above one event a slot every tenant weighs alike, whatever its size.
        weight = 1 / np.maximum(usual.mean(axis=1), 1)
        for side, who in ((slice(0, inner.start), fell[rows, 0]), (slice(inner.stop, None), fell[rows, -1])):
            pooled[:, side] += np.stack([weight[who] @ seen[who, side], weight[who] @ usual[who, side]])
    share = pooled[0] / np.maximum(pooled[1], 1e-9)
    share[pooled[1] <= 0] = 1.0
    begin, over = inner.start, inner.stop
    while begin > 0 and share[begin - 1] < _BACK:
        begin -= 1
    while over < share.size and over - inner.stop < ramp and share[over] < _BACK:
        over += 1
    while over < share.size and share[over] > _ABOVE:
        over += 1
    return fell, wide.start + begin, wide.start + over
