"""Secrets for HTTP sources, read at the moment of use so that a rotated one is seen, and shown to nobody.

The errors name the file or the variable, never what is in it.
"""

from __future__ import annotations

import base64
import os
from pathlib import Path

from forecasting.errors import SourceConfigurationError
from forecasting.sources.settings import HttpSourceSettings


def authorization(settings: HttpSourceSettings, source: str) -> str | None:
    """Value of the Authorization header, None when the source needs none.

    Raises:
        SourceConfigurationError: the file or the variable is missing, empty or not fit for a header.
    """
    if settings.basic_auth is not None:
        user = settings.basic_auth
        password = _secret(user.password_file, user.password_env, source, "password")
        pair = f"{user.username}:{password}".encode()
        return "Basic " + base64.b64encode(pair).decode("ascii")
    if settings.bearer_token_file is not None or settings.bearer_token_env is not None:
        token = _secret(settings.bearer_token_file, settings.bearer_token_env, source, "bearer token")
        if not (token.isascii() and token.isprintable()):
            raise SourceConfigurationError(f"source {source!r}: the bearer token is not one line of printable ASCII")
        return f"Bearer {token}"
    return None


def _secret(file: str | None, variable: str | None, source: str, what: str) -> str:
    if file is not None:
        place = f"file {file}"
        try:
            secret = Path(file).read_text(encoding="utf-8").strip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            # The decoding error's own text would quote bytes of the secret.
            why = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
            raise SourceConfigurationError(
                f"source {source!r}: the {what} cannot be read from {place}: {why}"
            ) from None
    else:
        place = f"environment variable {variable}"
        secret = os.environ.get(variable or "", "")
    if not secret:
        raise SourceConfigurationError(f"source {source!r}: the {what} is empty; put it into {place}")
    return secret
