"""Which fleet to look at first, and why, in one sentence.

The list and its order are the page's main promise at three in the morning: what can cost calls now stands above
what could cost calls later, and that above what is merely odd.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from forecasting.forecast import Trust
from scaler.core.fleets import FleetKey
from scaler.web.state import FleetStatus


class Urgency(StrEnum):
    """The most urgent thing about a fleet, the most urgent first."""

    SHORT = "short"
    """The load now fills more pods than serve."""
    FAULT = "fault"
    """The fleet cannot be sized."""
    SHORT_AHEAD = "short-ahead"
    """A limit will keep pods back that the peak ahead would fill."""
    HELD = "held"
    """Data are missing and the answer is held."""
    DEGRADED = "degraded"
    """The forecast was good and is not now."""
    PENDING = "pending"
    """A policy change waits to be confirmed."""
    GROWING = "growing"
    """Fewer pods serve than are needed, and they are on their way."""
    CALM = "calm"


@dataclass(frozen=True, slots=True)
class Ranked:
    """A fleet with its urgency and the reason for it."""

    fleet: FleetStatus
    urgency: Urgency
    reason: str

    @property
    def order(self) -> tuple[int, int, FleetKey]:
        """What to sort by: urgency, then the number of missing pods, then the name."""
        missing = (self.fleet.need or 0) - self.fleet.serving
        if self.urgency in _AT_EASE:
            # In a ramp every fleet grows a pod now and then: that must not shuffle the list under the reader.
            return (_RANK[Urgency.CALM], 0, self.fleet.key)
        return (_RANK[self.urgency], -missing, self.fleet.key)


_RANK = {urgency: rank for rank, urgency in enumerate(Urgency)}
_AT_EASE = frozenset({Urgency.GROWING, Urgency.CALM})


def ranked(fleets: Iterable[FleetStatus]) -> list[Ranked]:
    """All fleets, the most urgent first."""
    return sorted((rank(fleet) for fleet in fleets), key=lambda entry: entry.order)


def rank(fleet: FleetStatus) -> Ranked:
    """One fleet's urgency."""
    return Ranked(fleet, *_judge(fleet))


def _judge(fleet: FleetStatus) -> tuple[Urgency, str]:
    serving = fleet.serving
    if fleet.headroom_pods is not None and fleet.headroom_pods < 0:
        coming = f", {fleet.starting} starting" if fleet.starting else ""
        return Urgency.SHORT, f"The load now fills {fleet.measured_pods} pods; {serving} serve{coming}."
    if fleet.fault is not None:
        return Urgency.FAULT, fleet.fault
    if fleet.peak is not None and fleet.peak.unmet > 0:
        wanted = fleet.peak.need + fleet.peak.unmet
        return Urgency.SHORT_AHEAD, f"The peak ahead would fill {wanted} pods; the limits allow {fleet.peak.need}."
    if fleet.held is not None:
        return Urgency.HELD, fleet.held
    if fleet.trust is Trust.DEGRADED:
        return Urgency.DEGRADED, fleet.trust_reason
    if fleet.pending is not None:
        return Urgency.PENDING, fleet.pending
    if fleet.need is not None and serving < fleet.need:
        return Urgency.GROWING, f"{serving} of {fleet.need} pods serve, {fleet.starting} starting."
    return Urgency.CALM, fleet.summary
