"""A telephone that lives beside the test: it has several lines, is called as well as calls, and hears who hangs up.

`Phone` asks and waits, which is enough for who only wants a status. Here a thread answers what a PBX sends by itself:
INVITEs to this telephone, re-INVITEs of session timers, NOTIFYs of a transfer, BYEs.
"""

from __future__ import annotations

import re
import socket
import threading
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum

from tests.e2e.phone import ANSWER_WITHIN_S, SIP_PORT, sdp
from tests.servers.processes import wait_for

SESSION_S = 90
"""The shortest session that RFC 4028 allows."""
_ALLOW = "Allow: INVITE, ACK, BYE, CANCEL, OPTIONS, NOTIFY, REFER"
"""Without UPDATE: sessions are refreshed by re-INVITE."""
_OFFER = "Content-Type: application/sdp"


class End(StrEnum):
    """Who ended a call."""

    HERE = "here"
    THERE = "there"
    GIVEN_UP = "given up before it was answered"


@dataclass(frozen=True, slots=True)
class Message:
    """One SIP message as text."""

    text: str

    def header(self, name: str) -> str:
        """Its value, "" if there is none."""
        found = re.search(rf"^{name}: *(.*?)\r?$", self.text, re.MULTILINE | re.IGNORECASE)
        return found[1] if found else ""

    def headers(self, *names: str) -> list[str]:
        """Whole lines, as an answer repeats them."""
        return re.findall(rf"^(?:{'|'.join(names)}):.*?(?=\r?$)", self.text, re.MULTILINE | re.IGNORECASE)

    @property
    def code(self) -> int:
        """The status of an answer; 0 for a request."""
        found = re.match(r"SIP/2\.0 (\d+)", self.text)
        return int(found[1]) if found else 0

    @property
    def method(self) -> str:
        """Of the request, or of the one that is answered."""
        return self.header("CSeq").split()[-1]

    @property
    def number(self) -> int:
        """Its CSeq."""
        return int(self.header("CSeq").split()[0])

    @property
    def user(self) -> str:
        """Who it says it is from."""
        found = re.search(r"sip:([^@>]+)@", self.header("From"))
        return found[1] if found else ""

    @property
    def contact(self) -> str:
        """Where requests of the dialog go."""
        found = re.search(r"<([^>]+)>", self.header("Contact"))
        return found[1] if found else ""


class Telephone:
    """All its lines come together at one address. Whom a call is for is told by who calls: `came_from`."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((address, SIP_PORT))
        self._lines: dict[str, Line] = {}
        self._open = True
        threading.Thread(target=self._listen, daemon=True).start()

    def dial(self, pbx: str, number: str, user: str, *headers: str, audio: int | None = None) -> Line:
        """Begin a call as `user`; `audio` is the port where it hears. It may ring for long."""
        near = f"<sip:{user}@{self.address}>;tag={uuid.uuid4().hex[:8]}"
        line = Line(self, user, pbx, uuid.uuid4().hex, near, f"<sip:{number}@{pbx}>", f"sip:{number}@{pbx}")
        self._lines[line.call_id] = line
        offer = sdp(self.address) if audio is None else sdp(self.address, audio)
        line.send("INVITE", *headers, _ALLOW, _OFFER, body=offer)
        return line

    def came_from(self, user: str) -> Line | None:
        """The newest call to here that this user placed."""
        found = [one for one in list(self._lines.values()) if one.invited is not None and one.user == user]
        return found[-1] if found else None

    def send(self, pbx: str, lines: list[str], body: str = "") -> None:
        """Send a message to a PBX; its length is added."""
        text = "\r\n".join([*lines, f"Content-Length: {len(body)}", "", body])
        with suppress(OSError):  # a call that is answered when the telephone is gone
            self._socket.sendto(text.encode(), (pbx, SIP_PORT))

    def close(self) -> None:
        """Hang up whatever is up, and wait for no answer."""
        for line in list(self._lines.values()):
            if line.up:
                line.send("BYE")
        self._open = False
        self._socket.close()

    def _listen(self) -> None:
        self._socket.settimeout(0.2)
        while self._open:
            try:
                data, (peer, _) = self._socket.recvfrom(65536)
            except TimeoutError:
                continue
            except OSError:
                return
            message = Message(data.decode(errors="replace"))
            line = self._lines.get(message.header("Call-ID"))
            if line is None and message.method == "INVITE" and not message.code:
                self._ring(message, peer)
            elif line is not None and message.code:
                line.on_answer(message)
            elif line is not None:
                line.on_request(message)

    def _ring(self, invite: Message, pbx: str) -> None:
        near = f"{invite.header('To')};tag={uuid.uuid4().hex[:8]}"
        line = Line(self, invite.user, pbx, invite.header("Call-ID"), near, invite.header("From"), invite.contact)
        line.invited = invite
        self._lines[line.call_id] = line
        line.answer(180)


@dataclass(eq=False)
class Line:
    """One call, from this side."""

    telephone: Telephone
    user: str
    """Who placed it."""
    pbx: str
    call_id: str
    near: str
    far: str
    """Both sides as From and To have them, with their tags."""
    uri: str
    """Where its requests go."""
    invited: Message | None = None
    """The INVITE of a call to here."""
    code: int = 0
    """The final status of its INVITE, 0 before there is one."""
    ringing: bool = False
    end: End | None = None
    refreshed: set[int] = field(default_factory=set)
    """CSeq of each re-INVITE that the PBX sent."""
    transferred: int = 0
    """What the PBX said last of a transfer that was asked for here."""
    media: tuple[str, int] | None = None
    """Address and port where the PBX hears."""
    sent: int = 0
    answers: dict[int, int] = field(default_factory=dict)
    branch: str = ""

    @property
    def up(self) -> bool:
        """Whether both sides could talk now."""
        return self.code == 200 and self.end is None

    @property
    def replaces(self) -> str:
        """It, as a Refer-To names the call that is to be taken over."""
        near, far = (re.sub(r".*;tag=", "", side) for side in (self.near, self.far))
        return f"{self.call_id}%3Bto-tag%3D{far}%3Bfrom-tag%3D{near}"

    def ask(self, method: str, *headers: str, body: str = "") -> int:
        """The final status of a request inside the call."""
        number = self.send(method, *headers, body=body)
        return wait_for(lambda: self.answers.get(number), f"an answer to {method}", at_most_s=ANSWER_WITHIN_S)

    def hang_up(self) -> None:
        """End the call, which must be up until then, and have it confirmed."""
        assert self.up, f"the call of {self.user} could not be hung up: status {self.code}, ended {self.end}"
        self.end = End.HERE
        assert self.ask("BYE") == 200, f"the PBX no longer knew the call of {self.user}"

    def refresh(self) -> int:
        """The status of a re-INVITE as this side's session timer sends it."""
        return self.ask("INVITE", *session_of("uac"), _ALLOW, _OFFER, body=sdp(self.telephone.address))

    def answer(self, code: int = 200) -> None:
        """Answer a call to here."""
        assert self.invited is not None, "nobody called this line"
        self.ringing = code < 200
        if code == 200:
            self._reply(self.invited, code, _ALLOW, _OFFER, body=sdp(self.telephone.address))
        else:
            self._reply(self.invited, code)

    def send(self, method: str, *headers: str, body: str = "", acknowledged: int | None = None) -> int:
        """Send a request; its number. An ACK has the number of what it acknowledges."""
        if acknowledged is None:
            self.sent += 1
        if method != "ACK" or self.code == 200:
            # The ACK of a refusal belongs to the transaction of its INVITE.
            self.branch = f"z9hG4bK{uuid.uuid4().hex}"
        lines = [
            f"{method} {self.uri} SIP/2.0",
            f"Via: SIP/2.0/UDP {self.telephone.address}:{SIP_PORT};branch={self.branch};rport",
            "Max-Forwards: 70",
            f"From: {self.near}",
            f"To: {self.far}",
            f"Call-ID: {self.call_id}",
            f"CSeq: {acknowledged or self.sent} {method}",
            f"Contact: <sip:{self.user}@{self.telephone.address}:{SIP_PORT}>",
            *headers,
        ]
        self.telephone.send(self.pbx, lines, body)
        return self.sent

    def on_answer(self, message: Message) -> None:
        """What the PBX answered."""
        if message.code < 200:
            self.ringing = self.ringing or message.code in (180, 183)
            return
        if message.method == "INVITE":
            self._acknowledge(message)
        self.answers[message.number] = message.code

    def on_request(self, message: Message) -> None:
        """What the PBX wants of a call that is known here."""
        match message.method:
            case "INVITE" if message is not self.invited and ";tag=" in message.header("To"):
                self.refreshed.add(message.number)
                session = ["Require: timer", f"Session-Expires: {SESSION_S};refresher=uac"]
                more = session if message.header("Session-Expires") else []
                self._reply(message, 200, _ALLOW, _OFFER, *more, body=sdp(self.telephone.address))
            case "ACK":
                if self.end is None and not self.ringing:
                    self.code = 200
            case "CANCEL":
                self._reply(message, 200)
                if self.ringing:
                    self.end = End.GIVEN_UP
                    self.answer(487)
            case "BYE":
                self.end = self.end or End.THERE
                self._reply(message, 200)
            case "NOTIFY":
                told = re.search(r"^SIP/2\.0 (\d+)", message.text, re.MULTILINE)
                self.transferred = int(told[1]) if told else self.transferred
                self._reply(message, 200)
            case "INVITE":
                pass  # sent again; the answer to the first is on its way
            case _:
                self._reply(message, 200)

    def _acknowledge(self, message: Message) -> None:
        first = not self.code
        if message.code == 200:
            self.far, self.uri = message.header("To"), message.contact or self.uri
        if first:
            self.code, self.ringing = message.code, False
            host = re.search(r"^c=IN IP4 (\S+?)\r?$", message.text, re.MULTILINE)
            port = re.search(r"^m=audio (\d+) ", message.text, re.MULTILINE)
            self.media = (host[1], int(port[1])) if host and port else None
        elif message.code != 200:
            return  # of a re-INVITE: its sender looks at it
        self.send("ACK", acknowledged=message.number)

    def _reply(self, request: Message, code: int, *headers: str, body: str = "") -> None:
        repeated = request.headers("Via", "Record-Route", "From", "Call-ID", "CSeq")
        lines = [
            f"SIP/2.0 {code} So",
            *repeated,
            f"To: {self.near}",
            f"Contact: <sip:{self.user}@{self.telephone.address}:{SIP_PORT}>",
            *headers,
        ]
        self.telephone.send(self.pbx, lines, body)


def session_of(refresher: str) -> tuple[str, ...]:
    """Headers that ask for a session timer, refreshed by "uac" or "uas"."""
    return "Supported: timer", f"Session-Expires: {SESSION_S};refresher={refresher}"


def in_time(condition: Callable[[], object], what: str, line: Line) -> None:
    """Wait for something of a call, and say how the call stands if it does not come."""
    try:
        wait_for(condition, what)
    except AssertionError as error:
        raise AssertionError(f"{error}; the call of {line.user} has status {line.code}, ended {line.end}") from None
