"""The audit log on disk: one file per month in the state directory, one line per write of retirement.

A line is on the disk before the write that it tells of is sent: a release or a delete whose evidence could not be kept
is not carried out.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from scaler.errors import StateError
from scaler.retirement.audit import AuditRecord, of_pod, to_line

FOLDER = "retirement"


class AuditLog:
    """Appends to the month's file. It changes no line, and removes no file."""

    def __init__(self, state: Path) -> None:
        self._folder = state / FOLDER

    def add(self, *records: AuditRecord) -> None:
        """Write lines and have them on the disk.

        Raises:
            StateError: they could not be written.
        """
        if not records:
            return
        path = self._folder / f"{datetime.fromtimestamp(records[0].at_s, UTC):%Y-%m}.jsonl"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with path.open("ab") as file:
                file.write("".join(f"{to_line(record)}\n" for record in records).encode())
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise StateError(f"{path} cannot be written ({error}); nothing is released until it can") from error

    def of_pod(self, pod: str) -> list[AuditRecord]:
        """All that is known of a pod, by its name or its UID, in the order of time.

        Raises:
            StateError: the files cannot be read.
            RetirementError: a line is not one of this log.
        """
        return of_pod(self._lines(), pod)

    def _lines(self) -> Iterator[str]:
        try:
            for path in sorted(self._folder.glob("*.jsonl")):
                # A line that a full disk or a lost machine cut short has no end, and was not acknowledged.
                yield from path.read_bytes().decode(errors="replace").split("\n")[:-1]
        except OSError as error:
            raise StateError(f"{self._folder} cannot be read: {error}") from error
