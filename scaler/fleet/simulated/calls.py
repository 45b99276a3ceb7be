"""The calls that a simulated fleet carries, as whoever makes them has to tell them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

Int64Array = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Calls:
    """Calls in the order of their starts. All arrays have shape (calls,); times are whole epoch seconds.

    A call is in progress from `start_s` on and not any more at `end_s`.
    """

    start_s: Int64Array
    end_s: Int64Array
    channels: Int64Array


class LiveCalls(Protocol):
    """Offered calls, as a pure function of time: the same question always gets the same answer."""

    def starting(self, tenants: Sequence[str], from_s: float, until_s: float) -> Calls:
        """Calls of these tenants that begin in [from_s, until_s)."""
        ...

    def in_progress(self, tenants: Sequence[str], at_s: float) -> Calls:
        """Calls of these tenants that are in progress at this instant."""
        ...
