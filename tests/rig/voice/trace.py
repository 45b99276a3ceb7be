"""What a calling process saw on the wire: SIPp's trace of messages, one line each.

    2026-11-25 18:20:38.338862 1795630838.338862 S rs-1 CSeq:2 BYE  BYE sip:127.16.16.1:5060 SIP/2.0

The fields are parted by tabs. S is what the caller sent, R what it received; retransmissions are there again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_FIELDS = 7
_STATUS = re.compile(r"SIP/2\.0 ([1-6]\d\d) ?.*")
_REQUEST = re.compile(r"([A-Z]+) \S+ SIP/2\.0")
_CSEQ = re.compile(r"CSeq: ?(\d+) ([A-Z]+)")


class TraceError(Exception):
    """A line that is no message; the text has file, line and what is wrong. Nothing of it is guessed."""


@dataclass(frozen=True, slots=True)
class Message:
    """One SIP message of one call."""

    at_s: float
    """Wall clock, seconds since 1970."""
    sent: bool
    call_id: str
    number: int
    """Of the CSeq: a request and its answers have the same."""
    method: str
    """Of the CSeq: for an answer, the method of its request."""
    status: int | None
    """None for a request."""


def read(path: Path) -> Iterator[Message]:
    """The messages in a trace, in order. A file that is not there has none: no call was placed.

    Raises:
        TraceError: a line is not what SIPp writes.
    """
    if not path.exists():
        return
    with path.open(encoding="utf-8", errors="replace") as lines:
        for number, line in enumerate(lines, start=1):
            if line.endswith("\n"):
                yield parsed(line.rstrip("\r\n"), f"{path.name}:{number}")
            # A line without an end is still being written, or was when its writer was killed.


def parsed(line: str, where: str) -> Message:
    """The message of one line.

    Raises:
        TraceError: it is none.
    """
    fields = line.split("\t")
    if len(fields) != _FIELDS:
        raise TraceError(f"{where}: {len(fields)} fields parted by tabs, not {_FIELDS}: {line!r:.200}")
    _, _, moment, direction, call_id, cseq, first_line = fields
    sequence = _CSEQ.fullmatch(cseq.strip())
    status, request = _STATUS.fullmatch(first_line), _REQUEST.fullmatch(first_line)
    try:
        at_s = float(moment)
    except ValueError:
        raise TraceError(f"{where}: {moment!r} is no time in seconds") from None
    if direction not in ("S", "R"):
        raise TraceError(f"{where}: {direction!r} is neither S (sent) nor R (received)")
    if not call_id:
        raise TraceError(f"{where}: a message without a Call-ID")
    if sequence is None:
        raise TraceError(f"{where}: {cseq!r} is no CSeq")
    if status is None and request is None:
        raise TraceError(f"{where}: {first_line!r:.200} is neither a request nor a status line")
    if request is not None and request[1] != sequence[2]:
        raise TraceError(f"{where}: a request {request[1]} with a CSeq of {sequence[2]}")
    return Message(
        at_s, direction == "S", call_id, int(sequence[1]), sequence[2], int(status[1]) if status is not None else None
    )
