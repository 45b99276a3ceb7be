"""A round of retirement in the words of the page."""

from __future__ import annotations

from collections.abc import Mapping

from scaler.retirement.observed import ObservedPod
from scaler.retirement.readings import Reading, Unproved
from scaler.service.retiring.state import FleetRound
from scaler.web.state import FleetRetirement, RetiringPod


def retirement_of(last: FleetRound) -> FleetRetirement:
    """What the page, the API and the metrics show of a fleet's last round."""
    decision = last.decision
    waiting = dict(decision.waiting)
    standing = [pod for pod in last.observed.pods if pod.stands]
    unproved = [pod for pod in standing if last.observed.is_unproved(pod)]
    shown = [pod for pod in standing if pod.state.is_leaving or pod in unproved]
    return FleetRetirement(
        mode=last.mode.value,
        at_s=last.at_s,
        explanation=decision.explanation,
        standstills=tuple((one.reason, one.sentence) for one in decision.standstills),
        conditions=tuple((report.condition.value, report.sentence) for report in decision.reports),
        failures=last.failures,
        pods=tuple(_pod(pod, waiting) for pod in shown),
        unproved=len(unproved),
    )


def _pod(pod: ObservedPod, waiting: Mapping[str, str]) -> RetiringPod:
    reading = pod.reading
    doubt = f"Its channels cannot be counted: {reading.sentence}." if isinstance(reading, Unproved) else ""
    return RetiringPod(
        name=pod.name,
        state=pod.state.value,
        channels=reading.channels if isinstance(reading, Reading) else None,
        since_s=pod.drain.began_at_s if pod.drain is not None and pod.state.is_leaving else None,
        why=waiting.get(pod.uid, doubt),
    )
