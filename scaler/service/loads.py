"""What a fleet carries now, from what its tenants carry now. Missing is missing: no zero, and no part of a sum."""

from __future__ import annotations

from dataclasses import dataclass

from scaler.service.histories import DatasetState

DEPARTED_AFTER_S = 86400
"""A tenant without any observation for this long has left: its absence now is no gap."""


@dataclass(frozen=True, slots=True)
class FleetLoad:
    """One measure of a fleet now. `value` is None when it could not be measured, and `missing` then says why."""

    value: float | None
    age_s: float | None
    missing: str | None = None


def fleet_load(state: DatasetState, tenants: tuple[str, ...], now_s: float) -> FleetLoad:
    """The sum over the fleet's tenants, if every tenant that is still there was measured."""
    current = state.current
    if current is None:
        return FleetLoad(None, None, state.measure_problem or "not measured yet")
    age_s = max(0.0, now_s - current.measured_at_s)
    absent = [tenant for tenant in tenants if tenant not in current.by_tenant]
    missing = [tenant for tenant in absent if not _is_not_there(state, tenant, now_s)]
    if missing or len(absent) == len(tenants):
        named = ", ".join(sorted(missing or absent)[:3]) + (" …" if len(missing or absent) > 3 else "")
        return FleetLoad(None, age_s, f"no complete measurement of {named}")
    return FleetLoad(sum(current.by_tenant[tenant] for tenant in tenants if tenant not in absent), age_s)


def _is_not_there(state: DatasetState, tenant: str, now_s: float) -> bool:
    # As in the sums that are forecast: a tenant that has not begun, or has left, is no gap.
    if state.forecasts is None:
        return False
    known = state.forecasts.tenants
    if tenant not in known.series:
        return True
    newest_s = int(known.newest_observation_s[known.series.index(tenant)])
    return newest_s < now_s - DEPARTED_AFTER_S
