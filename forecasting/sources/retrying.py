"""How often, and after which waits, a request is repeated: the same for every HTTP source.

Only what may pass by itself is tried again. The waits double and are bounded, so that a dead server costs a known
time; a server's own Retry-After is obeyed up to the same bound, since a job that sleeps for an hour looks dead.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

from forecasting.errors import SourceConfigurationError, SourceError

FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 10.0

_log = logging.getLogger(__name__)

Answer = TypeVar("Answer")


class PassingFaultError(SourceError):
    """A fault that may pass by itself: too busy, broken connection, time-out.

    `retry_after_s` is what the server asked for, None where it said nothing.
    """

    def __init__(self, text: str, retry_after_s: float | None = None) -> None:
        super().__init__(text)
        self.retry_after_s = retry_after_s


class AnswerTooLargeError(SourceConfigurationError):
    """The server refuses so long a range at once. A shorter one may be answered."""


def is_passing(status: int) -> bool:
    """Whether an HTTP status says that the same request may succeed later."""
    return status in (408, 425, 429) or status >= 500


def retry_after_s(header: str | None) -> float | None:
    """Seconds of a Retry-After header, None where it is missing or is a date."""
    try:
        return None if header is None else max(0.0, float(header))
    except ValueError:
        return None


def with_retries(attempt: Callable[[], Answer], retries: int, sleep: Callable[[float], None], source: str) -> Answer:
    """The first answer of at most 1 + retries attempts.

    Raises:
        SourceError: the last attempt's fault, with the number of attempts; any other fault at once.
    """
    failed = 0
    while True:
        try:
            return attempt()
        except PassingFaultError as fault:
            if failed == retries:
                raise SourceError(f"{fault} (gave up after {failed + 1} attempts)") from None
            wait_s = min(LONGEST_WAIT_S, max(FIRST_WAIT_S * 2**failed, fault.retry_after_s or 0.0))
            failed += 1
            _log.warning("source %r: attempt %d failed, next in %.1f s: %s", source, failed, wait_s, fault)
            sleep(wait_s)
