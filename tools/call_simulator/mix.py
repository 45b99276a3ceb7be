"""The fleets of a run: of all sizes and kinds, under every fault at once, without end."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import cycle
from random import Random

from scaler.retirement.observed import Workload
from tools.call_simulator.calls import Tenant
from tools.call_simulator.conditions import Faults, Setting

SIZES = (1, 60, 2, 3, 12, 1, 4, 6, 25, 2, 8, 3, 40, 5, 1, 10)
"""Pods at the peak, most fleets being small; the first fleets are the smallest and the largest."""

FAULTS = Faults(
    leader_dies=0.5,
    pbx_restarts=0.05,
    password_changes=0.05,
    proxy_forgets=1.0,
    proxy_unreachable=0.1,
    evictions=6.0,
    deletions=4.0,
    lowered_by_hand=0.3,
    rollouts=0.03,
    trunk_outages=0.03,
    way_up_breaks=0.05,
    freezes=0.05,
    node_loses_api=0.03,
    unready=0.1,
    probe_times_out=0.02,
    probe_hangs=0.002,
    gate_write_lost=0.1,
    gate_write_late=0.1,
    write_lost=0.05,
    write_late=0.05,
    dies_after_release=0.1,
    restarts_when_drained=0.05,
    restarts_after_release=0.1,
    wrong_pick=0.3,
    shut_by_another=0.3,
)
"""Far more often than anywhere: each hour some dozen of them."""


def fleets(seed: int, *, most_pods: int = 60) -> Iterator[Setting]:
    """Settings of fleets, the next one when more calls are wanted."""
    rng = Random(seed)  # noqa: S311 - calls and faults, no secrets
    for tenant in _tenants(rng, most_pods):
        yield _setting(tenant, rng)


def rival_tenants(seed: int) -> Iterator[Tenant]:
    """Tenants with a working day that is known, and an evening's second peak that is not."""
    rng = Random(seed)  # noqa: S311 - as above
    for tenant in _tenants(rng, 60):
        yield replace(tenant, foreseen=True, second_peak_h=rng.uniform(17.5, 21.5))


def _tenants(rng: Random, most_pods: int) -> Iterator[Tenant]:
    for size in cycle(SIZES):
        pods = min(size, most_pods)
        yield Tenant(
            pods,
            channels_per_pod=rng.choice((8, 12, 20)),
            days=2.0 if pods < 10 else 1.0,
            shift_h=rng.uniform(-3.0, 3.0),
            foreseen=rng.random() < 0.8,
            second_peak_h=rng.choice((None, None, None, 19.0)),
        )


def _setting(tenant: Tenant, rng: Random) -> Setting:
    setting = Setting(
        tenant,
        FAULTS,
        workload=Workload.STATEFUL_SET if rng.random() < 0.2 else Workload.DEPLOYMENT,
        proxies=rng.choice((0, 1, 2, 2)),
        recordings=rng.choice((0.0, 0.3)),
        max_at_once=max(1, tenant.pods // 10),
        look_ahead_s=rng.choice((600.0, 1800.0, 3600.0)),
    )
    kind = rng.random()
    if kind < 0.15:
        # A restart that no version tells of, and a delete that is minutes late: nothing stands between the two.
        quiet = {"leader_dies": 0.0, "dies_after_release": 0.0, "write_late": 0.0}
        return replace(setting, unseen_restarts=True, faults=replace(FAULTS, **quiet))
    if kind < 0.25:
        # Without a pod gate a proxy that forgets is the risk that the policy has accepted.
        faults = replace(FAULTS, proxy_forgets=0.0, pbx_restarts=0.0, restarts_when_drained=0.0)
        faults = replace(faults, restarts_after_release=0.0)
        return replace(setting, pod_gate=False, proxies=2, faults=faults)
    return setting
