"""The plan book while the service runs: in memory at every step, on disk once a minute."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path
from threading import Lock

import structlog

from scaler.core.plan import Plan
from scaler.core.plan_book import PlanBook, recorded
from scaler.errors import StateError
from scaler.service.plan_book_file import read_plan_book, write_plan_book

_log = structlog.get_logger("plan-book")

WRITE_EVERY_S = 60.0
"""Wall time. A crash loses less than the last slot."""


class PlanKeeper:
    """Reads the plan book at start, records every step's plans, and writes it now and then."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        read = read_plan_book(directory)
        self.book: PlanBook = read.book
        self.revision = 0
        """Grows whenever another book is gone on from."""
        self.problem: str | None = None
        """Why the book could not be written last."""
        self._tried_s = float("-inf")
        self._writing = Lock()
        if read.problem is not None:
            _log.error("plan book set aside", reason=read.problem)

    def with_plans(self, plans: Iterable[Plan]) -> PlanBook:
        """The book with the plans of one step in it, not yet in use."""
        return recorded(self.book, plans)

    def take(self, book: PlanBook) -> None:
        """Go on from this book: the one of a step that was told to KEDA, or a leader's."""
        self.book = book
        self.revision += 1

    def write_if_due(self) -> None:
        """Write the book once a minute. A disk that is full is a `problem` and no exception; the next minute tries."""
        if time.monotonic() - self._tried_s < WRITE_EVERY_S:
            return
        try:
            self.write()
        except StateError as error:
            if self.problem is None:
                _log.error("plan book not written", reason=str(error))
            self.problem = str(error)
        else:
            self.problem = None

    def write(self) -> None:
        """Write the book now.

        Raises:
            StateError: it cannot be written.
        """
        with self._writing:
            self._tried_s = time.monotonic()
            write_plan_book(self._directory, self.book)
