"""How long a pod that takes no new calls will still be busy.

The retirer drains first the pod that is empty soonest, and only ahead of a valley that lasts longer than that. Half of
all calls are short, but a pod is empty when its *last* call ends, and a call that has lasted long will last long: so
the answer is a quantile of the largest residual holding time, not a multiple of a mean.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from scaler.retirement.errors import RetirementError

PRIOR_CALLS = 50
"""A tenant's own calls weigh as much as the default law once so many were seen."""
LEAST_LOG_SD = 0.1
"""Below it one call that outlives all the others would be taken to end within moments."""
SHORTEST_S, LONGEST_S = 1.0, 30 * 86400.0
"""The range of answers. A channel that is expected to last longer than a month is a ghost, and reported as such."""
_HALVINGS = 12
_FAR = 25.0
"""Standard deviations beyond which erfc is taken by its series, long before it underflows."""


@dataclass(frozen=True, slots=True)
class HoldingTimes:
    """A log-normal law of call durations: mean and standard deviation of the logarithm of their seconds.

    Raises:
        RetirementError: one of them is not finite, or the deviation is not above zero.
    """

    log_mean: float
    log_sd: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.log_mean) and math.isfinite(self.log_sd) and self.log_sd > 0.0):
            raise RetirementError(
                f"log_mean {self.log_mean:g}, log_sd {self.log_sd:g}: both must be finite and log_sd above 0; "
                "fit them to durations in seconds"
            )

    @property
    def mean_s(self) -> float:
        """Mean duration, seconds."""
        return math.exp(self.log_mean + self.log_sd**2 / 2)


DEFAULT_HOLDING_TIMES = HoldingTimes(math.log(180.0) - 1.2**2 / 2, 1.2)
"""Three minutes on average, one call of a hundred above 24 minutes: what call centres and offices commonly see."""


def fitted(durations_s: Sequence[float]) -> HoldingTimes:
    """The law of a tenant whose calls lasted so long, drawn towards the default while there are few of them.

    Calls that still run are not among them, so pass those of a day or more, or the long ones are missing.

    Raises:
        RetirementError: a duration is negative or not finite.

    Source: conjugate normal of the logarithms with `PRIOR_CALLS` earlier observations (Gelman et al., Bayesian Data
    Analysis, 3rd ed., section 3.3); the balance of two Gaussians has the variance of both and of their distance.
    """
    bad = next((one for one in durations_s if not (math.isfinite(one) and one >= 0.0)), None)
    if bad is not None:
        raise RetirementError(
            f"durations_s: {bad!r} is no duration of a call; leave such records out where they are read"
        )
    logs = [math.log(max(one, SHORTEST_S)) for one in durations_s]
    count, prior, law = len(logs), PRIOR_CALLS, DEFAULT_HOLDING_TIMES
    mean = sum(logs) / count if count else law.log_mean
    squares = sum((one - mean) ** 2 for one in logs) + prior * law.log_sd**2
    total = count + prior
    squares += count * prior / total * (mean - law.log_mean) ** 2
    log_mean = (count * mean + prior * law.log_mean) / total
    return HoldingTimes(log_mean, max(LEAST_LOG_SD, math.sqrt(squares / total)))


def time_to_empty_s(ages_s: Sequence[float], holding: HoldingTimes, quantile: float = 0.9) -> float:
    """Seconds within which all channels of these ages (seconds, any order) have ended with this probability.

    The largest of independent residual lives: P(all ended by t) = Π (1 − S(age + t) / S(age)). 0 for no channel, never
    above `LONGEST_S`, exact to a part in 250, and never less for more channels.

    Raises:
        RetirementError: the quantile is not inside (0, 1), or an age is negative or not finite.

    Source: Whitt, "Dynamic staffing in a telephone call center aiming to immediately answer all calls", Operations
    Research Letters 24 (1999); S(x) = erfc((ln x − log_mean) / (log_sd √2)) / 2 of the log-normal.
    """
    if not 0.0 < quantile < 1.0:
        raise RetirementError(f"quantile: {quantile!r} is not inside (0, 1); 0.9 is usual")
    bad = next((age for age in ages_s if not (math.isfinite(age) and age >= 0.0)), None)
    if bad is not None:
        raise RetirementError(f"ages_s: {bad!r} is no age of a channel; take both its times from one clock")
    if not ages_s:
        return 0.0
    # On a ladder that is the same for every pod, so that rounding cannot put two pods in the wrong order.
    low, high = math.log(SHORTEST_S), math.log(LONGEST_S)
    now = [(age, _log_survival(age, holding)) for age in ages_s]
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if _all_ended(now, math.exp(middle), holding) >= quantile:
            high = middle
        else:
            low = middle
    return math.exp(high)


def _all_ended(now: Sequence[tuple[float, float]], after_s: float, holding: HoldingTimes) -> float:
    """The probability that all channels have ended `after_s` later; each with its age and log-survival of now."""
    ended = 1.0
    for age, log_survival in now:
        ended *= -math.expm1(min(0.0, _log_survival(age + after_s, holding) - log_survival))
    return ended


def _log_survival(age_s: float, holding: HoldingTimes) -> float:
    """The logarithm of P(duration > age); of ages no call reaches by its Mills ratio, which does not underflow."""
    if age_s <= 0.0:
        return 0.0
    z = (math.log(age_s) - holding.log_mean) / holding.log_sd
    if z < _FAR:
        return math.log(0.5 * math.erfc(z / math.sqrt(2.0)))
    return -z * z / 2 - math.log(z * math.sqrt(2 * math.pi)) + math.log1p(-1 / z**2)
