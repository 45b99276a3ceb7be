"""Calls in progress to come: from the calls up now and from the arrivals ahead.

Load follows arrivals with the lag of the holding time: λ(t) times the mean is too high while arrivals rise and too low
while they fall. And the calls that are up now are known, which for the first holding time says more than any forecast
of arrivals. Both parts are means over slots, exact for a rate that is constant within a slot.

Sources: Eick, Massey & Whitt, "The physics of the M_t/G/infinity queue", Operations Research 41 (1993); Whitt, "Dynamic
staffing in a telephone call center aiming to immediately answer all calls", Operations Research Letters 24 (1999).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from forecasting.grid import Int64Array
from forecasting.holding_times import Float64Array, HoldingLaw


@dataclass(frozen=True, slots=True, eq=False)
class Occupancy:
    """Mean and variance of the calls in progress, each of shape (series, slots)."""

    mean: Float64Array
    variance: Float64Array

    def __add__(self, other: Occupancy) -> Occupancy:
        """Independent parts: means and variances add up."""
        return Occupancy(self.mean + other.mean, self.variance + other.variance)


def from_arrivals(rates_per_s: Float64Array, rate_deviations: Float64Array, law: HoldingLaw, step_s: int) -> Occupancy:
    """Calls in progress of those that have yet to arrive.

    `rates_per_s` (series, slots) are the expected set-ups per second from now on, and `rate_deviations` their standard
    deviations, without the noise of the count itself. m(t) = ∫ λ(t - u) P(S > u) du. Given the rates the calls in
    progress are Poisson; that the rates are wrong comes on top, in all slots at once: an error of level persists.
    """
    kernel_s = _kernel_s(law, rates_per_s.shape[1], step_s)
    mean = _convolved(rates_per_s, kernel_s)
    return Occupancy(mean, mean + _convolved(rate_deviations, kernel_s) ** 2)


def from_live_calls(series: Int64Array, ages_s: Float64Array, law: HoldingLaw, slots: int, step_s: int) -> Occupancy:
    """Calls in progress of those that are up now, by series number and age in seconds, (calls,) each.

    A call of age a is still up after s seconds with probability P(S > a + s) / P(S > a), independently of the others.
    """
    count = law.survival.shape[0]
    mean, variance = np.zeros((count, slots)), np.zeros((count, slots))
    alive = law.at(series, ages_s)
    # Where nothing was ever seen to last so long, the tail alone speaks, from the longest age on.
    old = alive <= 1e-9
    ages_s = np.where(old, law.knots_s[-1], ages_s)
    until_s = law.area_to(series, ages_s)
    for slot in range(slots):
        before_s, until_s = until_s, law.area_to(series, ages_s + (slot + 1) * step_s)
        up = (until_s - before_s) / (step_s * np.where(old, 1.0, alive))
        fading = np.exp(-law.tail_rate * (slot + 0.5) * step_s)
        up = np.clip(np.where(old, fading, up), 0.0, 1.0)
        mean[:, slot] = np.bincount(series, weights=up, minlength=count)
        variance[:, slot] = np.bincount(series, weights=up * (1.0 - up), minlength=count)
    return Occupancy(mean, variance)


def _kernel_s(law: HoldingLaw, slots: int, step_s: int) -> Float64Array:
    """Seconds that arrivals at one per second in a slot stay up on average in the slot d later: (series, slots)."""
    second = law.second_area_to(np.arange(slots + 1, dtype=np.float64) * step_s)
    kernel_s: Float64Array = second[:, 1:] / step_s
    kernel_s[:, 1:] -= (2 * second[:, 1:-1] - second[:, :-2]) / step_s
    return np.maximum(kernel_s, 0.0)


def _convolved(values: Float64Array, kernel: Float64Array) -> Float64Array:
    """Σ values[slot - d] · kernel[d] along the slots, by Fourier: laws have tails of days."""
    slots = values.shape[1]
    length = 2 * slots
    spectrum = np.fft.rfft(values, length) * np.fft.rfft(kernel, length)
    return np.maximum(np.fft.irfft(spectrum, length)[:, :slots], 0.0)
