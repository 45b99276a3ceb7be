"""A demo out of somebody's own recording: fleets for its series, pods sized so that the picture is readable."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml

from forecasting.calendar import CivilCalendar
from forecasting.grid import SlotGrid
from forecasting.load import LoadMatrix, Measure
from scaler.clock import Clock
from scaler.demo.replay import ReplayedHistory
from scaler.demo.scenario import SOURCE

FLEETS = 12
"""More than these the page could not show at a glance: the largest series get a fleet each, the rest share one."""
PODS_AT_THE_PEAK = 12
OCCUPANCY = 0.8


@dataclass(frozen=True, slots=True)
class ReplayedSources:
    """Opens the recording under any name: a small value that can be sent to a worker process."""

    recording: Path
    time_zone: str
    clock: Clock
    live_from_s: float

    def open(self, name: str) -> ReplayedHistory:
        """The recording, played on from `live_from_s`.

        Raises:
            ConfigurationError: the recording is too short.
        """
        del name  # the demo has one source
        return ReplayedHistory(read_recording(self.recording), self.time_zone, self.clock, self.live_from_s)


def write_recording(load: LoadMatrix, path: Path) -> None:
    """Keep a history for the processes of the demo. The path ends with `.npz`."""
    grid = load.grid
    np.savez(
        path,
        values=load.values,
        series=np.array(load.series, dtype=np.str_),
        grid=np.array([grid.start_s, grid.step_s, grid.slots], dtype=np.int64),
    )


def read_recording(path: Path) -> LoadMatrix:
    """What `write_recording` kept. Whatever the file held, it is played as channels in use."""
    with np.load(path) as kept:
        start_s, step_s, slots = kept["grid"].tolist()
        return LoadMatrix(
            Measure.CHANNELS, tuple(kept["series"].tolist()), SlotGrid(start_s, step_s, slots), kept["values"]
        )


def replay_policies(recorded: LoadMatrix, calendar: CivilCalendar) -> str:
    """One policy file for the recording's series: its step, its calendar, and a listed fleet for each series."""
    fleets = _fleets(recorded)
    country = {"country": calendar.country} if calendar.country else None
    if country and calendar.subdivision:
        country["subdivision"] = calendar.subdivision
    spec = {
        "mode": "assist",
        "history": {"source": SOURCE, "channels": "recorded", "step": f"{recorded.grid.step_s}s"},
        "calendar": {"timeZone": calendar.time_zone} | ({"holidays": country} if country else {}),
        "capacity": {"channelsPerPod": 1, "targetOccupancy": OCCUPANCY},
        "lead": {"default": "2m"},
        "reactive": {"headroom": 0.15, "maximumDataAge": "15m"},
        "minPods": 1,
        "maxPods": 10 * PODS_AT_THE_PEAK,
    }
    document = {
        "apiVersion": "calltide.io/v1",
        "kind": "Policy",
        "metadata": {"name": "replay"},
        "spec": spec,
        "fleets": [{"namespace": "demo", "name": name, "tenants": list(tenants)} for name, tenants in fleets.items()],
        "overrides": [
            {"fleet": f"demo/{name}", "spec": {"capacity": {"channelsPerPod": _channels_per_pod(recorded, tenants)}}}
            for name, tenants in fleets.items()
        ],
    }
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True)


def _fleets(recorded: LoadMatrix) -> dict[str, tuple[str, ...]]:
    volume = np.nansum(recorded.values, axis=1)
    largest_first = [recorded.series[row] for row in np.argsort(-volume, kind="stable")]
    alone = largest_first if len(largest_first) <= FLEETS else largest_first[: FLEETS - 1]
    fleets = {f"{number:02}-{_slug(series)}".strip("-"): (series,) for number, series in enumerate(alone, start=1)}
    rest = tuple(largest_first[len(alone) :])
    return fleets | ({"the-others": rest} if rest else {})


def _slug(series: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", series.lower()).strip("-")[:40].strip("-")


def _channels_per_pod(recorded: LoadMatrix, tenants: tuple[str, ...]) -> int:
    rows = [recorded.series.index(tenant) for tenant in tenants]
    peak = float(np.quantile(np.nansum(recorded.values[rows], axis=0), 0.999))
    return max(1, round(peak / (PODS_AT_THE_PEAK * OCCUPANCY)))
