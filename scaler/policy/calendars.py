"""The civil time of a policy: its zone, its public holidays, and the days that somebody names."""

from __future__ import annotations

from datetime import date, timedelta
from functools import lru_cache
from typing import Self

import holidays
from pydantic import Field, model_validator

from scaler.policy.effects import EventEffect, factor_of, is_closed, like_of
from scaler.policy.fields import Day, FieldsError, Label, PolicyModel, TimeZone
from scaler.policy.words import did_you_mean, shown


class CalendarDays(PolicyModel):
    """A local day, or a run of days, without business."""

    name: Label = Field(examples=["Company outing"])
    """What happens, for the explanation."""
    first: Day = Field(alias="from", examples=["2026-12-24"])
    """First local day."""
    last: Day | None = Field(None, alias="to", examples=["2026-12-26"])
    """Last local day; the same day when left out."""

    @model_validator(mode="after")
    def _ends_after_it_begins(self) -> Self:
        if self.last is not None and not 0 <= (self.last - self.first).days <= 366:
            raise FieldsError(f"{self.last} must lie on or after 'from' {self.first}, at most a year later", "to")
        return self

    @property
    def days(self) -> tuple[date, ...]:
        """Every local day of it."""
        last = self.last or self.first
        return tuple(self.first + timedelta(days=n) for n in range((last - self.first).days + 1))


class CalendarEvent(CalendarDays):
    """A local day, or a run of days, that follows no weekly habit."""

    effect: EventEffect | None = Field(None, examples=["+40 %"])
    """How large each of its days will be, if somebody knows.

    `+40 %` or `-15 %` of the ordinary day; `like 2025-11-28`, as that day went beside its own ordinary level; `closed`.
    Left out, or where the history does not reach back to the day it is like, it goes as earlier events did.
    """

    @model_validator(mode="after")
    def _is_like_an_earlier_day(self) -> Self:
        if self.like is not None and self.like >= self.first:
            raise FieldsError(f"{self.like} does not lie before 'from' {self.first}; name an earlier day", "effect")
        return self

    @property
    def factor(self) -> float | None:
        """Its load as a multiple of the ordinary day's, where that is stated."""
        return factor_of(self.effect)

    @property
    def like(self) -> date | None:
        """The earlier day as which it is to go, where one is named."""
        return like_of(self.effect)

    @property
    def is_closed(self) -> bool:
        """Whether there will be no business."""
        return is_closed(self.effect)


@lru_cache(maxsize=1)
def _countries() -> dict[str, list[str]]:
    return holidays.list_supported_countries(include_aliases=True)


class HolidaySpec(PolicyModel):
    """Public holidays, by the codes of the `holidays` library."""

    country: str = Field(examples=["US"])
    """ISO 3166-1 alpha-2 code, like US."""
    subdivision: str | None = Field(None, examples=["NY"])
    """Subdivision code, like NY."""

    @model_validator(mode="after")
    def _known(self) -> Self:
        supported = _countries()
        if self.country not in supported:
            near = did_you_mean(self.country, supported, list_up_to=0)
            raise FieldsError(f"{shown(self.country)} is no known country; use an ISO code like 'US'.{near}", "country")
        if self.subdivision is not None and self.subdivision not in supported[self.country]:
            near = did_you_mean(self.subdivision, supported[self.country]) or " Leave it out."
            raise FieldsError(f"{shown(self.subdivision)} is no subdivision of {self.country}.{near}", "subdivision")
        return self


class CalendarSpec(PolicyModel):
    """The civil time in which the working day repeats."""

    time_zone: TimeZone = Field("UTC", examples=["Europe/Berlin"])
    """IANA time zone of the tenants."""
    holidays: HolidaySpec | None = None
    """Public holidays."""
    events: tuple[CalendarEvent, ...] = Field((), max_length=1000)
    """Days that follow no weekly habit."""
    closures: tuple[CalendarDays, ...] = Field((), max_length=1000)
    """Days without business."""
