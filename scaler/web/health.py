"""Whether the service lives, and whether it can give answers.

Ready means that KEDA gets answers which calltide has just made. A dead Prometheus does not make the service unready:
the plan book goes on answering, and taking the service out of rotation would only silence it.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from scaler.web.state import KedaStats, StateReader


class Check(BaseModel):
    """One condition, in words."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    name: str
    """Which condition."""
    ok: bool
    """Whether it holds."""
    message: str
    """What was found, and what to do when it does not hold."""


class Readiness(BaseModel):
    """Whether answers can be given."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    ready: bool
    """Whether every check holds."""
    checks: list[Check]
    """What was checked."""


class Liveness(BaseModel):
    """The process answers."""

    alive: bool = True


def readiness_of(state: StateReader) -> Readiness:
    """Check that KEDA is answered, and with answers of now."""
    keda = state.keda_stats()
    checks = [_book(keda), _reports(keda)]
    return Readiness(ready=all(check.ok for check in checks), checks=checks)


def _book(keda: KedaStats) -> Check:
    age_s = keda.book_age_s
    if age_s is None:
        return Check(name="book", ok=False, message="No answers were written yet; the first plan is being made.")
    if age_s > keda.stale_after_s:
        message = (
            f"The answers are {age_s:.0f} s old, the bound is {keda.stale_after_s:.0f} s; "
            "the plan job does not get through: see /api/v1/jobs."
        )
        return Check(name="book", ok=False, message=message)
    message = f"The answers for {keda.book_fleets} fleets were written {age_s:.0f} s ago."
    return Check(name="book", ok=True, message=message)


def _reports(keda: KedaStats) -> Check:
    if keda.alive:
        return Check(name="keda", ok=True, message="The process that answers KEDA reports.")
    message = (
        "The process that answers KEDA does not report; the supervisor starts it again, its log says why it ended."
    )
    return Check(name="keda", ok=False, message=message)
