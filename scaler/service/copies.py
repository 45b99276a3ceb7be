"""What a follower takes over from the leader, as one sequence of bytes.

The answer book goes over byte for byte, so that both KEDA processes look their numbers up in the same file. The plan
book and what is in force for each fleet go with it, so that a follower can lead from where the leader stood.

    magic, SHA-256 of all that follows, three lengths (8 bytes each, big-endian), then the three parts
"""

from __future__ import annotations

import hashlib
import json
import struct
from dataclasses import dataclass
from typing import Any

from keda_external_scaler.book_format import BookView
from keda_external_scaler.errors import BookError
from scaler.core.plan_book import PlanBook
from scaler.errors import CalltideError
from scaler.policy.standing import Standing, standings_of
from scaler.service.plan_book_file import DamagedPlanBookError, from_bytes

MOST_BYTES = 256 * 1024 * 1024
"""Some times what ten thousand fleets need."""

_MAGIC = b"calltide copy 1\n"
_DIGEST_BYTES = hashlib.sha256().digest_size
_LENGTHS = struct.Struct(">QQQ")


class CopyError(CalltideError):
    """The leader's books could not be copied. Those copied before stay in use."""


@dataclass(frozen=True, slots=True)
class Copy:
    """A leader's books as they travel."""

    answers: bytes
    plan_book: bytes
    standings: bytes


@dataclass(frozen=True, slots=True, eq=False)
class Copied:
    """A leader's books that were found whole."""

    raw_answers: bytes
    answers: BookView
    plan_book: PlanBook
    standings: dict[str, Standing]


def packed(copy: Copy) -> bytes:
    """The books as bytes."""
    parts = (copy.answers, copy.plan_book, copy.standings)
    payload = b"".join((_LENGTHS.pack(*map(len, parts)), *parts))
    return _MAGIC + hashlib.sha256(payload).digest() + payload


def unpacked(raw: bytes) -> Copied:
    """The books of these bytes, all of them read and checked before any is used.

    Raises:
        CopyError: something is damaged or of another version.
    """
    begin = len(_MAGIC) + _DIGEST_BYTES
    if not raw.startswith(_MAGIC) or len(raw) < begin + _LENGTHS.size:
        raise CopyError(f"{len(raw)} bytes are no copy of a leader's books; run one version of calltide everywhere")
    payload = raw[begin:]
    if hashlib.sha256(payload).digest() != raw[len(_MAGIC) : begin]:
        raise CopyError("the copy's checksum does not fit its content: it was damaged on its way")
    lengths = _LENGTHS.unpack_from(payload)
    if _LENGTHS.size + sum(lengths) != len(payload):
        raise CopyError(f"the copy's parts of {lengths} bytes do not fit its {len(payload)} bytes")
    at, parts = _LENGTHS.size, []
    for length in lengths:
        parts.append(payload[at : at + length])
        at += length
    try:
        return Copied(parts[0], BookView(parts[0]), from_bytes(parts[1]), standings_of(_json(parts[2])))
    except (BookError, DamagedPlanBookError, ValueError, RecursionError) as error:
        raise CopyError(f"the leader's books cannot be used: {error}") from error


def _json(raw: bytes) -> Any:
    return json.loads(raw)
