"""Telling a failed trunk from the end of the day."""

from __future__ import annotations

from scaler.core.fleets import FleetKey
from scaler.retirement.shared_fall import LONGEST_S, LoadSeen, SharedFall, followed

FLEETS = [FleetKey("voice", f"fleet-{n}") for n in range(4)]


def loads(*courses: list[float], every_s: float = 60.0) -> dict[FleetKey, list[LoadSeen]]:
    """Each fleet's channels minute by minute."""
    return {
        key: [LoadSeen(i * every_s, channels) for i, channels in enumerate(course)]
        for key, course in zip(FLEETS, courses, strict=False)
    }


def test_most_channels_of_most_fleets_gone_within_minutes_is_a_fall() -> None:
    fall = followed(None, loads([100, 100, 3], [50, 51, 0], [200, 205, 190]), 120.0)
    assert fall is not None
    assert set(fall.before) == {FLEETS[0], FLEETS[1]}
    assert "150 channels of 2 fleets" in fall.sentence.replace("151", "150")


def test_one_fleet_among_many_is_that_fleets_trouble() -> None:
    assert followed(None, loads([100, 0], [100, 99], [100, 101]), 60.0) is None


def test_an_evening_is_no_fall() -> None:
    fading = [100 * 0.93**minute for minute in range(40)]
    seen = loads(fading, fading, fading)
    for minute in range(1, 41):
        until = {key: course[:minute] for key, course in seen.items()}
        assert followed(None, until, minute * 60.0) is None


def test_chance_in_small_fleets_is_no_fall() -> None:
    assert followed(None, loads([15, 1], [12, 0]), 60.0) is None


def test_a_fall_lasts_until_the_load_is_back_however_long_it_was_gone() -> None:
    fall = followed(None, loads([100, 0], [100, 0]), 60.0)
    gone = loads([0] * 60, [0] * 60)
    assert followed(fall, gone, 3600.0) is fall
    assert followed(fall, loads([0, 80], [0, 10]), 3600.0) is None


def test_what_has_not_come_back_for_hours_has_ended() -> None:
    fall = SharedFall(0.0, {FLEETS[0]: 100.0})
    assert followed(fall, loads([0, 0]), LONGEST_S + 60) is None


def test_a_fall_of_fleets_that_are_gone_is_over() -> None:
    assert followed(SharedFall(0.0, {FLEETS[3]: 100.0}), loads([50, 50]), 60.0) is None
