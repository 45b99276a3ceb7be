"""What an HTTP answer that is no success means, and what to do about it.

A fault that may pass (busy, broken) is told apart from one that will not (query, credentials, address), because only
the first is worth repeating, and from a range that is merely too long, because its halves may be answered.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Mapping
from urllib.parse import urlsplit

from forecasting.errors import SourceConfigurationError, SourceError
from forecasting.sources.retrying import AnswerTooLargeError, PassingFaultError, is_passing, retry_after_s

_TOO_LARGE = ("too many samples", "maximum resolution", "time range exceeds", "larger than max")
_LONGEST_TEXT = 500


def raise_for_status(status: int, headers: Mapping[str, str], body: bytes, where: str) -> None:
    """Nothing for a success; for anything else the fault, with the server's own words where it sent any.

    Raises:
        PassingFaultError: the same request may succeed later.
        AnswerTooLargeError: a shorter range may.
        SourceConfigurationError: it will not.
    """
    if status == 200:
        return
    text = _server_text(headers, body)
    if any(sign in text for sign in _TOO_LARGE):
        raise AnswerTooLargeError(f"{where}: {text}")
    if is_passing(status):
        raise PassingFaultError(f"{where}: HTTP {status}: {text}", retry_after_s(headers.get("Retry-After")))
    raise SourceConfigurationError(f"{where}: HTTP {status}: {text}; {_remedy(status, headers, text)}")


def reject_warnings(payload: object, where: str) -> None:
    """Refuse an answer that its server calls partial or its query engine calls doubtful.

    Raises:
        SourceError: a store was away, so that sums are too low.
        SourceConfigurationError: the warning is about the query.
    """
    warnings = payload.get("warnings") if isinstance(payload, dict) else None
    # Some releases put hints of the query engine here; they do not make an answer partial.
    texts = [str(text) for text in warnings or () if not str(text).startswith("PromQL info")]
    if not texts:
        return
    shown = _shortened("; ".join(texts))
    if all(text.startswith("PromQL warning") for text in texts):
        raise SourceConfigurationError(f"{where}: {shown}; mend the query")
    raise SourceError(f"{where}: the answer is partial, so nothing of it is used: {shown}")


def root_cause(error: BaseException) -> BaseException:
    """The innermost error that an HTTP library has wrapped: the one whose words help."""
    while True:
        inner = getattr(error, "reason", None) or error.__cause__ or (error.args[0] if error.args else None)
        if not isinstance(inner, BaseException):
            return error
        error = inner


def connection_fault(error: BaseException, where: str) -> SourceError:
    """The fault behind a connection that could not be made or broke: retrying helps unless a certificate is wrong."""
    cause = root_cause(error)
    if isinstance(cause, ssl.SSLCertVerificationError):
        return SourceConfigurationError(
            f"{where}: the server's certificate is not accepted: {cause.verify_message}; set tls.caFile"
        )
    return PassingFaultError(f"{where}: {_shortened(str(cause)) or type(cause).__name__}")


def _remedy(status: int, headers: Mapping[str, str], text: str) -> str:
    if "no org id" in text:
        return "set tenant, which is sent as X-Scope-OrgID"
    if status in (401, 403):
        return "check basicAuth or the bearer token"
    if 300 <= status < 400:
        return f"set url to where it really is ({urlsplit(headers.get('Location', '')).hostname or 'not told'})"
    if status in (404, 405):
        return "check url and its path prefix"
    return "mend the query"


def _server_text(headers: Mapping[str, str], body: bytes) -> str:
    text = body.decode("utf-8", "replace")
    try:
        payload = json.loads(text)
    except ValueError:
        # A page of some proxy says little and may echo the request; Loki's plain texts are worth showing.
        plain = headers.get("Content-Type", "").startswith("text/plain")
        return _shortened(text) if plain and text.strip() else "no reason given"
    reason = payload.get("error") or payload.get("message") if isinstance(payload, dict) else None
    return _shortened(str(reason)) if reason else "no reason given"


def _shortened(text: str) -> str:
    line = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return line if len(line) <= _LONGEST_TEXT else line[: _LONGEST_TEXT - 1] + "…"
