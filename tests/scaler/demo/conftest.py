import pytest


class StandingClock:
    """A clock that shows what it was set to."""

    speed = 60.0

    def __init__(self, now_s: float) -> None:
        self.time_s = now_s

    def now_s(self) -> float:
        return self.time_s


@pytest.fixture
def clock():
    return StandingClock
