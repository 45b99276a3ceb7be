"""What a forecast is made of, in shares and in words, so that a person can see why the line lies where it does.

A model says how much of each of its parts went into a series over the next day; here that becomes sentences. The
shares answer different questions, and each sentence says which: own weeks, borrowed weeks and announced tenants are
shares of the ordinary level and add up to 1; the recent deviation says how far it moved the median; trees and the law
of counts are shares of what draws the quantiles around it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

import numpy as np
import numpy.typing as npt

BLENDED_S = 86400
"""Shares are means over so much of the path to come."""

_TOLD_FROM_PER_CENT = 1


class Member(StrEnum):
    """The parts that a forecast can be made of."""

    OWN_WEEKS = "own weeks"
    BORROWED_WEEKS = "borrowed weeks"
    ANNOUNCED = "announced tenants"
    RECENT = "recent deviation"
    TREES = "boosted correction"
    COUNTS = "count law"
    LEVEL = "level mode"
    HELD = "outage hold"


@dataclass(frozen=True, slots=True)
class MemberShare:
    """One part of one series' forecast: its weight from 0 to 1, in steps of 0.01, and what that means."""

    name: str
    weight: float
    sentence: str


@dataclass(frozen=True, slots=True, eq=False)
class Blend:
    """How much of each part a model used, each of shape (series,), as a mean over the next `BLENDED_S`.

    `borrowed`: share of typical weeks of others in the ordinary level. `recent`: sum of the absolute distances of the
    median from the ordinary level over the sum of the median. `boosted`: share of the trees' correction that is
    applied, `counted`: weight of the law of counts, both as means over slots. `levelled`: weight of the level mode
    after a break, None where a model has none. `held` (bool): a fall common to many goes on and is not followed.
    """

    borrowed: npt.NDArray[np.floating]
    recent: npt.NDArray[np.floating]
    boosted: npt.NDArray[np.floating]
    counted: npt.NDArray[np.floating]
    levelled: npt.NDArray[np.floating] | None = None
    held: npt.NDArray[np.bool_] | None = None


def members_of(blend: Blend) -> tuple[tuple[MemberShare, ...], ...]:
    """The parts of each series' forecast, in the order in which they work on each other; what has no part is left out.

    A share that is not known (NaN, as of a cold series) is left out too.
    """
    nothing = np.zeros(blend.borrowed.shape[0])
    shares = {
        Member.OWN_WEEKS: 1 - blend.borrowed,
        Member.BORROWED_WEEKS: blend.borrowed,
        Member.LEVEL: nothing if blend.levelled is None else blend.levelled,
        Member.RECENT: blend.recent,
        Member.TREES: blend.boosted,
        Member.COUNTS: blend.counted,
        Member.HELD: nothing if blend.held is None else blend.held,
    }
    per_cent = np.stack([_per_cent(share) for share in shares.values()], axis=1)
    return tuple(
        tuple(_share(member, told) for member, told in zip(shares, row, strict=True) if told >= _TOLD_FROM_PER_CENT)
        for row in per_cent.tolist()
    )


def with_announced_share(members: tuple[MemberShare, ...], share: float) -> tuple[MemberShare, ...]:
    """The parts of one series to whose load announced tenants were added: `share` of the sum from 0 to 1."""
    announced = int(_per_cent(np.array([share]))[0])
    if announced < _TOLD_FROM_PER_CENT:
        return members
    level = (Member.OWN_WEEKS, Member.BORROWED_WEEKS)
    told = {member.name: round(100 * member.weight) for member in members}
    own = [(name, round(told[name] * (1 - announced / 100))) for name in level if name in told]
    first = [_share(Member(name), left) for name, left in own if left >= _TOLD_FROM_PER_CENT]
    rest = [member for member in members if member.name not in level]
    return (*first, _share(Member.ANNOUNCED, announced), *rest)


def _per_cent(share: npt.NDArray[np.generic]) -> npt.NDArray[np.int64]:
    return np.rint(100 * np.clip(np.nan_to_num(share.astype(np.float64)), 0.0, 1.0)).astype(np.int64)


@lru_cache(maxsize=1024)
def _share(member: Member, per_cent: int) -> MemberShare:
    """The same object for the same share: thousands of series say it in a few hundred, in memory and when sent."""
    return MemberShare(member.value, per_cent / 100, _SENTENCES[member].format(per_cent))


_SENTENCES = {
    Member.OWN_WEEKS: "{} % of the ordinary level is what its own past weeks had at the same local time.",
    Member.BORROWED_WEEKS: (
        "{} % of the ordinary level is borrowed from typical weeks of others: its own are too few, or too sparse."
    ),
    Member.ANNOUNCED: "{} % of the load to come is that of tenants that the policy announces.",
    Member.RECENT: "How the last minutes, hours and days went moves the median by {} % over the next day.",
    Member.TREES: "{} % of the correction by boosted trees is applied to the quantiles, as held-out weeks allow.",
    Member.COUNTS: "{} % of the quantiles is the law of small counts, the rest its own past errors.",
    Member.LEVEL: "The level broke: {} % of it is the level since then, not that of the weeks before.",
    Member.HELD: "A fall common to many tenants goes on: the path is held, not followed.",
}
