"""The answer book of this replica: made here while it leads, a leader's while it follows.

One lock and one comparison stand before the file, so that a book never gives way to one of an earlier leader: not when
a plan is finished after the leadership was lost, and not when a copy arrives after it was won.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from keda_external_scaler.book import Book, BookEntry
from keda_external_scaler.book_file import write_book_bytes
from keda_external_scaler.book_format import BookView, encode_book
from keda_external_scaler.errors import KedaExternalScalerError
from scaler.errors import StateError
from scaler.service.copies import Copied, CopyError
from scaler.service.leadership import Leadership, NotLeadingError


@dataclass(frozen=True, slots=True)
class BookInUse:
    """The newest book, as it lies on disk."""

    raw: bytes
    written_at_s: float
    fleets: int
    term: int
    number: int


class Answers:
    """Writes the file that the KEDA process reads. Any thread may call it."""

    def __init__(self, path: Path, leadership: Leadership) -> None:
        self._path = path
        self._leadership = leadership
        self._lock = threading.Lock()
        self.turn = asyncio.Lock()
        """For a planning step and for taking over a copy, each as a whole: a leadership may begin in the middle of a
        copy, and a plan that goes on from the books of before could then fall behind what the copy has told KEDA."""
        self.in_use: BookInUse | None = None
        """None until this process has written a book."""

    def publish(self, term: int, written_at_s: float, now_s: float, speed: float, entries: Sequence[BookEntry]) -> None:
        """Tell KEDA these answers, planned in this term.

        Raises:
            NotLeadingError: the term is over; nothing was written.
            StateError: the book cannot be written; the one before stays in use.
        """
        with self._lock:
            before = self.in_use
            number = before.number + 1 if before is not None and before.term == term else 1
            try:
                raw = encode_book(Book(written_at_s, now_s, speed, tuple(entries), term, number))
                self._still_leading(term)
                write_book_bytes(self._path, raw)
            except KedaExternalScalerError as error:
                raise StateError(str(error)) from error
            self.in_use = BookInUse(raw, written_at_s, len(entries), term, number)

    def adopt(self, copied: Copied) -> None:
        """Tell KEDA what the leader tells it.

        Raises:
            CopyError: it is older than the book in use, or this replica leads itself by now.
            StateError: the book cannot be written; the one before stays in use.
        """
        book = copied.answers
        with self._lock:
            before = self.in_use
            self.must_take(book)
            if before is not None and before.raw == copied.raw_answers:
                return
            try:
                write_book_bytes(self._path, copied.raw_answers)
            except KedaExternalScalerError as error:
                raise StateError(str(error)) from error
            self.in_use = BookInUse(copied.raw_answers, book.written_at_s, len(book), book.term, book.number)

    def must_take(self, book: BookView) -> None:
        """See whether a leader's book is to be taken over.

        Raises:
            CopyError: it is older than the book in use, or this replica leads itself by now.
        """
        before = self.in_use
        if self._leadership.term() is not None:
            raise CopyError("this replica leads now; the copy is not needed any more")
        if before is not None and (book.term, book.number) < (before.term, before.number):
            raise CopyError(
                f"the copy is of term {book.term}, number {book.number}, and older than the book in use "
                f"(term {before.term}, number {before.number})"
            )

    def _still_leading(self, term: int) -> None:
        led = self._leadership.term()
        if led != term:
            raise NotLeadingError(f"the plan was made in term {term}, which is over; the leader of now makes its own")
