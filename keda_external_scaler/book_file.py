"""The answer book on disk: replaced whole by its one writer, taken over by its readers when it is whole.

The reader copies the file into memory instead of mapping it. A mapped file that anybody cuts short in place ends the
process with SIGBUS, and one that is overwritten in place changes answers behind the checksum; a copy of 16 MB takes
some milliseconds in a thread that does not hold the interpreter.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from keda_external_scaler.book import Book
from keda_external_scaler.book_format import BookView, encode_book
from keda_external_scaler.errors import BookError

_FIRST_LOOK_S = 1.0


def write_book(path: Path, book: Book) -> None:
    """Replace the book at a path. A book has one writer.

    Raises:
        BookError: a value does not fit, or the file cannot be written; the old book is untouched then.
    """
    write_book_bytes(path, encode_book(book))


def write_book_bytes(path: Path, raw: bytes) -> None:
    """Replace the book at a path by bytes that are a book already.

    Raises:
        BookError: the file cannot be written; the old book is untouched then.
    """
    # A fixed name, so that a writer that was killed leaves at most one file behind, which the next one overwrites.
    fresh = path.with_name(f".{path.name}.new")
    try:
        with fresh.open("wb") as file:
            file.write(raw)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise BookError(f"{path}: the answer book cannot be written: {error.strerror}; see folder and space") from error


def open_book(path: Path) -> BookView:
    """Read and check a book.

    Raises:
        BookError: the file cannot be read or is not a whole book.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise BookError(f"{path}: the answer book cannot be read: {error.strerror}") from error
    try:
        return BookView(raw)
    except BookError as error:
        raise BookError(f"{path}: {error}") from error


@dataclass(frozen=True, slots=True)
class BookTaken:
    """A look at the file: what was taken into use, or why it was not."""

    book: BookView | None
    problem: str | None


class BookReader:
    """Holds the newest whole book of a path.

    `book` may be read from any thread and is None until there was one. What is not a whole book is reported once and
    otherwise ignored: the book read before stays in use, and so it does when the file vanishes.
    """

    def __init__(self, path: Path, on_look: Callable[[BookTaken], None]) -> None:
        self.book: BookView | None = None
        self._path = path
        self._on_look = on_look
        self._seen: tuple[int, int, int] | None = None
        self._stopped = threading.Event()
        self._looked = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="book-reader", daemon=True)

    def look(self) -> None:
        """Take the file into use if it changed since the last look."""
        try:
            status = self._path.stat()
        except OSError:
            return
        seen = (status.st_ino, status.st_mtime_ns, status.st_size)
        if seen == self._seen:
            return
        self._seen = seen
        try:
            self.book = open_book(self._path)
        except BookError as error:
            self._on_look(BookTaken(None, str(error)))
        else:
            self._on_look(BookTaken(self.book, None))

    def start(self, every_s: float = 0.5) -> None:
        """Look again and again in a thread of its own.

        Waits a moment for the first look, so that the first answer has its book; but no longer, for a disk that
        hangs must not keep the server from starting.
        """
        self._every_s = every_s
        self._thread.start()
        self._looked.wait(_FIRST_LOOK_S)

    def stop(self) -> None:
        """End the thread; the book stays in use."""
        self._stopped.set()
        self._thread.join(_FIRST_LOOK_S)

    def _follow(self) -> None:
        while True:
            self.look()
            self._looked.set()
            if self._stopped.wait(self._every_s):
                return
