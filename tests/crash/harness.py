"""Kills a process while it writes, many times, and asks after each death what is there.

The writer is a fork of this process, warmed up, so that hundreds of deaths take seconds; it tells each write that it
has completed through a pipe, and dies by SIGKILL some time into the next one. Where in the write that falls is
random: no single death proves anything, which is why there are many and why faults.py goes through the steps in turn.
"""

import os
import random
import select
import signal
import struct
import time
import traceback
from typing import Protocol

ACKNOWLEDGEMENT = struct.Struct("=q")
HANGS_AFTER_S = 60.0
"""A write takes milliseconds: one that takes this long never ends."""


class Subject(Protocol):
    """Something that makes one write after the other durable. Writes are numbered from 1."""

    def write(self, number: int) -> None:
        """Make this write durable."""
        ...

    def newest(self) -> int:
        """Open what is there like a new process, check all of it, return the newest write found; 0 for none."""
        ...


def survives_kills(subject: Subject, kills: int, seed: int) -> None:
    """After each death everything acknowledged is there, and at most the one write in flight besides."""
    chance = random.Random(seed)
    newest = subject.newest()
    for kill in range(kills):
        acknowledged = killed_while_writing(subject, newest + 1, chance)
        newest = subject.newest()
        assert newest in (acknowledged, acknowledged + 1), f"kill {kill}: {acknowledged} acknowledged, {newest} found"


def killed_while_writing(subject: Subject, first: int, chance: random.Random) -> int:
    """Fork a writer that begins with this write, kill it, and return the last write that it acknowledged."""
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        _write_until_killed(subject, first, write_end)
    os.close(write_end)
    try:
        acknowledged = _await(read_end, first - 1, wanted=chance.randrange(6), chance=chance)
        os.kill(child, signal.SIGKILL)
        # What it acknowledged between the decision and the kill counts as well.
        while raw := os.read(read_end, ACKNOWLEDGEMENT.size):
            (acknowledged,) = ACKNOWLEDGEMENT.unpack(raw)
    finally:
        os.close(read_end)
        _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), f"the writer ended by itself, with {os.waitstatus_to_exitcode(status)}: see stderr"
    return acknowledged


def _await(read_end: int, acknowledged: int, wanted: int, chance: random.Random) -> int:
    """Wait for so many acknowledgements, then for a random part of the time that one has taken."""
    began_s = time.monotonic()
    for _ in range(wanted):
        ready, _, _ = select.select([read_end], [], [], HANGS_AFTER_S)
        raw = os.read(read_end, ACKNOWLEDGEMENT.size) if ready else b""
        if not raw:
            break  # it hangs or has ended: the caller sees which
        (acknowledged,) = ACKNOWLEDGEMENT.unpack(raw)
    time.sleep(chance.random() * (time.monotonic() - began_s) / max(1, wanted))
    return acknowledged


def _write_until_killed(subject: Subject, first: int, write_end: int) -> None:
    # Nothing of the test runner may run in the child: not its cleanup, not its report.
    try:
        number = first
        while True:
            subject.write(number)
            os.write(write_end, ACKNOWLEDGEMENT.pack(number))
            number += 1
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(70)
