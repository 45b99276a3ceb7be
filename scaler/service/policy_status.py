"""The policies in force, and what is not in force, in the words of the web layer."""

from __future__ import annotations

from scaler.core.fleets import FleetKey
from scaler.policy.standing import Pending
from scaler.policy.store import PolicyStore
from scaler.web.state import PendingChange, PoliciesStatus, PolicyInForce

CHANGES_TOLD = 5


def policies_status(store: PolicyStore) -> PoliciesStatus:
    """What the store holds now."""
    policies = store.book.policies
    return PoliciesStatus(
        in_force={
            name: PolicyInForce(name, policy.place.file, policy.base.spec, policy.document.pools)
            for name, policy in policies.items()
        },
        problems=tuple(map(str, store.rejected)),
        rejected_at_s=store.rejected_since_s,
        pending=tuple(
            PendingChange(change.policy, FleetKey.parse(change.fleet), pending_sentence(change) or "", change.since_s)
            for change in store.all_pending()
        ),
    )


def pending_sentence(change: Pending | None) -> str | None:
    """What waits for confirmation, and how to confirm it."""
    if change is None:
        return None
    told = [str(one) for one in change.changes[:CHANGES_TOLD]]
    more = len(change.changes) - len(told)
    listed = "; ".join(told) + (f"; {more} more" if more else "")
    return (
        f"A change of policy {change.policy} would move the need by {change.moved_share:.0%} and waits: {listed}. "
        f"Put it in force with `calltide policy confirm {change.fleet} --state DIR`, DIR being the state directory."
    )
