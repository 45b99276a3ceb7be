"""What was asked for and what stood, kept for the charts: the last two days of each fleet, in memory.

A ring of fixed size per fleet. It is a picture for people, not evidence: a restart begins a new one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from scaler.core.fleets import FleetKey

RECORD_EVERY_S = 60
RECORDS_KEPT = 2 * 24 * 60


@dataclass(frozen=True, slots=True)
class FleetRecord:
    """One fleet at one instant of the plan's clock. Loads are None where they could not be measured."""

    at_s: float
    need: int
    answer: int
    serving: int
    replicas: int
    channels: float | None
    call_rate: float | None


class Recorder:
    """Remembers at most one record a minute for each fleet."""

    def __init__(self) -> None:
        self._records: dict[FleetKey, deque[FleetRecord]] = {}

    def add(self, fleet: FleetKey, record: FleetRecord) -> None:
        """Remember it, unless the last one is less than a minute old."""
        records = self._records.setdefault(fleet, deque(maxlen=RECORDS_KEPT))
        if not records or record.at_s - records[-1].at_s >= RECORD_EVERY_S:
            records.append(record)

    def keep_only(self, fleets: Iterable[FleetKey]) -> None:
        """Forget fleets that are gone."""
        gone = self._records.keys() - set(fleets)
        for fleet in gone:
            del self._records[fleet]

    def of(self, fleet: FleetKey) -> tuple[FleetRecord, ...]:
        """The records of one fleet, oldest first."""
        return tuple(self._records.get(fleet, ()))
