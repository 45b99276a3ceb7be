"""Silence in a call, measured by when packets come in."""

from __future__ import annotations

import socket

import pytest

from tests.rig.voice.ear import Ear, longest_silence_s
from tests.servers.processes import wait_for


@pytest.mark.parametrize(
    ("heard_s", "silence_s"),
    [
        pytest.param([], 10.0, id="nothing at all"),
        pytest.param([101.0, 102.0, 107.0, 109.0], 5.0, id="a gap"),
        pytest.param([104.0, 105.0, 109.0], 4.0, id="late to begin, and a gap as long"),
        pytest.param([101.0, 102.0, 103.0], 7.0, id="nothing at the end"),
        pytest.param([90.0, 109.5, 120.0], 9.5, id="what came before the answer or after the end is not of the call"),
    ],
)
def test_silence_is_the_longest_time_without_a_packet_from_answer_to_end(
    heard_s: list[float], silence_s: float
) -> None:
    assert longest_silence_s(heard_s, 100.0, 110.0) == pytest.approx(silence_s)


def test_an_ear_hears_what_comes_to_its_port() -> None:
    ear = Ear("127.0.0.1")
    with socket.socket(type=socket.SOCK_DGRAM) as mouth:
        mouth.sendto(b"rtp", ("127.0.0.1", ear.port))
    wait_for(lambda: ear.longest_silence_s(0.0, 1e12) < 1e12, "the packet to be heard")
    ear.close()
