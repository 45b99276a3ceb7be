"""A telephone of a few lines, for what SIPp's scenarios do not say: headers, Replaces, a SIP MESSAGE. It is silent."""

from __future__ import annotations

import re
import socket
import time
import uuid
from contextlib import suppress
from dataclasses import dataclass, field

ANSWER_WITHIN_S = 15
SIP_PORT = 5060
_DISCARD_PORT = 9


def sdp(address: str, port: int = _DISCARD_PORT) -> str:
    """One stream of µ-law at this address; by default what comes is thrown away."""
    lines = ("v=0", f"o=- 1 1 IN IP4 {address}", "s=-", f"c=IN IP4 {address}", "t=0 0", f"m=audio {port} RTP/AVP 0", "")
    return "\r\n".join(lines)


@dataclass
class Phone:
    """A telephone at an address of the rig's callers."""

    address: str
    calls: list[Call] = field(default_factory=list)

    def dial(self, pbx: str, number: str, *headers: str) -> Call:
        """Place a call and wait for its final answer; `headers` are lines of the INVITE."""
        call = Call(self.address, pbx, number)
        self.calls.append(call)
        call.invite(*headers)
        return call

    def message(self, pbx: str, number: str) -> int:
        """Send a SIP MESSAGE; the status of its answer."""
        call = Call(self.address, pbx, number)
        try:
            return call.ask("MESSAGE", 1, "Content-Type: text/plain", body="hi")
        finally:
            call.close()

    def hang_up(self) -> None:
        """End every call that is still up."""
        for call in self.calls:
            call.hang_up()
        self.calls.clear()


class Call:
    """One call from the caller's side."""

    def __init__(self, address: str, pbx: str, number: str) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((address, 0))
        self._here = f"{address}:{self._socket.getsockname()[1]}"
        self._address, self._pbx, self._uri = address, pbx, f"sip:{number}@{pbx}"
        self.call_id, self.tag = uuid.uuid4().hex, uuid.uuid4().hex[:8]
        self.far_tag = ""
        self.code = 0
        """The final status; 0 before there is one, and after the end."""
        self._branch = ""

    @property
    def is_up(self) -> bool:
        return self.code == 200

    @property
    def replaces(self) -> str:
        """The header by which another call takes this one's place. Tags are as the PBX sees them."""
        return f"Replaces: {self.call_id};to-tag={self.far_tag};from-tag={self.tag}"

    def invite(self, *headers: str) -> None:
        self.code = self.ask("INVITE", 1, *headers, "Content-Type: application/sdp", body=sdp(self._address))
        if self.code:
            self._send("ACK", 1)

    def hang_up(self) -> None:
        if self.is_up:
            with suppress(TimeoutError):
                self.ask("BYE", 2)
        self.close()

    def close(self) -> None:
        self.code = 0
        self._socket.close()

    def ask(self, method: str, number: int, *headers: str, body: str = "") -> int:
        """The final status of a request.

        Raises:
            TimeoutError: there is none.
        """
        self._send(method, number, *headers, body=body)
        deadline_s = time.monotonic() + ANSWER_WITHIN_S
        while True:
            self._socket.settimeout(max(0.001, deadline_s - time.monotonic()))
            text = self._socket.recv(65536).decode(errors="replace")
            answer = re.match(r"SIP/2\.0 (\d+)", text)
            if answer is None or f"CSeq: {number} {method}" not in text or int(answer[1]) < 200:
                continue
            tag = re.search(r"^To: .*;tag=([^;\s]+)", text, re.MULTILINE)
            self.far_tag = tag[1] if tag else ""
            return int(answer[1])

    def _send(self, method: str, number: int, *headers: str, body: str = "") -> None:
        if method != "ACK" or self.is_up:
            # The ACK of a refusal belongs to the transaction of its INVITE.
            self._branch = f"z9hG4bK{uuid.uuid4().hex}"
        to = f"<{self._uri}>" + (f";tag={self.far_tag}" if self.far_tag else "")
        lines = (
            f"{method} {self._uri} SIP/2.0",
            f"Via: SIP/2.0/UDP {self._here};branch={self._branch};rport",
            "Max-Forwards: 70",
            f"From: <sip:caller@{self._here}>;tag={self.tag}",
            f"To: {to}",
            f"Call-ID: {self.call_id}",
            f"CSeq: {number} {method}",
            f"Contact: <sip:caller@{self._here}>",
            *headers,
            f"Content-Length: {len(body)}",
            "",
            body,
        )
        self._socket.sendto("\r\n".join(lines).encode(), (self._pbx, SIP_PORT))
