"""The plan book while the service runs: in memory at every step, on disk once a minute."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path

import structlog

from scaler.core.plan import Plan
from scaler.core.plan_book import PlanBook, recorded
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
        self.problem = read.problem
        self._written_s = 0.0
        if read.problem is not None:
            _log.error("plan book set aside", reason=read.problem)

    def keep(self, plans: Iterable[Plan]) -> None:
        """Record the plans of one step.

        Raises:
            StateError: the book cannot be written; what was recorded stays in memory.
        """
        self.book = recorded(self.book, plans)
        if time.monotonic() - self._written_s >= WRITE_EVERY_S:
            self.write()

    def write(self) -> None:
        """Write the book now.

        Raises:
            StateError: it cannot be written.
        """
        write_plan_book(self._directory, self.book)
        self._written_s = time.monotonic()
