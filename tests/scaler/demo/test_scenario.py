"""The demo's cast and policies fit together, and its fleets can be played through a morning."""

import asyncio
import pickle

import pytest

from scaler.clock import ScaledClock
from scaler.core.fleets import FleetKey, PodState
from scaler.demo.scenario import POLICIES, SOURCE, TENANTS, SimulatedSources, demo_start_s
from scaler.demo.source import CHANNELS_MAXIMUM
from scaler.fleet.listing import FleetListing
from scaler.fleet.simulated.adapter import SimulatedFleets
from scaler.fleet.simulated.fleet import SimulatedFleetSpec
from scaler.policy.compiling import compile_reading
from scaler.policy.directory import read_directory

START_S = demo_start_s(1_795_400_000.0)


@pytest.fixture(scope="module")
def book():
    return compile_reading(read_directory(POLICIES))


def test_the_policies_are_valid_and_every_tenant_is_in_one_fleet(book):
    fleets = book.listed_fleets()
    assert len(fleets) == 8
    assert sorted(tenant for fleet in fleets for tenant in fleet.tenants) == sorted(t.name for t in TENANTS)


def test_each_fleets_calendar_is_that_of_its_tenants(book):
    calendars = {tenant.name: tenant.calendar for tenant in TENANTS}
    assert len({calendar.time_zone for calendar in calendars.values()}) == 4
    for fleet in book.listed_fleets():
        calendar = book.resolve(fleet.policy, fleet=fleet.key, tenants=fleet.tenants).calendar
        for tenant in fleet.tenants:
            said = (calendar.time_zone, calendar.holidays.country, calendar.holidays.subdivision)
            meant = calendars[tenant]
            assert said == (meant.time_zone, meant.country, meant.subdivision)


def test_the_policies_ask_the_simulation_for_what_it_has(book):
    for fleet in book.listed_fleets():
        history = book.resolve(fleet.policy, fleet=fleet.key, tenants=fleet.tenants).history
        assert (history.source, history.channels) == (SOURCE, CHANNELS_MAXIMUM)


def test_the_sources_can_be_sent_to_a_worker_and_say_the_same_there():
    here = SimulatedSources(ScaledClock(START_S, 60.0), seed=3)
    there = pickle.loads(pickle.dumps(here))
    calls = [source.open(SOURCE).in_progress(["hudson-law"], START_S) for source in (here, there)]
    assert calls[0].end_s.tolist() == calls[1].end_s.tolist() != []


class Answering:
    """Answers each fleet with pods for its calls now and a quarter more, or with a fixed number."""

    def __init__(self, fixed=None):
        self.fixed, self.fleets = fixed, None

    async def wanted(self, listing):
        if self.fixed is not None:
            return self.fixed
        return 1 + round(1.25 * self.fleets.calls()[listing.key].channels / (40 * 0.8) + 0.5)

    async def close(self):
        pass


def play_the_morning(book, clock, answers):
    clock = clock(START_S)
    specs = [
        SimulatedFleetSpec(FleetListing(FleetKey(f.namespace, f.name), f.policy, f.tenants), channels_per_pod=40)
        for f in book.listed_fleets()
    ]
    fleets = answers.fleets = SimulatedFleets(specs, SimulatedSources(clock).open(SOURCE), answers, clock)

    async def play():
        before = None
        for _ in range(4 * 60 * 3):
            await fleets.step()
            before = before or fleets.seen()
            clock.time_s += 15
        return before, fleets.seen()

    return fleets, *asyncio.run(play())


def test_a_morning_with_pods_in_time_refuses_nobody(book, clock):
    fleets, before, after = play_the_morning(book, clock, Answering())
    offices = FleetKey("demo", "us-offices")
    assert after.fleets[offices].count(PodState.SERVING) > 1.5 * before.fleets[offices].count(PodState.SERVING)
    calls = fleets.calls()
    assert sum(fleet.offered for fleet in calls.values()) > 20_000
    assert sum(fleet.refused for fleet in calls.values()) == 0


def test_the_same_morning_without_new_pods_refuses_calls(book, clock):
    fleets, before, after = play_the_morning(book, clock, Answering(fixed=1))
    offices = FleetKey("demo", "us-offices")
    assert after.fleets[offices].spec_replicas <= before.fleets[offices].spec_replicas
    assert fleets.calls()[offices].refused > 100
