"""The civil time in which a tenant's working day repeats."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date

from forecasting.errors import ForecastInputError


@dataclass(frozen=True, slots=True)
class SizedEvent:
    """A local day that follows no weekly habit, and how large it will be: one of the two is stated.

    `factor` multiplies the load of the ordinary day. `like` is an earlier local day: the event goes as that one went
    beside its own ordinary level.

    Raises:
        ForecastInputError: both or neither is stated, the factor is not above zero, or the day is not an earlier one.
    """

    day: date
    factor: float | None = None
    like: date | None = None

    def __post_init__(self) -> None:
        if (self.factor is None) == (self.like is None):
            raise ForecastInputError(f"event of {self.day}: state either a factor or a day that it is like")
        if self.factor is not None and not 0 < self.factor < math.inf:
            raise ForecastInputError(f"event of {self.day} has factor {self.factor}; a day without load is a closure")
        if self.like is not None and self.like >= self.day:
            raise ForecastInputError(f"event of {self.day} is like {self.like}; name a day before it")


@dataclass(frozen=True, slots=True)
class CivilCalendar:
    """A tenant's clock on the wall and its days off.

    `time_zone` is an IANA name. `country` and `subdivision` are codes of the `holidays` library; without a country
    there are no public holidays. `closures` are whole local days without business, `events` local days that follow
    no weekly habit (their history is not learnt as an ordinary day), `sized_events` those of known size.
    """

    time_zone: str = "UTC"
    country: str | None = None
    subdivision: str | None = None
    closures: tuple[date, ...] = ()
    events: tuple[date, ...] = ()
    sized_events: tuple[SizedEvent, ...] = ()

    @property
    def announces(self) -> bool:
        """Whether it names closures or events."""
        return bool(self.closures or self.events or self.sized_events)
