"""What a fleet carries now, from what its tenants carry now. Missing is missing: no zero, and no part of a sum."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from forecasting.sources.protocol import CurrentLoad
from scaler.service.histories import DatasetState


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
    age_s = max(0.0, now_s - current.oldest_s(tenant for tenant in tenants if tenant in current.by_tenant))
    absent = [tenant for tenant in tenants if tenant not in current.by_tenant]
    missing = [tenant for tenant in absent if tenant in current.incomplete or not _is_not_there(state, tenant)]
    if missing or len(absent) == len(tenants):
        return FleetLoad(None, age_s, _what_is_missing(current, missing or absent))
    return FleetLoad(sum(current.by_tenant[tenant] for tenant in tenants if tenant not in absent), age_s)


def _what_is_missing(current: CurrentLoad, tenants: list[str]) -> str:
    unknown = [tenant for tenant in tenants if tenant not in current.incomplete]
    if not unknown:
        return f"no complete measurement of {_first_of(tenants)}"
    known = [*current.by_tenant, *current.incomplete]
    returned = f"it returns {_first_of(known)}" if known else "it returns no tenant at all"
    return f"the query returns nothing for {_first_of(unknown)}; {returned}"


def _first_of(names: Iterable[str]) -> str:
    ordered = sorted(names)
    return ", ".join(ordered[:3]) + (" …" if len(ordered) > 3 else "")


def _is_not_there(state: DatasetState, tenant: str) -> bool:
    # As in the sums that are forecast: a tenant that has not begun, or has departed, is no gap. An archive that was
    # not read up to now in this run, or that knows nobody, cannot tell.
    forecasts = state.forecasts
    if forecasts is None or state.forecast_until_s == 0 or not (forecasts.tenants.newest_observation_s > 0).any():
        return False
    if tenant not in forecasts.tenants.series or tenant in forecasts.departed:
        return True
    return int(forecasts.tenants.newest_observation_s[forecasts.tenants.series.index(tenant)]) == 0
