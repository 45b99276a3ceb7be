"""What a leader remembers of the fleets besides readings: needs, answers and loads of late.

All of it begins anew with each leadership. Until it reaches far enough back, the careful answer is given.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from forecasting.load import Measure
from scaler.core.fleets import FleetKey
from scaler.retirement.shared_fall import WITHIN_S, LoadSeen, SharedFall, followed
from scaler.service.planning import SizedFleet
from scaler.service.retiring.outlook import NeedSeen

KEPT_S = 86400.0
"""The longest look ahead that a policy may ask for."""
HPA_READS_WITHIN_S = 30.0
"""Twice the 15 s of an HPA. On top comes the polling interval: what KEDA keeps in between is no older."""
_TOLD_KEPT_S = 3600.0 + HPA_READS_WITHIN_S


@dataclass(slots=True)
class _FleetPast:
    needs: deque[NeedSeen] = field(default_factory=deque)
    answers: deque[tuple[float, int]] = field(default_factory=deque)
    loads: deque[LoadSeen] = field(default_factory=deque)


class Past:
    """Sampled from the plans as they are made. `began_s` is when this leadership began (the leader's clock)."""

    def __init__(self, began_s: float) -> None:
        self._began_s = began_s
        self._fleets: dict[FleetKey, _FleetPast] = {}
        self.shared_fall: SharedFall | None = None

    def sample(self, fleets: Mapping[FleetKey, SizedFleet], now_s: float, clock_s: float) -> None:
        """Remember the plans of now, and the loads that they were made from.

        To be called before every decision: a fall has to be seen before the need that falls with it is acted on.
        """
        self._fleets = {key: self._fleets.get(key, _FleetPast()) for key in fleets}
        for key, fleet in fleets.items():
            self._add(self._fleets[key], fleet, now_s, clock_s)
        self.shared_fall = followed(
            self.shared_fall, {key: past.loads for key, past in self._fleets.items() if past.loads}, clock_s
        )

    def needs(self, key: FleetKey) -> Sequence[NeedSeen]:
        """The needs of this leader's plans, oldest first."""
        past = self._fleets.get(key)
        return () if past is None else past.needs

    def still_told(self, key: FleetKey, standing: int, polling_interval_s: float, clock_s: float) -> int:
        """The largest number that an HPA may still read. A new leader does not know what the one before told."""
        since_s = clock_s - polling_interval_s - HPA_READS_WITHIN_S
        past = self._fleets.get(key)
        if past is None or self._began_s > since_s:
            return standing
        return max((answer for at_s, answer in past.answers if at_s >= since_s), default=standing)

    def _add(self, past: _FleetPast, fleet: SizedFleet, now_s: float, clock_s: float) -> None:
        if fleet.plan is None or (past.needs and past.needs[-1].at_s == fleet.plan.made_at_s):
            return
        channels = fleet.loads.get(Measure.CHANNELS)
        if channels is not None and channels.value is not None:
            past.loads.append(LoadSeen(clock_s, channels.value))
        past.needs.append(NeedSeen(fleet.plan.made_at_s, fleet.plan.need))
        past.answers.append((clock_s, fleet.plan.answer))
        while past.needs and past.needs[0].at_s < now_s - KEPT_S:
            past.needs.popleft()
        while past.answers and past.answers[0][0] < clock_s - _TOLD_KEPT_S:
            past.answers.popleft()
        while past.loads and past.loads[0].at_s < clock_s - WITHIN_S:
            past.loads.popleft()
