"""What the page shows of the files around the main process: looked at by a job, so that no request waits for a disk."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from keda_external_scaler.errors import StatsError
from keda_external_scaler.stats import KedaStats, read_stats

KEDA_SILENT_AFTER_S = 30.0
ARCHIVE_LOOK_EVERY_S = 300.0


class Surroundings:
    """The counters of the KEDA process, and the size of a local archive (None: it is not local, or not known yet)."""

    def __init__(self, keda_stats: Path, archive: Path | None) -> None:
        self._keda_stats = keda_stats
        self._archive = archive
        self._archive_looked_s = float("-inf")
        self.keda: KedaStats | None = None
        self.archive_bytes: int | None = None

    @property
    def keda_is_alive(self) -> bool:
        """Whether the KEDA process reported lately."""
        return self.keda is not None and time.time() - self.keda.written_at_s < KEDA_SILENT_AFTER_S

    async def look(self) -> None:
        """Read what is there now."""
        await asyncio.to_thread(self._look)

    def _look(self) -> None:
        try:
            self.keda = read_stats(self._keda_stats)
        except StatsError:
            self.keda = None
        now_s = time.monotonic()
        if self._archive is not None and now_s - self._archive_looked_s >= ARCHIVE_LOOK_EVERY_S:
            self._archive_looked_s = now_s
            self.archive_bytes = _folder_bytes(self._archive)


def _folder_bytes(folder: Path) -> int | None:
    if not folder.is_dir():
        return None
    total = 0
    for file in folder.rglob("*"):
        try:
            total += file.stat().st_size if file.is_file() else 0
        except FileNotFoundError:  # merged away meanwhile
            continue
    return total
