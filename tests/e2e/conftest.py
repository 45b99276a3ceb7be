"""One rig with calltide on it for all tests of a run: what they share is the cluster, never a fleet or a tenant."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.retiring import MakeFleet, fleet_maker
from tests.rig.installation import Installation
from tests.rig.place import Place, PlaceError, current
from tests.rig.rig import Rig
from tests.rig.telephony import Telephony

TABLES = pytest.StashKey[list[str]]()


@pytest.fixture(scope="session", autouse=True)
def place() -> Place:
    try:
        return current()
    except PlaceError as error:
        pytest.exit(f"{error}; 'make e2e' does it", returncode=2)


@pytest.fixture(scope="session")
def rig(place: Place) -> Iterator[Rig]:
    rig = Rig(place, spare_nodes=3)
    try:
        rig.start()
        yield rig
    finally:
        rig.stop()


@pytest.fixture(scope="session")
def calltide(rig: Rig) -> Installation:
    """calltide as `deploy/` installs it: two replicas, mutual TLS with KEDA and each other."""
    installation = Installation(rig)
    installation.apply()
    return installation


@pytest.fixture(scope="session")
def telephony(rig: Rig) -> Telephony:
    """Two proxies in front of every fleet."""
    telephony = Telephony(rig)
    telephony.apply()
    return telephony


@pytest.fixture(scope="session")
def make(rig: Rig, calltide: Installation, telephony: Telephony) -> MakeFleet:
    """Makes fleets that calltide retires, in a namespace of their own."""
    return fleet_maker(rig, calltide, telephony)


@pytest.fixture(scope="session")
def tables(request: pytest.FixtureRequest) -> list[str]:
    """What a test puts here is printed at the end of the run."""
    return request.config.stash.setdefault(TABLES, [])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for table in config.stash.get(TABLES, []):
        terminalreporter.write_line(table)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Iterator[None]:
    """What the servers said last goes with a failure: on a machine that is gone afterwards nobody can look."""
    report = yield
    if report.failed:
        report.sections.extend((f"end of {name}", tail) for name, tail in current().log_ends().items())
    return report
