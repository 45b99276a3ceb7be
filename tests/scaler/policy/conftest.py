"""A clock that stands still, and a store over two folders."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from scaler.policy.store import PolicyStore


@dataclass
class StandingClock:
    """Time moves when a test says so."""

    now: float = 1_800_000_000.0
    speed: float = 1.0

    def now_s(self) -> float:
        return self.now


@pytest.fixture
def clock() -> StandingClock:
    return StandingClock()


@pytest.fixture
def files(tmp_path: Path) -> Path:
    return tmp_path / "policies"


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def start(files: Path, state: Path, clock: StandingClock) -> Callable[[], PolicyStore]:
    """Start the service's store; again is what a restart does."""

    def started() -> PolicyStore:
        store = PolicyStore(files, state, clock)
        store.load()
        return store

    return started
