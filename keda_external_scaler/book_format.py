"""The answer book as bytes: a header, an index sorted by key, and one record per fleet.

The KEDA process takes a new book every few seconds while it answers thousands of questions per second. So opening a
book parses nothing but its header; a record is read when its fleet is asked for, and its path stays bytes.

    header   magic, format version, CRC-32 of all that follows, length, number of fleets, the leader's term and the
             book's number in it, the book's three times
    index    key hashes in ascending order (8 bytes each), then the records' offsets (8 bytes each)
    records  fixed numbers, path and week (2 bytes a slot), then the texts, each after its length

Numbers are in the machine's byte order: a book never leaves replicas of one kind, and one of the other order fails
at the format version.
"""

from __future__ import annotations

import hashlib
import math
import struct
import zlib
from array import array
from bisect import bisect_left
from collections.abc import Sequence
from itertools import pairwise

from keda_external_scaler.book import HOURS_OF_A_WEEK, Book, BookEntry
from keda_external_scaler.errors import BookError

MAGIC = b"\x89CTBOOK\n"
FORMAT_VERSION = 2
MOST_PODS = 32_767
"""The most pods that a slot of a path can hold."""

_SEAL = struct.Struct("=8sII")
_HEADER = struct.Struct("=QQQQddd")
_WORD = struct.Struct("=Q")
_RECORD = struct.Struct("=iiiiBqIIII")
_TEXT_LENGTH = struct.Struct("=H")
_INDEX_AT = _SEAL.size + _HEADER.size
_ACTIVE, _EXACT_TOLERANCE, _HAS_POOL = 1, 2, 4


def encode_book(book: Book) -> bytes:
    """The book as bytes.

    Raises:
        BookError: a fleet stands in it twice, or a value does not fit; the text names the fleet.
    """
    if not all(map(math.isfinite, (book.written_at_s, book.now_s, book.speed))):
        raise BookError(f"the book's times {book.written_at_s}, {book.now_s}, {book.speed} must be finite")
    keyed = sorted(
        ((_key_hash(entry.namespace, entry.name), entry) for entry in book.entries),
        key=lambda pair: (pair[0], pair[1].namespace, pair[1].name),
    )
    for (_, one), (_, other) in pairwise(keyed):
        if (one.namespace, one.name) == (other.namespace, other.name):
            raise BookError(f"fleet {one.namespace}/{one.name} stands in the book twice; a ScaledObject is one fleet")
    if book.term < 0 or book.number < 0:
        raise BookError(f"the book's term {book.term} and number {book.number} must not be negative")
    records = [_encode_entry(entry) for _, entry in keyed]
    offset = _INDEX_AT + 2 * _WORD.size * len(records)
    offsets = []
    for record in records:
        offsets.append(offset)
        offset += len(record)
    body = b"".join(
        (
            _HEADER.pack(offset, len(records), book.term, book.number, book.written_at_s, book.now_s, book.speed),
            *(_WORD.pack(key) for key, _ in keyed),
            *map(_WORD.pack, offsets),
            *records,
        )
    )
    return _SEAL.pack(MAGIC, FORMAT_VERSION, zlib.crc32(body)) + body


class BookView:
    """A whole book that was read, checked and left as bytes; records are taken out when they are asked for."""

    def __init__(self, raw: bytes) -> None:
        """Check the bytes of a book.

        Raises:
            BookError: they are not a whole book of this format.
        """
        if len(raw) < _INDEX_AT or raw[: len(MAGIC)] != MAGIC:
            raise BookError(f"{len(raw)} bytes are no answer book: they do not begin like one")
        _, version, checksum = _SEAL.unpack_from(raw)
        if version != FORMAT_VERSION:
            raise BookError(f"the answer book has format {version}, this program reads {FORMAT_VERSION}")
        length, count, term, number, written_at_s, now_s, speed = _HEADER.unpack_from(raw, _SEAL.size)
        if length != len(raw):
            raise BookError(
                f"the answer book should have {length} bytes and has {len(raw)}: it was cut or something was added"
            )
        body = memoryview(raw)[_SEAL.size :]
        if zlib.crc32(body) != checksum:
            raise BookError("the answer book's checksum does not fit its content: it was damaged")
        self.term: int = term
        self.number: int = number
        self.written_at_s: float = written_at_s
        self.now_s: float = now_s
        self.speed: float = speed
        self._raw = memoryview(raw)
        self._count: int = count
        self._found: dict[tuple[str, str], BookEntry] = {}

    def __len__(self) -> int:
        return self._count

    def find(self, namespace: str, name: str) -> BookEntry | None:
        """The fleet's entry, or None when it stands in no plan. Never slow, whatever the size of the book."""
        entry = self._found.get((namespace, name))
        if entry is None and (entry := self._read(namespace, name)) is not None:
            self._found[namespace, name] = entry
        return entry

    def _read(self, namespace: str, name: str) -> BookEntry | None:
        wanted = _key_hash(namespace, name)
        at = bisect_left(range(self._count), wanted, key=self._hash_at)
        # Two keys may share a hash.
        while at < self._count and self._hash_at(at) == wanted:
            (offset,) = _WORD.unpack_from(self._raw, _INDEX_AT + (self._count + at) * _WORD.size)
            entry = _decode_entry(self._raw, offset)
            if (entry.namespace, entry.name) == (namespace, name):
                return entry
            at += 1
        return None

    def _hash_at(self, index: int) -> int:
        (found,) = _WORD.unpack_from(self._raw, _INDEX_AT + index * _WORD.size)
        return int(found)


def _key_hash(namespace: str, name: str) -> int:
    key = f"{namespace}/{name}".encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(key, digest_size=8).digest(), "big")


def _encode_entry(entry: BookEntry) -> bytes:
    where = f"fleet {entry.namespace}/{entry.name}"
    if len(entry.week) not in {0, HOURS_OF_A_WEEK}:
        raise BookError(f"{where}: week has {len(entry.week)} hours; give {HOURS_OF_A_WEEK}, or none")
    for field in ("need", "answer", "alone", "replicas"):
        if getattr(entry, field) < 0:
            raise BookError(f"{where}: {field} {getattr(entry, field)} must not be negative")
    if len(entry.path) and entry.path_step_s <= 0:
        raise BookError(f"{where}: path_step_s {entry.path_step_s} must be above 0")
    flags = (
        _ACTIVE * entry.active
        | _EXACT_TOLERANCE * entry.exact_tolerance
        | _HAS_POOL * (entry.pool is not None)
    )  # fmt: skip
    try:
        numbers = _RECORD.pack(
            entry.need,
            entry.answer,
            entry.alone,
            entry.replicas,
            flags,
            entry.path_start_s,
            entry.path_step_s,
            len(entry.path),
            len(entry.week),
            len(entry.tenants),
        )
        slots = array("h", entry.path).tobytes() + array("h", entry.week).tobytes()
        texts = (entry.namespace, entry.name, entry.policy, entry.pool or "", *entry.tenants)
        return numbers + slots + b"".join(map(_encode_text, texts))
    except (struct.error, OverflowError, UnicodeEncodeError) as error:
        raise BookError(f"{where} does not fit into the answer book: {error}; slots hold up to {MOST_PODS}") from error


def _encode_text(text: str) -> bytes:
    raw = text.encode()
    return _TEXT_LENGTH.pack(len(raw)) + raw


def _decode_entry(raw: memoryview, offset: int) -> BookEntry:
    need, answer, alone, replicas, flags, start_s, step_s, slots, hours, tenants = _RECORD.unpack_from(raw, offset)
    at = offset + _RECORD.size
    path, at = _slots(raw, at, slots)
    week, at = _slots(raw, at, hours)
    texts = []
    for _ in range(4 + tenants):
        (length,) = _TEXT_LENGTH.unpack_from(raw, at)
        at += _TEXT_LENGTH.size + length
        texts.append(str(raw[at - length : at], "utf-8"))
    namespace, name, policy, pool, *names = texts
    return BookEntry(
        namespace=namespace,
        name=name,
        policy=policy,
        tenants=tuple(names),
        pool=pool if flags & _HAS_POOL else None,
        need=need,
        answer=answer,
        alone=alone,
        active=bool(flags & _ACTIVE),
        replicas=replicas,
        exact_tolerance=bool(flags & _EXACT_TOLERANCE),
        path_start_s=start_s,
        path_step_s=step_s,
        path=path,
        week=week,
    )


def _slots(raw: memoryview, at: int, count: int) -> tuple[Sequence[int], int]:
    end = at + 2 * count
    return raw[at:end].cast("h"), end
