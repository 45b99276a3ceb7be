"""One search each, as a process of its own does it; a spawned process cannot import the command's own module."""

from __future__ import annotations

import time

from tools.model_check.scenarios import Scenario
from tools.model_check.search import Found, search
from tools.model_check.without import Without
from tools.model_check.world import Model

MOST_STATES_QUICK = 300_000
MOST_STATES_DEEP = 5_000_000
FAIR_EVERY = 499
"""From so many states one is taken for a fair run."""
Pair = tuple[Found, Found]
"""Without a closing, and with it."""
Timed = tuple[Found, float]
"""What was found, and the seconds of CPU it took."""


def walk(world: Scenario, most: int) -> Timed:
    """A world with all closings in force."""
    started_s = time.process_time()
    return search(Model(world), most, fair_every=FAIR_EVERY), time.process_time() - started_s


def leave_out(without: Without) -> Pair:
    """A world without one closing, and the same world with it: what breaks there is to be the closing's doing alone."""
    return search(without.model(), MOST_STATES_QUICK), search(without.model(left_out=False), MOST_STATES_QUICK)
