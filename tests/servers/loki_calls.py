"""Calls in a Loki: what is pushed, what is asked, and what the answers should be.

The recorder pushes and asks a real Loki; the tests ask the recording, or a real Loki again.

Three hours of call events as `cel_custom` writes them, one JSON line per event, and a line a minute by which each
tenant's log shipper shows that it lives:

- `acme`: two calls in every slot, but its shipper is dead in slots 12 to 17: neither calls nor signs of life.
- `Zürich "Süd"\n`: a call in the first slot, then silence, with a shipper that lives throughout.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from forecasting.grid import SlotGrid
from forecasting.load import Measure
from forecasting.sources import HistoryQuery

GRID = SlotGrid(1_780_000_200, 300, 36)
LONG_GRID = SlotGrid(1_779_998_400, 1800, 24)
ACME, QUIET = "acme", 'Zürich "Süd"\n'
DEAD_SLOTS = range(12, 18)

RATE = (
    'sum by (tenantid) (rate({app="asterisk", log="cel"} '
    '| json tenantid="tenantid", event="eventtype" | event="CHAN_START" [5m]))'
)
ALIVE = 'sum by (tenantid) (count_over_time({app="asterisk", log="alive"} | json tenantid="tenantid" [5m])) / 5'

CALL_RATE = HistoryQuery(Measure.CALL_RATE, RATE, "tenantid", ALIVE, 0.9)
CALL_RATE_UNGUARDED = HistoryQuery(Measure.CALL_RATE, RATE, "tenantid")
CHANNELS = HistoryQuery(Measure.CHANNELS, RATE, "tenantid", ALIVE, 0.9)
LOG_LINES = HistoryQuery(Measure.CALL_RATE, '{app="asterisk", log="cel"}', "tenantid")
BROKEN = HistoryQuery(Measure.CALL_RATE, "sum by (tenantid) (rate({app=}[5m]))", "tenantid")
NO_TENANT = HistoryQuery(Measure.CALL_RATE, 'sum(rate({app="asterisk"}[5m]))', "tenantid")
BY_EVENT = HistoryQuery(Measure.CALL_RATE, 'sum by (event) (rate({log="cel"} | json event="eventtype" [5m]))', "event")


@dataclass(frozen=True, slots=True)
class Line:
    """One log line in the stream of its `log` label."""

    log: str
    at_s: float
    text: str


def lines() -> list[Line]:
    """Everything that is pushed."""
    pushed: list[Line] = []
    for slot, start_s in enumerate(GRID.starts_s.tolist()):
        dead = slot in DEAD_SLOTS
        calls = {ACME: 0 if dead else 2, QUIET: 1 if slot == 0 else 0}
        for tenant, count in calls.items():
            for call in range(count):
                pushed += _call(tenant, start_s + 40 + 60 * call, f"pbx-{slot}.{call}")
        for minute in range(5):
            pushed += [
                Line("alive", start_s + 60 * minute + 30 + number / 10, json.dumps({"tenantid": tenant}))
                for number, tenant in enumerate([QUIET] if dead else [ACME, QUIET])
            ]
    return pushed


def _call(tenant: str, start_s: int, unique_id: str) -> list[Line]:
    steps = [("CHAN_START", 0), ("ANSWER", 2), ("HANGUP", 50), ("CHAN_END", 50.001), ("LINKEDID_END", 50.002)]
    return [
        Line(
            "cel",
            start_s + after_s,
            json.dumps(
                {"eventtype": event, "eventtime": f"{start_s + after_s:.6f}", "uniqueid": unique_id, "tenantid": tenant}
            ),
        )
        for event, after_s in steps
    ]
