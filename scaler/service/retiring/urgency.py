"""How often a fleet is looked at: pods are asked where something leaves or might, and seldom elsewhere.

An answer of a pod costs it and us a few requests. A platform has thousands of pods, of which a handful leave at a time.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from scaler.fleet.retiring import FleetLook
from scaler.policy.model import RetirementMode
from scaler.retirement.actions import Action, SetFrontGate

LEAVING_EVERY_S = 1.0
"""A pod that is empty is gone some rounds later: it is paid for, and the valley is short."""
SURPLUS_EVERY_S = 5.0
QUIET_EVERY_S = 300.0
"""To see that pods still answer, so that a changed password is known before the evening's valley."""


def every_s(
    look: FleetLook,
    mode: RetirementMode,
    need: int | None,
    asked_for: Sequence[Action] = (),
    looked_at: Collection[tuple[RetirementMode, str]] = frozenset(),
    *,
    unread: bool = False,
) -> float | None:
    """Seconds between two rounds of a fleet; None when there is nothing to do at all.

    `asked_for` is what the last round wanted done: only the next one sees what became of it. What a proxy was told is
    less urgent, since there are proxies that do not answer for hours. `looked_at` are the UIDs of the pods that had
    started when the last round of this leadership began, with the mode of then. Nobody has looked at the gates of any
    other: a leader may have died with them shut, and the address may be that of a pod that has left. `unread` says that
    some pod did not answer.
    """
    standing = [pod for pod in look.pods if pod.stands]
    acted = any(not isinstance(action, SetFrontGate) for action in asked_for)
    if acted or any(pod.state.is_leaving for pod in standing):
        return LEAVING_EVERY_S
    off = mode is RetirementMode.OFF
    # Where nothing is retired, only the pods in calltide's care may have gates that it shut.
    concerned = [pod for pod in standing if pod.started and (pod.protected or not off)]
    if any((mode, pod.uid) not in looked_at for pod in concerned):
        return LEAVING_EVERY_S
    if off:
        # A gate that could not be opened, or not be read, is tried again, whatever the policy says by now.
        return SURPLUS_EVERY_S if asked_for else QUIET_EVERY_S if unread and concerned else None
    if any(pod.wish is not None or not pod.current_revision for pod in standing) or _is_troubled(look):
        return SURPLUS_EVERY_S
    ready = sum(pod.ready for pod in standing)
    surplus = need is not None and ready > need
    waiting = any(not pod.started for pod in standing)
    return SURPLUS_EVERY_S if surplus or waiting or asked_for else QUIET_EVERY_S


def _is_troubled(look: FleetLook) -> bool:
    return any(node.cordoned or node.is_troubled for node in look.nodes)
