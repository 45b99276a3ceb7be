"""How large an event will be, in the words of a policy: '+40 %', 'like 2025-11-28' or 'closed'."""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated

from pydantic import BeforeValidator, Field

from scaler.policy.words import shown

_SHARE = re.compile(r"([+-]) ?([0-9]{1,6}(?:\.[0-9]{1,3})?) ?%")
_LIKE = re.compile(r"like ([0-9]{4}-[0-9]{2}-[0-9]{2})")
_CLOSED = "closed"
_LARGEST_PERCENT = 1000


def _effect(value: object) -> str | None:
    if value is None:
        return None
    if isinstance(value, str):
        text = " ".join(value.split())
        if text == _CLOSED:
            return text
        if _SHARE.fullmatch(text):
            return _within_bounds(text)
        if like := _LIKE.fullmatch(text):
            try:
                date.fromisoformat(like[1])
            except ValueError:
                raise ValueError(f"{shown(value)} names no day; write it like 'like 2025-11-28'") from None
            return text
    raise ValueError(
        f"{shown(value)} is no effect; write '+40 %' or '-15 %' of the ordinary day, 'like 2025-11-28' or 'closed'"
    )


def _within_bounds(text: str) -> str:
    factor = factor_of(text)
    if factor is not None and factor <= 0:
        raise ValueError(f"{shown(text)} leaves no load; write 'closed' for a day without business")
    if factor is not None and factor > 1 + _LARGEST_PERCENT / 100:
        raise ValueError(f"{shown(text)} is beyond '+{_LARGEST_PERCENT} %', the largest effect; is a point missing?")
    return text


EventEffect = Annotated[
    str,
    BeforeValidator(_effect),
    Field(json_schema_extra={"pattern": rf"^({_SHARE.pattern}|{_LIKE.pattern}|{_CLOSED})$"}),
]
"""The text, with single spaces."""


def factor_of(effect: str | None) -> float | None:
    """The load as a multiple of the ordinary day's, where the effect is a share of it."""
    share = _SHARE.fullmatch(effect or "")
    return None if share is None else 1 + float(f"{share[1]}{share[2]}") / 100


def like_of(effect: str | None) -> date | None:
    """The earlier day as which the event is to go, where the effect names one."""
    like = _LIKE.fullmatch(effect or "")
    return None if like is None else date.fromisoformat(like[1])


def is_closed(effect: str | None) -> bool:
    """Whether there is no business at all."""
    return effect == _CLOSED
