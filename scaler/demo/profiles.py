"""How much a tenant telephones at each minute of its own day: office, call centre, hospital.

Shapes are shares of the busiest quarter hour of an ordinary day, drawn by hand after what is commonly seen: a morning
hump that is higher than the afternoon's, a dip at lunch, the first working day above the others. They are no
measurement of anybody.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Float64Array = npt.NDArray[np.float64]

MINUTES_OF_A_DAY = 1440


@dataclass(frozen=True, slots=True)
class HoldingTime:
    """A log-normal holding time: mean in seconds, sigma of the logarithm."""

    mean_s: float
    sigma: float

    @property
    def mu(self) -> float:
        """Mean of the logarithm."""
        return float(np.log(self.mean_s) - self.sigma**2 / 2)


@dataclass(frozen=True, slots=True)
class Profile:
    """The habits of a kind of tenant.

    `day` are (local hour, share of the peak) from 0 to 24, joined by straight lines. `week` are factors for seven days
    from the first working day on. A public holiday counts as `holiday` of an ordinary day. `day_spread` is the
    standard deviation of a whole day's factor (mean 1), which makes arrivals over-dispersed. `bursts_per_day` is how
    often a campaign, an outage or a reminder lifts half an hour or so. A share `menu` of the calls ends in a menu
    (`menu_holding`, one channel); of the others a share `two_channels` has both of its legs on the pod.
    """

    name: str
    day: tuple[tuple[float, float], ...]
    week: tuple[float, float, float, float, float, float, float]
    holiday: float
    day_spread: float
    bursts_per_day: float
    holding: HoldingTime
    menu: float
    menu_holding: HoldingTime = HoldingTime(35.0, 0.6)
    two_channels: float = 0.85

    def shape(self, minutes: Float64Array) -> Float64Array:
        """Share of the peak at local minutes of the day, any shape."""
        hours, shares = zip(*self.day, strict=True)
        shape: Float64Array = np.interp(minutes / 60.0, hours, shares)
        return shape

    @property
    def mean_holding_s(self) -> float:
        """Mean holding time over all calls, seconds."""
        return self.menu * self.menu_holding.mean_s + (1 - self.menu) * self.holding.mean_s

    @property
    def mean_channel_seconds(self) -> float:
        """Channel seconds of a call on average: Little's law turns a call rate into channels with it."""
        spoken = (1 - self.menu) * self.holding.mean_s * (1 + self.two_channels)
        return self.menu * self.menu_holding.mean_s + spoken


OFFICE = Profile(
    name="office",
    day=(
        (0, 0.01),
        (6, 0.02),
        (7.5, 0.18),
        (9, 0.85),
        (10.25, 1.0),
        (11.5, 0.88),
        (12.5, 0.5),
        (13.25, 0.62),
        (14.5, 0.86),
        (16, 0.72),
        (17.5, 0.3),
        (19, 0.07),
        (22, 0.02),
        (24, 0.01),
    ),
    week=(1.15, 1.0, 0.97, 0.98, 0.86, 0.08, 0.05),
    holiday=0.08,
    day_spread=0.07,
    bursts_per_day=0.1,
    holding=HoldingTime(205.0, 0.95),
    menu=0.15,
)

CALL_CENTRE = Profile(
    name="call-centre",
    day=(
        (0, 0.02),
        (6, 0.04),
        (8, 0.45),
        (9.5, 0.95),
        (10.5, 1.0),
        (12, 0.82),
        (13, 0.7),
        (14.5, 0.88),
        (17, 0.84),
        (19, 0.62),
        (21, 0.28),
        (22.5, 0.06),
        (24, 0.02),
    ),
    week=(1.22, 1.04, 0.98, 0.96, 0.94, 0.55, 0.3),
    holiday=0.35,
    day_spread=0.1,
    bursts_per_day=0.35,
    holding=HoldingTime(230.0, 0.9),
    menu=0.3,
)

HOSPITAL = Profile(
    name="hospital",
    day=(
        (0, 0.16),
        (4, 0.11),
        (6, 0.2),
        (7.5, 0.6),
        (9, 0.96),
        (10.5, 1.0),
        (12.5, 0.7),
        (14, 0.84),
        (16, 0.74),
        (18, 0.52),
        (20, 0.4),
        (22, 0.24),
        (24, 0.16),
    ),
    week=(1.1, 1.02, 1.0, 0.99, 0.95, 0.52, 0.48),
    holiday=0.55,
    day_spread=0.06,
    bursts_per_day=0.12,
    holding=HoldingTime(180.0, 1.0),
    menu=0.1,
)
