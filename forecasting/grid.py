"""The time grid that every array of load lies on.

Slots are UTC instants, so that a daylight-saving change neither removes nor repeats one; calendars translate to
civil time where the working day matters. Times are whole epoch seconds: no float, no time zone, nothing to round.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from forecasting.errors import ForecastInputError

Int64Array = npt.NDArray[np.int64]


def floor_to_step(epoch_s: float, step_s: int) -> int:
    """The start of the slot that holds this instant, epoch seconds."""
    return int(epoch_s // step_s) * step_s


@dataclass(frozen=True, slots=True)
class SlotGrid:
    """Consecutive slots: slot i covers [start_s + i * step_s, start_s + (i + 1) * step_s).

    Raises:
        ForecastInputError: the step is not positive, the count is negative, or the start is not a multiple of the step.
    """

    start_s: int
    step_s: int
    slots: int

    def __post_init__(self) -> None:
        if self.step_s <= 0:
            raise ForecastInputError(f"step_s is {self.step_s}, it must be a positive number of seconds")
        if self.slots < 0:
            raise ForecastInputError(f"slots is {self.slots}, it must not be negative")
        if self.start_s % self.step_s:
            raise ForecastInputError(
                f"start_s {self.start_s} is not a multiple of the step of {self.step_s} s; use floor_to_step"
            )

    @classmethod
    def covering(cls, start_s: float, end_s: float, step_s: int) -> SlotGrid:
        """The slots that touch [start_s, end_s)."""
        first = floor_to_step(start_s, step_s)
        last = -floor_to_step(-end_s, step_s)
        return cls(first, step_s, max(0, (last - first) // step_s))

    @property
    def end_s(self) -> int:
        """The instant after the last slot, epoch seconds."""
        return self.start_s + self.slots * self.step_s

    @property
    def starts_s(self) -> Int64Array:
        """Start of each slot, epoch seconds, shape (slots,)."""
        return self.start_s + self.step_s * np.arange(self.slots, dtype=np.int64)

    def index_of(self, epoch_s: float) -> int:
        """The slot that holds the instant; below 0 or at least `slots` when it lies outside."""
        return int((epoch_s - self.start_s) // self.step_s)

    def after(self, slots: int) -> SlotGrid:
        """The grid of this many slots that begins where this one ends."""
        return SlotGrid(self.end_s, self.step_s, slots)
