"""Who goes first when a Lease is free: whoever has plans of late to go on from."""

from __future__ import annotations

from dataclasses import replace

import pytest

from scaler.clock import SystemClock
from scaler.core.election import NOBODY, LeaseRecord
from scaler.core.plan_book import PlanBook, recorded
from scaler.core.planner import plan_fleet
from scaler.policy.store import PolicyStore
from scaler.service.plan_book_file import write_plan_book
from scaler.service.plan_keeper import PlanKeeper
from scaler.service.replication import KEPT_FOR_S, Replication
from scaler.service.settings import Configuration, ReplicaSettings
from tests.scaler.core.made_up import inputs
from tests.servers.processes import free_port


class GivenBackLease:
    """A Lease that nobody holds any more."""

    def __init__(self) -> None:
        self.record = LeaseRecord(NOBODY, 15, 4, "", "1")

    def read(self, within_s: float) -> LeaseRecord | None:
        return self.record

    def write(self, record: LeaseRecord, within_s: float) -> LeaseRecord:
        self.record = replace(record, version="2")
        return self.record

    def close(self) -> None:
        pass


@pytest.mark.parametrize(
    ("age_s", "leads"), [(30.0, True), (KEPT_FOR_S - 60, True), (KEPT_FOR_S + 60, False), (None, False)]
)
def test_plans_of_long_ago_are_nothing_to_lead_from_at_once(tmp_path, age_s, leads):
    state, clock = tmp_path / "state", SystemClock()
    state.mkdir()
    if age_s is not None:
        write_plan_book(state, recorded(PlanBook(), [plan_fleet(inputs(now_s=clock.now_s() - age_s))]))
    configuration = Configuration(
        apiVersion="calltide.io/v1",
        kind="Configuration",
        policies=tmp_path,
        state=state,
        sources={"default": {"type": "prometheus", "url": "http://127.0.0.1:9"}},
        fleets={"adapter": "kubernetes"},
        replicas=ReplicaSettings(listen=f"127.0.0.1:{free_port()}", name="a"),
    )
    policies = PolicyStore(tmp_path, state, clock)
    lease = GivenBackLease()
    replication = Replication(configuration, lease, clock, policies, PlanKeeper(state))
    replication._elected.leadership.step()
    assert (replication.term() is not None) is leads
    assert lease.record.holder.startswith("a_") is leads
