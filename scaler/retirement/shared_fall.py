"""A fall of load that many fleets share: a trunk that failed, and not the end of the working day.

Calls that end by an outage come back all at once, minutes later, and then every pod that stood before is needed. So
nothing leaves from when most of the load is gone within minutes until it is back, or for so long that it was no outage.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from forecasting.load import Measure
from scaler.core import wording
from scaler.core.fleets import FleetKey

WITHIN_S = 600.0
"""So fast no working day ends: over ten minutes the calls of a fleet fade with its calls' own length at most."""
LEFT_SHARE = 0.25
BACK_SHARE = 0.5
FEWEST_CHANNELS = 20.0
"""Below it chance empties a fleet."""
FLEETS_SHARE = 0.5
LONGEST_S = 4 * 3600.0
"""A load that has not come back by then has ended."""


@dataclass(frozen=True, slots=True)
class LoadSeen:
    """The channels that a fleet carried at `at_s` (the leader's clock)."""

    at_s: float
    channels: float


@dataclass(frozen=True, slots=True)
class SharedFall:
    """A fall that goes on: since when, and how many channels each fallen fleet carried before."""

    began_s: float
    before: Mapping[FleetKey, float]

    @property
    def sentence(self) -> str:
        """What holds everything."""
        fleets = len(self.before)
        named = f"{fleets:,} fleets" if fleets > 1 else f"the fleet {next(iter(self.before))}"
        channels = wording.load(Measure.CHANNELS, sum(self.before.values()))
        return (
            f"Most of the {channels} of {named} were gone within minutes: rather a failed trunk than the end "
            "of the day. Nothing leaves until they are back."
        )


def followed(fall: SharedFall | None, seen: Mapping[FleetKey, Sequence[LoadSeen]], now_s: float) -> SharedFall | None:
    """The fall after one more look: begun, going on, or over. `seen` has each fleet's loads of late, oldest first."""
    if fall is not None and now_s - fall.began_s < LONGEST_S and not _is_back(fall, seen):
        return fall
    high = {key: most for key, loads in seen.items() if (most := _most_of_late(loads, now_s)) >= FEWEST_CHANNELS}
    fallen = {key: most for key, most in high.items() if seen[key][-1].channels < LEFT_SHARE * most}
    if not fallen or len(fallen) < FLEETS_SHARE * len(high):
        return None
    return SharedFall(now_s, fallen)


def _most_of_late(loads: Sequence[LoadSeen], now_s: float) -> float:
    return max((load.channels for load in loads if load.at_s >= now_s - WITHIN_S), default=0.0)


def _is_back(fall: SharedFall, seen: Mapping[FleetKey, Sequence[LoadSeen]]) -> bool:
    """Whether half of the fallen fleets that are still known carry half of what they carried."""
    known = [key for key in fall.before if seen.get(key)]
    back = sum(seen[key][-1].channels >= BACK_SHARE * fall.before[key] for key in known)
    return back >= FLEETS_SHARE * len(known)
