"""From a trace of messages to the class of every call, and the checks that keep a wrong figure from being believed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.rig.voice.callers import totals
from tests.rig.voice.ledger import Call, Ledger, LedgerError, Outcome, Totals, account, cross_check
from tests.rig.voice.plan import Segment
from tests.rig.voice.trace import Message, TraceError, parsed, read

SEGMENT = Segment("acme", 0.0, 10.0, 1.0, 5.0)
ANSWERED = ("S 1 INVITE", "R 1 INVITE 100", "R 1 INVITE 200", "S 1 ACK")
HUNG_UP = (*ANSWERED, "S 2 BYE", "R 2 BYE 200")


def messages(*lines: str, call_id: str = "run-1", first_s: float = 100.0) -> list[Message]:
    """Messages a second apart, each written as direction, CSeq, method and, for an answer, its status."""
    made = []
    for second, line in enumerate(lines):
        direction, number, method, *status = line.split()
        code = int(status[0]) if status else None
        made.append(Message(first_s + second, direction == "S", call_id, int(number), method, code))
    return made


def call(*lines: str, segment: Segment = SEGMENT, stopped_s: float | None = None) -> Call:
    (only,) = account(messages(*lines), segment, "127.9.0.1", own="run-", stopped_s=stopped_s)
    return only


def test_a_call_that_its_caller_hung_up_is_completed_and_its_times_are_those_of_the_wire() -> None:
    told = call(*HUNG_UP)

    assert (told.outcome, told.offered_s, told.answered_s, told.ended_s) == (Outcome.COMPLETED, 100.0, 102.0, 105.0)


@pytest.mark.parametrize("code", [404, 486, 500, 503, 603])
def test_a_final_answer_of_400_or_more_refuses_with_its_code(code: int) -> None:
    told = call("S 1 INVITE", "R 1 INVITE 100", f"R 1 INVITE {code}", "S 1 ACK")

    assert (told.outcome, told.code) == (Outcome.REFUSED, code)


def test_a_caller_who_gives_up_as_planned_abandons() -> None:
    lines = ("S 1 INVITE", "R 1 INVITE 180", "S 1 CANCEL", "R 1 CANCEL 200", "R 1 INVITE 487", "S 1 ACK")

    assert call(*lines, segment=replace(SEGMENT, abandons=True)).outcome is Outcome.ABANDONED
    assert call(*lines).outcome is Outcome.FAILED


def test_a_call_with_no_final_answer_has_failed() -> None:
    assert call("S 1 INVITE", "S 1 INVITE", "S 1 INVITE").outcome is Outcome.FAILED
    assert call("S 1 INVITE", "R 1 INVITE 180", "S 1 CANCEL").outcome is Outcome.FAILED


def test_a_bye_from_the_far_side_cuts() -> None:
    told = call(*ANSWERED, "R 9 BYE", "S 9 BYE 200")

    assert (told.outcome, told.how, told.ended_s) == (Outcome.CUT, "BYE from the far side", 104.0)


def test_where_the_plan_lets_the_far_side_hang_up_it_does_not() -> None:
    assert call(*ANSWERED, "R 9 BYE", "S 9 BYE 200", segment=replace(SEGMENT, callee_hangs_up=True)).outcome is (
        Outcome.COMPLETED
    )


def test_a_bye_that_is_answered_481_or_408_cuts() -> None:
    told = call(*ANSWERED, "S 2 BYE", "R 2 BYE 481", "S 3 BYE", "R 3 BYE 200")

    assert (told.outcome, told.code) == (Outcome.CUT, 481)
    assert call(*ANSWERED, "S 2 BYE", "S 2 BYE", "R 2 BYE 408").outcome is Outcome.CUT


def test_a_bye_that_is_not_answered_cuts() -> None:
    assert call(*ANSWERED, "S 2 BYE", "S 2 BYE", "S 2 BYE").how == "the caller's BYE was not answered"


def test_byes_that_cross_belong_to_whom_was_first_on_the_callers_wire() -> None:
    assert call(*ANSWERED, "S 2 BYE", "R 9 BYE", "R 2 BYE 200").outcome is Outcome.COMPLETED
    assert call(*ANSWERED, "R 9 BYE", "S 2 BYE", "R 2 BYE 481").outcome is Outcome.CUT


def test_a_provisional_answer_to_a_bye_is_none() -> None:
    assert call(*ANSWERED, "S 2 BYE", "R 2 BYE 100", "R 2 BYE 200").outcome is Outcome.COMPLETED


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param(ANSWERED, id="up"),
        pytest.param((*ANSWERED, "S 2 BYE"), id="hanging up"),
        pytest.param(("S 1 INVITE", "R 1 INVITE 180"), id="ringing"),
        pytest.param(("S 1 INVITE", "S 1 CANCEL", "R 1 INVITE 487"), id="cancelled"),
    ],
)
def test_what_the_stop_of_a_run_ended_is_unfinished_and_not_cut(lines: tuple[str, ...]) -> None:
    assert call(*lines, stopped_s=103.5).outcome is Outcome.UNFINISHED


def test_a_stop_hides_no_call_that_was_cut_before() -> None:
    assert call(*ANSWERED, "R 9 BYE", "S 9 BYE 200", stopped_s=200.0).outcome is Outcome.CUT
    assert call(*ANSWERED, "S 2 BYE", "R 2 BYE 481", stopped_s=104.5).outcome is Outcome.CUT
    assert call(*ANSWERED, "S 2 BYE", stopped_s=200.0).outcome is Outcome.CUT


def test_messages_of_another_run_on_the_same_port_are_not_counted() -> None:
    stray = messages("R 9 BYE", call_id="other-1")

    assert len(account([*messages(*HUNG_UP), *stray], SEGMENT, "127.9.0.1", own="run-")) == 1


def test_messages_of_a_call_that_was_never_offered_are_an_error() -> None:
    with pytest.raises(LedgerError, match="call run-1: 1 messages, but it was never offered"):
        call("R 9 BYE")


def test_each_call_is_in_exactly_one_class() -> None:
    kinds = (HUNG_UP, ANSWERED, (*ANSWERED, "R 9 BYE"), ("S 1 INVITE",), ("S 1 INVITE", "R 1 INVITE 503"))
    ledger = Ledger(tuple(call(*lines) for lines in kinds))

    assert ledger.offered == 5
    assert sum(ledger.of(outcome).offered for outcome in Outcome) == 5
    assert (ledger.answered, ledger.up, ledger.refusals) == (3, 1, {503: 1})


def test_the_table_has_a_line_per_fleet_and_the_reasons() -> None:
    cut = replace(call(*ANSWERED, "R 9 BYE"), fleet="beta")

    lines = Ledger((call(*HUNG_UP), cut)).table().splitlines()
    assert [line.split() for line in lines[:3]] == [
        ["fleet", "offered", "answered", "completed", "refused", "abandoned", "failed", "cut", "unfinished"],
        ["acme", "1", "1", "1", "0", "0", "0", "0", "0"],
        ["beta", "1", "1", "0", "0", "0", "0", "1", "0"],
    ]
    assert lines[3:] == ["1 cut: BYE from the far side"]


def test_a_ledger_is_written_call_by_call(tmp_path: Path) -> None:
    Ledger((call(*HUNG_UP),)).write(tmp_path / "calls.jsonl")

    assert json.loads((tmp_path / "calls.jsonl").read_text())["outcome"] == "completed"


@pytest.mark.parametrize(
    "count",
    [
        pytest.param(Totals(created=3, successful=1, failed=1, current=0), id="a call that the trace has not"),
        pytest.param(Totals(created=2, successful=2, failed=0, current=0), id="a success that the trace has not"),
        pytest.param(Totals(created=2, successful=1, failed=0, current=1), id="a call that SIPp believes to be up"),
    ],
)
def test_a_count_that_differs_from_sipps_own_is_an_error(count: Totals) -> None:
    calls = [call(*HUNG_UP), call(*ANSWERED, "R 9 BYE")]
    cross_check("run-0", calls, Totals(created=2, successful=1, failed=1, current=0))

    with pytest.raises(LedgerError, match=r"run-0: the trace says .*, SIPp says"):
        cross_check("run-0", calls, count)


LINE = "2026-11-25\t18:20:38.338862\t1795630838.338862\tS\trun-1\tCSeq:2 BYE\tBYE sip:127.9.16.1:5060 SIP/2.0"


def test_a_line_of_the_trace_is_a_message() -> None:
    assert parsed(LINE, "trace:1") == Message(1795630838.338862, True, "run-1", 2, "BYE", None)
    answer = LINE.replace("\tS\t", "\tR\t").replace("BYE sip:127.9.16.1:5060 SIP/2.0", "SIP/2.0 481 Gone")
    assert parsed(answer, "trace:2") == Message(1795630838.338862, False, "run-1", 2, "BYE", 481)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("", "trace:7: 1 fields"),
        (LINE.replace("\trun-1", ""), "trace:7: 6 fields"),
        (LINE.replace("1795630838.338862", "soon"), "trace:7: 'soon' is no time"),
        (LINE.replace("\tS\t", "\tX\t"), "trace:7: 'X' is neither S"),
        (LINE.replace("run-1", ""), "trace:7: a message without a Call-ID"),
        (LINE.replace("CSeq:2 BYE", "2 BYE"), "trace:7: '2 BYE' is no CSeq"),
        (LINE.replace("BYE sip:127.9.16.1:5060 SIP/2.0", "hello"), "trace:7: 'hello' is neither a request"),
        (LINE.replace("BYE sip:127.9.16.1:5060 SIP/2.0", "SIP/2.0 99 No"), "trace:7: 'SIP/2.0 99 No' is neither"),
        (LINE.replace("CSeq:2 BYE", "CSeq:2 INVITE"), "trace:7: a request BYE with a CSeq of INVITE"),
    ],
)
def test_a_line_that_is_no_message_is_told_with_its_place(line: str, said: str) -> None:
    with pytest.raises(TraceError) as told:
        parsed(line, "trace:7")
    assert str(told.value).startswith(said)


def test_a_line_that_is_still_being_written_is_waited_for(tmp_path: Path) -> None:
    (tmp_path / "trace").write_text(f"{LINE}\n{LINE[:30]}")

    assert len(list(read(tmp_path / "trace"))) == 1
    assert list(read(tmp_path / "none")) == []


def test_sipps_count_is_the_last_line_of_its_statistics(tmp_path: Path) -> None:
    path = tmp_path / "count"
    header = "StartTime;TotalCallCreated;CurrentCall;SuccessfulCall(C);FailedCall(C);\n"
    path.write_text(f"{header}now;1;1;0;0;\nnow;3;0;2;1;\n")

    assert totals(path) == Totals(created=3, successful=2, failed=1, current=0)


@pytest.mark.parametrize("text", ["", "StartTime;TotalCallCreated;\n", "StartTime;TotalCallCreated;\nnow;1;\n"])
def test_statistics_without_a_count_are_an_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "count").write_text(text)

    with pytest.raises(LedgerError, match="no count of calls"):
        totals(tmp_path / "count")
