"""One fleet from the first call to the last second: everything put together, and one tally back."""

from __future__ import annotations

from random import Random

import numpy as np

from tools.call_simulator.calls import Calls, calls_of
from tools.call_simulator.cluster import Cluster
from tools.call_simulator.conditions import LEASE_S, Setting
from tools.call_simulator.leader import Leader
from tools.call_simulator.need import Need
from tools.call_simulator.surroundings import Surroundings
from tools.call_simulator.switchboard import Switchboard
from tools.call_simulator.tally import Tally
from tools.call_simulator.timeline import Timeline
from tools.model_check.scenarios import Outside


class _Terms:
    """Who leads: one after another, with a lease's length of nobody between."""

    def __init__(self, around: Surroundings) -> None:
        self._around, self._term = around, 0
        self._leader: Leader | None = None
        around.leader_dies = self._dies
        self._begins()

    def _begins(self) -> None:
        self._term += 1
        self._leader = Leader(self._around, self._term, self._dies)

    def _dies(self) -> None:
        if self._leader is not None:
            self._around.tally.faults["leader died"] += 1
            self._leader.alive, self._leader = False, None
            self._around.timeline.after(LEASE_S * self._around.rng.uniform(1.0, 2.0), self._begins)


def run(setting: Setting, seed: int, calls: Calls | None = None) -> Tally:
    """Run one fleet; the same seed gives the same run. `calls` are drawn by the seed when they are not given."""
    calls = calls_of(setting.tenant, np.random.default_rng(seed)) if calls is None else calls
    timeline, tally, rng = Timeline(), Tally(), Random(seed)  # noqa: S311 - a simulation, not a secret
    switchboard = Switchboard(
        timeline,
        calls,
        tally,
        rng,
        setting.faults,
        channels_per_pod=setting.tenant.channels_per_pod,
        proxies=setting.proxies,
        recordings=setting.recordings,
        gates_refuse=Outside.POD_GATE in setting.outside and setting.pod_gate,
    )
    need = Need(setting, calls, rng)
    cluster = Cluster(switchboard, setting, need.outlook(0.0, 0).now_pods)
    _Terms(Surroundings(cluster, need, setting))
    timeline.run(calls.starts_s, switchboard.arrive, calls.end_s)
    cluster.finish()
    return tally
