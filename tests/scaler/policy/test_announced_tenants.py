"""What a policy may say of tenants to come, and what is told when it cannot be meant."""

from __future__ import annotations

from datetime import date

import pytest

from tests.scaler.policy.writing import COMPLETE, book, only, policy, sentences

INITECH = "{tenant: initech, from: 2026-12-01, endpoints: 250, channelsPerEndpoint: 0.1}"


def announcing(*entries: str) -> str:
    return policy("a", COMPLETE + "  announced:\n" + "".join(f"    - {entry}\n" for entry in entries))


def test_an_announced_tenant_reaches_the_fleet_that_serves_it():
    spec = book(announcing(INITECH)).resolve("a", fleet="voice/new", tenants=("initech",))
    (each,) = spec.announced
    assert (each.tenant, each.first, each.endpoints, each.channels_per_endpoint) == (
        "initech",
        date(2026, 12, 1),
        250,
        0.1,
    )


def test_nobody_has_to_say_what_an_endpoint_needs():
    spec = book(announcing("{tenant: initech, from: 2026-12-01, endpoints: 250}")).resolve(
        "a", fleet="voice/new", tenants=("initech",)
    )
    assert spec.announced[0].channels_per_endpoint is None


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        (
            "{tenant: x, from: 2026-12-01, endpoints: 0}",
            "spec.announced[0].endpoints: 0 is not between 1 and 10000000.",
        ),
        (
            "{tenant: x, from: tomorrow, endpoints: 9}",
            "spec.announced[0].from: 'tomorrow' is not a day; write it like 2026-12-24.",
        ),
        ("{tenant: x, from: 2026-12-01}", "spec.announced[0].endpoints: It is missing: Telephones, agents"),
        (
            "{tenant: x, from: 2026-12-01, endpoints: 9, channelsPerEndpoint: 0}",
            "spec.announced[0].channelsPerEndpoint: 0 is not above 0 and at most 100.",
        ),
        ("{tenant: x, from: 2026-12-01, endpoint: 9, endpoints: 9}", "spec.announced[0].endpoint: "),
    ],
)
def test_the_sentence(entry: str, expected: str):
    assert expected in only(announcing(entry))


def test_a_tenant_that_is_announced_twice_is_told():
    (told,) = sentences(announcing(INITECH, INITECH))
    assert told.endswith("spec.announced: 'initech' is announced twice and would count twice; remove one entry."), told
