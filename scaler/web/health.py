"""Whether the service lives, and whether it can give answers.

Ready means that KEDA gets answers which calltide has just made. A dead Prometheus does not make the service unready:
the plan book goes on answering, and taking the service out of rotation would only silence it.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from scaler.web.state import KedaStats, ReplicaStatus, StateReader


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
    checks = [_book(keda, state.replica()), _reports(keda)]
    return Readiness(ready=all(check.ok for check in checks), checks=checks)


def keda_readiness_of(state: StateReader) -> Readiness:
    """Check that KEDA gets numbers here at all, if need be alone.

    A calltide whose planning hangs must stay in KEDA's rotation: its last answers still carry the fleets. One that
    never had any must not enter it.
    """
    keda = state.keda_stats()
    has_book = Check(name="answers", ok=keda.has_book, message="There are answers to give.")
    if not keda.has_book:
        has_book.message = "There are no answers yet: none was planned here, and none was copied from a leader."
    checks = [has_book, _reports(keda)]
    return Readiness(ready=all(check.ok for check in checks), checks=checks)


def _book(keda: KedaStats, replica: ReplicaStatus) -> Check:
    age_s = keda.book_age_s
    if replica.follows and (age_s is None or age_s > keda.stale_after_s):
        had = "No answers were copied yet" if age_s is None else f"The answers copied last are {age_s:.0f} s old"
        why = replica.problem or f"{replica.leader or 'no leader'} gives no newer ones"
        return Check(name="book", ok=False, message=f"{had}: {why}.")
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
