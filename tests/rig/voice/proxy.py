"""A running proxy, spoken to by JSON-RPC: its dispatcher list is read, compared and changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import httpx

from tests.rig.voice.dispatcher import Destination, Rpc, Wanted, known, steps

RPC_PORT = 8090
_NO_SETS = "No Destination Sets"
"""How the dispatcher says that its list is empty."""


class ProxyError(Exception):
    """The proxy does not answer, or refuses a call."""


class Proxy:
    """One Kamailio, at its pod's address."""

    def __init__(self, address: str, *, at_most_s: float = 5.0) -> None:
        self.address = address
        self._client = httpx.Client(base_url=f"http://{address}:{RPC_PORT}", timeout=at_most_s, trust_env=False)

    def close(self) -> None:
        """Close its connections."""
        self._client.close()

    def bring_to(self, want: Wanted) -> list[Rpc]:
        """Make its list the wanted one; what that took. Nothing is sent where nothing differs.

        Raises:
            ProxyError: it does not answer, or refuses.
        """
        taken = steps(want, self.destinations(), self.fleets())
        for step in taken:
            self.call(step.method, step.params)
        return taken

    def destinations(self) -> list[Destination]:
        """What its dispatcher has now.

        Raises:
            ProxyError: it does not answer.
            DispatcherError: its answer makes no sense.
        """
        answer = self._answer("dispatcher.list", ())
        if answer.get("error", {}).get("message") == _NO_SETS:
            return []
        return known(_result(self.address, "dispatcher.list", answer))

    def states(self) -> dict[str, str]:
        """Destination → the dispatcher's own two letters, as in AP (active, pinged), IP, TP, DX (disabled)."""
        answer = self._answer("dispatcher.list", ())
        records = answer.get("result", {}).get("RECORDS", ())
        return {
            target["DEST"]["URI"]: target["DEST"]["FLAGS"] for entry in records for target in entry["SET"]["TARGETS"]
        }

    def fleets(self) -> dict[str, int]:
        """Fleet name → dispatcher set, as it routes by now."""
        table = self.call("htable.dump", ("fleet",))
        return {slot["name"]: int(slot["value"]) for entry in table or () for slot in entry["slot"]}

    def call(self, method: str, params: Sequence[int | str]) -> Any:
        """The result of one call.

        Raises:
            ProxyError: it does not answer, or refuses.
        """
        return _result(self.address, method, self._answer(method, params))

    def _answer(self, method: str, params: Sequence[int | str]) -> dict[str, Any]:
        try:
            response = self._client.post(
                "/RPC", json={"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)}
            )
            answer: dict[str, Any] = response.json()
        except (httpx.HTTPError, ValueError) as error:
            raise ProxyError(f"proxy {self.address}: {method}: {str(error) or type(error).__name__}") from error
        return answer


def _result(address: str, method: str, answer: dict[str, Any]) -> Any:
    if "error" in answer:
        raise ProxyError(f"proxy {address}: {method} was refused: {answer['error'].get('message')}")
    return answer["result"]
