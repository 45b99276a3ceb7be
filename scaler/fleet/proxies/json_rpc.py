"""One JSON-RPC call to one proxy over HTTP."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from scaler.fleet.pbx.http_client import http_client
from scaler.fleet.proxies.destinations import UnreadableError
from scaler.fleet.proxies.settings import KamailioSettings


class RpcError(Exception):
    """The proxy understood, and says that it did not do it. The text is the proxy's own, shortened."""


class JsonRpc:
    """How all proxies of one group are called. The caller sets the deadline."""

    def __init__(self, settings: KamailioSettings) -> None:
        self._settings = settings

    async def call(self, proxy: str, method: str, params: list[str | int]) -> Any:
        """The result of one call.

        Raises:
            RpcError: the proxy answered with an error.
            UnreadableError, ValueError, TooLongError: what it answered is no answer.
            StatusError, aiohttp.ClientError, OSError: it did not answer, or not as who it should be.
            SecretMissingError: the password or the file of authorities cannot be read.
        """
        settings = self._settings
        scheme = "http" if settings.tls is None else "https"
        async with http_client(settings.tls, settings.login) as client:
            answer = await client.ask_json(
                "POST",
                f"{scheme}://{proxy}{settings.path}",
                body={"jsonrpc": "2.0", "id": 1, "method": method, "params": params},
                also=HTTPStatus.INTERNAL_SERVER_ERROR,  # Kamailio says with it what went wrong
            )
        return _result(method, answer)


def _result(method: str, answer: object) -> Any:
    if not isinstance(answer, dict) or answer.get("id") != 1 or ("result" in answer) == ("error" in answer):
        raise UnreadableError(f"{method}: no answer of JSON-RPC")
    if "result" in answer:
        return answer["result"]
    error = answer["error"]
    if not isinstance(error, dict) or not isinstance(error.get("message"), str):
        raise UnreadableError(f"{method}: an error without a message")
    raise RpcError(error["message"][:80])
