"""Under which conditions a fleet is run: how its calls are led to it, and what goes wrong how often."""

from __future__ import annotations

from dataclasses import dataclass, field

from scaler.retirement.closings import ALL_CLOSINGS, Closings
from scaler.retirement.limits import RetirementLimits
from scaler.retirement.observed import Workload
from tools.call_simulator.calls import Tenant
from tools.model_check.scenarios import ALL_OUTSIDE, Outside

LEAD_S = 75.0
LEASE_S = 15.0
"""So long nobody leads after a leader died."""
WRITE_WITHIN_S = 4.0
LATEST_GATE_S = 20.0
"""A gate write that was given up lands by then: within the quiet window."""


@dataclass(frozen=True, slots=True)
class Faults:
    """How often each fault strikes: times an hour, or by the probability of each act.

    Whatever can be aimed is: restarts and evictions strike pods that are leaving as often as all the others together,
    `dies_after_release` and `restarts_after_release` strike while a release is under way or just written.
    """

    # Times an hour.
    leader_dies: float = 0.0
    pbx_restarts: float = 0.0
    password_changes: float = 0.0
    proxy_forgets: float = 0.0
    proxy_unreachable: float = 0.0
    evictions: float = 0.0
    deletions: float = 0.0
    lowered_by_hand: float = 0.0
    rollouts: float = 0.0
    trunk_outages: float = 0.0
    way_up_breaks: float = 0.0
    freezes: float = 0.0
    node_loses_api: float = 0.0
    unready: float = 0.0
    # Probabilities.
    probe_times_out: float = 0.0
    probe_hangs: float = 0.0
    hang_s: float = 90.0
    """For so long at most the last answer is handed on as if it were of now."""
    gate_write_lost: float = 0.0
    gate_write_late: float = 0.0
    write_lost: float = 0.0
    write_late: float = 0.0
    dies_after_release: float = 0.0
    restarts_when_drained: float = 0.0
    restarts_after_release: float = 0.0
    """And as often when its delete was sent."""
    wrong_pick: float = 0.0
    shut_by_another: float = 0.0
    """A PBX that comes back open is shut at once by a leader of before."""
    slow_setup: float = 0.02
    """The share of calls that take up to 30 s from being let in to being a channel."""
    late_invite: float = 0.01
    """The share of calls whose pod was chosen up to 30 s before it is tried."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One fleet to run, with the closings that are in force."""

    tenant: Tenant
    faults: Faults = field(default_factory=Faults)
    workload: Workload = Workload.DEPLOYMENT
    proxies: int = 2
    pod_gate: bool = True
    recordings: float = 0.0
    """The share of calls whose recording is written for some seconds after they ended."""
    unseen_restarts: bool = False
    """PBXs restart inside their containers: no version of any object changes."""
    restart_s: tuple[float, float] = (12.0, 40.0)
    latest_write_s: float = 60.0
    """How late a write to a pod may be done that was given up."""
    swings_s: float = 0.0
    """The need goes up and down by a pod, unforeseen, and stays for so long on average; 0: it is the tenant's."""
    look_ahead_s: float = 1800.0
    dwell_s: float = 600.0
    max_at_once: int = 1
    closings: Closings = ALL_CLOSINGS
    outside: frozenset[Outside] = ALL_OUTSIDE

    @property
    def limits(self) -> RetirementLimits:
        """The production limits."""
        return RetirementLimits(
            lead_s=LEAD_S,
            look_ahead_s=self.look_ahead_s,
            # Without a pod gate the proxy's own timer is waited for: 120 s by default in Kamailio.
            quiet_window_s=35.0 if self.pod_gate else 120.0,
            dwell_s=self.dwell_s,
            max_at_once=self.max_at_once,
            pod_gate=self.pod_gate,
        )
