"""Why nothing may leave now, as far as policies and the plan know it: inhibit windows, and falls that many share."""

from __future__ import annotations

from scaler.core.schedule import open_inhibit
from scaler.core.wording import civil_time
from scaler.policy.model import PolicySpec, RetirementMode
from scaler.retirement.observed import Standstill
from scaler.retirement.shared_fall import SharedFall


def standstills_of(spec: PolicySpec, fall: SharedFall | None, now_s: float) -> tuple[Standstill, ...]:
    """What holds a fleet of this policy at `now_s` (epoch seconds)."""
    found = []
    if spec.retirement.mode is RetirementMode.OFF:
        found.append(Standstill("off", "The policy's retirement.mode is off: what drains is recalled."))
    window = open_inhibit(spec.guardrails.inhibit, spec.calendar.time_zone, now_s)
    if window is not None:
        until = civil_time(window.closes_s, spec.calendar.time_zone)
        found.append(Standstill("inhibit", f"The policy lets nothing leave during {window.name!r}, until {until}."))
    if fall is not None:
        found.append(Standstill("shared-fall", fall.sentence))
    return tuple(found)
