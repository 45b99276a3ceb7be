"""How long a raised answer takes to become a pod that takes calls.

The plan looks this far ahead, so the estimate errs on the long side: a lead that is too long costs a pod for some
minutes, one that is too short costs calls.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from scaler.policy.durations import format_duration
from scaler.policy.model import LeadSpec

KEDA_POLLING_INTERVAL_S = 30.0
"""Longest wait until KEDA asks, unless the ScaledObject says otherwise. Source: KEDA's `pollingInterval` default."""
HPA_SYNC_PERIOD_S = 15.0
"""Longest wait until the HPA reads what KEDA knows. Source: kube-controller-manager's
`--horizontal-pod-autoscaler-sync-period` default."""


@dataclass(frozen=True, slots=True)
class Lead:
    """A fleet's lead. `measured` says whether pod starts were measured or the policy's default stands in."""

    seconds: float
    measured: bool
    sentence: str


def fleet_lead(
    spec: LeadSpec, pod_leads_s: Sequence[float], *, polling_interval_s: float = KEDA_POLLING_INTERVAL_S
) -> Lead:
    """The lead from the newest pods' seconds from creation to Ready, in any order.

    Too few samples: the policy's default, which stands for the whole lead. What is not a positive number is not a
    sample: a clock that went back must not shorten the lead.
    """
    samples = np.asarray(pod_leads_s, dtype=np.float64)
    samples = samples[np.isfinite(samples) & (samples > 0)]
    if samples.size < spec.minimum_samples:
        missing = f"{samples.size} of {spec.minimum_samples} pod starts are measured so far"
        return Lead(float(spec.default), False, f"{format_duration(spec.default)} by default: {missing}.")
    # "higher" takes a lead that was really seen, and the longer one of two.
    start_s = float(np.quantile(samples, spec.quantile, method="higher"))
    seconds = polling_interval_s + HPA_SYNC_PERIOD_S + start_s + spec.routing_delay
    sentence = (
        f"{format_duration(seconds)}: {polling_interval_s:.0f} s until KEDA asks, {HPA_SYNC_PERIOD_S:.0f} s until the "
        f"HPA acts, {start_s:.0f} s until a pod is Ready ({spec.quantile:.0%} of {samples.size} starts), "
        f"{spec.routing_delay} s until calls reach it."
    )
    return Lead(seconds, True, sentence)
