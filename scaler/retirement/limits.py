"""How careful retirement is with one fleet: what the policy says, and what nobody should have to choose."""

from __future__ import annotations

from dataclasses import dataclass

from scaler.policy.model import PolicySpec
from scaler.retirement.errors import RetirementError


@dataclass(frozen=True, slots=True)
class RetirementLimits:
    """The numbers of the protocol, seconds of the leader's clock where the name says so.

    `lead_s` is how long a new pod takes; `look_ahead_s` for how long at least no need may come before a pod is drained;
    `quiet_window_s` how long a call that was let in may take to show as a channel, and a gate write under way to land;
    `fresh_s` how old a reading may be for an edge towards Released, and `serving_fresh_s` that of a pod which is only
    chosen to drain: it says that the pod answers, and proves nothing;
    `dwell_s` how long a pod serves after a recall before it is a candidate again; `recall_s` how long a recalled pod
    may take until it is read back open before it counts as failed.

    Raises:
        RetirementError: a gate write that was given up could land after the quiet window, or nothing would ever leave.
    """

    lead_s: float
    look_ahead_s: float = 0.0
    quiet_window_s: float = 35.0
    gate_deadline_s: float = 4.0
    zero_samples: int = 3
    fresh_s: float = 5.0
    serving_fresh_s: float = 30.0
    max_at_once: int = 1
    floor: int = 1
    dwell_s: float = 600.0
    recall_s: float = 10.0
    drain_max_s: float = 8 * 3600.0
    node_death_after_s: float = 300.0
    dead_nodes_share: float = 0.2
    mass_unproved_share: float = 0.3
    pod_gate: bool = True

    def __post_init__(self) -> None:
        if self.gate_deadline_s >= self.quiet_window_s:
            raise RetirementError(
                f"gate_deadline_s: {self.gate_deadline_s:g} s must be shorter than the quiet window of "
                f"{self.quiet_window_s:g} s, or a late gate write could open a pod that was proved shut"
            )
        if self.zero_samples < 1 or self.max_at_once < 1:
            raise RetirementError("zero_samples, max_at_once: at least 1 of each, or nothing is ever proved or drained")
        if self.floor < 1:
            raise RetirementError(f"floor: {self.floor} would retire a tenant's last warm pod; it is at least 1")


def limits_of(spec: PolicySpec, *, lead_s: float) -> RetirementLimits:
    """The limits that a policy sets, for a fleet whose new pods take `lead_s`."""
    retirement = spec.retirement
    return RetirementLimits(
        lead_s=lead_s,
        look_ahead_s=float(retirement.look_ahead),
        quiet_window_s=float(retirement.quiet_window),
        max_at_once=retirement.max_at_once,
        floor=max(1, spec.min_pods),
        drain_max_s=float(retirement.drain_max),
        node_death_after_s=float(retirement.node_death_after),
        pod_gate=retirement.pod_gate != "none",
    )
