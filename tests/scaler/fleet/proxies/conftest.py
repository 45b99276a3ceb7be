"""Made-up proxies that end with their test."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest

from tests.scaler.fleet.proxies.asking import Start
from tests.scaler.fleet.proxies.made_up_proxy import Line, MadeUpProxy


@pytest.fixture
def start() -> Iterator[Start]:
    proxies: list[MadeUpProxy] = []
    hosts = itertools.count(1)

    def begin(*lines: Line, **more: Any) -> MadeUpProxy:
        proxies.append(MadeUpProxy(f"127.0.9.{next(hosts)}", list(lines), **more))
        return proxies[-1]

    yield begin
    for proxy in proxies:
        proxy.stop()
