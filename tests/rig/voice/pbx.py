"""A running PBX, asked over ARI: is it up, what lives on it, and is its gate open."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import httpx

ARI_PORT = 8088
GATE = "CALLTIDE_GATE"
OPEN, CLOSED = "open", "closed"
_NOT_A_CALL = "Message/"
"""Asterisk keeps a channel of this name for ever once it has seen one SIP MESSAGE."""


class Pbx:
    """One Asterisk, at its pod's address."""

    def __init__(self, address: str, *, user: str = "calltide", password: str = "rig", at_most_s: float = 5.0) -> None:
        self.address = address
        self._client = httpx.Client(
            base_url=f"http://{address}:{ARI_PORT}/ari",
            auth=(user, password),
            timeout=at_most_s,
            # A connection that is kept may be one that the PBX is closing just now.
            limits=httpx.Limits(max_keepalive_connections=0),
            trust_env=False,
        )

    def close(self) -> None:
        """Close its connections."""
        self._client.close()

    def ready(self) -> bool:
        """Whether it has booted and answers."""
        try:
            return self._client.get("/asterisk/ping").status_code == httpx.codes.OK
        except httpx.TransportError:
            return False

    def channels(self) -> list[dict[str, Any]]:
        """Every channel of every call that lives on it.

        Raises:
            httpx.HTTPError: it does not answer: what lives on it is not known.
        """
        found = self._client.get("/channels").raise_for_status().json()
        return [channel for channel in found if not channel["name"].startswith(_NOT_A_CALL)]

    def in_room(self) -> int:
        """How many are in conferences.

        Raises:
            httpx.HTTPError: it does not answer.
        """
        return [one["dialplan"]["app_name"] for one in self.channels()].count("ConfBridge")

    def device_state(self, device: str) -> str:
        """The state of a device, as of park:701@parkedcalls: "INUSE" while somebody is parked there.

        Raises:
            httpx.HTTPError: it does not answer.
        """
        answer = self._client.get(f"/deviceStates/{quote(device, safe='')}").raise_for_status().json()
        return str(answer["state"])

    def gate(self) -> str:
        """Its gate for new calls, as the dialplan reads it: "open", or closed.

        Raises:
            httpx.HTTPError: it does not answer.
        """
        answer = self._client.get("/asterisk/variable", params={"variable": GATE}).raise_for_status().json()
        return str(answer["value"])

    def set_gate(self, value: str) -> None:
        """Open it or close it.

        Raises:
            httpx.HTTPError: it does not answer, or refuses.
        """
        self._client.post("/asterisk/variable", params={"variable": GATE, "value": value}).raise_for_status()
