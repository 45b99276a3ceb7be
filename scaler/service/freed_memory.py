"""Memory that was freed and that the C library keeps, given back to the system.

A worker's forecast takes and frees hundreds of megabytes in pieces of every size. What lies between pieces that are
still used stays with the process, and the next history is read on top of it.
"""

from __future__ import annotations

import ctypes


def give_back_freed_memory() -> None:
    """Give back every free page of the heap; nothing where the C library has no such call."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
