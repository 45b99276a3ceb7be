"""What this room refuses to take in."""

from __future__ import annotations

from scaler.errors import CalltideError


class RetirementError(CalltideError, ValueError):
    """A value that would make retirement decide on something that cannot be: where, what, and how to mend it."""
