"""The civil time in which a tenant's working day repeats."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True, slots=True)
class CivilCalendar:
    """A tenant's clock on the wall and its days off.

    `time_zone` is an IANA name. `country` and `subdivision` are codes of the `holidays` library; without a country
    there are no public holidays. `closures` are whole local days without business, `events` local days that follow
    no weekly habit (their history is not learnt as an ordinary day).
    """

    time_zone: str = "UTC"
    country: str | None = None
    subdivision: str | None = None
    closures: tuple[date, ...] = ()
    events: tuple[date, ...] = ()
