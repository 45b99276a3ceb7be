"""Every way in which a question to a pod can fail, as a doubt with a sentence: never as a number.

What a pod answers is text from outside. Whatever it breaks on the way to a reading is caught here, at the one place
where a failure becomes `Unproved`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus

import aiohttp
from pydantic import ValidationError

from scaler.fleet.pbx.ami_client import AmiError, AmiRefusedError
from scaler.fleet.pbx.http_client import StatusError, TooLongError
from scaler.fleet.pbx.protocol import PbxError
from scaler.fleet.pbx.settings import SecretMissingError
from scaler.retirement.readings import Doubt

LONGEST_DETAIL = 160


class NotToldError(Exception):
    """A pod did not say what it was asked. The text says whom, and why."""

    def __init__(self, doubt: Doubt, detail: str) -> None:
        super().__init__(detail)
        self.doubt = doubt


@contextmanager
def asking(whom: str) -> Iterator[None]:
    """What fails inside becomes `NotToldError` that names who was asked.

    Raises:
        NotToldError: it was not told.
        PbxError: as it was raised inside.
    """
    try:
        yield
    except (NotToldError, PbxError):
        raise
    except Exception as error:
        doubt, why = _doubt(error)
        raise NotToldError(doubt, shortened(f"{whom}: {why}", LONGEST_DETAIL)) from error


def shortened(text: str, most: int = 80) -> str:
    """Text from outside as one short line that can be printed."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text[:most])


def _doubt(error: Exception) -> tuple[Doubt, str]:
    match error:
        case TimeoutError():
            return Doubt.TIMED_OUT, "no answer in time"
        case StatusError():
            return _status(error.status)
        case SecretMissingError() | AmiRefusedError():
            return Doubt.REFUSED, str(error)
        case aiohttp.ServerDisconnectedError() | aiohttp.ClientPayloadError() | aiohttp.ClientResponseError():
            return Doubt.UNREADABLE, "no HTTP"
        case aiohttp.ClientError() | OSError():
            return Doubt.NO_ANSWER, f"{type(error).__name__} {error}"
        case ValidationError():
            first = error.errors(include_url=False, include_context=False, include_input=False)[0]
            where = ".".join(map(str, first["loc"]))
            return Doubt.UNREADABLE, f"{where}: {first['msg']}" if where else first["msg"]
        case TooLongError() | AmiError() | ValueError():
            return Doubt.UNREADABLE, str(error)
    return Doubt.UNREADABLE, type(error).__name__


def _status(status: int) -> tuple[Doubt, str]:
    refused = status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
    hint = "; look at the user, its password and its rights" if refused else ""
    return Doubt.REFUSED if refused else Doubt.UNREADABLE, f"answered {status}{hint}"
