"""Freed memory goes back to the system, seen from outside the process that had it."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import psutil
from scaler.service.freed_memory import give_back_freed_memory

# In pieces too small for a mapping of their own, and some in between that stay.
pieces = [bytearray(60_000) for _ in range(2_000)]
kept = pieces[::50]
del pieces
before = psutil.Process().memory_info().rss
give_back_freed_memory()
print(before - psutil.Process().memory_info().rss, len(kept))
"""


def test_what_lies_free_between_what_is_used_is_given_back() -> None:
    ran = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    given_back, kept = map(int, ran.stdout.split())
    assert kept == 40
    assert given_back > 80_000_000
