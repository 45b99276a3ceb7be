"""The number that makes an HPA with the default tolerance reach a need.

An HPA does not move while the reported value lies within a tenth of what stands, so a fleet of twenty cannot be
raised by one. Where the cluster offers no tolerance of 0 (Kubernetes before 1.35), a slightly larger number is
reported: at most a tenth and one pod too many, never one too few. Whole numbers only, as an HPA's bound of 11/10 is
inclusive and a float beside it would decide by its last bit.

Source: the HPA's replica calculator: it keeps `status.replicas` while 0.9 ≤ value / replicas ≤ 1.1, and proposes
ceil(value) otherwise.
"""

from __future__ import annotations


def band_aware(need: int, current: int) -> int:
    """The smallest number that makes an HPA which counts `current` pods propose at least `need`."""
    blocked = current < need and 10 * need <= 11 * current
    return 11 * current // 10 + 1 if blocked else need


def band_safe(need: int) -> int:
    """The smallest number that makes an HPA propose at least `need` from any smaller count.

    For when the count that the HPA will see is not known. The count just below needs the most.
    """
    return max(need, 11 * (need - 1) // 10 + 1)
