"""Whether a policy change moves a fleet too far to take effect by itself.

A typing error in a policy must not empty or flood a fleet. The fleet is planned under both versions; when they are
too far apart the old one stays in force, and the explanation shows what the new one would say.
"""

from __future__ import annotations

from dataclasses import replace

from scaler.core import wording
from scaler.core.plan import Contribution, Part, Plan


def moved_share(old_plan: Plan, new_plan: Plan) -> float:
    """By which share of the old plan the new one differs: of the need now or of the path's maximum, the larger."""
    pairs = [
        (old_plan.need, new_plan.need),
        (int(old_plan.path.max(initial=0)), int(new_plan.path.max(initial=0))),
    ]
    return max(abs(new - old) / max(1, old) for old, new in pairs)


def while_unconfirmed(old_plan: Plan, new_plan: Plan) -> Plan:
    """The old policy's plan, explained from the new one's need and the difference that waits to be confirmed."""
    old, new = old_plan.explanation, new_plan.explanation
    sentence = (
        f"The changed policy {new_plan.policy} would need {wording.pods(new.need)} now and "
        f"{wording.pods(int(new_plan.path.max(initial=0)))} at its highest. The policy before it stays in force with "
        f"{wording.pods(old.need)} until somebody runs `calltide policy confirm {new_plan.fleet} --state DIR`."
    )
    wait = Contribution(Part.UNCONFIRMED, old.need - new.need, old.need, sentence)
    kept = new.contributions[: new.need_after + 1]
    explanation = replace(
        old,
        contributions=(*kept, wait, *old.contributions[old.need_after + 1 :]),
        need_after=len(kept),
        warnings=(*old.warnings, sentence),
    )
    return replace(old_plan, explanation=explanation)
