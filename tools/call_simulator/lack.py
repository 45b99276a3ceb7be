"""How many pods too few serve, by the load that is really offered, and for how long when nobody foresaw it."""

from __future__ import annotations

from tools.call_simulator.calls import STEP_S, pods_for
from tools.call_simulator.switchboard import Switchboard

UNFORESEEN = 1.3
"""A load so many times its forecast is a peak of its own: days as a whole differ by 8 %."""


class Lack:
    """Measures one fleet, whoever scales it."""

    def __init__(self, switchboard: Switchboard) -> None:
        self._switchboard = switchboard
        self._since_s: float | None = None

    def sampled(self, serving: int, every_s: float) -> None:
        """Count the next `every_s` seconds, in which so many pods take calls."""
        board = self._switchboard
        now_s, load, tally = board.timeline.now_s, board.calls.load, board.tally
        step = min(int(now_s // STEP_S), load.size - 1)
        erlangs, expected = float(load[step]), float(board.calls.forecast[step])
        lacking = max(0, pods_for(erlangs, board.channels_per_pod) - serving) if board.trunk_up else 0
        tally.below_need_s += every_s * lacking
        if lacking and self._since_s is None and erlangs > UNFORESEEN * expected:
            self._since_s = now_s
        elif not lacking and self._since_s is not None:
            tally.back_s.append(now_s - self._since_s)
            self._since_s = None
