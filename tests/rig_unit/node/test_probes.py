"""What a row of answers to a probe means."""

from __future__ import annotations

from tests.rig.node.probes import Verdict, port_number

PROBE = {"successThreshold": 2, "failureThreshold": 3}


def verdicts(answers: str, *, healthy: bool) -> str:
    """The verdict after each answer (+ or -), and a dot where there is none."""
    verdict = Verdict(PROBE, healthy=healthy)
    return "".join(("+" if verdict.healthy else "-") if verdict.observe(one == "+") else "." for one in answers)


def test_one_good_answer_is_not_enough_where_two_are_asked_for():
    assert verdicts("+-++", healthy=False) == "...+"


def test_failures_count_only_in_a_row():
    assert verdicts("--+--", healthy=True) == "....."
    assert verdicts("---", healthy=True) == "..-"


def test_every_further_failure_is_a_verdict_again():
    assert verdicts("-----", healthy=True) == "..---"


def test_defaults_are_one_success_and_three_failures():
    verdict = Verdict({}, healthy=False)
    assert verdict.observe(True)
    assert [verdict.observe(False) for _ in range(3)] == [False, False, True]


def test_ports_are_numbers_or_names():
    container = {"ports": [{"name": "ari", "containerPort": 8088}]}
    assert port_number("ari", container) == 8088
    assert port_number(5060, container) == 5060
    assert port_number("5060", container) == 5060
