"""Durations as people write them in a policy: '90s', '5m', '8w'."""

from __future__ import annotations

import re

from scaler.policy.words import shown

_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_PART = re.compile(r"([0-9]{1,9})([smhdw])")
_WHOLE = re.compile(r"(?:[0-9]{1,9}[smhdw])+")
_LONGEST = 60


def parse_duration(value: object) -> int:
    """Whole seconds of a duration; a whole number is seconds already.

    Raises:
        ValueError: it is neither, with how to write it.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and len(value) <= _LONGEST and _WHOLE.fullmatch(value.strip()):
        return sum(int(count) * _UNITS_S[unit] for count, unit in _PART.findall(value))
    raise ValueError(f"{shown(value)} is not a duration; write it like '90s', '5m', '4h', '2d', '8w' or '1h30m'")


def check_divides_hour(step_s: int) -> None:
    """Nothing for the width of a slot that fits into an hour without rest.

    Raises:
        ValueError: it does not, with the usual ones.
    """
    if 3600 % step_s:
        raise ValueError(f"{format_duration(step_s)} does not divide an hour; use 1m, 5m, 10m, 15m, 30m or 1h")


def format_duration(seconds: float) -> str:
    """The shortest exact way to write whole seconds: 5400 becomes '1h30m'."""
    rest = round(seconds)
    if rest <= 0:
        return "0s"
    parts: list[str] = []
    for unit in ("w", "d", "h", "m", "s"):
        count, rest = divmod(rest, _UNITS_S[unit])
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts)
