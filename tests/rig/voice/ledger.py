"""The exact account of every call that was offered: how it went, when, and who ended it.

A call is **cut** when it had been answered and ended, but not by whom the plan lets end it: the far side said BYE, or
the caller's own BYE was not answered, or not with a 2xx (481: the far side knows no such call any more).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

from tests.rig.voice.plan import Segment
from tests.rig.voice.trace import Message

TRANSACTION_S = 32.0
"""How long a SIP request may wait for its answer (64 × T1)."""


class LedgerError(Exception):
    """The account does not add up. No figure of it may be believed."""


class Outcome(StrEnum):
    """How an offered call went. Each is in exactly one class."""

    COMPLETED = "completed"
    REFUSED = "refused"
    ABANDONED = "abandoned"
    FAILED = "failed"
    CUT = "cut"
    UNFINISHED = "unfinished"


@dataclass(frozen=True, slots=True)
class Call:
    """One offered call. Times are wall clock, seconds since 1970."""

    call_id: str
    fleet: str
    extension: str
    proxy: str
    offered_s: float
    answered_s: float | None
    ended_s: float | None
    outcome: Outcome
    code: int | None
    """The status that decided: the refusal's, or that of a cut call's BYE."""
    how: str
    ended_by_caller: bool
    """It went as the caller's script has it to the end."""
    silence_s: float | None = None
    """The longest time in which nothing was heard from the answer to the end, where somebody listened."""


@dataclass(frozen=True, slots=True)
class Totals:
    """What SIPp itself counted in one process, at its end."""

    created: int
    successful: int
    failed: int
    current: int


@dataclass(frozen=True, slots=True)
class Ledger:
    """All calls of a run, or some of them."""

    calls: tuple[Call, ...]

    @property
    def offered(self) -> int:
        return len(self.calls)

    @property
    def answered(self) -> int:
        """Calls that were answered, however they ended."""
        return sum(call.answered_s is not None for call in self.calls)

    @property
    def completed(self) -> int:
        return self._count(Outcome.COMPLETED)

    @property
    def refused(self) -> int:
        return self._count(Outcome.REFUSED)

    @property
    def abandoned(self) -> int:
        return self._count(Outcome.ABANDONED)

    @property
    def failed(self) -> int:
        return self._count(Outcome.FAILED)

    @property
    def cut(self) -> int:
        return self._count(Outcome.CUT)

    @property
    def unfinished(self) -> int:
        """Calls that were still going on when the account was made, or that the run's stop ended."""
        return self._count(Outcome.UNFINISHED)

    @property
    def up(self) -> int:
        """Calls that are answered and have not ended."""
        return sum(call.answered_s is not None and call.ended_s is None for call in self.calls)

    @property
    def refusals(self) -> Counter[int]:
        """Refused calls by status code."""
        return Counter(call.code for call in self.of(Outcome.REFUSED).calls if call.code is not None)

    def of(self, outcome: Outcome) -> Ledger:
        """Those calls that went so."""
        return self.where(lambda call: call.outcome is outcome)

    def where(self, chosen: Callable[[Call], bool]) -> Ledger:
        """Those calls that are chosen: of one fleet, offered in some minute."""
        return Ledger(tuple(call for call in self.calls if chosen(call)))

    def table(self) -> str:
        """One line per fleet, and what there is to say about every call that did not go well."""
        columns = ("fleet", "offered", "answered", *(outcome.value for outcome in Outcome))
        rows = [self.where(lambda call, fleet=fleet: call.fleet == fleet)._row(fleet) for fleet in self._fleets()]
        widths = [max(len(row[column]) for row in (columns, *rows)) for column in range(len(columns))]
        lines = [
            "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in (columns, *rows)
        ]
        unwell = self.where(lambda call: call.outcome is not Outcome.COMPLETED)
        reasons = Counter(f"{call.outcome.value}: {call.how}" for call in unwell.calls)
        return "\n".join([*lines, *(f"{count} {reason}" for reason, count in sorted(reasons.items()))])

    def write(self, path: Path) -> None:
        """One JSON object per call and line."""
        path.write_text("".join(f"{json.dumps(asdict(call))}\n" for call in self.calls), encoding="utf-8")

    def _fleets(self) -> list[str]:
        return sorted({call.fleet for call in self.calls})

    def _row(self, name: str) -> tuple[str, ...]:
        counts = (self.offered, self.answered, *(self._count(outcome) for outcome in Outcome))
        return (name, *map(str, counts))

    def _count(self, outcome: Outcome) -> int:
        return sum(call.outcome is outcome for call in self.calls)


def account(
    messages: Iterable[Message], segment: Segment, proxy: str, *, own: str, stopped_s: float | None = None
) -> list[Call]:
    """Every call of one calling process, from what it saw on the wire.

    Args:
        messages: the trace, in order.
        segment: what the plan says of these calls.
        proxy: where they were offered.
        own: how the process's Call-IDs begin; what is left over from another that had its port is not its.
        stopped_s: when the run was told to stop, if it was.

    Raises:
        LedgerError: messages of a call that was never offered.
    """
    by_call: dict[str, list[Message]] = {}
    for message in messages:
        if message.call_id.startswith(own):
            by_call.setdefault(message.call_id, []).append(message)
    return [_call(call_id, seen, segment, proxy, stopped_s) for call_id, seen in by_call.items()]


def cross_check(where: str, calls: Sequence[Call], totals: Totals) -> None:
    """Hold the account of one process against SIPp's own count.

    Raises:
        LedgerError: they differ.
    """
    counted = Totals(
        created=len(calls),
        successful=sum(call.ended_by_caller for call in calls),
        failed=sum(not call.ended_by_caller for call in calls),
        current=0,
    )
    if counted != totals:
        raise LedgerError(
            f"{where}: the trace says {counted}, SIPp says {totals}; the trace is not complete, or misread"
        )


@dataclass(frozen=True, slots=True)
class _End:
    outcome: Outcome
    how: str
    at_s: float | None = None
    code: int | None = None
    by_caller: bool = False


def _call(call_id: str, seen: Sequence[Message], segment: Segment, proxy: str, stopped_s: float | None) -> Call:
    invite = _first(seen, sent=True, method="INVITE")
    if invite is None:
        raise LedgerError(f"call {call_id}: {len(seen)} messages, but it was never offered")
    final = _answer(seen, invite)
    answered = final if final is not None and final.status is not None and final.status < 300 else None
    if answered is not None:
        end = _end_of_answered(seen, segment, stopped_s)
    else:
        end = _end_of_unanswered(seen, final, segment, stopped_s)
    return Call(
        call_id=call_id,
        fleet=segment.fleet,
        extension=segment.extension,
        proxy=proxy,
        offered_s=invite.at_s,
        answered_s=answered.at_s if answered else None,
        ended_s=end.at_s,
        outcome=end.outcome,
        code=end.code,
        how=end.how,
        ended_by_caller=end.by_caller,
    )


def _end_of_unanswered(
    seen: Sequence[Message], final: Message | None, segment: Segment, stopped_s: float | None
) -> _End:
    cancel = _first(seen, sent=True, method="CANCEL")
    if final is None and stopped_s is not None:
        return _End(Outcome.UNFINISHED, "not answered when the run was stopped")
    if final is None:
        return _End(Outcome.FAILED, "no final answer", seen[-1].at_s)
    if cancel is None or final.status != 487:
        return _End(Outcome.REFUSED, f"INVITE answered {final.status}", final.at_s, final.status)
    if segment.abandons:
        return _End(Outcome.ABANDONED, "the caller gave up, as planned", final.at_s, final.status, by_caller=True)
    if stopped_s is not None:
        return _End(Outcome.UNFINISHED, "not answered when the run was stopped", final.at_s, final.status)
    return _End(Outcome.FAILED, "not answered in time, cancelled", final.at_s, final.status)


def _end_of_answered(seen: Sequence[Message], segment: Segment, stopped_s: float | None) -> _End:
    theirs = _first(seen, sent=False, method="BYE")
    ours = _first(seen, sent=True, method="BYE")
    if theirs is not None and (ours is None or theirs.at_s <= ours.at_s):
        if segment.callee_hangs_up:
            return _End(Outcome.COMPLETED, "the far side hung up, as planned", theirs.at_s)
        return _End(Outcome.CUT, "BYE from the far side", theirs.at_s)
    if ours is None:
        given_up = _first(seen, sent=True, method="CANCEL")
        if given_up is not None:
            return _End(Outcome.FAILED, "answered to a caller who had given up", given_up.at_s)
        return _End(Outcome.UNFINISHED, "still up")
    final = _answer(seen, ours)
    if final is not None and final.status is not None and final.status < 300:
        return _End(Outcome.COMPLETED, "the caller hung up", final.at_s, by_caller=True)
    if final is not None:
        return _End(Outcome.CUT, f"the caller's BYE was answered {final.status}", ours.at_s, final.status)
    if stopped_s is not None and ours.at_s > stopped_s - TRANSACTION_S:
        # The caller went away before an answer had to be there.
        return _End(Outcome.UNFINISHED, "hung up when the run was stopped", ours.at_s)
    return _End(Outcome.CUT, "the caller's BYE was not answered", ours.at_s)


def _first(seen: Sequence[Message], *, sent: bool, method: str) -> Message | None:
    """The first such request."""
    return next((each for each in seen if each.status is None and each.sent is sent and each.method == method), None)


def _answer(seen: Sequence[Message], request: Message) -> Message | None:
    """The first final answer to a request that was sent."""
    key = (request.number, request.method)
    answers = (each for each in seen if not each.sent and (each.number, each.method) == key)
    return next((each for each in answers if each.status is not None and each.status >= 200), None)
