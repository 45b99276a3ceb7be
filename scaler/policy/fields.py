"""The kinds of values that a file of calltide's may hold, each with its own words for what is wrong.

pydantic's own conversions are made for wire formats and are too willing for a file that a person writes: they take
`true` for the number 1 and 20261224 for a day in 1970. What matters is read here instead.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Annotated, Any
from zoneinfo import available_timezones

from cronsim import CronSim, CronSimError
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    field_validator,
)
from pydantic.alias_generators import to_camel

from scaler.policy.durations import format_duration, parse_duration
from scaler.policy.words import did_you_mean, shown

_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")
_LONGEST_NAME = 63
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_TIME_OF_DAY = r"[0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?"
_INSTANT = re.compile(rf"{_DAY.pattern}[Tt ]{_TIME_OF_DAY}(Z|z|[-+][0-9:]{{2,6}})?")
DURATION_PATTERN = r"^([0-9]{1,9}[smhdw])+$"


class FieldsError(ValueError):
    """Fields that do not fit together. `fields` are their dotted names in the file, seen from the model that raises."""

    def __init__(self, message: str, *fields: str) -> None:
        super().__init__(message)
        self.fields = fields


def is_kubernetes_name(name: str) -> bool:
    """Whether Kubernetes would take it as a name: lower-case letters, digits, '-' and '.', at most 63."""
    return len(name) <= _LONGEST_NAME and _NAME.fullmatch(name) is not None


@lru_cache(maxsize=1)
def _time_zones() -> frozenset[str]:
    # It searches directories, and every policy asks.
    return frozenset(available_timezones())


def _known_time_zone(name: str) -> str:
    if name not in _time_zones():
        near = did_you_mean(name, _time_zones(), list_up_to=0)
        raise ValueError(f"{shown(name)} is not an IANA time zone; write it like 'Europe/Berlin'.{near}")
    return name


def _kubernetes_name(name: str) -> str:
    if not is_kubernetes_name(name):
        raise ValueError(
            f"{shown(name)} is not a name: use lower-case letters, digits, '-' and '.', at most {_LONGEST_NAME}"
        )
    return name


@lru_cache(maxsize=4096)
def _cron_fires(expression: str) -> bool:
    # Any start will do: the question is whether the fields are well formed and can ever match.
    try:
        next(CronSim(expression, datetime(2026, 1, 1, tzinfo=UTC)))
    except (CronSimError, StopIteration):
        return False
    return True


def _cron_that_fires(expression: str) -> str:
    if len(expression) > 200 or len(expression.split()) != 5 or not _cron_fires(expression):
        raise ValueError(f"{shown(expression)} is not five cron fields that ever match, like '30 8 * * 1-5'")
    return expression


def _day(value: object) -> date:
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    try:
        if isinstance(value, str) and _DAY.fullmatch(value):
            return date.fromisoformat(value)
    except ValueError:
        pass
    raise ValueError(f"{shown(value)} is not a day; write it like 2026-12-24")


def _instant(value: object) -> datetime | None:
    if value is None or isinstance(value, datetime):
        return value
    try:
        if isinstance(value, str) and _INSTANT.fullmatch(value):
            instant = datetime.fromisoformat(value.upper())
            if instant.tzinfo is not None:
                # An offset may push it out of what a datetime can hold; find out here and not in a comparison later.
                instant.astimezone(UTC)
                return instant
    except (ValueError, OverflowError):
        pass
    raise ValueError(
        f"{shown(value)} is not an instant with offset; write it like 2026-12-24T18:00:00+01:00 or with Z for UTC"
    )


def _each_once(names: tuple[str, ...]) -> tuple[str, ...]:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise ValueError(f"{shown(name)} stands in the list twice and would count twice; remove one")
        seen.add(name)
    return names


Seconds = Annotated[
    int,
    BeforeValidator(parse_duration),
    PlainSerializer(format_duration, return_type=str, when_used="json"),
    Field(json_schema_extra={"type": ["string", "integer"], "pattern": DURATION_PATTERN}),
]
"""A duration in whole seconds, written '90s', '5m', '4h', '2d', '8w' or as a number of seconds."""

Cron = Annotated[str, AfterValidator(_cron_that_fires)]
TimeZone = Annotated[str, AfterValidator(_known_time_zone)]
Name = Annotated[str, AfterValidator(_kubernetes_name)]
Day = Annotated[date, BeforeValidator(_day)]
Instant = Annotated[AwareDatetime, BeforeValidator(_instant)]
Label = Annotated[str, Field(min_length=1, max_length=200)]
Query = Annotated[str, Field(min_length=1, max_length=10_000)]
Share = Annotated[float, Field(ge=0, le=1)]
Pods = Annotated[int, Field(ge=0, le=10_000)]
PodsAtLeastOne = Annotated[int, Field(ge=1, le=10_000)]
Tenant = Annotated[str, Field(min_length=1, max_length=500)]
"""A tenant's name as the history's label has it: any characters."""
Tenants = Annotated[tuple[Tenant, ...], Field(min_length=1, max_length=10_000), AfterValidator(_each_once)]


class PolicyModel(BaseModel):
    """Common behaviour: camelCase in YAML, unknown fields refused, values frozen."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
        allow_inf_nan=False,
    )

    @field_validator("*", mode="wrap")
    @classmethod
    def _no_number_from_a_boolean(cls, value: Any, validate: Callable[[Any], Any]) -> Any:
        read = validate(value)
        if isinstance(value, bool) and not isinstance(read, bool):
            raise ValueError(f"{shown(value)} is a yes or no, not a number")
        return read
