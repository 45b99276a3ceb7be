"""The KEDA process: reader of the book, server, statistics, and how they begin and end together."""

from __future__ import annotations

import logging
import signal
import threading
import time

from keda_external_scaler.book_file import BookReader, BookTaken
from keda_external_scaler.errors import StatsError
from keda_external_scaler.logs import log_event
from keda_external_scaler.questions import Questions
from keda_external_scaler.server import Connections, Server
from keda_external_scaler.settings import Settings
from keda_external_scaler.stats import StatsCollector, write_stats
from keda_external_scaler.tls import RotatingCertificate

_STATS_EVERY_S = 5.0
_WATCH_EVERY_S = 1.0


class KedaProcess:
    """Everything that runs in the process, made from its settings.

    Raises:
        ServerConfigurationError: the address or the certificates cannot be used.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._stats = StatsCollector()
        self._reader = BookReader(settings.book, self._on_look)
        self._first = True
        self._alone = False
        self._stats_fail = False
        self._stop = threading.Event()
        credentials = None
        if settings.tls is not None:
            credentials = RotatingCertificate(settings.tls, _on_certificate).credentials()
        questions = Questions(lambda: self._reader.book, time.time, settings.stale_after_s, self._stats)
        self._server = Server(
            questions, self._stats, Connections(settings.listen, credentials, settings.max_connection_age_s)
        )

    def run(self) -> None:
        """Answer until SIGTERM or SIGINT, then end gracefully."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._stop.set())
        self._reader.start()
        self._server.start()
        log_event(
            "listening", address=self._settings.listen, port=self._server.port, tls=self._settings.tls is not None
        )
        next_stats_s = 0.0
        while not self._stop.wait(_WATCH_EVERY_S):
            self._watch_age()
            if time.monotonic() >= next_stats_s:
                next_stats_s = time.monotonic() + _STATS_EVERY_S
                self._write_stats()
        log_event("stopping", grace_s=self._settings.stop_grace_s)
        self._server.stop(self._settings.stop_grace_s)
        self._reader.stop()
        self._write_stats()
        log_event("stopped")

    def _on_look(self, taken: BookTaken) -> None:
        self._stats.count_book(taken.problem)
        if taken.problem is not None:
            log_event("book rejected", level=logging.ERROR, problem=taken.problem, in_use=self._reader.book is not None)
        elif self._first and taken.book is not None:
            self._first = False
            log_event("first book", fleets=len(taken.book), written_at_s=taken.book.written_at_s)

    def _watch_age(self) -> None:
        book = self._reader.book
        if book is None:
            return
        age_s = time.time() - book.written_at_s
        alone = abs(age_s) > self._settings.stale_after_s
        if alone != self._alone:
            self._alone = alone
            event = "answering alone: the book is old" if alone else "answering live again"
            log_event(event, level=logging.WARNING if alone else logging.INFO, book_age_s=round(age_s, 1))

    def _write_stats(self) -> None:
        if self._settings.stats is None:
            return
        book = self._reader.book
        stats = self._stats.snapshot(
            book_written_at_s=None if book is None else book.written_at_s,
            book_fleets=0 if book is None else len(book),
            streams=len(self._server.streams),
        )
        try:
            write_stats(self._settings.stats, stats)
        except StatsError as error:
            # Once, not every few seconds: a full disk must not fill a log too.
            if not self._stats_fail:
                log_event("statistics not written", level=logging.ERROR, problem=str(error))
            self._stats_fail = True
        else:
            self._stats_fail = False


def _on_certificate(problem: str | None) -> None:
    if problem is None:
        log_event("certificate renewed")
    else:
        log_event("certificate not renewed; the one before stays in use", level=logging.ERROR, problem=problem)
