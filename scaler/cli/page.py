"""Questions to the API of a running service, and one way in which they end when there is no answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import httpx
import typer

from scaler.cli.exit_codes import ExitCode
from scaler.cli.output import fail

TIMEOUT_S = 10.0
DEFAULT_URL = "http://127.0.0.1:8080"

Url = Annotated[str, typer.Option(help="Where the service's page is.", envvar="CALLTIDE_URL")]


def ask_page(url: str, path: str, query: Mapping[str, str] | None = None, *, may_be_missing: bool = False) -> Any:
    """What the API says; the command ends where it says that something is wrong, or nothing.

    None where there is nothing of that name and it `may_be_missing`.
    """
    try:
        answer = httpx.get(url.rstrip("/") + path, params=query, timeout=TIMEOUT_S)
        body = answer.json()
        problem = f"{body['error']} {body['remedy']}" if answer.is_error else ""
        about = body["field"] if answer.is_error else None
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, KeyError, TypeError) as error:
        why = str(error) or type(error).__name__
        fail(f"{url} did not answer: {why}. Is `calltide serve` running there? See --url.", ExitCode.UNREACHABLE)
    if answer.status_code == httpx.codes.NOT_FOUND:
        # Without a field it is the address that is not known there: an older calltide, or something else.
        if may_be_missing and about is not None:
            return None
        fail(problem, ExitCode.NOT_FOUND)
    if answer.is_error:
        fail(f"{url} answered {answer.status_code}: {problem}", ExitCode.FAILED)
    return body
