"""The Loki source against a real Loki: `make e2e-stores`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.servers.loki import FEW_TENANT, SHORT_TENANT, TENANT, LokiServer
from tests.servers.loki_calls import lines
from tests.servers.loki_expectations import EXPECTATIONS, Expectation


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LokiServer]:
    server = LokiServer(tmp_path_factory.mktemp("loki"))
    server.start()
    for tenant in (TENANT, SHORT_TENANT, FEW_TENANT):
        server.push(lines(), tenant)
    server.flush()
    yield server
    server.stop()


@pytest.mark.parametrize("expectation", EXPECTATIONS, ids=lambda expectation: expectation.__name__)
def test_a_real_loki(server: LokiServer, expectation: Expectation) -> None:
    expectation(server.url)
